//! The choice of an engine at run time.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Tensor, backend::AutodiffBackend};
use ebm_core::{Energy, Layered};

use crate::{
    AttractionRun, ChainOutcome, ChainRun, EnergyGradient, Engine, FusedEngine, LandscapeEngine,
    LangevinError, ParameterGradient, TensorEngine, Way,
};

/// Which engine to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// `fused` where it has all the net's layers, otherwise `tensor`.
    #[default]
    Auto,
    /// Tensor operations and automatic differentiation.
    Tensor,
    /// Hand-written CPU code.
    Fused,
}

/// The tensor or the fused engine, decided once for a net.
#[derive(Debug, Clone)]
pub enum CpuEngine {
    /// Tensor operations and automatic differentiation.
    Tensor(TensorEngine),
    /// Hand-written CPU code.
    Fused(FusedEngine),
}

impl CpuEngine {
    /// Decides for the net `energy` on states of `[channels, height, width]`. The second value says why `auto` fell
    /// back to the tensor engine, if it did.
    ///
    /// # Errors
    /// [`LangevinError::NotFused`] when the fused engine was asked for and lacks a layer.
    pub fn choose<E: Layered>(
        choice: EngineChoice,
        energy: &E,
        state_shape: [usize; 3],
    ) -> Result<(Self, Option<String>), LangevinError> {
        let tensor = || Self::Tensor(TensorEngine::for_cpu(state_shape));
        if choice == EngineChoice::Tensor {
            return Ok((tensor(), None));
        }
        let fused = FusedEngine::default();
        match fused.supports(energy, state_shape) {
            Ok(()) => Ok((Self::Fused(fused), None)),
            Err(error) if choice == EngineChoice::Fused => Err(error),
            Err(error) => Ok((tensor(), Some(error.to_string()))),
        }
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(self, cancel: Arc<AtomicBool>) -> Self {
        match self {
            Self::Tensor(engine) => Self::Tensor(engine.cancelled_by(cancel)),
            Self::Fused(engine) => Self::Fused(engine.cancelled_by(cancel)),
        }
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Layered + Sync> Engine<B, E> for CpuEngine {
    fn name(&self) -> &'static str {
        match self {
            Self::Tensor(engine) => Engine::<B, E>::name(engine),
            Self::Fused(engine) => Engine::<B, E>::name(engine),
        }
    }

    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError> {
        match self {
            Self::Tensor(engine) => Engine::<B, E>::run(engine, energy, initial, run),
            Self::Fused(engine) => Engine::<B, E>::run(engine, energy, initial, run),
        }
    }

    fn parameter_gradient(
        &self,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<ParameterGradient>, LangevinError> {
        match self {
            Self::Tensor(engine) => {
                Engine::<B, E>::parameter_gradient(engine, energy, states, weights)
            }
            Self::Fused(engine) => {
                Engine::<B, E>::parameter_gradient(engine, energy, states, weights)
            }
        }
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Layered + Sync> LandscapeEngine<B, E> for CpuEngine {
    fn energy_gradient(
        &self,
        energy: &E,
        states: Tensor<B::InnerBackend, 4>,
    ) -> Result<EnergyGradient<B::InnerBackend>, LangevinError> {
        match self {
            Self::Tensor(engine) => {
                LandscapeEngine::<B, E>::energy_gradient(engine, energy, states)
            }
            Self::Fused(engine) => LandscapeEngine::<B, E>::energy_gradient(engine, energy, states),
        }
    }

    fn attract(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        targets: Tensor<B::InnerBackend, 4>,
        ways: &mut [Way],
        run: &AttractionRun,
    ) -> Result<Tensor<B::InnerBackend, 4>, LangevinError> {
        match self {
            Self::Tensor(engine) => {
                LandscapeEngine::<B, E>::attract(engine, energy, initial, targets, ways, run)
            }
            Self::Fused(engine) => {
                LandscapeEngine::<B, E>::attract(engine, energy, initial, targets, ways, run)
            }
        }
    }
}
