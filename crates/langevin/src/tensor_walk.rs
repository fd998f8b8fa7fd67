//! The loop of the tensor engine over the steps of any kernel.

use burn::tensor::{Tensor, backend::Backend};

use crate::EnergyAt;
use crate::{ChainRun, GradientNorm, Kernel, LangevinError, StepNoise};

/// Chains after their steps.
pub(crate) struct Walked<B: Backend> {
    pub(crate) states: Tensor<B, 4>,
    /// The sum over steps and chains of ‖∇F‖₂.
    pub(crate) norm_sum: f64,
    /// Proposals accepted, by kernels that propose.
    pub(crate) accepted: Option<u64>,
}

impl<B: Backend> Walked<B> {
    /// Several blocks as one; `None` for none.
    pub(crate) fn joined(blocks: Vec<Self>) -> Option<Self> {
        let accepted = blocks.iter().map(|block| block.accepted);
        let accepted = accepted.reduce(|sum, more| Some(sum? + more?)).flatten();
        let norm_sum = blocks.iter().map(|block| block.norm_sum).sum();
        let states: Vec<_> = blocks.into_iter().map(|block| block.states).collect();
        (!states.is_empty()).then(|| Self {
            states: Tensor::cat(states, 0),
            norm_sum,
            accepted,
        })
    }
}

/// Any kernel for the tensors of `B`, whatever it carries from step to step.
pub(crate) trait Walk<B: Backend>: Send + Sync {
    /// Takes chains `first_chain..` from `initial` to the end of the run.
    fn walk(
        &self,
        energy: &EnergyAt<'_, B>,
        first_chain: usize,
        initial: Tensor<B, 4>,
        run: &ChainRun,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Walked<B>, LangevinError>;
}

impl<B: Backend, K: Kernel<B>> Walk<B> for K {
    fn walk(
        &self,
        energy: &EnergyAt<'_, B>,
        first_chain: usize,
        initial: Tensor<B, 4>,
        run: &ChainRun,
        is_cancelled: &dyn Fn() -> bool,
    ) -> Result<Walked<B>, LangevinError> {
        let mut walked = Walked {
            states: initial,
            norm_sum: 0.0,
            accepted: None,
        };
        if run.steps == 0 {
            return Ok(walked);
        }
        let noise = |step| StepNoise {
            key: run.noise,
            step,
            first_chain,
        };
        let mut on_device: Option<Tensor<B, 1>> = None;
        let mut state = self.init(walked.states, energy, noise(run.first_step))?;
        for step in run.first_step..run.first_step + run.steps {
            if is_cancelled() {
                return Err(LangevinError::Cancelled);
            }
            let (next, info) = self.step(state, energy, noise(step))?;
            state = next;
            match info.gradient_norm {
                GradientNorm::Host(norm) => walked.norm_sum += norm,
                GradientNorm::Device(norm) => {
                    on_device = Some(match on_device {
                        Some(sum) => sum + norm,
                        None => norm,
                    });
                }
            }
            if let Some(accepted) = info.accepted {
                *walked.accepted.get_or_insert(0) += accepted;
            }
        }
        if let Some(sum) = on_device {
            walked.norm_sum += scalar(sum)?;
        }
        walked.states = self.states(state);
        Ok(walked)
    }
}

/// ‖·‖₂ of each chain's whole state: `[chains, channels, height, width]` → `[chains]`.
pub(crate) fn chain_norms<B: Backend>(tensor: Tensor<B, 4>) -> Tensor<B, 1> {
    tensor
        .flatten::<2>(1, 3)
        .powi_scalar(2)
        .sum_dim(1)
        .squeeze_dim::<1>(1)
        .sqrt()
}

fn scalar<B: Backend>(tensor: Tensor<B, 1>) -> Result<f64, LangevinError> {
    let failed = |error| LangevinError::Backend(format!("{error:?}"));
    let data = tensor.try_into_data().map_err(failed)?;
    data.iter::<f64>()
        .next()
        .ok_or_else(|| LangevinError::Backend("an empty tensor".into()))
}
