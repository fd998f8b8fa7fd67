//! What is compressed with gzip, and the archives of tar that data sets come in.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;

use super::Format;

pub(super) const GZIP: Format = Format {
    is: |bytes| bytes.starts_with(&[0x1f, 0x8b]),
    open: |bytes| {
        let mut contents = Vec::new();
        MultiGzDecoder::new(bytes)
            .take(1 << 20)
            .read_to_end(&mut contents)
            .ok()?;
        Some(vec![contents])
    },
    close: |parts| gzip(&parts.concat()),
    words: &[],
};

pub(crate) fn gzip(contents: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(contents).unwrap();
    encoder.finish().unwrap()
}

const BLOCK: usize = 512;

/// A header and the contents that its size says, one after the other.
pub(super) const TAR: Format = Format {
    is: |bytes| bytes.get(257..262) == Some(b"ustar"),
    open: |bytes| {
        let mut parts = Vec::new();
        let mut rest = bytes;
        while rest.len() >= BLOCK {
            let (header, after) = rest.split_at(BLOCK);
            let digits = std::str::from_utf8(&header[124..135]).ok()?;
            let size = usize::from_str_radix(digits.trim_matches(['\0', ' ']), 8).unwrap_or(0);
            let (contents, after) = after.split_at_checked(size.next_multiple_of(BLOCK))?;
            parts.push(header.to_vec());
            parts.push(contents.to_vec());
            rest = after;
        }
        Some(parts)
    },
    close: |parts| {
        let mut file = Vec::new();
        for pair in parts.chunks(2) {
            let mut header = pair[0].clone();
            header.resize(BLOCK, 0);
            // An archive ends with blocks of zeros, which have no checksum.
            if header.iter().any(|&byte| byte != 0) {
                header[148..156].fill(b' ');
                let sum: u32 = header.iter().map(|&byte| u32::from(byte)).sum();
                header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
            }
            file.extend(header);
            let mut contents = pair.get(1).cloned().unwrap_or_default();
            contents.resize(contents.len().next_multiple_of(BLOCK), 0);
            file.extend(contents);
        }
        file
    },
    words: &[
        b"../",
        b"/",
        b"..",
        b".",
        b"a/b",
        b"L",
        b"K",
        b"x",
        b"g",
        b"S",
        b"5",
        b"1",
        b"2",
        b"77777777777",
        b"30 path=../a\n",
        b"\xff",
    ],
};
