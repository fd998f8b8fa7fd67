//! The energy to be mapped, and the chains that compute it.

use ebm_core::{StateShape, States, Temperature};
use ebm_langevin::{Chains, EnergyGradient};

use crate::LandscapeError;

/// An energy U = F/T, and the chains that an engine runs on it.
#[derive(Clone, Copy)]
pub struct Surface<'a> {
    chains: &'a dyn Chains,
    temperature: Temperature,
}

impl<'a> Surface<'a> {
    /// The surface U = F/T. For a net that was trained with noise ε, T = ε²/2
    /// ([`ebm_core::StepSize::learned_temperature`]); for a potential in nats, T = 1.
    #[must_use]
    pub fn new(chains: &'a dyn Chains, temperature: Temperature) -> Self {
        Self {
            chains,
            temperature,
        }
    }

    /// T in units of F: U = F/T, so that T of F is one nat.
    #[must_use]
    pub fn temperature(&self) -> Temperature {
        self.temperature
    }

    /// The shape of a state.
    #[must_use]
    pub fn shape(&self) -> StateShape {
        self.chains.shape()
    }

    pub(crate) fn chains(&self) -> &'a dyn Chains {
        self.chains
    }

    /// U in nats and ∇F of states.
    pub(crate) fn energies_and_slopes(
        &self,
        states: &States,
    ) -> Result<(Vec<f64>, States), LandscapeError> {
        let EnergyGradient { energies, gradient } = self.chains.energy_gradient(states)?;
        let nats = |energy: f32| f64::from(energy) / self.temperature.get();
        Ok((energies.into_iter().map(nats).collect(), gradient))
    }
}

impl std::fmt::Debug for Surface<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Surface")
            .field("engine", &self.chains.name())
            .field("shape", &self.shape())
            .field("temperature", &self.temperature)
            .finish()
    }
}
