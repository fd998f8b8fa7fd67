//! JSON files that appear whole or not at all.

use std::path::Path;

use serde::Serialize;

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
