//! The stopwatch for chains.

use std::time::Instant;

use ebm_engine_cpu::WorkingSet;
use ebm_experiment::ExperimentError;

use crate::plan::Planned;
use crate::record::Endurance;
use crate::{TimedBackend, TimedChains};

/// Timed blocks of a measurement; their median counts.
const BLOCKS: u32 = 5;

/// What a case took.
pub(crate) struct Measured {
    /// Milliseconds of a step of the batch in each timed block.
    pub(crate) blocks: Vec<f64>,
    /// Memory beside the states, where the engine tells.
    pub(crate) working_set: Option<WorkingSet>,
}

impl Planned<'_> {
    fn chains(&self) -> Result<Box<dyn TimedChains>, ExperimentError> {
        let settings = self.case.chains(self.batch)?;
        self.backend.backend.chains(&settings, self.engine)
    }

    /// Measures for about so many seconds.
    ///
    /// # Errors
    /// Those of the backend, the net and the engine.
    pub(crate) fn measure(&self, seconds: f64) -> Result<Measured, ExperimentError> {
        let block = seconds / f64::from(BLOCKS);
        let mut chains = self.chains()?;
        let mut seconds_of = |steps| -> Result<f64, ExperimentError> {
            let start = Instant::now();
            chains.run(steps)?;
            Ok(start.elapsed().as_secs_f64())
        };
        // The first step allocates, and compiles on a GPU.
        seconds_of(1)?;
        let mut steps = 1;
        let mut elapsed = seconds_of(steps)?;
        while elapsed < block / 2.0 {
            steps *= 2;
            elapsed = seconds_of(steps)?;
        }
        let steps = (steps as f64 * block / elapsed).round().max(1.0) as u64;
        let blocks = (0..BLOCKS).map(|_| Ok(1e3 * seconds_of(steps)? / steps as f64));
        let blocks = blocks.collect::<Result<_, ExperimentError>>()?;
        Ok(Measured {
            blocks,
            working_set: chains.working_set(),
        })
    }

    /// Runs for so many steps, and looks at the memory of the GPU before and after; `None` where the engine has none.
    ///
    /// # Errors
    /// Those of the backend, the net and the engine.
    pub(crate) fn endure(&self, steps: u64) -> Result<Option<Endurance>, ExperimentError> {
        let mut chains = self.chains()?;
        if chains.reserved_memory()?.is_none() {
            return Ok(None);
        }
        chains.run(100.min(steps))?;
        let before = chains.reserved_memory()?;
        chains.run(steps)?;
        let after = chains.reserved_memory()?;
        Ok(before
            .zip(after)
            .map(|(reserved_before, reserved_after)| Endurance {
                steps,
                reserved_before,
                reserved_after,
            }))
    }
}

/// A large f32 matrix product of the backend (burn-flex on the CPU) with all cores or the whole device, in GFLOP/s: the
/// faster of two sizes. It is a scale and not the hardware's peak.
///
/// # Errors
/// [`ExperimentError::Device`].
pub fn matrix_product_gflops(backend: &dyn TimedBackend) -> Result<f64, ExperimentError> {
    let mut best = 0.0_f64;
    for side in [1024, 2048] {
        let flops = 2.0 * (side as f64).powi(3);
        best = best.max(flops / backend.matrix_product(side, 10)? / 1e9);
    }
    Ok(best)
}
