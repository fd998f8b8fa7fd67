//! Arrays of numbers: a header and then the numbers.

use super::{Format, split};

pub(super) const NPY: Format = Format {
    is: |bytes| bytes.starts_with(MAGIC),
    open: |bytes| {
        // Later versions have a longer length; their bytes are changed as they are.
        if bytes.get(6) != Some(&1) {
            return None;
        }
        let length = u16::from_le_bytes([*bytes.get(8)?, *bytes.get(9)?]);
        let (header, data) = split(&bytes[10..], length.into());
        Some(vec![header.to_vec(), data.to_vec()])
    },
    close: |parts| {
        let header = parts.first().map(Vec::as_slice).unwrap_or_default();
        let length = (header.len() as u16).to_le_bytes();
        let data = parts.iter().skip(1).flatten().copied();
        [MAGIC, b"\x01\x00", &length, header]
            .concat()
            .into_iter()
            .chain(data)
            .collect()
    },
    words: &[
        b"'descr': ",
        b"'fortran_order': ",
        b"'shape': ",
        b"True",
        b"False",
        b"()",
        b"(1,)",
        b"(0, 3)",
        b"'<f2'",
        b"'>f8'",
        b"'|b1'",
        b"'|O'",
        b"'<c16'",
        b"'>i8'",
        b"'<u4'",
        b"[('x', '<f4')]",
        b"{",
        b"}",
        b", ",
        b"3L",
        b"\"",
        b"'",
        b"\\'",
        b"99999999999999999999",
        b"-1",
        b"(2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2)",
        b"\n",
        b"\xff",
    ],
};

const MAGIC: &[u8] = b"\x93NUMPY";

pub(super) const SAFETENSORS: Format = Format {
    is: |bytes| matches!(bytes, [_, _, _, _, 0, 0, 0, 0, b'{', ..]),
    open: |bytes| {
        let length = u64::from_le_bytes(*bytes.first_chunk()?);
        let (header, data) = split(&bytes[8..], usize::try_from(length).ok()?);
        Some(vec![header.to_vec(), data.to_vec()])
    },
    close: |parts| {
        let header = parts.first().map(Vec::as_slice).unwrap_or_default();
        let data = parts.iter().skip(1).flatten().copied();
        let length = (header.len() as u64).to_le_bytes();
        length
            .into_iter()
            .chain(header.iter().copied())
            .chain(data)
            .collect()
    },
    words: &[],
};

pub(super) const IDX: Format = Format {
    is: |bytes| bytes.starts_with(b"\0\0\x08"),
    open: |bytes| {
        let header = 4 + 4 * usize::from(*bytes.get(3)?);
        let (words, data) = split(bytes, header);
        let mut parts: Vec<_> = words.chunks(4).map(<[u8]>::to_vec).collect();
        parts.push(data.to_vec());
        Some(parts)
    },
    close: <[Vec<u8>]>::concat,
    words: &[
        b"\0\0\x08\x01",
        b"\0\0\x08\x03",
        b"\0\0\0\0",
        b"\0\0\0\x01",
        b"\xff\xff\xff\xff",
        b"\0\x01\0\0",
    ],
};
