#![doc = include_str!("../README.md")]

use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_energy_net::{Architecture, Net, NetConfig, NetError};
use ebm_experiment::AnyEngine;
use ebm_langevin::{Batch, BoundEngine, ChainRun, Engine, LangevinError, NoiseStart, Ula};

/// A net, its state shape and step size: what one throughput figure is about.
#[derive(Debug, Clone, Copy)]
pub struct Case {
    /// The net's name in tables.
    pub net: &'static str,
    /// The net.
    pub config: NetConfig,
    /// `[channels, height, width]`.
    pub state_shape: [usize; 3],
    /// ε.
    pub step_size: f64,
}

impl Case {
    /// The published nets with the step sizes of their settings: `toy`, `vanilla`, `nonlocal` (3×32×32, width 32).
    #[must_use]
    pub fn published() -> [Self; 3] {
        [
            (Architecture::Toy, "toy", [2, 1, 1], 0.125),
            (Architecture::Vanilla, "vanilla", [3, 32, 32], 1e-2),
            (Architecture::Nonlocal, "nonlocal", [3, 32, 32], 7.5e-3),
        ]
        .map(|(architecture, net, state_shape, step_size)| Self {
            net,
            config: NetConfig::published(architecture),
            state_shape,
            step_size,
        })
    }

    /// The net with fresh parameters that do not require gradients: only the states' gradient is measured.
    ///
    /// # Errors
    /// [`NetError`] when the net does not fit its states.
    pub fn init<B: Backend>(&self, device: &B::Device) -> Result<Net<B>, NetError> {
        let net = self.config.init::<B>(self.state_shape, 0, device)?;
        Ok(burn::module::Module::no_grad(net))
    }
}

/// Chains of one case, ready to run.
pub struct Chains<B: AutodiffBackend> {
    chains: Box<dyn BoundEngine<B, Net<B>>>,
    states: Batch<B::InnerBackend>,
    device: B::Device,
    kernel: Ula,
    step: u64,
}

impl<B: AutodiffBackend> Chains<B> {
    /// `batch` chains of `case` with its net, started from Gaussian noise.
    ///
    /// # Errors
    /// [`LangevinError`] for an impossible step size.
    pub fn new(
        case: &Case,
        batch: usize,
        net: Net<B>,
        engine: AnyEngine,
        device: &B::Device,
    ) -> Result<Self, LangevinError> {
        let key = NoiseKey::new(0, Stream::WatchStart, 0);
        let start = NoiseStart::Gaussian.draw(1.0, key, batch, case.state_shape)?;
        Ok(Self {
            chains: Engine::<B, _>::bind(&engine, net, case.state_shape.into(), device)?,
            states: Batch::Host(start),
            device: device.clone(),
            kernel: Ula::learned(StepSize::new(case.step_size)?),
            step: 0,
        })
    }

    /// The states as they are.
    #[must_use]
    pub fn states(&self) -> &Batch<B::InnerBackend> {
        &self.states
    }

    /// Runs `steps` Langevin steps and waits for them.
    ///
    /// # Errors
    /// [`LangevinError`] of the engine.
    pub fn run(&mut self, steps: u64) -> Result<(), LangevinError> {
        let run = ChainRun::new(self.kernel, steps)
            .with_first_step(self.step)
            .with_noise(NoiseKey::new(0, Stream::Watch, 0));
        let launched = self.chains.launch(self.states.clone(), &run)?;
        launched.gradient_magnitude.read()?;
        self.step += steps;
        self.states = launched.states;
        <B::InnerBackend as Backend>::sync(&self.device)
            .map_err(|error| LangevinError::Backend(format!("{error:?}")))
    }
}
