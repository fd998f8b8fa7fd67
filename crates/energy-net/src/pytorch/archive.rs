//! The format of PyTorch from 1.6 on: a zip archive without compression, with a file for the objects and one for each
//! storage.

use std::collections::BTreeMap;

use rawzip::{
    CompressionMethod, ZipArchive, ZipArchiveEntryWayfinder, ZipSliceArchive, ZipVerification,
};

use super::Problem;
use super::storage::StorageReference;

/// A file's archive.
pub(super) struct Archive<'a> {
    zip: ZipSliceArchive<&'a [u8]>,
    entries: BTreeMap<String, ZipArchiveEntryWayfinder>,
    /// The folder in the archive that holds everything, with its slash.
    folder: String,
}

impl<'a> Archive<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self, Problem> {
        let zip = ZipArchive::from_slice(bytes).map_err(Problem::damaged)?;
        let mut entries = BTreeMap::new();
        for entry in zip.entries() {
            let entry = entry.map_err(Problem::damaged)?;
            let path = entry.file_path();
            let name = String::from_utf8_lossy(path.as_bytes()).into_owned();
            if entry.compression_method() != CompressionMethod::STORE {
                return Err(not_pytorch("compressed"));
            }
            if entries.insert(name, entry.wayfinder()).is_some() {
                return Err(Problem::damaged("two files in it have one name"));
            }
        }
        let mut folders = entries
            .keys()
            .filter_map(|name| name.strip_suffix("data.pkl"))
            .filter(|folder| folder.is_empty() || folder.ends_with('/'));
        let (Some(folder), None) = (folders.next(), folders.next()) else {
            return Err(not_pytorch("zip"));
        };
        let folder = folder.to_owned();
        let archive = Self {
            zip,
            entries,
            folder,
        };
        // Newer versions record the byte order; older ones were always little-endian.
        let note = format!("{}byteorder", archive.folder);
        if archive.entries.contains_key(&note) && archive.entry("byteorder")? != b"little" {
            return Err(Problem::Contents(
                "it was written by a machine with big-endian numbers".into(),
            ));
        }
        Ok(archive)
    }

    /// The pickle of the objects.
    pub(super) fn pickle(&self) -> Result<&[u8], Problem> {
        self.entry("data.pkl")
    }

    pub(super) fn storage(&self, storage: &StorageReference<'_>) -> Result<&[u8], Problem> {
        self.entry(&format!("data/{}", storage.key))
    }

    fn entry(&self, name: &str) -> Result<&[u8], Problem> {
        let damaged =
            |reason: &dyn ToString| Problem::Damaged(format!("{name}: {}", reason.to_string()));
        let place = self.entries.get(&format!("{}{name}", self.folder));
        let place = place.ok_or_else(|| damaged(&"not in the archive"))?;
        let entry = self
            .zip
            .get_entry(*place)
            .map_err(|error| damaged(&error))?;
        let bytes = entry.data();
        let found = ZipVerification {
            crc: rawzip::crc32(bytes),
            uncompressed_size: bytes.len() as u64,
        };
        entry
            .claim_verifier()
            .valid(found)
            .map_err(|error| damaged(&error))?;
        Ok(bytes)
    }
}

fn not_pytorch(kind: &str) -> Problem {
    Problem::Contents(format!(
        "it is a {kind} archive that torch.save did not write"
    ))
}
