//! Iterations whose numbers have not been read.

use burn::tensor::backend::AutodiffBackend;
use ebm_langevin::Numbers;

use crate::numbers::IterationNumbers;
use crate::state::State;
use crate::unwritten::UnwrittenChains;

/// Iterations that were advanced, in order, and what is needed to undo them.
pub(crate) struct Unread<B: AutodiffBackend, N> {
    /// The state before the first of them.
    pub(crate) before: State<B, N>,
    pub(crate) numbers: Vec<IterationNumbers>,
    /// F of the data and of the samples of each.
    pub(crate) energies: Vec<Numbers<B::InnerBackend>>,
    /// Their samples, where chains are persistent.
    pub(crate) chains: UnwrittenChains<B::InnerBackend>,
}

impl<B: AutodiffBackend, N> Unread<B, N> {
    /// No iterations yet; `before` is the current state.
    pub(crate) fn after(before: State<B, N>) -> Self {
        Self {
            before,
            numbers: Vec::new(),
            energies: Vec::new(),
            chains: UnwrittenChains::default(),
        }
    }
}
