//! The engine for any energy on any backend: burn's tensor operations and automatic differentiation.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend, backend::Backend};
use ebm_core::{Energy, energy_and_gradient};

use crate::{ChainOutcome, ChainRun, Engine, LangevinError};

/// Runs chains with tensor operations; the gradient is taken with respect to the states alone, provided that the
/// parameters of the energy do not require gradients (`module.no_grad()`).
#[derive(Debug, Clone, Default)]
pub struct TensorEngine {
    cancel: Option<Arc<AtomicBool>>,
}

impl TensorEngine {
    /// An engine that gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(cancel: Arc<AtomicBool>) -> Self {
        Self {
            cancel: Some(cancel),
        }
    }

    fn is_cancelled(&self) -> bool {
        self.cancel
            .as_ref()
            .is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }
}

impl<B: AutodiffBackend, E: Energy<B>> Engine<B, E> for TensorEngine {
    fn name(&self) -> &'static str {
        "tensor"
    }

    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError> {
        let mut states = initial;
        // Norms are summed on the device, so that no step waits for the host.
        let mut norm_sum: Option<Tensor<B::InnerBackend, 1>> = None;
        for step in run.first_step..run.first_step + run.steps {
            if self.is_cancelled() {
                return Err(LangevinError::Cancelled);
            }
            let (_, gradient) = energy_and_gradient::<B, E>(energy, states.clone())?;
            let norm = chain_norms(gradient.clone()).mean();
            norm_sum = Some(match norm_sum {
                Some(sum) => sum + norm,
                None => norm,
            });
            let noise =
                (run.kernel.step_size().get() > 0.0).then(|| noise_like(&states, run, step));
            states = run.kernel.step(states, gradient, noise);
        }
        let gradient_magnitude = match norm_sum {
            Some(sum) => scalar(sum)? / run.steps as f64,
            None => 0.0,
        };
        Ok(ChainOutcome {
            states,
            gradient_magnitude,
        })
    }
}

/// ‖·‖₂ of each chain's whole state: `[chains, channels, height, width]` → `[chains]`.
fn chain_norms<B: Backend>(tensor: Tensor<B, 4>) -> Tensor<B, 1> {
    tensor
        .flatten::<2>(1, 3)
        .powi_scalar(2)
        .sum_dim(1)
        .squeeze_dim::<1>(1)
        .sqrt()
}

fn noise_like<B: Backend>(states: &Tensor<B, 4>, run: &ChainRun, step: u64) -> Tensor<B, 4> {
    let shape = states.dims();
    let per_chain = shape[1..].iter().product();
    let mut values = vec![0.0f32; shape[0] * per_chain];
    run.noise.normals(step, 0, per_chain, &mut values);
    Tensor::from_data(TensorData::new(values, shape), &states.device())
}

fn scalar<B: Backend>(tensor: Tensor<B, 1>) -> Result<f64, LangevinError> {
    tensor
        .into_data()
        .iter::<f64>()
        .next()
        .ok_or_else(|| LangevinError::Backend("an empty tensor".into()))
}
