//! The kernel of a run: how chains go from one state to the next.

use std::any::Any;
use std::fmt;
use std::sync::Arc;

use ebm_core::States;

use crate::{ChainOutcome, ChainRun, Chains, GradientKernel, LangevinError, Mala, Tempering, Ula};

/// The kernel of a run. Engines accelerate [`Ula`] and [`Mala`].
#[derive(Debug, Clone, PartialEq)]
pub enum AnyKernel {
    /// Every Langevin step is taken: the kernel of learning. Its stationary density is exp(−F/T) up to a bias that
    /// grows with ε.
    Ula(Ula),
    /// Langevin steps are proposed, then accepted or rejected: the stationary density is exp(−F/T) exactly.
    Mala(Mala),
    /// A kernel that asks the engine for F and ∇F alone.
    Gradient(GradientKernel),
    /// Chains at several temperatures, which ask the engine for steps of other kernels.
    Tempering(Tempering),
    /// A kernel of the caller's, which the tensor engine runs.
    Own(OwnKernel),
}

/// A kernel for the tensors of some backend.
#[derive(Clone)]
pub struct OwnKernel(pub(crate) Arc<dyn Any + Send + Sync>);

impl AnyKernel {
    /// Whether it is one that [`Self::run_on`] runs.
    #[must_use]
    pub fn runs_on_states(&self) -> bool {
        matches!(self, Self::Gradient(_) | Self::Tempering(_))
    }

    /// Runs the kernels that need nothing of an engine but what `chains` has anyway: F and ∇F, or steps of other kernels.
    /// None for those that the engine has to know.
    ///
    /// # Errors
    /// Those of [`Chains::run`].
    pub fn run_on(
        &self,
        chains: &dyn Chains,
        states: &States,
        run: &ChainRun,
    ) -> Option<Result<ChainOutcome, LangevinError>> {
        match self {
            Self::Gradient(kernel) => Some(kernel.run(chains, states, run)),
            Self::Tempering(tempering) => Some(tempering.run(chains, states, run)),
            Self::Ula(_) | Self::Mala(_) | Self::Own(_) => None,
        }
    }
}

impl fmt::Debug for OwnKernel {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("OwnKernel").finish_non_exhaustive()
    }
}

impl PartialEq for OwnKernel {
    /// Whether both are clones of one kernel.
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl From<Ula> for AnyKernel {
    fn from(kernel: Ula) -> Self {
        Self::Ula(kernel)
    }
}

impl From<Mala> for AnyKernel {
    fn from(kernel: Mala) -> Self {
        Self::Mala(kernel)
    }
}
