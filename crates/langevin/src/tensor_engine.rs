//! The engine for any energy on any backend: burn's tensor operations and automatic differentiation.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Energy, StateShape};

use crate::tensor_chains::TensorChains;
use crate::{BoundEngine, Engine, LangevinError};

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

impl TensorEngine {
    /// Cuts the batch into blocks of so many chains, which worker threads run to their last step independently.
    /// The block size is the caller's and not the number of cores, so that results do not depend on the machine.
    #[must_use]
    pub fn with_block(mut self, chains: NonZeroUsize) -> Self {
        self.block = Some(chains);
        self
    }

    /// The engine with the blocks that suit a CPU for states of a shape: 16 chains for images, and no blocks for
    /// points, whose work is too little to be worth cutting.
    #[must_use]
    pub fn for_cpu(shape: impl Into<StateShape>) -> Self {
        const BLOCK: Option<NonZeroUsize> = NonZeroUsize::new(16);
        Self {
            block: BLOCK.filter(|_| !shape.into().is_point()),
            cancel: None,
        }
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }

    /// Binds the engine to an energy over states of a shape, whose tensors live on `device`: [`Engine::bind`].
    pub fn bind<B: AutodiffBackend, E: Energy<B> + Send + Sync>(
        &self,
        energy: E,
        shape: impl Into<StateShape>,
        device: &B::Device,
    ) -> TensorChains<B, E> {
        TensorChains::new(self.clone(), energy, shape.into(), device.clone())
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
}

impl<B: AutodiffBackend, E: Energy<B> + Send + Sync + 'static> Engine<B, E> for TensorEngine {
    fn name(&self) -> &'static str {
        "tensor"
    }

    fn bind(
        &self,
        energy: E,
        shape: StateShape,
        device: &B::Device,
    ) -> Result<Box<dyn BoundEngine<B, E>>, LangevinError> {
        Ok(Box::new(Self::bind(self, energy, shape, device)))
    }
}
