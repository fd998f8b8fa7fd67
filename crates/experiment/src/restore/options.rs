//! What is restored, and how.

use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_data::{ImageConfig, LoadedData, load_image};
use serde::{Deserialize, Serialize};

use super::Mask;
use crate::other_data::data_of;
use crate::{ExperimentError, Trained};

/// The image.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RestoreSubject {
    /// An image file; brought to the size of the net's states.
    File(PathBuf),
    /// One of the data of learning, by its number from 0.
    Datum(usize),
}

/// What is wrong with it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Corruption {
    /// Pixels are missing.
    Missing(Mask),
    /// It has noise of this standard deviation, in the units of states, of which black and white are 2 apart.
    Noise {
        /// s > 0.
        deviation: f64,
        /// Whether the image is clean and the noise is put on it first, so that the result can be compared with it.
        add: bool,
    },
}

/// The options of a restoration.
#[derive(Debug, Clone, PartialEq)]
pub struct RestoreOptions {
    /// The image.
    pub subject: RestoreSubject,
    /// What is wrong with it.
    pub corruption: Corruption,
    /// Independent chains; 16 by default.
    pub draws: usize,
    /// Langevin steps of each; L of the training by default.
    pub steps: Option<u64>,
    /// Seed of all noise.
    pub seed: u64,
}

impl RestoreOptions {
    /// The defaults for an image.
    #[must_use]
    pub fn new(subject: RestoreSubject, corruption: Corruption) -> Self {
        Self {
            subject,
            corruption,
            draws: 16,
            steps: None,
            seed: 1,
        }
    }
}

impl RestoreSubject {
    /// The image as a state.
    pub(super) fn load(
        &self,
        trained: &Trained,
        directory: Option<&Path>,
    ) -> Result<States, ExperimentError> {
        let [channels, height, _] = trained.state_shape;
        match self {
            Self::File(path) => {
                let config = ImageConfig {
                    size: height,
                    channels: Some(channels),
                    ..ImageConfig::default()
                };
                Ok(load_image(path, &config)?)
            }
            Self::Datum(number) => match data_of(trained, directory)? {
                LoadedData::Images { images, .. } if *number < images.count() => {
                    Ok(images.states.gather(&[*number]))
                }
                data => {
                    let count = data.count().unwrap_or(0);
                    let problem = format!("{number}: there are {count} images, numbered from 0");
                    Err(ExperimentError::setting("datum", problem))
                }
            },
        }
    }
}
