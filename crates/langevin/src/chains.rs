//! Chains on an energy that an engine is bound to, as the host sees them.

use ebm_core::{NoiseKey, StateShape, States, Stream};

use crate::{AnyKernel, AttractionPath, AttractionRun, LangevinError, Swaps, Ula};

/// A number of steps of a kernel.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainRun {
    /// The kernel.
    pub kernel: AnyKernel,
    /// L, how many steps.
    pub steps: u64,
    /// The number of the first step in the noise stream. Chains that are run in pieces, each starting where the last
    /// ended, walk the same path as in one piece, if all that their kernel carries from step to step follows from the
    /// states, as for ULA and MALA. One that carries more, such as momenta, makes it anew at the start of each piece
    /// ([`Kernel::init`](crate::Kernel::init)).
    pub first_step: u64,
    /// Where the noise comes from.
    pub noise: NoiseKey,
    /// Whether F of the final states is wanted.
    pub final_energies: bool,
}

impl Default for ChainRun {
    /// 150 steps of the training dynamics with ε = 0.01, those of an iteration on CIFAR-10 in arXiv 1903.12370, with
    /// the noise of chains that only watch.
    fn default() -> Self {
        Self {
            kernel: Ula::default().into(),
            steps: 150,
            first_step: 0,
            noise: NoiseKey::new(1, Stream::Watch, 0),
            final_energies: false,
        }
    }
}

impl ChainRun {
    /// `steps` steps of `kernel`; all else has its default.
    pub fn new(kernel: impl Into<AnyKernel>, steps: u64) -> Self {
        Self {
            kernel: kernel.into(),
            steps,
            ..Self::default()
        }
    }

    /// No steps: F of states alone.
    #[must_use]
    pub fn of_energies() -> Self {
        Self {
            steps: 0,
            final_energies: true,
            ..Self::default()
        }
    }

    /// Begins at this step of the noise stream.
    #[must_use]
    pub fn with_first_step(self, first_step: u64) -> Self {
        Self { first_step, ..self }
    }

    /// Takes its noise from here.
    #[must_use]
    pub fn with_noise(self, noise: NoiseKey) -> Self {
        Self { noise, ..self }
    }

    /// Asks for F of the final states.
    #[must_use]
    pub fn with_final_energies(self) -> Self {
        Self {
            final_energies: true,
            ..self
        }
    }

    /// The mean over steps and chains of a quantity with the sum `sum`; 0 without steps.
    #[must_use]
    pub fn mean(&self, sum: f64, chains: usize) -> f64 {
        sum / (self.steps as f64 * chains as f64).max(1.0)
    }

    /// The acceptance rate, if anything was proposed.
    #[must_use]
    pub fn acceptance_rate(&self, accepted: Option<u64>, chains: usize) -> Option<f64> {
        let accepted = accepted.filter(|_| self.steps > 0 && chains > 0)?;
        Some(self.mean(accepted as f64, chains))
    }
}

/// Chains after their steps.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainOutcome {
    /// Final states.
    pub states: States,
    /// r, the mean over steps and chains of ‖∇F(X)‖₂ for the whole state of a chain (arXiv 1903.12370, section 3).
    /// The gradient is taken before each step, where the step or the proposal starts. Without steps r is 0.
    pub gradient_magnitude: f64,
    /// The fraction of proposals that were accepted, over steps and chains. `None` where nothing was proposed: for
    /// ULA, and without steps.
    pub acceptance_rate: Option<f64>,
    /// F of each final state, where the run asked for it.
    pub energies: Option<Vec<f32>>,
    /// The exchanges of each pair of neighbouring temperatures, the coldest first; none but for [`crate::Tempering`].
    pub swaps: Vec<Swaps>,
}

/// F and ∇F of states.
#[derive(Debug, Clone, PartialEq)]
pub struct EnergyGradient {
    /// F of each state.
    pub energies: Vec<f32>,
    /// ∇F, of the shape of the states.
    pub gradient: States,
}

/// An energy with an engine that was [bound](crate::Engine::bind) to it: chains can be run on it. States come from
/// the host and go back there, so nothing here depends on a backend, and code that takes a `&dyn Chains` is compiled
/// once.
pub trait Chains: Send + Sync {
    /// The engine's name, such as "tensor".
    fn name(&self) -> &'static str;

    /// The name of the engine for [`Self::energy_gradient`] and [`Self::attract`], where it differs.
    fn landscape_name(&self) -> &'static str {
        self.name()
    }

    /// The shape of a state.
    fn shape(&self) -> StateShape;

    /// Runs chains from `states`.
    ///
    /// # Errors
    /// [`LangevinError`] when the states have another shape, the energy breaks its contract, the engine lacks the
    /// kernel, or the caller asked it to stop. Non-finite states are not an error here: they are returned, for the
    /// caller to judge.
    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError>;

    /// F of each state.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn energies(&self, states: &States) -> Result<Vec<f32>, LangevinError> {
        /// Activations are wide, and the grid of a plot has 40,000 points.
        const AT_ONCE: usize = 4096;

        let mut energies = Vec::with_capacity(states.len());
        for piece in states.pieces(AT_ONCE) {
            let outcome = self.run(&piece, &ChainRun::of_energies())?;
            energies.extend(outcome.energies.unwrap_or_default());
        }
        Ok(energies)
    }

    /// F and ∇F of states.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn energy_gradient(&self, states: &States) -> Result<EnergyGradient, LangevinError>;

    /// ‖∇F‖₂ of each state.
    ///
    /// # Errors
    /// As [`Self::run`].
    fn gradient_norms(&self, states: &States) -> Result<Vec<f64>, LangevinError> {
        let gradient = self.energy_gradient(states)?.gradient;
        let norm = |state: &[f32]| {
            let squares = state.iter().map(|x| f64::from(*x).powi(2));
            squares.sum::<f64>().sqrt()
        };
        Ok(gradient.iter().map(norm).collect())
    }

    /// Runs chains from `states` toward `targets`, one for each, and keeps a record in `paths`, one for each chain.
    /// Chains whose path ends walk on with the others, but their record stays. Returns the states after the last step.
    ///
    /// # Errors
    /// [`LangevinError::Targets`] when there is not one target and one path for each chain, and those of
    /// [`Self::run`]. After an error the records are of no use.
    fn attract(
        &self,
        states: &States,
        targets: &States,
        paths: &mut [AttractionPath],
        run: &AttractionRun,
    ) -> Result<States, LangevinError>;
}
