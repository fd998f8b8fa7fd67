//! A net that has been trained, found by a run folder or a file of weights.

use std::path::{Path, PathBuf};

use clap::Args;
use ebm_core::StepSize;
use ebm_data::DataConfig;
use ebm_energy_net::{NetConfig, read_metadata};
use ebm_langevin::Ula;
use ebm_trainer::{
    LangevinConfig, Stabilisers, TrainerError, latest_checkpoint, read_checkpoint_info,
};

use crate::advice::shell_word;
use crate::config::{ExperimentConfig, Source};
use crate::error::DriverError;
use crate::run_folder::RunFolder;

/// Which net.
#[derive(Debug, Args)]
pub(crate) struct TrainedArguments {
    /// A run folder: its newest weights are used.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["weights", "experiment", "config"])]
    pub(crate) run: Option<PathBuf>,
    /// A safetensors file or one of PyTorch's torch.save. A file that this program wrote knows its net; for others name the
    /// experiment.
    #[arg(long, value_name = "FILE", conflicts_with = "average")]
    pub(crate) weights: Option<PathBuf>,
    /// The named experiment that the weights belong to.
    #[arg(
        long,
        value_name = "NAME",
        requires = "weights",
        conflicts_with = "config"
    )]
    pub(crate) experiment: Option<String>,
    /// The experiment file that the weights belong to.
    #[arg(long, value_name = "FILE", requires = "weights")]
    pub(crate) config: Option<PathBuf>,
    /// Use the average of the parameters over learning, of a run with `optimizer.averaging`.
    #[arg(long)]
    pub(crate) average: bool,
}

/// A net and how it was trained.
pub(crate) struct Trained {
    pub(crate) weights: PathBuf,
    pub(crate) net: NetConfig,
    /// `[channels, height, width]`.
    pub(crate) state_shape: [usize; 3],
    pub(crate) langevin: LangevinConfig,
    pub(crate) stabilisers: Stabilisers,
    /// What it learned from, where that is known.
    pub(crate) data: Option<DataConfig>,
    /// ε_data of the training; 0 where it is not known.
    pub(crate) data_noise: f64,
}

impl TrainedArguments {
    /// The weights and the settings they belong to.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when nothing says which net it is; others name the file that is missing or damaged.
    pub(crate) fn find(&self) -> Result<Trained, DriverError> {
        if let Some(run) = &self.run {
            let folder = RunFolder::open(run)?;
            let (config, _) = ExperimentConfig::load(&Source::File(folder.config()), &[])?;
            let newest = NewestWeights::of(&folder, self.average)?;
            return Ok(Trained::of_config(newest.path, config));
        }
        let Some(weights) = &self.weights else {
            return Err(DriverError::Usage(
                "say which net: --run DIR or --weights FILE".into(),
            ));
        };
        let source = match (&self.experiment, &self.config) {
            (Some(name), _) => Some(Source::Named(name.clone())),
            (None, Some(file)) => Some(Source::File(file.clone())),
            (None, None) => None,
        };
        if let Some(source) = source {
            let (config, _) = ExperimentConfig::load(&source, &[])?;
            return Ok(Trained::of_config(weights.clone(), config));
        }
        Trained::of_header(weights)
    }
}

impl Trained {
    /// Steps of size ε on the energy that was learned, with the bounds that learning had.
    pub(crate) fn kernel(&self, epsilon: StepSize) -> Ula {
        let temperature = self.langevin.epsilon.learned_temperature();
        self.stabilisers.bounded(Ula::new(epsilon, temperature))
    }

    fn of_config(weights: PathBuf, config: ExperimentConfig) -> Self {
        Self {
            weights,
            net: config.net,
            state_shape: config.data.shape(),
            langevin: config.langevin,
            stabilisers: config.stabilisers,
            data_noise: config.data_noise,
            data: Some(config.data),
        }
    }

    /// What this program writes into the header of its weights.
    fn of_header(weights: &Path) -> Result<Self, DriverError> {
        let metadata = read_metadata(weights)?;
        let entry = |key: &str| metadata.get(key).map(String::as_str).unwrap_or_default();
        let parsed = (
            serde_json::from_str(entry("ebm.net")),
            serde_json::from_str(entry("ebm.state_shape")),
            serde_json::from_str(entry("ebm.langevin")),
        );
        let (Ok(net), Ok(state_shape), Ok(langevin)) = parsed else {
            return Err(DriverError::Usage(format!(
                "{} does not say which net it belongs to; name it with --experiment NAME or --config FILE",
                weights.display()
            )));
        };
        let unreadable = |key: &str, problem: &dyn std::fmt::Display| {
            DriverError::Usage(format!(
                "{}: `{key}` in its header is not readable ({problem}); name the net with --experiment NAME or --config FILE",
                weights.display()
            ))
        };
        NetConfig::validate(&net, state_shape)
            .map_err(|error| unreadable("ebm.state_shape", &error))?;
        // Written where there are any.
        let stabilisers = match metadata.get("ebm.stabilisers") {
            None => Stabilisers::default(),
            Some(text) => {
                serde_json::from_str(text).map_err(|error| unreadable("ebm.stabilisers", &error))?
            }
        };
        Ok(Self {
            weights: weights.to_owned(),
            net,
            state_shape,
            langevin,
            stabilisers,
            data: serde_json::from_str(entry("ebm.data")).ok(),
            data_noise: 0.0,
        })
    }
}

/// The newest weights of a run folder: those of the newest checkpoint, since a run that goes on leaves older final weights
/// behind, or where no checkpoint is left the final ones.
pub(crate) struct NewestWeights {
    pub(crate) path: PathBuf,
    /// Learning iterations, where they come from a checkpoint.
    pub(crate) iteration: Option<u64>,
    /// Where the bank of the same iteration is, if the run has one and they come from a checkpoint.
    pub(crate) bank: Option<PathBuf>,
}

impl NewestWeights {
    /// Of `folder`; with `average` the average of the parameters instead of the newest ones.
    ///
    /// # Errors
    /// [`DriverError::RunFolder`] when there are none, and those of a damaged checkpoint.
    pub(crate) fn of(folder: &RunFolder, average: bool) -> Result<Self, DriverError> {
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
            "keeps no average of the parameters; leave out --average, or learn with --set optimizer.averaging=0.9999"
                .to_owned()
        } else {
            format!(
                "has neither a checkpoint nor weights.safetensors, so there is no net; learn one with `cargo xtask experiment --config {}`",
                shell_word(&folder.config())
            )
        };
        Err(DriverError::RunFolder {
            path: folder.root().to_owned(),
            problem,
        })
    }
}
