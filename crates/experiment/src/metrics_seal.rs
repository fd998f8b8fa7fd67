//! A checksum of the metrics up to the newest checkpoint, so that damage is an error and not another curve.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::json::write_json;

/// The seal of a file that only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Seal {
    /// So many bytes from its beginning...
    bytes: u64,
    /// ...have this CRC-32.
    crc32: u32,
}

fn path_for(metrics: &Path) -> PathBuf {
    metrics.with_extension("seal.json")
}

/// Refuses metrics that are shorter than when they were sealed, or begin differently. A file that is missing is no
/// damage, and one without a seal passes.
///
/// # Errors
/// [`ExperimentError::RunFolder`].
pub(crate) fn check(metrics: &Path) -> Result<(), ExperimentError> {
    let path = path_for(metrics);
    let (Ok(text), Ok(contents)) = (std::fs::read(&path), std::fs::read(metrics)) else {
        return Ok(());
    };
    let seal: Option<Seal> = serde_json::from_slice(&text).ok();
    let is_sound = seal.is_some_and(|seal| {
        let sealed = usize::try_from(seal.bytes)
            .ok()
            .and_then(|n| contents.get(..n));
        sealed.is_some_and(|sealed| crc32fast::hash(sealed) == seal.crc32)
    });
    if is_sound {
        return Ok(());
    }
    Err(ExperimentError::RunFolder {
        path: metrics.to_owned(),
        problem: format!(
            "was changed since it was written; put it back from a copy, or delete {} to go on with it as it is",
            path.display()
        ),
    })
}

/// Removes the seal, before the file is cut.
///
/// # Errors
/// [`ExperimentError::Io`].
pub(crate) fn remove(metrics: &Path) -> Result<(), ExperimentError> {
    let path = path_for(metrics);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ExperimentError::io(path, error))
        }
        _ => Ok(()),
    }
}

/// Seals the file with a checksum that was kept while it grew.
///
/// # Errors
/// [`ExperimentError::Io`].
pub(crate) fn write(metrics: &Path, bytes: u64, crc32: u32) -> Result<(), ExperimentError> {
    write_json(&path_for(metrics), &Seal { bytes, crc32 })
}
