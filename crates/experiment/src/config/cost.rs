//! The amount of sampling in an experiment, in steps of single chains, or leapfrog steps where a step has several: nearly
//! all of the work. Divided by a measured
//! throughput in chain steps per second it gives seconds.

use ebm_langevin::ChainStart;

use super::{DiagnosisConfig, ExperimentConfig};
use crate::diagnosis::JUDGED_STARTS;
use crate::quality::SAMPLES;

/// The chains of learning itself: iterations × L × batch, and leapfrog steps.
pub(crate) fn learning(config: &ExperimentConfig) -> u64 {
    chain_steps(
        config.iterations,
        config.langevin.gradients(),
        config.batch_size,
    )
}

/// The long runs of a whole experiment, a batch of chains each.
pub(crate) fn long_runs(config: &ExperimentConfig) -> u64 {
    config.long_run.map_or(0, |long_run| {
        let runs = config.iterations / long_run.every.max(1);
        chain_steps(runs, long_run.steps, config.batch_size)
    })
}

/// The short runs whose samples the plots of toy densities show.
pub(crate) fn landscapes(config: &ExperimentConfig) -> u64 {
    config.landscape.map_or(0, |landscape| {
        // One at each interval, and one at the end.
        let plots = config.iterations.div_ceil(landscape.every.max(1));
        chain_steps(plots, config.langevin.gradients(), landscape.samples)
    })
}

/// The short runs at the end whose samples are judged, where they are digits that start from noise.
pub(crate) fn judged_samples(config: &ExperimentConfig) -> u64 {
    let runs = u64::from(config.judges_digits());
    chain_steps(runs, config.langevin.gradients(), SAMPLES)
}

/// The diagnosis at the end: chains from where learning starts and from the data, which contrastive divergence does not
/// tell apart, and short-run samples where they are judged.
pub(crate) fn diagnosis(config: &ExperimentConfig, diagnosis: DiagnosisConfig) -> u64 {
    let from_data = config.langevin.start == ChainStart::Data;
    let starts = if from_data { 1 } else { 2 };
    let steps = config.langevin.gradients();
    let chains = steps.saturating_mul(diagnosis.multiple);
    let chains = chains.saturating_mul(starts * u64::from(diagnosis.chains));
    let samples = if config.is_toy() {
        config.landscape.unwrap_or_default().samples
    } else if config.is_digits() && !from_data {
        SAMPLES
    } else {
        0
    };
    let judged = diagnosis.judged_multiple.filter(|_| config.is_digits());
    let judged = judged.map_or(0, |multiple| {
        chain_steps(
            JUDGED_STARTS.len() as u64,
            steps.saturating_mul(multiple),
            SAMPLES,
        )
    });
    chains
        .saturating_add(chain_steps(1, steps, samples))
        .saturating_add(judged)
}

/// All of a run that is not learning.
pub(crate) fn watching(config: &ExperimentConfig) -> u64 {
    [
        long_runs(config),
        landscapes(config),
        judged_samples(config),
    ]
    .into_iter()
    .fold(0, u64::saturating_add)
}

fn chain_steps(runs: u64, steps: u64, chains: usize) -> u64 {
    runs.saturating_mul(steps).saturating_mul(chains as u64)
}
