//! Data of an experiment.

use std::path::{Path, PathBuf};

use ebm_data::{DataConfig, Dataset, data_directory};

use crate::ExperimentError;

/// The data of a config. Only some need a folder of downloaded data sets: `directory`, or the usual place.
///
/// # Errors
/// [`ExperimentError::Data`].
pub fn load_data(data: &DataConfig, directory: Option<&Path>) -> Result<Dataset, ExperimentError> {
    // The others need no folder, and an account without a home directory has none.
    let directory = if data.is_fetched() {
        data_directory(directory)?
    } else {
        PathBuf::new()
    };
    Ok(data.load(&directory)?)
}
