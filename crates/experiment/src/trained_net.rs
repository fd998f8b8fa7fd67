//! A trained net with what runs chains on it, whatever the backend.

use ebm_core::Temperature;
use ebm_landscape::Surface;
use ebm_langevin::{ChainRun, FoundStepSize, LangevinError, StepSizeSearch};

use crate::ExperimentError;

/// Numbers of the states of all chains together, at most: 1 GiB.
pub(crate) const MOST_NUMBERS: usize = 1 << 28;

/// Chains after some steps.
#[derive(Debug, Clone)]
pub struct Walked {
    /// States, `[chains, channels, height, width]`.
    pub states: Vec<f32>,
    /// F of each, where the run asked for it.
    pub energies: Vec<f64>,
    /// r over the steps.
    pub gradient_magnitude: f64,
    /// Over the proposals, where there were any.
    pub acceptance_rate: Option<f64>,
}

/// A net with its weights and an engine.
pub trait TrainedNet {
    /// The engine's name.
    fn engine_name(&self) -> &'static str;

    /// The name of the engine that maps landscapes.
    fn landscape_engine_name(&self) -> &'static str;

    /// Runs chains from `states`, row by row.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`]; [`ExperimentError::Stopped`] once the flag of its making is raised.
    fn run(&self, states: Vec<f32>, run: &ChainRun) -> Result<Walked, ExperimentError>;

    /// As [`ebm_langevin::find_step_size`], from `states`, row by row.
    ///
    /// # Errors
    /// [`LangevinError::StepSizeSearch`] and [`LangevinError::AcceptanceNotReached`]; the engine's.
    fn find_step_size(
        &self,
        states: Vec<f32>,
        temperature: Temperature,
        search: &StepSizeSearch,
    ) -> Result<FoundStepSize, LangevinError>;

    /// U = F/T of the net, to be mapped.
    fn surface(&self, temperature: Temperature) -> Box<dyn Surface + '_>;

    /// ‖∇F‖₂ of each state, row by row.
    ///
    /// # Errors
    /// The engine's.
    fn slopes(&self, states: Vec<f32>) -> Result<Vec<f64>, LangevinError>;
}
