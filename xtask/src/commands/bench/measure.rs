//! The stopwatch: chains, and the machine's fastest matrix product.

use std::time::Instant;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Distribution, Tensor};
use ebm_benches::Chains;
use ebm_engine_cpu::WorkingSet;
use ebm_experiment::AnyEngine;
use ebm_langevin::LangevinError;

use super::plan::Planned;
use super::record::Endurance;
use crate::backend::{BackendName, BackendTask, dispatch, synchronise};
use crate::error::DriverError;

/// Timed blocks of a measurement; their median counts.
const BLOCKS: u32 = 5;

/// What a case took.
pub(crate) struct Measured {
    /// Milliseconds of a step of the batch in each timed block.
    pub(crate) blocks: Vec<f64>,
    /// Memory beside the states, where the engine tells.
    pub(crate) working_set: Option<WorkingSet>,
}

/// Measures a case for about so many seconds.
///
/// # Errors
/// Those of the backend, the net and the engine.
pub(crate) fn measure(planned: &Planned, seconds: f64) -> Result<Measured, DriverError> {
    let block = seconds / f64::from(BLOCKS);
    dispatch(planned.backend, MeasureChains { planned, block })
}

/// Runs a case for so many steps, and looks at the memory of its GPU before and after; `None` where the engine has none.
///
/// # Errors
/// Those of the backend, the net and the engine.
pub(crate) fn endure(planned: &Planned, steps: u64) -> Result<Option<Endurance>, DriverError> {
    dispatch(planned.backend, Endure { planned, steps })
}

/// The middle value, or the mean of the middle two; not a number for none.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let upper = sorted.get(sorted.len() / 2);
    let lower = sorted.get(sorted.len().saturating_sub(1) / 2);
    match (lower, upper) {
        (Some(lower), Some(upper)) => (lower + upper) / 2.0,
        _ => f64::NAN,
    }
}

struct MeasureChains<'a> {
    planned: &'a Planned,
    /// Seconds.
    block: f64,
}

impl BackendTask for MeasureChains<'_> {
    type Output = Measured;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Measured, DriverError> {
        let Planned {
            engine,
            backend,
            case,
            batch,
        } = self.planned;
        let net = case.init::<B>(&device)?;
        let engine = backend.engine((*engine).into(), &net, case.state_shape)?;
        let working_set = match &engine {
            AnyEngine::Fused(engine) => Some(engine.working_set(&net, case.state_shape, *batch)?),
            _ => None,
        };
        let mut chains = Chains::<B>::new(case, *batch, net, engine, &device)?;
        let mut seconds_of = |steps| -> Result<f64, DriverError> {
            let start = Instant::now();
            chains.run(steps)?;
            Ok(start.elapsed().as_secs_f64())
        };
        // The first step allocates, and compiles on a GPU.
        seconds_of(1)?;
        let mut steps = 1;
        let mut elapsed = seconds_of(steps)?;
        while elapsed < self.block / 2.0 {
            steps *= 2;
            elapsed = seconds_of(steps)?;
        }
        let steps = (steps as f64 * self.block / elapsed).round().max(1.0) as u64;
        let blocks = (0..BLOCKS).map(|_| Ok(1e3 * seconds_of(steps)? / steps as f64));
        let blocks = blocks.collect::<Result<_, DriverError>>()?;
        Ok(Measured {
            blocks,
            working_set,
        })
    }
}

struct Endure<'a> {
    planned: &'a Planned,
    steps: u64,
}

impl BackendTask for Endure<'_> {
    type Output = Option<Endurance>;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Self::Output, DriverError> {
        let Planned {
            engine,
            backend,
            case,
            batch,
        } = self.planned;
        let net = case.init::<B>(&device)?;
        let engine = backend.engine((*engine).into(), &net, case.state_shape)?;
        let Some(reserved) = reserved_memory(&engine) else {
            return Ok(None);
        };
        let mut chains = Chains::<B>::new(case, *batch, net, engine, &device)?;
        chains.run(100.min(self.steps))?;
        let reserved_before = reserved()?;
        chains.run(self.steps)?;
        Ok(Some(Endurance {
            steps: self.steps,
            reserved_before,
            reserved_after: reserved()?,
        }))
    }
}

type Reserved = Box<dyn Fn() -> Result<u64, LangevinError>>;

/// Asks an engine that has a GPU for the bytes that are reserved there.
fn reserved_memory(engine: &AnyEngine) -> Option<Reserved> {
    match engine {
        #[cfg(any(feature = "cuda", feature = "wgpu"))]
        AnyEngine::Cube(engine, _) => {
            let engine = engine.clone();
            Some(Box::new(move || engine.reserved_memory()))
        }
        _ => None,
    }
}

/// The fastest f32 matrix product of this machine with all cores, in GFLOP/s; `None` in a build without flex.
pub(crate) fn matrix_product_peak() -> Option<f64> {
    dispatch(BackendName::Flex, MeasureProduct).ok()
}

struct MeasureProduct;

impl BackendTask for MeasureProduct {
    type Output = f64;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<f64, DriverError> {
        let mut best = 0.0_f64;
        for side in [1024, 2048] {
            let random = || {
                let range = Distribution::Uniform(-1.0, 1.0);
                Tensor::<B::InnerBackend, 2>::random([side, side], range, &device)
            };
            let (left, right) = (random(), random());
            let flops = 2.0 * (side as f64).powi(3);
            for _ in 0..10 {
                let start = Instant::now();
                let product = left.clone().matmul(right.clone());
                synchronise::<B::InnerBackend>(&device)?;
                best = best.max(flops / start.elapsed().as_secs_f64() / 1e9);
                drop(product);
            }
        }
        Ok(best)
    }
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), 2.5);
        assert!(median(&[]).is_nan());
    }
}
