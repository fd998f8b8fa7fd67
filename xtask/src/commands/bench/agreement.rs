//! Whether an engine that is timed on a GPU also gets the numbers right there: its first steps next to those of the CPU.

use burn::tensor::backend::AutodiffBackend;
use ebm_benches::Chains;
use ebm_experiment::EngineChoice;

use super::plan::Planned;
use crate::backend::{BackendName, BackendTask, dispatch};
use crate::error::DriverError;

/// Steps, and chains whose states are compared.
const STEPS: u64 = 3;
const COMPARED: usize = 20;

/// The largest difference of a state from the fused engine's on the CPU after three steps, relative to the largest value. `None` on the
/// CPU, and in a build without flex.
///
/// # Errors
/// Those of the backend, the net and the engine.
pub(crate) fn difference(planned: &Planned) -> Result<Option<f64>, DriverError> {
    if !planned.backend.is_gpu() || !cfg!(feature = "flex") {
        return Ok(None);
    }
    let walked = |backend, engine, batch| {
        let task = Walk {
            planned,
            backend,
            engine,
            batch,
        };
        dispatch(backend, task)
    };
    let compared = planned.batch.min(COMPARED);
    let ours = walked(planned.backend, planned.engine.into(), planned.batch)?;
    let theirs = walked(BackendName::Flex, EngineChoice::Fused, compared)?;
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

struct Walk<'a> {
    planned: &'a Planned,
    backend: BackendName,
    engine: EngineChoice,
    batch: usize,
}

impl BackendTask for Walk<'_> {
    type Output = Vec<f32>;

    /// The states row by row.
    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Vec<f32>, DriverError> {
        let case = &self.planned.case;
        let net = case.init::<B>(&device)?;
        let engine = self.backend.engine(self.engine, &net, case.state_shape)?;
        let mut chains = Chains::<B>::new(case, self.batch, net, engine, &device)?;
        chains.run(STEPS)?;
        Ok(chains.states().clone().into_states()?.into_values())
    }
}
