//! The sections of an experiment that belong to this crate rather than to the trainer.

use serde::{Deserialize, Serialize};

/// What is written while learning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutputConfig {
    /// Iterations between two checkpoints.
    pub checkpoint_every: u64,
    /// Iterations between two pictures of samples.
    pub images_every: u64,
    /// The number of newest checkpoints that stay on disk.
    pub keep_checkpoints: usize,
    /// The largest number of iterations between two times that d, r and energies are read from a GPU and written;
    /// fewer if they take longer than about a second. It applies to the engine `cube`, which need not wait for these
    /// numbers. Other engines write every iteration when it is done.
    pub metrics_every: u32,
}

impl Default for OutputConfig {
    fn default() -> Self {
        Self {
            checkpoint_every: 1000,
            images_every: 500,
            keep_checkpoints: 2,
            metrics_every: 20,
        }
    }
}

/// Long chains under the current net. All three keys are required, because the affordable values depend on the net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongRunConfig {
    /// Iterations between two long runs.
    pub every: u64,
    /// Langevin steps of a long run.
    pub steps: u64,
    /// Where its chains start.
    pub start: LongRunStart,
}

/// The initial states of a long run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LongRunStart {
    /// Data with their noise.
    Data,
    /// Uniform noise.
    Uniform,
    /// Gaussian noise.
    Gaussian,
    /// States of the persistent bank, which the long run leaves as it is.
    Bank,
}

/// Plots of a toy density: the true one, the learned one, and an estimate from short-run samples.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DensityPlotConfig {
    /// Points along each axis of the grid.
    pub resolution: usize,
    /// Bandwidth of the kernel density estimate, as a factor of the samples' standard deviation.
    pub bandwidth: f64,
    /// Short-run samples in the estimate.
    pub samples: usize,
    /// Iterations between two plots.
    pub every: u64,
}

impl Default for DensityPlotConfig {
    fn default() -> Self {
        Self {
            resolution: 200,
            bandwidth: 0.1,
            samples: 10_000,
            every: 5000,
        }
    }
}
