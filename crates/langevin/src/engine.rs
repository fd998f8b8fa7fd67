//! What an engine is asked for and what it returns.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::{Tensor, backend::AutodiffBackend, backend::Backend};
use ebm_core::NoiseKey;

use crate::{Kernel, LangevinError, PendingNumber};

/// A number of Langevin steps.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ChainRun {
    /// The kernel.
    pub kernel: Kernel,
    /// L, how many steps.
    pub steps: u64,
    /// The number of the first step in the noise stream. Chains that are run in pieces, each starting where the last
    /// ended, walk the same path as in one piece.
    pub first_step: u64,
    /// Where the noise comes from.
    pub noise: NoiseKey,
    /// Whether F of the final states is wanted.
    pub final_energies: bool,
}

impl ChainRun {
    /// The mean over steps and chains of what sums up to `sum`; 0 without steps.
    #[must_use]
    pub fn mean(&self, sum: f64, chains: usize) -> f64 {
        sum / (self.steps as f64 * chains as f64).max(1.0)
    }

    /// The acceptance rate, if anything was proposed.
    #[must_use]
    pub fn acceptance_rate(&self, accepted: u64, chains: usize) -> Option<f64> {
        let proposed = matches!(self.kernel, Kernel::Mala(_)) && self.steps > 0 && chains > 0;
        proposed.then(|| self.mean(accepted as f64, chains))
    }
}

/// Chains after their steps.
#[derive(Debug, Clone)]
pub struct ChainOutcome<B: Backend> {
    /// Final states, `[chains, channels, height, width]`.
    pub states: Tensor<B, 4>,
    /// r, the mean over steps and chains of ‖∇F(X)‖₂ for the whole state of a chain, taken before each step
    /// (arXiv 1903.12370, section 3), so where a step starts or is proposed from. With no steps it is 0.
    pub gradient_magnitude: f64,
    /// The fraction of proposals that were accepted, over steps and chains. `None` where nothing was proposed: for
    /// [`Kernel::Ula`], and without steps.
    pub acceptance_rate: Option<f64>,
    /// F of each final state, where the run asked for it.
    pub energies: Option<Vec<f32>>,
}

/// Chains that have been launched, and perhaps not walked yet.
#[derive(Debug)]
pub struct LaunchedChains<B: Backend> {
    /// Final states, `[chains, channels, height, width]`. Whatever is computed from them waits for them, on the device.
    pub states: Tensor<B, 4>,
    /// r, as in [`ChainOutcome::gradient_magnitude`].
    pub gradient_magnitude: PendingNumber,
}

impl<B: Backend> From<ChainOutcome<B>> for LaunchedChains<B> {
    fn from(outcome: ChainOutcome<B>) -> Self {
        Self {
            states: outcome.states,
            gradient_magnitude: outcome.gradient_magnitude.into(),
        }
    }
}

/// F of each state and the gradient of a weighted sum of them with respect to the parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterGradient {
    /// F(xᵢ), one for each state.
    pub energies: Vec<f32>,
    /// ∂/∂θ Σᵢ wᵢ F(xᵢ) by the id of the burn parameter, in burn's layout.
    pub gradients: HashMap<ParamId, Vec<f32>>,
}

/// The same on the device, and perhaps not computed yet.
#[derive(Debug)]
pub struct LaunchedGradient<B: Backend> {
    /// F(xᵢ), `[states]`.
    pub energies: Tensor<B, 1>,
    /// ∂/∂θ Σᵢ wᵢ F(xᵢ) by the id of the burn parameter, flattened in burn's layout.
    pub gradients: HashMap<ParamId, Tensor<B, 1>>,
}

/// A way to compute many steps. Which engine does it changes the speed and nothing else.
pub trait Engine<B: AutodiffBackend, E> {
    /// The engine's name, such as "tensor".
    fn name(&self) -> &'static str;

    /// Runs the chains from `initial`, `[chains, channels, height, width]`, on `energy`.
    ///
    /// # Errors
    /// [`LangevinError`] when the energy breaks its contract. Non-finite states are not an error here: they are
    /// returned, for the caller to judge.
    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError>;

    /// As [`Self::run`], but where the engine can without waiting for the device, so that the next work can be handed to it meanwhile.
    /// There are no energies, whatever `run` asks for.
    ///
    /// # Errors
    /// As [`Self::run`]; what fails on the device later is reported by [`PendingNumber::read`].
    fn launch(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<LaunchedChains<B::InnerBackend>, LangevinError> {
        let run = ChainRun {
            final_energies: false,
            ..*run
        };
        self.run(energy, initial, &run).map(LaunchedChains::from)
    }

    /// Whether [`Self::launch`] returns before the chains have walked, at least for [`Kernel::Ula`].
    fn runs_ahead(&self) -> bool {
        false
    }

    /// F of each of `states` and ∂/∂θ Σᵢ wᵢ F(xᵢ), where the engine computes parameter gradients itself;
    /// `None` leaves them to automatic differentiation.
    ///
    /// # Errors
    /// [`LangevinError`] when the energy breaks its contract.
    fn parameter_gradient(
        &self,
        _energy: &E,
        _states: &Tensor<B::InnerBackend, 4>,
        _weights: &[f32],
    ) -> Result<Option<ParameterGradient>, LangevinError> {
        Ok(None)
    }

    /// As [`Self::parameter_gradient`], for an engine that [runs ahead](Self::runs_ahead), which leaves it on the device and does not
    /// wait.
    ///
    /// # Errors
    /// As [`Self::parameter_gradient`].
    fn launch_parameter_gradient(
        &self,
        _energy: &E,
        _states: &Tensor<B::InnerBackend, 4>,
        _weights: &[f32],
    ) -> Result<Option<LaunchedGradient<B::InnerBackend>>, LangevinError> {
        Ok(None)
    }
}
