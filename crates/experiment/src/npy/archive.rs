//! .npz files, as `numpy.savez` and `numpy.savez_compressed` write them.

use std::io::Read;

use flate2::read::DeflateDecoder;
use rawzip::{CompressionMethod, ZipArchive, ZipVerification};

/// Whether a file begins as a zip archive does; an empty one begins with its end.
pub(super) fn is_archive(file: &[u8]) -> bool {
    file.starts_with(b"PK\x03\x04") || file.starts_with(b"PK\x05\x06")
}

/// Names of arrays in a message.
const SHOWN: usize = 6;

/// The .npy file of the only array.
///
/// # Errors
/// What is wrong and what would be right, in words.
pub(super) fn only_array(file: &[u8]) -> Result<Vec<u8>, String> {
    let damaged =
        |error: &dyn ToString| format!("a damaged archive ({}); save it again", error.to_string());
    let zip = ZipArchive::from_slice(file).map_err(|error| damaged(&error))?;
    let mut arrays = Vec::new();
    for entry in zip.entries() {
        let entry = entry.map_err(|error| damaged(&error))?;
        let path = entry.file_path();
        let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
        arrays.push((name, entry.compression_method(), entry.wayfinder()));
    }
    let (method, place) = match &arrays[..] {
        [(_, method, place)] => (*method, *place),
        [] => return Err("an archive with no array; save one with numpy.save".into()),
        many => {
            let name = |(name, ..): &(String, _, _)| name.trim_end_matches(".npy").to_owned();
            let mut names: Vec<_> = many.iter().take(SHOWN).map(name).collect();
            if many.len() > SHOWN {
                names.push("…".into());
            }
            return Err(format!(
                "holds {} arrays ({}) where one is needed; save it alone with numpy.save",
                many.len(),
                names.join(", ")
            ));
        }
    };
    let entry = zip.get_entry(place).map_err(|error| damaged(&error))?;
    let claimed = entry.claim_verifier();
    let array = if method == CompressionMethod::STORE {
        entry.data().to_vec()
    } else if method == CompressionMethod::DEFLATE {
        let mut array = Vec::new();
        // The memory grows with the bytes that are read, never with the size that is claimed.
        DeflateDecoder::new(entry.data())
            .take(claimed.uncompressed_size.saturating_add(1))
            .read_to_end(&mut array)
            .map_err(|error| damaged(&error))?;
        array
    } else {
        return Err(format!(
            "compressed in a way that NumPy does not use ({method:?}); save it with numpy.savez"
        ));
    };
    let found = ZipVerification {
        crc: rawzip::crc32(&array),
        uncompressed_size: array.len() as u64,
    };
    claimed.valid(found).map_err(|error| damaged(&error))?;
    Ok(array)
}
