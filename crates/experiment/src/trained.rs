//! A net that has been trained, found by a run folder or a file of weights.

use std::path::{Path, PathBuf};

use ebm_core::StepSize;
use ebm_data::DataConfig;
use ebm_energy_net::{NetConfig, read_metadata};
use ebm_langevin::AnyKernel;
use ebm_trainer::{
    LangevinConfig, Stabilisers, TrainerError, latest_checkpoint, read_checkpoint_info,
};

use crate::ExperimentError;
use crate::config::{ExperimentConfig, Source};
use crate::run_folder::RunFolder;

/// Which net.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TrainedSource {
    /// The newest weights of a run.
    Run {
        /// The run folder.
        folder: PathBuf,
        /// Whether to take the average of the parameters over learning instead of the newest ones.
        average: bool,
    },
    /// A safetensors file, or one of PyTorch's `torch.save`.
    Weights {
        /// The file.
        file: PathBuf,
        /// The experiment that the weights belong to. Files that this crate wrote name their net.
        experiment: Option<Source>,
    },
}

/// A net and how it was trained.
#[derive(Debug, Clone)]
pub struct Trained {
    /// The file of the weights.
    pub weights: PathBuf,
    /// The run folder of the weights, if they come from one.
    pub run: Option<PathBuf>,
    /// The net.
    pub net: NetConfig,
    /// `[channels, height, width]`.
    pub state_shape: [usize; 3],
    /// The chains of the training.
    pub langevin: LangevinConfig,
    /// The stabilisers of the training.
    pub stabilisers: Stabilisers,
    /// The data that it learned from, if known.
    pub data: Option<DataConfig>,
    /// ε_data of the training, if known. The header of a weight file does not have it.
    pub data_noise: Option<f64>,
    /// The iteration after which a run had these weights, where they come from a checkpoint of it.
    pub iteration: Option<u64>,
    /// Whether they are the average of the parameters that a run kept.
    pub average: bool,
}

impl TrainedSource {
    /// The weights and the settings they belong to.
    ///
    /// # Errors
    /// [`ExperimentError::UnknownNet`] when nothing says which net it is; others name the file that is missing or
    /// damaged.
    pub fn find(&self) -> Result<Trained, ExperimentError> {
        match self {
            Self::Run { folder, average } => {
                let folder = RunFolder::open(folder)?;
                let config = folder.read_config()?;
                let newest = NewestWeights::of(&folder, *average)?;
                let run = Some(folder.root().to_owned());
                Ok(Trained {
                    run,
                    average: *average,
                    ..Trained::of_config(newest.path, config, newest.iteration)
                })
            }
            Self::Weights {
                file,
                experiment: Some(source),
            } => {
                let (config, _) = ExperimentConfig::load(source, &[])?;
                Ok(Trained::of_config(file.clone(), config, None))
            }
            Self::Weights {
                file,
                experiment: None,
            } => Trained::of_header(file),
        }
    }
}

impl Trained {
    /// Steps of size ε on the energy that was learned, with the kernel and the bounds that learning had.
    #[must_use]
    pub fn kernel(&self, epsilon: StepSize) -> AnyKernel {
        self.langevin.kernel_of_size(epsilon, &self.stabilisers)
    }

    /// Weights of an iteration, or of the end of learning.
    fn of_config(weights: PathBuf, config: ExperimentConfig, iteration: Option<u64>) -> Self {
        let learned = iteration.unwrap_or(config.iterations);
        Self {
            weights,
            run: None,
            net: config.net,
            state_shape: config.data.shape(),
            langevin: config.langevin,
            stabilisers: config.stabilisers,
            data_noise: Some(config.learning().data_noise_at(learned)),
            data: Some(config.data),
            iteration,
            average: false,
        }
    }

    /// The entries that this program writes into the header of weight files.
    fn of_header(weights: &Path) -> Result<Self, ExperimentError> {
        let metadata = read_metadata(weights)?;
        let entry = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
        let parsed = (
            serde_json::from_str(entry("ebm.net")),
            serde_json::from_str(entry("ebm.state_shape")),
            serde_json::from_str(entry("ebm.langevin")),
        );
        let (Ok(net), Ok(state_shape), Ok(langevin)) = parsed else {
            return Err(ExperimentError::UnknownNet {
                path: weights.to_owned(),
                problem: "does not say which net it belongs to".to_owned(),
            });
        };
        let unreadable = |key: &str, problem: &dyn std::fmt::Display| ExperimentError::UnknownNet {
            path: weights.to_owned(),
            problem: format!("`{key}` in its header is not readable ({problem})"),
        };
        NetConfig::validate(&net, state_shape)
            .map_err(|error| unreadable("ebm.state_shape", &error))?;
        LangevinConfig::check_momentum(&langevin)
            .map_err(|error| unreadable("ebm.langevin", &error))?;
        // Written where there are any.
        let stabilisers = match metadata.get("ebm.stabilisers") {
            None => Stabilisers::default(),
            Some(text) => {
                serde_json::from_str(text).map_err(|error| unreadable("ebm.stabilisers", &error))?
            }
        };
        let data = metadata
            .get("ebm.data")
            .map(|text| serde_json::from_str(text));
        let data = data
            .transpose()
            .map_err(|error| unreadable("ebm.data", &error))?;
        Ok(Self {
            weights: weights.to_owned(),
            run: None,
            net,
            state_shape,
            langevin,
            stabilisers,
            data,
            data_noise: None,
            iteration: None,
            average: false,
        })
    }
}

/// The newest weights of a run folder: those of the newest checkpoint, because a continued run may still have older
/// final weights. Without a checkpoint they are the final ones.
pub(crate) struct NewestWeights {
    pub(crate) path: PathBuf,
    /// Learning iterations, where they come from a checkpoint.
    pub(crate) iteration: Option<u64>,
    /// The file of the bank of the same iteration, if the run has one and the weights come from a checkpoint.
    pub(crate) bank: Option<PathBuf>,
}

impl NewestWeights {
    /// The newest weights of `folder`, or with `average` the average of the parameters.
    ///
    /// # Errors
    /// [`ExperimentError::NoNet`] when there are none, and those of a damaged checkpoint.
    pub(crate) fn of(folder: &RunFolder, average: bool) -> Result<Self, ExperimentError> {
        let (in_checkpoint, at_the_end) = if average {
            ("average.safetensors", folder.average())
        } else {
            ("weights.safetensors", folder.weights())
        };
        let newest = match latest_checkpoint(&folder.checkpoints()) {
            Ok(checkpoint) => Self {
                path: checkpoint.join(in_checkpoint),
                iteration: Some(read_checkpoint_info(&checkpoint)?.iteration),
                bank: Some(checkpoint.join("bank.safetensors")),
            },
            Err(TrainerError::Checkpoint { .. }) => Self {
                path: at_the_end,
                iteration: None,
                bank: None,
            },
            Err(error) => return Err(error.into()),
        };
        if newest.path.is_file() {
            return Ok(newest);
        }
        let problem = if average {
            "keeps no average of the parameters"
        } else {
            "has neither a checkpoint nor weights.safetensors, so there is no net"
        };
        Err(ExperimentError::NoNet {
            folder: folder.root().to_owned(),
            problem,
            average,
        })
    }
}
