//! Buffers on a device that depend on the layers of a net but not on its parameters. Each bound net has its own.

use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use cubecl::server::Handle;

use super::dense::Spread;

/// Buffers with the places where kernels find their parameters, made when they are first needed.
#[derive(Default)]
pub(super) struct Kept {
    /// For whole chains in one launch, by the spread of the chains over the device.
    dense: Mutex<Vec<(Spread, Arc<Vec<Handle>>)>>,
    /// For steps layer by layer.
    layered: OnceLock<Vec<Handle>>,
    /// For the gradient of the parameters.
    gradients: OnceLock<Vec<Handle>>,
}

impl Kept {
    pub(super) fn dense(
        &self,
        spread: &Spread,
        make: impl FnOnce() -> Vec<Handle>,
    ) -> Arc<Vec<Handle>> {
        let mut kept = self.dense.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, buffers)) = kept.iter().find(|(of, _)| of == spread) {
            return Arc::clone(buffers);
        }
        let buffers = Arc::new(make());
        kept.push((spread.clone(), Arc::clone(&buffers)));
        buffers
    }

    pub(super) fn layered(&self, make: impl FnOnce() -> Vec<Handle>) -> &[Handle] {
        self.layered.get_or_init(make)
    }

    pub(super) fn gradients(&self, make: impl FnOnce() -> Vec<Handle>) -> &[Handle] {
        self.gradients.get_or_init(make)
    }
}
