//! The engine for CPUs: whole chains in vector code, without tensors or automatic differentiation.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

#[cfg(feature = "burn")]
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Layered, StateShape};

use crate::bf16::{self, Factors};
use crate::block::Block;
use crate::bound::FusedChains;
use crate::buffer::Spare;
use crate::plan::Plan;
use crate::schedule::{blocks, held_at_once};
use ebm_langevin::LangevinError;
#[cfg(feature = "burn")]
use ebm_langevin::{BoundEngine, Engine};

/// Vector instructions of a processor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Instructions {
    /// None: portable code, the reference for the others.
    Scalar,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 (F, BW, CD, DQ, VL).
    Avx512,
    /// The same, and its dot products of BF16 pairs. For f32 it is no different from the one before.
    Avx512Bf16,
    /// 64-bit ARM.
    Neon,
}

impl Instructions {
    /// Those that this processor has, the best last.
    #[must_use]
    pub fn available() -> Vec<Self> {
        [
            Self::Scalar,
            Self::Neon,
            Self::Avx2,
            Self::Avx512,
            Self::Avx512Bf16,
        ]
        .into_iter()
        .filter(|instructions| instructions.arch().is_some())
        .collect()
    }

    pub(crate) fn arch(self) -> Option<pulp::Arch> {
        match self {
            Self::Scalar => Some(pulp::Arch::Scalar),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => pulp::x86::V3::try_new().map(pulp::Arch::V3),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512 => pulp::x86::V4::try_new().map(pulp::Arch::V4),
            #[cfg(target_arch = "x86_64")]
            Self::Avx512Bf16 if bf16::has_pairs() => Self::Avx512.arch(),
            #[cfg(target_arch = "aarch64")]
            Self::Neon => pulp::aarch64::Neon::try_new().map(pulp::Arch::Neon),
            #[allow(unreachable_patterns)]
            _ => None,
        }
    }
}

/// What the factors of products are rounded to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FusedPrecision {
    /// f32, like everything else.
    #[default]
    F32,
    /// BF16, 8 bits of significand, with sums in f32: the products of linear layers, of convolutions, and
    /// of non-local blocks with their attention. States, noise, energies, the weights of attention before they are factors,
    /// and the sums of parameter gradients stay in f32.
    Bf16,
}

/// Bytes that a run needs beside its states, however many steps it has. While learning, the engine also keeps the
/// memory to pack the next weights and up to 256 MiB (for a net of larger layers, what 16 states need) for parameter
/// gradients.
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
/// other chains. All arithmetic is f32, but for the sums that MALA decides with, which are f64, and
/// the [factors of products](Self::with_precision).
#[derive(Debug, Clone, Default)]
pub struct FusedEngine {
    pub(crate) cancel: Option<Arc<AtomicBool>>,
    instructions: Option<Instructions>,
    precision: FusedPrecision,
}

impl FusedEngine {
    /// Whether the engine has every layer of the net, for states of a shape.
    ///
    /// # Errors
    /// [`LangevinError::Lacking`] names what it lacks, [`LangevinError::Core`] what does not fit.
    pub fn supports<E: Layered>(
        &self,
        energy: &E,
        shape: impl Into<StateShape>,
    ) -> Result<(), LangevinError> {
        self.plan(energy, shape.into(), &Arc::default()).map(|_| ())
    }

    /// Uses other instructions than the best, for tests and comparisons; `None` when the processor lacks them.
    #[must_use]
    pub fn with_instructions(instructions: Instructions) -> Option<Self> {
        instructions.arch().map(|_| Self {
            instructions: Some(instructions),
            ..Self::default()
        })
    }

    /// Rounds the factors of products. Any processor can; one whose [`Instructions::Avx512Bf16`] are fast is faster for it
    /// ([`Self::bf16_pays`]), and computes the same bits as other vector instructions do, as long as no factor and no sum
    /// is below 2⁻¹²⁶.
    #[must_use]
    pub fn with_precision(self, precision: FusedPrecision) -> Self {
        Self { precision, ..self }
    }

    /// Whether this processor sums products of BF16 factors in less time than products of f32. Measured in a fraction of
    /// a millisecond, once.
    #[must_use]
    pub fn bf16_pays() -> bool {
        bf16::pairs_pay()
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Binds the engine to a net over states of a shape: [`Engine::bind`]. Packs the net's weights.
    ///
    /// # Errors
    /// As [`Self::supports`].
    pub fn bind<E: Layered>(
        &self,
        energy: &E,
        shape: impl Into<StateShape>,
    ) -> Result<FusedChains, LangevinError> {
        FusedChains::new(self.clone(), energy, shape.into())
    }

    /// What a run of `chains` chains needs in memory, however many steps it has. With MALA a block keeps its states and
    /// their gradients beside that.
    ///
    /// # Errors
    /// As [`Self::supports`].
    pub fn working_set<E: Layered>(
        &self,
        energy: &E,
        shape: impl Into<StateShape>,
        chains: usize,
    ) -> Result<WorkingSet, LangevinError> {
        let spare = Arc::default();
        let plan = &self.plan(energy, shape.into(), &spare)?;
        let largest = blocks(plan, chains)
            .into_iter()
            .map(|block| block.len())
            .max();
        let blocks = held_at_once(plan, chains);
        let chains = largest.unwrap_or_default();
        Ok(WorkingSet {
            blocks,
            weights: plan.weight_bytes(),
            block: Block::new(plan, chains, &spare).bytes(),
            chains,
        })
    }

    /// The net with packed weights, in memory from `spare`.
    pub(crate) fn plan<E: Layered>(
        &self,
        energy: &E,
        shape: StateShape,
        spare: &Arc<Spare>,
    ) -> Result<Plan, LangevinError> {
        let layers = energy
            .layers()
            .map_err(|what| LangevinError::lacking(self.own_name(), what))?;
        let arch = self.instructions.and_then(Instructions::arch);
        let arch = arch.unwrap_or_default();
        Plan::compile(arch, self.factors(), &layers, shape.dims(), spare)
    }

    fn factors(&self) -> Factors {
        let in_pairs = self
            .instructions
            .map_or_else(bf16::pairs_pay, |set| set == Instructions::Avx512Bf16);
        match self.precision {
            FusedPrecision::F32 => Factors::Single,
            FusedPrecision::Bf16 if in_pairs => Factors::Pairs,
            FusedPrecision::Bf16 => Factors::Rounded,
        }
    }

    pub(crate) fn own_name(&self) -> &'static str {
        match self.precision {
            FusedPrecision::F32 => "fused",
            FusedPrecision::Bf16 => "fused-bf16",
        }
    }
}

#[cfg(feature = "burn")]
impl<B: AutodiffBackend, E: Layered> Engine<B, E> for FusedEngine {
    fn name(&self) -> &'static str {
        self.own_name()
    }

    fn bind(
        &self,
        energy: E,
        shape: StateShape,
        _device: &B::Device,
    ) -> Result<Box<dyn BoundEngine<B, E>>, LangevinError> {
        Ok(Box::new(Self::bind(self, &energy, shape)?))
    }
}
