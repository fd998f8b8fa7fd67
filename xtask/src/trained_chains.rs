//! A trained net with what runs chains on it, on some backend.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use ebm_core::Temperature;
use ebm_energy_net::{Net, NetConfig, load_weights};
use ebm_experiment::{AnyEngine, EngineChoice};
use ebm_landscape::Surface;
use ebm_langevin::{
    ChainRun, Engine, FoundStepSize, LandscapeEngine, LangevinError, StepSizeSearch, find_step_size,
};

use crate::backend::BackendName;
use crate::error::DriverError;

/// Numbers of the states of all chains together, at most: 1 GiB.
pub(crate) const MOST_NUMBERS: usize = 1 << 28;

/// Net and engine.
pub(crate) struct TrainedChains<B: AutodiffBackend> {
    engine: AnyEngine,
    net: Net<B>,
    shape: [usize; 3],
    device: B::Device,
}

/// Chains after some steps.
pub(crate) struct Walked {
    /// States, `[chains, channels, height, width]`.
    pub(crate) states: Vec<f32>,
    /// F of each, where the run asked for it.
    pub(crate) energies: Vec<f64>,
    /// r over the steps.
    pub(crate) gradient_magnitude: f64,
    /// Over the proposals, where there were any.
    pub(crate) acceptance_rate: Option<f64>,
}

impl<B: AutodiffBackend> TrainedChains<B> {
    /// The net for states of `[channels, height, width]` with the weights in a file.
    ///
    /// # Errors
    /// [`DriverError::Net`] when they do not go together, [`DriverError::Langevin`] when the engine lacks a layer.
    pub(crate) fn new(
        net: &NetConfig,
        shape: [usize; 3],
        weights: &Path,
        (backend, engine): (BackendName, EngineChoice),
        device: B::Device,
    ) -> Result<Self, DriverError> {
        let net = net.init::<B>(shape, 0, &device)?;
        let net = burn::module::Module::no_grad(load_weights(net, weights)?);
        Ok(Self {
            engine: backend.engine(engine, &net, shape)?,
            net,
            shape,
            device,
        })
    }

    /// The same, stopped in the middle of a run when the flag is raised.
    pub(crate) fn cancelled_by(self, stop: &Arc<AtomicBool>) -> Self {
        Self {
            engine: self.engine.cancelled_by(Arc::clone(stop)),
            ..self
        }
    }

    /// The engine's name.
    pub(crate) fn engine_name(&self) -> &'static str {
        Engine::<B, Net<B>>::name(&self.engine)
    }

    /// The name of the engine that maps landscapes.
    pub(crate) fn landscape_engine_name(&self) -> &'static str {
        self.engine.landscape_name::<B, Net<B>>()
    }

    /// Runs chains from `states`, row by row.
    pub(crate) fn run(&self, states: Vec<f32>, run: &ChainRun) -> Result<Walked, DriverError> {
        let outcome = Engine::<B, _>::run(&self.engine, &self.net, self.tensor(states), run)?;
        let energies = outcome.energies.unwrap_or_default();
        Ok(Walked {
            states: outcome.states.into_data().iter::<f32>().collect(),
            energies: energies.into_iter().map(f64::from).collect(),
            gradient_magnitude: outcome.gradient_magnitude,
            acceptance_rate: outcome.acceptance_rate,
        })
    }

    /// As [`find_step_size`], from `states`, row by row.
    pub(crate) fn find_step_size(
        &self,
        states: Vec<f32>,
        temperature: Temperature,
        search: &StepSizeSearch,
    ) -> Result<FoundStepSize, LangevinError> {
        let states = self.tensor(states);
        find_step_size::<B, _, _>(&self.engine, &self.net, &states, temperature, search)
    }

    /// U = F/T of the net, to be mapped.
    pub(crate) fn surface(&self, temperature: Temperature) -> Surface<'_, B, Net<B>, AnyEngine> {
        let device = self.device.clone();
        Surface::new(&self.engine, &self.net, temperature, self.shape, device)
    }

    /// ‖∇F‖₂ of each state, row by row.
    pub(crate) fn slopes(&self, states: Vec<f32>) -> Result<Vec<f64>, LangevinError> {
        let states = self.tensor(states);
        let found = LandscapeEngine::<B, _>::energy_gradient(&self.engine, &self.net, states)?;
        let gradient: Vec<f32> = found.gradient.into_data().iter::<f32>().collect();
        let per_state = self.shape.iter().product::<usize>().max(1);
        let norm = |row: &[f32]| {
            row.iter()
                .map(|x| f64::from(*x).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        Ok(gradient.chunks_exact(per_state).map(norm).collect())
    }

    fn tensor(&self, states: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.shape;
        let chains = states.len() / (channels * height * width).max(1);
        let data = TensorData::new(states, [chains, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }
}
