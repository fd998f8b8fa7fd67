//! A trained net with what runs chains on it, on some backend.

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use ebm_core::Temperature;
use ebm_energy_net::Net;
use ebm_landscape::{EnergySurface, Surface};
use ebm_langevin::{
    ChainRun, Engine, FoundStepSize, LandscapeEngine, LangevinError, StepSizeSearch, find_step_size,
};

use crate::{AnyEngine, ExperimentError, TrainedNet, Walked};

/// Net and engine.
pub(crate) struct TrainedChains<B: AutodiffBackend> {
    engine: AnyEngine,
    net: Net<B>,
    shape: [usize; 3],
    device: B::Device,
}

impl<B: AutodiffBackend> TrainedChains<B> {
    pub(crate) fn new(
        net: Net<B>,
        engine: AnyEngine,
        shape: [usize; 3],
        device: B::Device,
    ) -> Self {
        Self {
            engine,
            net,
            shape,
            device,
        }
    }

    fn tensor(&self, states: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.shape;
        let chains = states.len() / (channels * height * width).max(1);
        let data = TensorData::new(states, [chains, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }
}

impl<B: AutodiffBackend> TrainedNet for TrainedChains<B> {
    /// The engine's name.
    fn engine_name(&self) -> &'static str {
        Engine::<B, Net<B>>::name(&self.engine)
    }

    /// The name of the engine that maps landscapes.
    fn landscape_engine_name(&self) -> &'static str {
        self.engine.landscape_name::<B, Net<B>>()
    }

    /// Runs chains from `states`, row by row.
    fn run(&self, states: Vec<f32>, run: &ChainRun) -> Result<Walked, ExperimentError> {
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
    fn find_step_size(
        &self,
        states: Vec<f32>,
        temperature: Temperature,
        search: &StepSizeSearch,
    ) -> Result<FoundStepSize, LangevinError> {
        let states = self.tensor(states);
        find_step_size::<B, _, _>(&self.engine, &self.net, &states, temperature, search)
    }

    /// U = F/T of the net, to be mapped.
    fn surface(&self, temperature: Temperature) -> Box<dyn Surface + '_> {
        let device = self.device.clone();
        let surface = EnergySurface::new(&self.engine, &self.net, temperature, self.shape, device);
        Box::new(surface)
    }

    /// ‖∇F‖₂ of each state, row by row.
    fn slopes(&self, states: Vec<f32>) -> Result<Vec<f64>, LangevinError> {
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
}
