//! Zip archives: how the entries are compressed, then the name and the contents of each.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::DeflateDecoder;
use flate2::write::DeflateEncoder;
use rawzip::{CompressionMethod, ZipArchive};

use super::Format;

pub(super) const ZIP: Format = Format {
    is: |bytes| bytes.starts_with(b"PK\x03\x04"),
    open: |bytes| {
        let zip = ZipArchive::from_slice(bytes).ok()?;
        let mut parts = vec![b"\0".to_vec()];
        for entry in zip.entries() {
            let entry = entry.ok()?;
            parts.push(entry.file_path().as_bytes().to_vec());
            let stored = zip.get_entry(entry.wayfinder()).ok()?;
            if entry.compression_method() == CompressionMethod::DEFLATE {
                parts[0] = vec![DEFLATE];
                let mut contents = Vec::new();
                let decoder = DeflateDecoder::new(stored.data());
                decoder.take(1 << 20).read_to_end(&mut contents).ok()?;
                parts.push(contents);
            } else {
                parts.push(stored.data().to_vec());
            }
        }
        Some(parts)
    },
    close,
    words: &[
        b"archive/data.pkl",
        b"data.pkl",
        b"archive/data/0",
        b"archive/byteorder",
        b"little",
        b"a.npy",
        b"../a.npy",
        b"\x08",
    ],
};

const DEFLATE: u8 = 8;

fn close(parts: &[Vec<u8>]) -> Vec<u8> {
    let method = u16::from(
        parts
            .first()
            .and_then(|part| part.first())
            .copied()
            .unwrap_or_default(),
    );
    let mut file = Vec::new();
    let mut directory = Vec::new();
    let mut count = 0u16;
    for pair in parts.get(1..).unwrap_or_default().chunks(2) {
        let (name, contents) = (&pair[0], pair.get(1).map(Vec::as_slice).unwrap_or_default());
        let mut stored = contents.to_vec();
        if method == u16::from(DEFLATE) {
            let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
            encoder.write_all(contents).unwrap();
            stored = encoder.finish().unwrap();
        }
        // Version, flags, method, time and date, checksum, both sizes, length of the name, length of extra fields.
        let mut about = Vec::new();
        about.extend([20, 0, 0, 0]);
        about.extend(method.to_le_bytes());
        about.extend([0; 4]);
        about.extend(rawzip::crc32(contents).to_le_bytes());
        about.extend((stored.len() as u32).to_le_bytes());
        about.extend((contents.len() as u32).to_le_bytes());
        about.extend((name.len() as u16).to_le_bytes());
        about.extend([0; 2]);
        let start = file.len() as u32;
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&about);
        // Comment, disk, attributes.
        directory.extend([0; 10]);
        directory.extend(start.to_le_bytes());
        directory.extend(name);
        file.extend(b"PK\x03\x04");
        file.extend(&about);
        file.extend(name);
        file.extend(stored);
        count = count.wrapping_add(1);
    }
    let start = file.len() as u32;
    file.extend(&directory);
    file.extend(b"PK\x05\x06\0\0\0\0");
    file.extend(count.to_le_bytes());
    file.extend(count.to_le_bytes());
    file.extend((directory.len() as u32).to_le_bytes());
    file.extend(start.to_le_bytes());
    file.extend([0; 2]);
    file
}
