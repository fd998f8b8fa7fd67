//! The expected cost of an experiment: steps from the config, seconds from a short measurement on this machine.

use ebm_langevin::KernelName;

use crate::config::{ExperimentConfig, cost};
use crate::words::{duration, rounded};

/// The estimate in words.
#[must_use]
pub fn describe_cost(config: &ExperimentConfig, seconds_per_step: f64) -> String {
    let learning = cost::learning(config);
    let watching = cost::watching(config);
    let per_chain_step = seconds_per_step / config.batch_size as f64;
    let seconds = |chain_steps: u64| chain_steps as f64 * per_chain_step;
    let mut text = format!(
        "Learning: {} iterations × {} {} × {} chains = {} chain steps\n\
         Measured here: {:.3} ms a step of all chains, {} chain steps/s\n\
         Expected time: {} for the chains of learning",
        config.iterations,
        config.langevin.gradients(),
        match config.langevin.kernel {
            KernelName::Hmc => "leapfrog steps",
            _ => "Langevin steps",
        },
        config.batch_size,
        rounded(learning as f64),
        seconds_per_step * 1e3,
        rounded(1.0 / per_chain_step),
        duration(seconds(learning)),
    );
    if watching > 0 {
        text += &format!(
            ", and {} for chains that watch (long runs, density plots, samples that are judged)",
            duration(seconds(watching))
        );
    }
    text
}
