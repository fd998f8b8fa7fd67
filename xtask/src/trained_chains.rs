//! A trained net with what runs chains on it, on some backend.

use std::marker::PhantomData;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{States, Temperature};
use ebm_energy_net::{Net, NetConfig, load_weights};
use ebm_experiment::EngineChoice;
use ebm_landscape::Surface;
use ebm_langevin::{
    BoundEngine, ChainRun, Chains, Engine, FoundStepSize, LangevinError, StepSizeSearch,
    find_step_size,
};

use crate::backend::BackendName;
use crate::error::DriverError;

/// Numbers of the states of all chains together, at most: 1 GiB.
pub(crate) const MOST_NUMBERS: usize = 1 << 28;

/// Net and engine.
pub(crate) struct TrainedChains<B: AutodiffBackend> {
    chains: Box<dyn Chains>,
    backend: PhantomData<B>,
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
    /// The net for states of `[channels, height, width]` with the weights in a file; stopped in the middle of a run when the flag is
    /// raised.
    ///
    /// # Errors
    /// [`DriverError::Net`] when they do not go together, [`DriverError::Langevin`] when the engine lacks a layer.
    pub(crate) fn new(
        net: &NetConfig,
        shape: [usize; 3],
        weights: &Path,
        (backend, engine): (BackendName, EngineChoice),
        device: B::Device,
        stop: Option<&Arc<AtomicBool>>,
    ) -> Result<Self, DriverError> {
        let net = net.init::<B>(shape, 0, &device)?;
        let net = burn::module::Module::no_grad(load_weights(net, weights)?);
        let mut engine = backend.engine(engine, &net, shape)?;
        if let Some(stop) = stop {
            engine = engine.cancelled_by(Arc::clone(stop));
        }
        let chains: Box<dyn BoundEngine<B, Net<B>>> = engine.bind(net, shape.into(), &device)?;
        Ok(Self {
            chains,
            backend: PhantomData,
        })
    }

    /// The net with its engine.
    pub(crate) fn chains(&self) -> &dyn Chains {
        &*self.chains
    }

    /// The engine's name.
    pub(crate) fn engine_name(&self) -> &'static str {
        self.chains.name()
    }

    /// The name of the engine that maps landscapes.
    pub(crate) fn landscape_engine_name(&self) -> &'static str {
        self.chains.landscape_name()
    }

    /// Runs chains from `states`, row by row.
    pub(crate) fn run(&self, states: Vec<f32>, run: &ChainRun) -> Result<Walked, DriverError> {
        let outcome = self.chains.run(&self.states(states)?, run)?;
        let energies = outcome.energies.unwrap_or_default();
        Ok(Walked {
            states: outcome.states.into_values(),
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
        find_step_size(self.chains(), &self.states(states)?, temperature, search)
    }

    /// U = F/T of the net, to be mapped.
    pub(crate) fn surface(&self, temperature: Temperature) -> Surface<'_> {
        Surface::new(self.chains(), temperature)
    }

    /// ‖∇F‖₂ of each state, row by row.
    pub(crate) fn slopes(&self, states: Vec<f32>) -> Result<Vec<f64>, LangevinError> {
        self.chains.gradient_norms(&self.states(states)?)
    }

    /// States, row by row.
    pub(crate) fn states(&self, values: Vec<f32>) -> Result<States, LangevinError> {
        Ok(States::new(self.chains.shape(), values)?)
    }
}
