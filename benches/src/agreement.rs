//! Whether an engine that is timed on a GPU also gets the numbers right there: its first steps next to those of the
//! CPU.

use ebm_experiment::{EngineChoice, ExperimentError};

use crate::TimedBackend;
use crate::plan::Planned;

/// Steps, and chains whose states are compared.
const STEPS: u64 = 3;
const COMPARED: usize = 20;

/// The largest difference of a state from the fused engine's on the CPU after three steps, relative to the largest
/// value. `None` on the CPU.
///
/// # Errors
/// Those of the backend, the net and the engine.
pub(crate) fn difference(
    planned: &Planned<'_>,
    reference: &dyn TimedBackend,
) -> Result<Option<f64>, ExperimentError> {
    let backend = &*planned.backend.backend;
    if !backend.is_gpu() {
        return Ok(None);
    }
    let walked = |backend: &dyn TimedBackend, engine, batch| {
        let mut chains = backend.chains(&planned.case.chains(batch)?, engine)?;
        chains.run(STEPS)?;
        Ok::<_, ExperimentError>(chains.states()?.into_values())
    };
    let compared = planned.batch.min(COMPARED);
    let ours = walked(backend, planned.engine, planned.batch)?;
    let theirs = walked(reference, EngineChoice::Fused, compared)?;
    let largest = theirs.iter().fold(1e-6_f32, |most, x| most.max(x.abs()));
    // What is no number must not pass as no difference.
    let differences = ours.iter().zip(&theirs).map(|(a, b)| (a - b).abs());
    let far = differences.fold(0.0_f32, |most, far| {
        if most.is_nan() || far <= most {
            most
        } else {
            far
        }
    });
    Ok(Some(f64::from(far / largest)))
}
