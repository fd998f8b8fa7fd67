//! The amount of sampling in an experiment.

use ebm_langevin::ChainStart;

use super::{DiagnosisConfig, ExperimentConfig};
use crate::quality::SAMPLES;

/// Langevin steps, nearly all of the work. Divided by a measured throughput in chain steps per second it gives seconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CostEstimate {
    /// Steps one after another, each of all chains at once.
    pub langevin_steps: u64,
    /// Steps counted for each chain.
    pub chain_steps: u64,
}

impl CostEstimate {
    /// The chains of learning itself: iterations × L, and that times the batch.
    pub fn learning(config: &ExperimentConfig) -> Self {
        Self::new(config.iterations, config.langevin.steps, config.batch_size)
    }

    /// The long runs of a whole experiment, a batch of chains each.
    pub fn long_runs(config: &ExperimentConfig) -> Self {
        config.long_run.map_or(Self::new(0, 0, 0), |long_run| {
            let runs = config.iterations / long_run.every.max(1);
            Self::new(runs, long_run.steps, config.batch_size)
        })
    }

    /// The short runs whose samples the plots of toy densities show.
    pub fn landscapes(config: &ExperimentConfig) -> Self {
        config.landscape.map_or(Self::new(0, 0, 0), |landscape| {
            // One at each interval, and one at the end.
            let plots = config.iterations.div_ceil(landscape.every.max(1));
            Self::new(plots, config.langevin.steps, landscape.samples)
        })
    }

    /// The short runs at the end whose samples are judged, where they are digits that start from noise.
    pub fn judged_samples(config: &ExperimentConfig) -> Self {
        let runs = u64::from(config.judges_digits());
        Self::new(runs, config.langevin.steps, SAMPLES)
    }

    /// All chain steps of the diagnosis at the end: chains from where learning starts and from the data, which
    /// contrastive divergence does not tell apart, and short-run samples where they are judged.
    pub fn diagnosis(config: &ExperimentConfig, diagnosis: DiagnosisConfig) -> u64 {
        let from_data = config.langevin.start == ChainStart::Data;
        let starts = if from_data { 1 } else { 2 };
        let steps = config.langevin.steps;
        let chains = steps.saturating_mul(diagnosis.multiple);
        let chains = chains.saturating_mul(starts * u64::from(diagnosis.chains));
        let samples = if config.is_toy() {
            config.landscape.unwrap_or_default().samples
        } else if config.is_digits() && !from_data {
            SAMPLES
        } else {
            0
        };
        chains.saturating_add(Self::new(1, steps, samples).chain_steps)
    }

    /// All chain steps of a run that are not those of learning.
    pub fn watching(config: &ExperimentConfig) -> u64 {
        [
            Self::long_runs(config),
            Self::landscapes(config),
            Self::judged_samples(config),
        ]
        .iter()
        .map(|cost| cost.chain_steps)
        .fold(0, u64::saturating_add)
    }

    fn new(runs: u64, steps: u64, chains: usize) -> Self {
        let langevin_steps = runs.saturating_mul(steps);
        Self {
            langevin_steps,
            chain_steps: langevin_steps.saturating_mul(chains as u64),
        }
    }
}
