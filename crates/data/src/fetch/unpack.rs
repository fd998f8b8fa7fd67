//! Archives.

use std::fs::{self, File};
use std::io;
use std::path::Path;

use flate2::read::GzDecoder;
use tar::{Archive, EntryType};

use crate::error::DataError;

/// Unpacks the `.tar.gz` file `archive` into the new folder `target`, which appears only when all is unpacked.
///
/// Only files and folders below `target` are accepted: links and paths that lead out are an error.
pub(super) fn unpack(archive: &Path, target: &Path) -> Result<(), DataError> {
    // The name is hidden, so that the folder is never taken for data, and fixed, so that the remains of a killed
    // process are cleared.
    let work = target.with_file_name(".unpacking");
    let clear = || match fs::remove_dir_all(&work) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    clear().map_err(DataError::file(&work, "remove"))?;
    fs::create_dir(&work).map_err(DataError::file(&work, "create"))?;
    let result = unpack_into(archive, &work)
        .and_then(|()| fs::rename(&work, target).map_err(DataError::file(target, "create")));
    if result.is_err() {
        // The first error is the one to report.
        let _ = clear();
    }
    result
}

fn unpack_into(archive: &Path, work: &Path) -> Result<(), DataError> {
    let broken = |problem: String| DataError::Archive {
        path: archive.to_path_buf(),
        problem,
    };
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => DataError::DiskFull {
            path: work.to_path_buf(),
        },
        _ => broken(error.to_string()),
    };
    let file = File::open(archive).map_err(DataError::file(archive, "read"))?;
    let mut tar = Archive::new(GzDecoder::new(io::BufReader::new(file)));
    for entry in tar.entries().map_err(failed)? {
        let mut entry = entry.map_err(failed)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        match entry.header().entry_type() {
            EntryType::Regular | EntryType::Directory => {}
            EntryType::XGlobalHeader => continue,
            kind => {
                return Err(broken(format!(
                    "its entry \"{path}\" is neither file nor folder ({kind:?})"
                )));
            }
        }
        if !entry.unpack_in(work).map_err(failed)? {
            return Err(broken(format!(
                "its entry \"{path}\" leads out of the folder"
            )));
        }
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::path::PathBuf;
    use tempfile::TempDir;

    /// Writes a header by hand, since the library refuses to write a malicious one.
    fn archive(entries: &[(&str, EntryType, &[u8])]) -> (TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data/a.tgz");
        fs::create_dir(folder.path().join("data")).unwrap();
        let encoder = GzEncoder::new(File::create(&path).unwrap(), Compression::fast());
        let mut tar = tar::Builder::new(encoder);
        for (name, kind, contents) in entries {
            let mut header = tar::Header::new_gnu();
            header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
            header.set_entry_type(*kind);
            header.set_mode(0o755);
            header.set_size(contents.len() as u64);
            if *kind == EntryType::Symlink {
                header.set_link_name("/tmp").unwrap();
            }
            header.set_cksum();
            tar.append(&header, *contents).unwrap();
        }
        tar.into_inner().unwrap().finish().unwrap();
        (folder, path)
    }

    fn result(entries: &[(&str, EntryType, &[u8])]) -> (TempDir, Result<(), DataError>) {
        let (folder, path) = archive(entries);
        let result = unpack(&path, &path.with_file_name("unpacked"));
        (folder, result)
    }

    #[test]
    fn files_and_folders_are_unpacked() {
        let (folder, result) = result(&[
            ("set/", EntryType::Directory, b""),
            ("set/one.bin", EntryType::Regular, b"1"),
            ("deep/er/two.bin", EntryType::Regular, b"22"),
        ]);
        result.unwrap();
        let unpacked = folder.path().join("data/unpacked");
        assert_eq!(fs::read(unpacked.join("set/one.bin")).unwrap(), b"1");
        assert_eq!(fs::read(unpacked.join("deep/er/two.bin")).unwrap(), b"22");
        assert!(!folder.path().join("data/.unpacking").exists());
    }

    #[test]
    fn entries_that_lead_out_are_refused_and_nothing_is_left() {
        let evil: [&[(&str, EntryType, &[u8])]; 4] = [
            &[
                ("good", EntryType::Regular, b"1"),
                ("../evil", EntryType::Regular, b"2"),
            ],
            &[("a/../../../evil", EntryType::Regular, b"2")],
            &[
                ("link", EntryType::Symlink, b""),
                ("link/evil", EntryType::Regular, b"2"),
            ],
            &[("pipe", EntryType::Fifo, b"")],
        ];
        for entries in evil {
            let (folder, result) = result(entries);
            let error = result.unwrap_err().to_string();
            assert!(
                error.contains("a.tgz: cannot be unpacked: its entry"),
                "{error}"
            );
            assert!(
                !folder.path().join("data/evil").exists() && !folder.path().join("evil").exists()
            );
            assert!(!folder.path().join("data/unpacked").exists());
            assert!(!folder.path().join("data/.unpacking").exists());
        }
    }

    #[test]
    fn absolute_paths_stay_inside() {
        let (folder, result) = result(&[("/etc/ebm-evil", EntryType::Regular, b"1")]);
        result.unwrap();
        assert!(folder.path().join("data/unpacked/etc/ebm-evil").exists());
    }

    #[test]
    fn damaged_archives_are_errors() {
        let noise: Vec<u8> = (0..5000u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let (_folder, path) = archive(&[("one", EntryType::Regular, &noise)]);
        let whole = fs::read(&path).unwrap();
        for contents in [&whole[..whole.len() / 2], b"no gzip at all"] {
            fs::write(&path, contents).unwrap();
            let error = unpack(&path, &path.with_file_name("unpacked")).unwrap_err();
            assert!(matches!(error, DataError::Archive { .. }), "{error}");
        }
    }

    /// A process killed while unpacking leaves its work folder.
    #[test]
    fn leftovers_are_cleared() {
        let (folder, path) = archive(&[("new", EntryType::Regular, b"1")]);
        fs::create_dir(folder.path().join("data/.unpacking")).unwrap();
        fs::write(folder.path().join("data/.unpacking/old"), "2").unwrap();
        unpack(&path, &path.with_file_name("unpacked")).unwrap();
        assert!(!folder.path().join("data/unpacked/old").exists());
    }
}
