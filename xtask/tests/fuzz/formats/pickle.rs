//! Pickles by their instructions, and in older files of PyTorch the numbers behind them.

use super::Format;

pub(super) const PICKLE: Format = Format {
    is: |bytes| matches!(bytes, [0x80, 2..=5, ..]),
    open: |bytes| {
        let mut parts = Vec::new();
        let mut rest = bytes;
        // One pickle after the other; what follows them is one part.
        while let [0x80, 2..=5, ..] = rest {
            loop {
                let length = instruction(rest)?;
                let (taken, after) = rest.split_at_checked(length)?;
                parts.push(taken.to_vec());
                rest = after;
                if taken == b"." {
                    break;
                }
            }
        }
        parts.push(rest.to_vec());
        Some(parts)
    },
    close: <[Vec<u8>]>::concat,
    words: &[
        b"\x80\x02",
        b".",
        b"N",
        b"\x88",
        b"\x89",
        b"K\x00",
        b"K\x04",
        b"M\xff\xff",
        b"J\xff\xff\xff\xff",
        b"J\0\0\0\x7f",
        b"\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f",
        b"\x8a\x01\xff",
        b"\x8a\x00",
        b"\x8a\xff",
        b"G\x7f\xf0\0\0\0\0\0\0",
        b"C\x02ab",
        b"\x8c\x01a",
        b"X\x01\0\0\0a",
        b"X\xff\xff\xff\xff",
        b"U\x01\xff",
        b"T\x01\0\0\0a",
        b")",
        b"\x85",
        b"\x86",
        b"\x87",
        b"(",
        b"t",
        b"]",
        b"a",
        b"e",
        b"}",
        b"s",
        b"u",
        b"q\x00",
        b"q\x05",
        b"r\xff\xff\xff\xff",
        b"\x94",
        b"h\x00",
        b"h\x05",
        b"j\x05\0\0\0",
        b"ccollections\nOrderedDict\n",
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"ctorch\nFloatStorage\n",
        b"ctorch\nBFloat16Storage\n",
        b"ctorch\nComplexDoubleStorage\n",
        b"cos\nsystem\n",
        b"\x93",
        b"Q",
        b"R",
        b"b",
        b"\x95\0\0\0\0\0\0\0\0",
        b"\x81",
        b"l",
    ],
};

/// The length of the first instruction with its arguments.
fn instruction(bytes: &[u8]) -> Option<usize> {
    let counted = |width: usize| {
        let mut lanes = [0; 8];
        lanes[..width].copy_from_slice(bytes.get(1..=width)?);
        let count = usize::try_from(u64::from_le_bytes(lanes)).ok()?;
        count.checked_add(1 + width)
    };
    Some(match bytes.first()? {
        0x80 | b'K' | b'q' | b'h' => 2,
        b'M' => 3,
        b'J' | b'r' | b'j' => 5,
        b'G' | 0x95 => 9,
        0x8a | 0x8c | b'C' | b'U' => counted(1)?,
        b'X' | b'T' | b'B' => counted(4)?,
        b'c' => {
            let mut ends = bytes.iter().enumerate().filter(|&(_, &byte)| byte == b'\n');
            ends.nth(1)?.0 + 1
        }
        _ => 1,
    })
}
