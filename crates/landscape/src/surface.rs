//! The energy to be mapped, and what computes it.

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend, backend::Backend};
use ebm_core::Temperature;
use ebm_langevin::{AttractionRun, EnergyGradient, LandscapeEngine, LangevinError, Way};

use crate::LandscapeError;

/// An energy U = F/T over states of one shape, and what runs chains on it. States are rows of plain values, so that all
/// that searches a landscape is compiled once, whatever the backend.
pub trait Surface {
    /// T, the unit of F in nats.
    fn temperature(&self) -> Temperature;

    /// Values of a state.
    fn state_size(&self) -> usize;

    /// U in nats and ∇F of the states in `rows`.
    ///
    /// # Errors
    /// The engine's.
    fn energies_and_slopes(&self, rows: Vec<f32>) -> Result<(Vec<f64>, Vec<f32>), LandscapeError>;

    /// Attracted chains from `rows` to the states in `targets`, as [`LandscapeEngine::attract`]; their states afterwards.
    ///
    /// # Errors
    /// The engine's.
    fn attract(
        &self,
        rows: Vec<f32>,
        targets: Vec<f32>,
        ways: &mut [Way],
        run: &AttractionRun,
    ) -> Result<Vec<f32>, LangevinError>;
}

/// How many states the rows hold.
pub(crate) fn count(surface: &dyn Surface, rows: &[f32]) -> Result<usize, LandscapeError> {
    let per_state = surface.state_size();
    if per_state == 0 || !rows.len().is_multiple_of(per_state) {
        return Err(LandscapeError::States {
            values: rows.len(),
            per_state,
        });
    }
    Ok(rows.len() / per_state)
}

/// The surface of an energy that an engine computes on some backend.
pub struct EnergySurface<'a, B: AutodiffBackend, E, G> {
    engine: &'a G,
    energy: &'a E,
    temperature: Temperature,
    shape: [usize; 3],
    device: B::Device,
}

impl<'a, B, E, G> EnergySurface<'a, B, E, G>
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

    /// Rows as a tensor `[states, channels, height, width]`.
    fn tensor(&self, rows: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.shape;
        let states = rows.len() / self.state_size().max(1);
        let data = TensorData::new(rows, [states, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }
}

impl<B, E, G> Surface for EnergySurface<'_, B, E, G>
where
    B: AutodiffBackend,
    G: LandscapeEngine<B, E>,
{
    fn temperature(&self) -> Temperature {
        self.temperature
    }

    fn state_size(&self) -> usize {
        self.shape.iter().product()
    }

    fn energies_and_slopes(&self, rows: Vec<f32>) -> Result<(Vec<f64>, Vec<f32>), LandscapeError> {
        let found = self
            .engine
            .energy_gradient(self.energy, self.tensor(rows))?;
        let EnergyGradient { energies, gradient } = found;
        let nats = |energy: f32| f64::from(energy) / self.temperature.get();
        Ok((energies.into_iter().map(nats).collect(), host(gradient)))
    }

    fn attract(
        &self,
        rows: Vec<f32>,
        targets: Vec<f32>,
        ways: &mut [Way],
        run: &AttractionRun,
    ) -> Result<Vec<f32>, LangevinError> {
        let [states, targets] = [rows, targets].map(|rows| self.tensor(rows));
        self.engine
            .attract(self.energy, states, targets, ways, run)
            .map(host)
    }
}

fn host<B: Backend>(tensor: Tensor<B, 4>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}
