//! The engine for CPUs: whole chains in vector code, without tensors or automatic differentiation.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use ebm_core::{Energy, LayerDescription, Layered};
use rayon::prelude::*;

use crate::block::Block;
use crate::buffer::Spare;
use crate::chains::load_states;
use crate::parameters::{Records, Sums, recorded_values};
use crate::plan::Plan;
use crate::schedule::{blocks, held_at_once, run_all};
use ebm_langevin::{ChainOutcome, ChainRun, Engine, LangevinError, ParameterGradient, host};

/// Vector instructions of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// None: portable code, the reference for the others.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, CD, DQ, VL).
    Avx512,
    /// 64-bit ARM.
    Neon,
}

impl Instructions {
    /// Those that this processor has, the best last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [Self::Scalar, Self::Neon, Self::Avx2, Self::Avx512]
            .into_iter()
            .filter(|instructions| instructions.arch().is_some())
            .collect()
    }

    fn arch(self) -> Option<pulp::Arch> {
        match self {
            Self::Scalar => Some(pulp::Arch::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(pulp::Arch::V3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(pulp::Arch::V4),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(pulp::Arch::Neon),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

/// Bytes that a run needs beside its states, however many steps it has. While learning, the engine also keeps the memory
/// to pack the next weights and up to 256 MiB (for a net of larger layers, what 16 states need) for parameter gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WorkingSet {
    /// Packed weights, shared by all workers.
    pub weights: usize,
    /// Buffers of one block of chains.
    pub block: usize,
    /// Chains in the largest block.
    pub chains: usize,
    /// Blocks held at once: one a worker, and some more where blocks that cannot be shared out evenly take turns.
    pub blocks: usize,
}

/// Runs every net whose layers it has: convolutions, linear layers, (leaky) ReLU, SiLU, ELU, max-pooling and the
/// non-local block ([`ebm_core::LayerDescription`]).
///
/// Chains of a fixed net never talk to each other, so each worker thread takes a block of them through all its
/// steps alone, with no barrier and no allocation on the way. Chains lie across SIMD lanes; convolutions become
/// matrix products by small Winograd transforms. The numbers of a chain depend neither on the thread count nor on the
/// other chains. All arithmetic is f32, but for the sums that MALA decides with, which are f64.
#[derive(Debug, Clone, Default)]
pub struct FusedEngine {
    pub(crate) cancel: Option<Arc<AtomicBool>>,
    instructions: Option<Instructions>,
    pub(crate) spare: Arc<Spare>,
    /// The net last seen: chains and the parameter gradient of a learning iteration ask for the same.
    known: Arc<Mutex<Option<Arc<KnownNet>>>>,
}

/// A net and its plan.
#[derive(Debug)]
pub(crate) struct KnownNet {
    layers: Vec<LayerDescription>,
    shape: [usize; 3],
    pub(crate) plan: Plan,
}

impl FusedEngine {
    /// Whether the engine has every layer of the net, for states of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`LangevinError::NotFused`] names what it lacks, [`LangevinError::Description`] what does not fit.
    pub fn supports<E: Layered>(
        &self,
        energy: &E,
        state_shape: [usize; 3],
    ) -> Result<(), LangevinError> {
        self.compile(energy, state_shape).map(|_| ())
    }

    /// Uses other instructions than the best, for tests and comparisons; `None` when the processor lacks them.
    #[must_use]
    pub fn with_instructions(instructions: Instructions) -> Option<Self> {
        instructions.arch().map(|_| Self {
            instructions: Some(instructions),
            ..Self::default()
        })
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// What a run of `chains` chains needs in memory, however many steps it has. With MALA a block keeps its states and
    /// their gradients beside that.
    ///
    /// # Errors
    /// As [`Self::supports`].
    pub fn working_set<E: Layered>(
        &self,
        energy: &E,
        state_shape: [usize; 3],
        chains: usize,
    ) -> Result<WorkingSet, LangevinError> {
        let plan = &self.compile(energy, state_shape)?.plan;
        let largest = blocks(plan, chains)
            .into_iter()
            .map(|block| block.len())
            .max();
        let blocks = held_at_once(plan, chains);
        let chains = largest.unwrap_or_default();
        Ok(WorkingSet {
            blocks,
            weights: plan.weight_bytes(),
            block: Block::new(plan, chains, &self.spare).bytes(),
            chains,
        })
    }

    pub(crate) fn compile<E: Layered>(
        &self,
        energy: &E,
        shape: [usize; 3],
    ) -> Result<Arc<KnownNet>, LangevinError> {
        let layers = energy.layers().map_err(LangevinError::NotFused)?;
        let is_same = |known: &Arc<KnownNet>| known.shape == shape && known.layers == layers;
        let before = self.known().clone();
        if let Some(known) = before.as_ref().filter(|known| is_same(known)) {
            return Ok(Arc::clone(known));
        }
        let arch = self.instructions.and_then(Instructions::arch);
        // Not under the lock: worker threads that wait for the packing may be asked for another run.
        let plan = Plan::compile(arch.unwrap_or_default(), &layers, shape, &self.spare)?;
        let is_alike = |known: &Arc<KnownNet>| {
            known.plan.shapes == plan.shapes && known.plan.weight_bytes() == plan.weight_bytes()
        };
        if !before.as_ref().is_some_and(is_alike) {
            // Another net needs other buffers.
            self.spare.clear();
        }
        let net = Arc::new(KnownNet {
            layers,
            shape,
            plan,
        });
        *self.known() = Some(Arc::clone(&net));
        Ok(net)
    }

    fn known(&self) -> MutexGuard<'_, Option<Arc<KnownNet>>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Chains of a block whose parameter gradients are taken: never the machine's choice, because sums in another order
/// round differently.
const GRADIENT_BLOCK: usize = 16;

/// Blocks whose operands are held at a time: what fits into a fixed amount of memory, and not the machine's choice.
fn gradient_blocks(plan: &Plan) -> usize {
    const BYTES: usize = 256 << 20;
    let of_block = recorded_values(plan, GRADIENT_BLOCK) * size_of::<f32>();
    (BYTES / of_block.max(1)).clamp(1, 256)
}

impl<B: AutodiffBackend, E: Energy<B> + Layered + Sync> Engine<B, E> for FusedEngine {
    fn name(&self) -> &'static str {
        "fused"
    }

    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError> {
        let shape @ [chains, channels, height, width] = initial.dims();
        let device = initial.device();
        let plan = &self.compile(energy, [channels, height, width])?.plan;
        let states = host(initial)?;
        let outcomes = run_all(
            plan,
            &states,
            None,
            run,
            self.cancel.as_deref(),
            &self.spare,
        )?;
        let per_chain = plan.size(0);
        let mut states = Vec::with_capacity(chains * per_chain);
        let mut energies = Vec::with_capacity(chains);
        let mut norm_sum = 0.0;
        let mut accepted = 0;
        for outcome in outcomes {
            states.extend(outcome.states);
            energies.extend(outcome.energies);
            accepted += outcome.accepted;
            // Chain by chain, so that the sum is the same however the batch was cut.
            for norm in outcome.norms {
                norm_sum += norm;
            }
        }
        Ok(ChainOutcome {
            states: Tensor::from_data(TensorData::new(states, shape), &device),
            gradient_magnitude: run.mean(norm_sum, chains),
            acceptance_rate: run.acceptance_rate(accepted, chains),
            energies: run.final_energies.then_some(energies),
        })
    }

    fn parameter_gradient(
        &self,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<ParameterGradient>, LangevinError> {
        let [chains, channels, height, width] = states.dims();
        if weights.len() != chains {
            return Err(LangevinError::Weights {
                weights: weights.len(),
                chains,
            });
        }
        let plan = &self.compile(energy, [channels, height, width])?.plan;
        let states = host(states.clone())?;
        let run = |(states, weights): (&[f32], &[f32])| {
            let mut block = Block::new(plan, GRADIENT_BLOCK, &self.spare);
            load_states(&mut block, states);
            block.forward();
            let energies = block.energies()[..weights.len()].to_vec();
            // Lanes without a state count nothing.
            let mut seed = weights.to_vec();
            seed.resize(block.lanes, 0.0);
            let mut records = Records::new(&self.spare);
            block.backward(Some(&seed), Some(&mut records));
            (energies, records)
        };
        let mut energies = Vec::with_capacity(chains);
        let mut sums = Sums::default();
        let wave = GRADIENT_BLOCK * gradient_blocks(plan);
        for (states, weights) in states.chunks(wave * plan.size(0)).zip(weights.chunks(wave)) {
            let (of_blocks, records): (Vec<_>, Vec<_>) = states
                .par_chunks(GRADIENT_BLOCK * plan.size(0))
                .zip(weights.par_chunks(GRADIENT_BLOCK))
                .with_max_len(1)
                .map(run)
                .unzip();
            energies.extend(of_blocks.into_iter().flatten());
            sums.add(plan.arch, &records);
        }
        Ok(Some(ParameterGradient {
            energies,
            gradients: sums.finish(plan),
        }))
    }
}
