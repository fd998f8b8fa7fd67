//! What a study will cost: steps from the configs, seconds from short measurements on this machine.

use crate::config::{Study, cost};
use crate::words::{duration, rounded};
use crate::{Compute, EngineChoice, ExperimentConfig, ExperimentError};

/// Measures Langevin steps, once for nets and batches that are the same, and tells the cost of each run and of all
/// in words, a line at a time. Takes about two seconds for each net and batch.
///
/// # Errors
/// [`ExperimentError::Net`] and [`ExperimentError::Langevin`] for a variant whose net or engine there is none of.
pub fn describe_costs(
    study: &Study,
    compute: &dyn Compute,
    engine: EngineChoice,
    tell: &mut dyn FnMut(&str),
) -> Result<(), ExperimentError> {
    let mut measured: Vec<(&ExperimentConfig, f64)> = Vec::new();
    let mut total = 0.0;
    for run in &study.runs {
        let config = &run.experiment;
        let is_alike = |(other, _): &&(&ExperimentConfig, f64)| {
            (other.net, other.batch_size, other.data.shape())
                == (config.net, config.batch_size, config.data.shape())
        };
        let known = measured.iter().find(is_alike).map(|(_, seconds)| *seconds);
        // Of a chain step.
        let seconds = match known {
            Some(seconds) => seconds,
            None => {
                let seconds = compute.seconds_per_step(config, engine)? / config.batch_size as f64;
                measured.push((config, seconds));
                seconds
            }
        };
        let [learning, watching, diagnosis] = [
            cost::learning(config),
            cost::watching(config),
            cost::diagnosis(config, study.config.diagnosis),
        ]
        .map(|steps| steps as f64);
        let expected = (learning + watching + diagnosis) * seconds;
        total += expected;
        tell(&format!(
            "{}: {} chain steps to learn, {} to watch, {} to diagnose, about {} here",
            run.name,
            rounded(learning),
            rounded(watching),
            rounded(diagnosis),
            duration(expected)
        ));
    }
    tell(&format!("Expected time of the chains: {}", duration(total)));
    Ok(())
}
