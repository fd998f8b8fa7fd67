//! ε for a wanted acceptance rate.

use ebm_core::{NoiseKey, States, StepSize, Stream};
use ebm_langevin::{ChainRun, Chains, StepSizeSearch, Ula};

use super::{EvaluationSettings, step_size};
use crate::ExperimentError;

/// The ε at which MALA has the acceptance rate `target`, and the rate in a last pilot run. Before the search the
/// chains take `settle` steps from `states`: chains that still fall in energy have another acceptance rate.
///
/// # Errors
/// [`ExperimentError::Setting`] when there is none.
pub(crate) fn find_step_size(
    net: &dyn Chains,
    settings: &EvaluationSettings,
    states: &States,
    target: f64,
    settle: u64,
) -> Result<(StepSize, f64), ExperimentError> {
    let temperature = settings.temperature()?;
    // The drift ε²/2T of a low temperature must not be longer than that of learning.
    let shorter = settings.temperature_factor.min(1.0).sqrt();
    let kernel = Ula::new(step_size(settings.training_epsilon * shorter)?, temperature);
    let kernel = settings.stabilisers.bounded(kernel);
    let run =
        ChainRun::new(kernel, settle).with_noise(NoiseKey::new(settings.seed, Stream::Watch, 1));
    let settled = net.run(states, &run)?.states;
    let search = StepSizeSearch {
        target,
        ..StepSizeSearch::new(NoiseKey::new(settings.seed, Stream::Watch, 2))
    };
    let found = ebm_langevin::find_step_size(net, &settled, temperature, &search);
    let found = found.map_err(|error| {
        ExperimentError::setting(
            "target_acceptance",
            format!(
                "{target}: {error}. Give another rate, more chains, another temperature factor, or the step size itself"
            ),
        )
    })?;
    Ok((found.step_size, found.acceptance_rate))
}
