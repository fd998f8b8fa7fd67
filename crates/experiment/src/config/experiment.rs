//! An experiment, complete.

use ebm_data::DataConfig;
use ebm_diagnostics::SummaryOptions;
use ebm_energy_net::NetConfig;
use ebm_langevin::AnyKernel;
use ebm_trainer::{LangevinConfig, LearningConfig, OptimizerConfig, Recovery, Stabilisers};
use serde::{Deserialize, Serialize};

use super::{DensityPlotConfig, LongRunConfig, OutputConfig};

/// Everything that determines a run. Written into the run folder as it ran, with all defaults spelled out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// One line for the list of experiments.
    pub description: String,
    /// Seed of every random number of the run.
    pub seed: u64,
    /// The number of learning iterations.
    pub iterations: u64,
    /// n, the number of data and of chains in an iteration.
    pub batch_size: usize,
    /// What to learn from.
    pub data: DataConfig,
    /// ε_data, the standard deviation of the Gaussian noise added to data, in the units of the data.
    pub data_noise: f64,
    /// The factor of ε_data after every iteration.
    #[serde(default = "one")]
    pub data_noise_decay: f64,
    /// The floor of a falling ε_data.
    #[serde(default)]
    pub minimum_data_noise: f64,
    /// The energy.
    pub net: NetConfig,
    /// The chains.
    pub langevin: LangevinConfig,
    /// The update of the parameters.
    pub optimizer: OptimizerConfig,
    /// |mean F(data) − mean F(samples)| beyond which learning has run away; in units of F.
    pub divergence_limit: f64,
    /// Stabilisers of earlier work; none by default.
    #[serde(default, skip_serializing_if = "Stabilisers::is_plain")]
    pub stabilisers: Stabilisers,
    /// What follows when learning has run away; by default it ends.
    #[serde(default, skip_serializing_if = "Recovery::is_default")]
    pub recovery: Recovery,
    /// What is written, and how often.
    pub output: OutputConfig,
    /// Long chains during learning, which show whether the net has converged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub long_run: Option<LongRunConfig>,
    /// Plots of the learned density, for toy densities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub landscape: Option<DensityPlotConfig>,
}

impl ExperimentConfig {
    /// The part that Algorithm 1 needs.
    pub fn learning(&self) -> LearningConfig {
        LearningConfig {
            seed: self.seed,
            iterations: self.iterations,
            batch_size: self.batch_size,
            data_noise: self.data_noise,
            data_noise_decay: self.data_noise_decay,
            minimum_data_noise: self.minimum_data_noise,
            langevin: self.langevin,
            optimizer: self.optimizer,
            divergence_limit: self.divergence_limit,
            stabilisers: self.stabilisers,
            recovery: self.recovery,
        }
    }

    /// The step of the chains of learning.
    pub fn kernel(&self) -> AnyKernel {
        self.langevin.kernel(&self.stabilisers)
    }

    /// The options of a summary of d and r of such a run.
    pub fn summary_options(&self) -> SummaryOptions {
        SummaryOptions {
            noise: self.langevin.epsilon.get(),
            state_dimension: Some(self.data.shape().iter().product()),
            ..SummaryOptions::default()
        }
    }

    /// Whether the data are a density in the plane rather than images.
    pub fn is_toy(&self) -> bool {
        matches!(self.data, DataConfig::Gmm(_) | DataConfig::Rings(_))
    }

    /// Whether the data are handwritten digits of one channel, or take their form, so that the digit classifier can
    /// read them.
    pub fn is_digits(&self) -> bool {
        are_digits(&self.data)
    }

    /// Whether the report at the end of the run judges fresh samples: digits, and chains that start from noise.
    pub fn judges_digits(&self) -> bool {
        self.is_digits() && self.langevin.start.noise().is_some()
    }
}

/// As [`ExperimentConfig::is_digits`], for a data config alone.
pub fn are_digits(data: &DataConfig) -> bool {
    let is_digits = matches!(
        data,
        DataConfig::EmbeddedDigits(_) | DataConfig::Mnist(_) | DataConfig::Idx(_)
    );
    is_digits && data.shape()[0] == 1
}

fn one() -> f64 {
    1.0
}
