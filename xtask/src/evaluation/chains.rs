//! Engine and net of an evaluation on a backend.

use std::path::Path;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_energy_net::{Net, load_weights};
use ebm_langevin::{
    ChainRun, CpuEngine, Engine, EngineChoice, StepSizeSearch, Ula, find_step_size,
};

use super::{Piece, Settings, step_size};
use crate::backend::BackendName;
use crate::error::DriverError;

/// What runs chains.
pub(crate) struct Chains<B: AutodiffBackend> {
    pub(crate) engine: CpuEngine,
    net: Net<B>,
    shape: [usize; 3],
    device: B::Device,
}

impl<B: AutodiffBackend> Chains<B> {
    /// Of the net of `settings` with the weights in a file.
    ///
    /// # Errors
    /// [`DriverError::Net`] when they do not go together, [`DriverError::Langevin`] when the engine lacks a layer.
    pub(crate) fn new(
        settings: &Settings,
        weights: &Path,
        backend: BackendName,
        engine: EngineChoice,
        device: B::Device,
    ) -> Result<Self, DriverError> {
        let shape = settings.state_shape;
        let net = settings.net.init::<B>(shape, 0, &device)?;
        let net = burn::module::Module::no_grad(load_weights(net, weights)?);
        Ok(Self {
            engine: backend.engine(engine, &net, shape)?,
            net,
            shape,
            device,
        })
    }

    /// The engine's name.
    pub(crate) fn engine_name(&self) -> &'static str {
        Engine::<B, Net<B>>::name(&self.engine)
    }

    fn tensor(&self, states: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.shape;
        let chains = states.len() / (channels * height * width).max(1);
        let data = TensorData::new(states, [chains, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }

    /// Runs chains from `states`, row by row.
    pub(crate) fn run(&self, states: Vec<f32>, run: &ChainRun) -> Result<Piece, DriverError> {
        let outcome = Engine::<B, _>::run(&self.engine, &self.net, self.tensor(states), run)?;
        let energies = outcome.energies.unwrap_or_default();
        Ok(Piece {
            states: outcome.states.into_data().iter::<f32>().collect(),
            energies: energies.into_iter().map(f64::from).collect(),
            gradient_magnitude: outcome.gradient_magnitude,
            acceptance_rate: outcome.acceptance_rate,
        })
    }

    /// The ε at which MALA accepts a share `target` of its proposals, and the share in a last pilot run. Before the search
    /// the chains take `settle` steps from `states`: states that still fall in energy are accepted at another rate.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when there is none.
    pub(crate) fn find_step_size(
        &self,
        settings: &Settings,
        states: &[f32],
        target: f64,
        settle: u64,
    ) -> Result<(StepSize, f64), DriverError> {
        let temperature = settings.temperature()?;
        // The drift ε²/2T of a low temperature must not be longer than that of learning.
        let shorter = settings.temperature_factor.min(1.0).sqrt();
        let kernel = Ula::new(step_size(settings.training_epsilon * shorter)?, temperature);
        let run = ChainRun {
            kernel: settings.stabilisers.bounded(kernel).into(),
            steps: settle,
            first_step: 0,
            noise: NoiseKey::new(settings.seed, Stream::Watch, 1),
            final_energies: false,
        };
        let settled = self.tensor(self.run(states.to_vec(), &run)?.states);
        let search = StepSizeSearch {
            target,
            ..StepSizeSearch::new(NoiseKey::new(settings.seed, Stream::Watch, 2))
        };
        let found =
            find_step_size::<B, _, _>(&self.engine, &self.net, &settled, temperature, &search);
        let found = found.map_err(|error| {
            DriverError::Usage(format!(
                "--target-acceptance {target}: {error}. Give another rate, more --chains, another --temp-factor, or the step size itself with --epsilon"
            ))
        })?;
        Ok((found.step_size, found.acceptance_rate))
    }
}
