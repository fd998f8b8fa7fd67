//! Data beside those that a net learned from, by a short name.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use ebm_core::{NoiseKey, States, Stream};
use ebm_data::{DataConfig, LoadedData};
use serde_json::json;

use crate::data::load_data;
use crate::{ExperimentError, Trained};

/// The data sets that have a name of their own.
const NAMES: [&str; 7] = [
    "embedded-digits",
    "mnist",
    "fashion-mnist",
    "cifar10",
    "flowers102",
    "gmm",
    "rings",
];

/// Data to set beside those of learning: the name of a data set, a folder of images, or an IDX file of images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OtherData {
    /// A data set by the name that `data.source` has for it.
    Named(&'static str),
    /// A folder of images, with all folders below.
    Folder(PathBuf),
    /// An IDX file, plain or gzipped.
    Idx(PathBuf),
}

/// A text that names no data.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither a folder of images nor an IDX file, nor one of {list}", list = NAMES.join(", "))]
pub struct UnknownData(String);

impl FromStr for OtherData {
    type Err = UnknownData;

    fn from_str(text: &str) -> Result<Self, UnknownData> {
        if let Some(name) = NAMES.iter().find(|name| **name == text) {
            return Ok(Self::Named(name));
        }
        let path = Path::new(text);
        if path.is_dir() {
            Ok(Self::Folder(path.to_owned()))
        } else if path.is_file() {
            Ok(Self::Idx(path.to_owned()))
        } else {
            Err(UnknownData(text.to_owned()))
        }
    }
}

impl fmt::Display for OtherData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => f.write_str(name),
            Self::Folder(path) | Self::Idx(path) => write!(f, "{}", path.display()),
        }
    }
}

impl OtherData {
    /// A short name for figures.
    pub(crate) fn label(&self) -> String {
        match self {
            Self::Named(name) => (*name).to_owned(),
            Self::Folder(path) | Self::Idx(path) => path.file_name().map_or_else(
                || path.display().to_string(),
                |name| name.to_string_lossy().into_owned(),
            ),
        }
    }

    /// Images of the size and the channels that a net takes.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] where the net takes images and the data are points of the plane, or the other way
    /// round.
    fn config(
        &self,
        setting: &'static str,
        [channels, height, _]: [usize; 3],
    ) -> Result<DataConfig, ExperimentError> {
        let is_toy = matches!(self, Self::Named("gmm" | "rings"));
        if is_toy != (height == 1) {
            let problem = format!("{self}: the net does not take such data");
            return Err(ExperimentError::setting(setting, problem));
        }
        let keys = match self {
            Self::Named(name) if is_toy => json!({"source": name}),
            Self::Named(name) => json!({"source": name, "size": height, "channels": channels}),
            Self::Folder(path) => {
                json!({"source": "folder", "path": path, "size": height, "channels": channels})
            }
            Self::Idx(path) => {
                json!({"source": "idx", "images": path, "size": height, "channels": channels})
            }
        };
        serde_json::from_value(keys)
            .map_err(|error| ExperimentError::setting(setting, format!("{self}: {error}")))
    }

    /// The data in the form that a net takes; `setting` is where they were named, for messages.
    ///
    /// # Errors
    /// Those of the loaders, and as [`Self::config`].
    pub(crate) fn load(
        &self,
        setting: &'static str,
        shape: [usize; 3],
        directory: Option<&Path>,
    ) -> Result<LoadedData, ExperimentError> {
        load_data(&self.config(setting, shape)?, directory)
    }
}

/// The data that a net learned from.
///
/// # Errors
/// [`ExperimentError::Setting`] where the weights do not say; those of the loaders.
pub(crate) fn data_of(
    trained: &Trained,
    directory: Option<&Path>,
) -> Result<LoadedData, ExperimentError> {
    let config = trained.data.as_ref().ok_or_else(|| {
        let problem =
            "does not say what the net learned from; give a run folder with --run, or --experiment";
        ExperimentError::setting("weights", problem)
    })?;
    load_data(config, directory)
}

/// Some of a set of data, with noise.
pub(crate) struct DrawnData {
    /// Their numbers in the set, ascending; for points of the plane those of the draws.
    pub(crate) numbers: Vec<usize>,
    pub(crate) states: States,
}

/// At most `most` different data, chosen at random, with noise of a standard deviation.
pub(crate) fn draw(data: &LoadedData, most: usize, noise: f64, seed: u64) -> DrawnData {
    let choice = NoiseKey::new(seed, Stream::WatchStart, 1);
    let (numbers, mut states) = match data {
        LoadedData::Images { images, .. } => {
            let mut numbers = choice.choose(most, images.count());
            numbers.sort_unstable();
            let states = images.states.gather(&numbers);
            (numbers, states)
        }
        LoadedData::Toy(toy) => ((0..most).collect(), toy.sample(&choice, most)),
    };
    states.add_noise(&NoiseKey::new(seed, Stream::WatchDataNoise, 1), noise);
    DrawnData { numbers, states }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn names_folders_and_files_are_told_apart() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("images.gz");
        std::fs::write(&file, []).unwrap();
        let parse = |text: &Path| text.to_str().unwrap().parse::<OtherData>();
        assert_eq!("mnist".parse(), Ok(OtherData::Named("mnist")));
        assert_eq!(
            parse(folder.path()),
            Ok(OtherData::Folder(folder.path().to_owned()))
        );
        assert_eq!(parse(&file), Ok(OtherData::Idx(file.clone())));
        let error = "minst".parse::<OtherData>().unwrap_err().to_string();
        assert!(
            error.contains("\"minst\"") && error.contains("mnist, fashion-mnist"),
            "{error}"
        );
    }

    #[test]
    fn every_name_is_a_source_of_the_shape_of_the_net() {
        for name in NAMES {
            let data = OtherData::Named(name);
            let is_toy = ["gmm", "rings"].contains(&name);
            let [fitting, other] = if is_toy {
                [[2, 1, 1], [1, 16, 16]]
            } else {
                [[1, 16, 16], [2, 1, 1]]
            };
            let config = data.config("data", fitting).unwrap();
            assert_eq!((config.source(), config.shape()), (name, fitting));
            assert!(data.config("data", other).is_err());
        }
    }
}
