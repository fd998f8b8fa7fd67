//! Images: PNG by its chunks and JPEG by its segments.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;

use super::{Format, split};

const SIGNATURE: &[u8] = b"\x89PNG\r\n\x1a\n";
const PIXELS: &[u8] = b"IDAT";

/// Each part is a chunk's kind and its data; those of pixels are not compressed here.
pub(super) const PNG: Format = Format {
    is: |bytes| bytes.starts_with(SIGNATURE),
    open: |bytes| {
        let mut parts = Vec::new();
        let mut rest = &bytes[SIGNATURE.len()..];
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = u32::from_be_bytes(*length) as usize;
            let (chunk, after) = after.split_at_checked(length.checked_add(4)?)?;
            let (_checksum, after) = split(after, 4);
            parts.push(match chunk.strip_prefix(PIXELS) {
                Some(pixels) => [PIXELS, &inflated(pixels)?].concat(),
                None => chunk.to_vec(),
            });
            rest = after;
        }
        Some(parts)
    },
    close: |parts| {
        let mut file = SIGNATURE.to_vec();
        for part in parts {
            let chunk = match part.strip_prefix(PIXELS) {
                Some(pixels) => [PIXELS, &deflated(pixels)].concat(),
                None => part.clone(),
            };
            file.extend((chunk.len().saturating_sub(4) as u32).to_be_bytes());
            file.extend(&chunk);
            file.extend(rawzip::crc32(&chunk).to_be_bytes());
        }
        file
    },
    words: &[
        b"IHDR",
        b"PLTE",
        b"IEND",
        b"tRNS",
        b"acTL",
        b"fcTL",
        b"fdAT",
        b"zTXt",
        b"iCCP",
        b"\0\0\0\x01",
        b"\0\x01\0\0",
        b"\x7f\xff\xff\xff",
        b"IDAT\0",
        b"\x10\x06\0\0\x01",
        b"\x01\0\0\0\0",
    ],
};

fn inflated(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut pixels = Vec::new();
    ZlibDecoder::new(bytes)
        .take(1 << 20)
        .read_to_end(&mut pixels)
        .ok()?;
    Some(pixels)
}

fn deflated(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Each part is a segment's marker and its data, without the length, or what stands between segments.
pub(super) const JPEG: Format = Format {
    is: |bytes| bytes.starts_with(b"\xff\xd8"),
    open: |bytes| {
        let mut parts = vec![bytes[..2].to_vec()];
        let mut rest = &bytes[2..];
        while let [first, marker, after @ ..] = rest {
            if has_length(&[*first, *marker]) {
                let length = usize::from(u16::from_be_bytes(*after.first_chunk()?));
                let (data, after) = after.get(2..)?.split_at_checked(length.checked_sub(2)?)?;
                parts.push([&rest[..2], data].concat());
                rest = after;
            } else {
                let next = rest.windows(2).skip(1).position(has_length);
                let (data, after) = split(rest, next.map_or(rest.len(), |next| next + 1));
                parts.push(data.to_vec());
                rest = after;
            }
        }
        Some(parts)
    },
    close: |parts| {
        let mut file = Vec::new();
        for part in parts {
            if has_length(part) {
                file.extend(&part[..2]);
                file.extend((part.len() as u16).to_be_bytes());
                file.extend(&part[2..]);
            } else {
                file.extend(part);
            }
        }
        file
    },
    words: &[
        b"\xff\xc0",
        b"\xff\xc2",
        b"\xff\xc4",
        b"\xff\xd9",
        b"\xff\xda",
        b"\xff\xdb",
        b"\xff\xdd\0\x01",
        b"\xff\xd0",
        b"\xff\xee",
        b"\xff\xe1Exif\0\0II*\0\x08\0\0\0",
        b"\x11",
        b"\x22",
        b"\x44",
        b"\xff\xff",
        b"\0\x01",
    ],
};

/// All segments have one but the start and end of the image and what stands between restarts.
fn has_length(bytes: &[u8]) -> bool {
    matches!(bytes, [0xff, 0xc0..=0xcf | 0xda..=0xef | 0xfe, ..])
}
