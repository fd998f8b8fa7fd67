//! Data of an experiment.

use std::path::{Path, PathBuf};

use ebm_data::{DataConfig, LeftOut, LoadedData, data_directory};

use crate::ExperimentError;

/// The data of a config. Only some need a folder of downloaded data sets: `directory`, or the usual place. The log says
/// which files of a folder of images are left out.
///
/// # Errors
/// [`ExperimentError::Data`].
pub fn load_data(
    data: &DataConfig,
    directory: Option<&Path>,
) -> Result<LoadedData, ExperimentError> {
    // The others need no folder, and an account without a home directory has none.
    let directory = if data.is_fetched() {
        data_directory(directory)?
    } else {
        PathBuf::new()
    };
    let dataset = data.load(&directory)?;
    for message in dataset.left_out().map_or(Vec::new(), LeftOut::messages) {
        match data {
            DataConfig::Folder(folder) => tracing::warn!("{}: {message}", folder.path.display()),
            _ => tracing::warn!("{message}"),
        }
    }
    Ok(dataset)
}
