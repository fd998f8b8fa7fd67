//! JSON files that appear whole or not at all, and are there or not.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::ExperimentError;

/// Writes a value for people to read: indented, with a line break at the end.
///
/// # Errors
/// [`ExperimentError::File`] for a value that JSON cannot hold, [`ExperimentError::Io`].
pub(crate) fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ExperimentError> {
    let mut text = serde_json::to_vec_pretty(value).map_err(|error| ExperimentError::File {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    text.push(b'\n');
    ebm_core::write_atomically(path, &text).map_err(|error| ExperimentError::io(path, error))
}

/// Reads a file that need not be there; `anew` says what to do about a damaged one.
///
/// # Errors
/// [`ExperimentError::RunFolder`] when it is damaged, [`ExperimentError::Io`].
pub(crate) fn read_json<T: DeserializeOwned>(
    path: &Path,
    anew: &str,
) -> Result<Option<T>, ExperimentError> {
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ExperimentError::io(path, error)),
    };
    serde_json::from_str(&text)
        .map(Some)
        .map_err(|error| ExperimentError::RunFolder {
            path: path.to_owned(),
            problem: format!("not readable ({error}); {anew}"),
        })
}
