//! The energy to be mapped, and what computes it.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use ebm_core::Temperature;
use ebm_langevin::{EnergyGradient, LandscapeEngine};

use crate::LandscapeError;

/// An energy U = F/T over states of one shape, and the engine that runs chains on it. States are rows of plain values.
pub struct Surface<'a, B: AutodiffBackend, E, G> {
    engine: &'a G,
    energy: &'a E,
    temperature: Temperature,
    shape: [usize; 3],
    device: B::Device,
}

impl<'a, B, E, G> Surface<'a, B, E, G>
where
    B: AutodiffBackend,
    G: LandscapeEngine<B, E>,
{
    /// The surface U = F/T on states of `[channels, height, width]`. For a net that was trained with noise ε, T = ε²/2
    /// ([`ebm_core::StepSize::learned_temperature`]); for a potential in nats, T = 1.
    pub fn new(
        engine: &'a G,
        energy: &'a E,
        temperature: Temperature,
        shape: [usize; 3],
        device: B::Device,
    ) -> Self {
        Self {
            engine,
            energy,
            temperature,
            shape,
            device,
        }
    }

    /// T, the unit of F in nats.
    #[must_use]
    pub fn temperature(&self) -> Temperature {
        self.temperature
    }

    /// Values of a state.
    #[must_use]
    pub fn state_size(&self) -> usize {
        self.shape.iter().product()
    }

    pub(crate) fn engine(&self) -> &G {
        self.engine
    }

    pub(crate) fn energy(&self) -> &E {
        self.energy
    }

    /// How many states the rows hold.
    pub(crate) fn count(&self, rows: &[f32]) -> Result<usize, LandscapeError> {
        let per_state = self.state_size();
        if per_state == 0 || !rows.len().is_multiple_of(per_state) {
            return Err(LandscapeError::States {
                values: rows.len(),
                per_state,
            });
        }
        Ok(rows.len() / per_state)
    }

    /// Rows as a tensor `[states, channels, height, width]`.
    pub(crate) fn tensor(&self, rows: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.shape;
        let states = rows.len() / self.state_size().max(1);
        let data = TensorData::new(rows, [states, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }

    /// U in nats and ∇F of the states in `rows`.
    pub(crate) fn energies_and_slopes(
        &self,
        rows: Vec<f32>,
    ) -> Result<(Vec<f64>, Vec<f32>), LandscapeError> {
        let EnergyGradient { energies, gradient } = self
            .engine
            .energy_gradient(self.energy, self.tensor(rows))?;
        let nats = |energy: f32| f64::from(energy) / self.temperature.get();
        Ok((energies.into_iter().map(nats).collect(), host(gradient)))
    }
}

pub(crate) fn host<B: burn::tensor::backend::Backend>(tensor: Tensor<B, 4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
