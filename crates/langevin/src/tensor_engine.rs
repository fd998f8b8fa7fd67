//! The engine for any energy on any backend: burn's tensor operations and automatic differentiation.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend, backend::Backend};
use ebm_core::{Energy, NoiseKey, check_energies, energy_and_gradient};
use rayon::prelude::*;

use crate::tensor_mala;
use crate::{ChainOutcome, ChainRun, Engine, Kernel, LangevinError, Ula};

/// Runs chains with tensor operations; the gradient is taken with respect to the states alone, provided that the
/// parameters of the energy do not require gradients (`module.no_grad()`).
///
/// By default all chains step together, which suits GPUs. On a CPU, tensors of this size leave cores idle: there
/// [`TensorEngine::with_block`] lets blocks of chains run side by side.
#[derive(Debug, Clone, Default)]
pub struct TensorEngine {
    block: Option<NonZeroUsize>,
    cancel: Option<Arc<AtomicBool>>,
}

/// A block of chains after their steps.
pub(crate) struct Walked<B: Backend> {
    pub(crate) states: Tensor<B, 4>,
    /// The sum over steps and chains of ‖∇F‖₂.
    pub(crate) norm_sum: f64,
    /// Proposals accepted.
    pub(crate) accepted: u64,
}

impl<B: Backend> From<Tensor<B, 4>> for Walked<B> {
    /// No steps.
    fn from(states: Tensor<B, 4>) -> Self {
        Self {
            states,
            norm_sum: 0.0,
            accepted: 0,
        }
    }
}

impl TensorEngine {
    /// Cuts the batch into blocks of so many chains, which worker threads run to their last step independently.
    /// The block size is the caller's and not the number of cores, so that results do not depend on the machine.
    #[must_use]
    pub fn with_block(mut self, chains: NonZeroUsize) -> Self {
        self.block = Some(chains);
        self
    }

    /// The engine as it suits a CPU for states of `[channels, height, width]`: blocks of 16 chains for images, no blocks
    /// for points, which are so little work that cutting costs more than it gives.
    #[must_use]
    pub fn for_cpu(state_shape: [usize; 3]) -> Self {
        const BLOCK: Option<NonZeroUsize> = NonZeroUsize::new(16);
        let is_image = state_shape[1] * state_shape[2] > 1;
        Self {
            block: BLOCK.filter(|_| is_image),
            cancel: None,
        }
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Chains of a block, of so many in all.
    pub(crate) fn block_of(&self, chains: usize) -> usize {
        self.block.map_or(chains, NonZeroUsize::get).max(1)
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancel
            .as_ref()
            .is_some_and(|cancel| cancel.load(Ordering::Relaxed))
    }

    fn run_block<B: AutodiffBackend, E: Energy<B>>(
        &self,
        energy: &E,
        first_chain: usize,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<Walked<B::InnerBackend>, LangevinError> {
        match run.kernel {
            Kernel::Ula(ula) => self.run_ula::<B, E>(energy, ula, first_chain, initial, run),
            Kernel::Mala(mala) => {
                let is_cancelled = || self.is_cancelled();
                tensor_mala::walk::<B, E>(energy, mala, first_chain, initial, run, is_cancelled)
            }
        }
    }

    fn run_ula<B: AutodiffBackend, E: Energy<B>>(
        &self,
        energy: &E,
        ula: Ula,
        first_chain: usize,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<Walked<B::InnerBackend>, LangevinError> {
        let mut states = initial;
        // Norms are summed on the device, so that no step waits for the host.
        let mut norm_sum: Option<Tensor<B::InnerBackend, 1>> = None;
        for step in run.first_step..run.first_step + run.steps {
            if self.is_cancelled() {
                return Err(LangevinError::Cancelled);
            }
            let (_, gradient) = energy_and_gradient::<B, E>(energy, states.clone())?;
            let norm = chain_norms(gradient.clone()).sum();
            norm_sum = Some(match norm_sum {
                Some(sum) => sum + norm,
                None => norm,
            });
            let has_noise = ula.step_size().get() > 0.0;
            let noise = has_noise.then(|| noise_like(&states, first_chain, run.noise, step));
            states = ula.step(states, gradient, noise);
        }
        let norm_sum = norm_sum.map_or(Ok(0.0), scalar)?;
        Ok(Walked {
            norm_sum,
            ..Walked::from(states)
        })
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Sync> Engine<B, E> for TensorEngine {
    fn name(&self) -> &'static str {
        "tensor"
    }

    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError> {
        let chains = initial.dims()[0];
        let block = self.block_of(chains);
        let walked = if block >= chains {
            self.run_block::<B, E>(energy, 0, initial, run)?
        } else {
            let firsts: Vec<usize> = (0..chains).step_by(block).collect();
            let blocks: Vec<_> = firsts
                .into_par_iter()
                .map(|first| {
                    let count = block.min(chains - first);
                    let states = initial.clone().narrow(0, first, count);
                    self.run_block::<B, E>(energy, first, states, run)
                })
                .collect::<Result<_, _>>()?;
            Walked {
                norm_sum: blocks.iter().map(|block| block.norm_sum).sum(),
                accepted: blocks.iter().map(|block| block.accepted).sum(),
                states: Tensor::cat(blocks.into_iter().map(|block| block.states).collect(), 0),
            }
        };
        let energies = if run.final_energies {
            Some(final_energies::<B, E>(energy, &walked.states)?)
        } else {
            None
        };
        Ok(ChainOutcome {
            gradient_magnitude: run.mean(walked.norm_sum, chains),
            acceptance_rate: run.acceptance_rate(walked.accepted, chains),
            states: walked.states,
            energies,
        })
    }
}

/// F of each state, in pieces: the activations of thousands of chains at once would not fit into memory.
fn final_energies<B: AutodiffBackend, E: Energy<B>>(
    energy: &E,
    states: &Tensor<B::InnerBackend, 4>,
) -> Result<Vec<f32>, LangevinError> {
    let mut energies = Vec::with_capacity(states.dims()[0]);
    for piece in states.clone().split(256, 0) {
        let chains = piece.dims()[0];
        let piece = energy.energy(Tensor::from_inner(piece));
        check_energies(chains, &piece)?;
        energies.extend(piece.into_data().iter::<f32>());
    }
    Ok(energies)
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

pub(crate) fn noise_like<B: Backend>(
    states: &Tensor<B, 4>,
    first_chain: usize,
    noise: NoiseKey,
    step: u64,
) -> Tensor<B, 4> {
    let shape = states.dims();
    let per_chain = shape[1..].iter().product();
    let mut values = vec![0.0f32; shape[0] * per_chain];
    noise.normals(step, first_chain as u32, per_chain, &mut values);
    Tensor::from_data(TensorData::new(values, shape), &states.device())
}

fn scalar<B: Backend>(tensor: Tensor<B, 1>) -> Result<f64, LangevinError> {
    tensor
        .into_data()
        .iter::<f64>()
        .next()
        .ok_or_else(|| LangevinError::Backend("an empty tensor".into()))
}
