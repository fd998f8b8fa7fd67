//! Chains on a backend of burn: the one place here that has a backend's types.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Distribution, Tensor};
use ebm_core::States;
use ebm_energy_net::Net;
use ebm_engine_cpu::WorkingSet;
use ebm_experiment::{AnyEngine, BurnCompute, EngineChoice, ExperimentError};
use ebm_langevin::{Batch, BoundEngine, ChainRun, Engine};

use crate::{ChainSettings, TimedBackend, TimedChains};

impl<B: AutodiffBackend> TimedBackend for BurnCompute<B> {
    fn is_gpu(&self) -> bool {
        Self::is_gpu(self)
    }

    fn chains(
        &self,
        settings: &ChainSettings,
        engine: EngineChoice,
    ) -> Result<Box<dyn TimedChains>, ExperimentError> {
        let (device, start) = (self.device(), settings.start.clone());
        let shape = start.shape();
        let net = settings
            .net
            .init::<B>(shape.dims(), settings.seed, device)?
            .no_grad();
        let engine = self.engine(engine, &net, shape.dims())?;
        let working_set = engine.working_set(&net, shape, start.len())?;
        Ok(Box::new(OnDevice {
            bound: Engine::<B, _>::bind(&engine, net, shape, device)?,
            engine,
            device: device.clone(),
            run: ChainRun::new(settings.kernel.clone(), 0).with_noise(settings.noise),
            states: Batch::Host(start.clone()),
            start,
            working_set,
        }))
    }

    fn wait(&self) -> Result<(), ExperimentError> {
        wait::<B>(self.device())
    }

    fn matrix_product(&self, side: usize, times: u32) -> Result<f64, ExperimentError> {
        let random = || {
            let range = Distribution::Uniform(-1.0, 1.0);
            Tensor::<B::InnerBackend, 2>::random([side, side], range, self.device())
        };
        let (left, right) = (random(), random());
        let mut fastest = f64::INFINITY;
        for _ in 0..times {
            let start = Instant::now();
            let product = left.clone().matmul(right.clone());
            self.wait()?;
            fastest = fastest.min(start.elapsed().as_secs_f64());
            drop(product);
        }
        Ok(fastest)
    }
}

fn wait<B: AutodiffBackend>(device: &B::Device) -> Result<(), ExperimentError> {
    B::InnerBackend::sync(device).map_err(|error| ExperimentError::Device(format!("{error:?}")))
}

struct OnDevice<B: AutodiffBackend> {
    engine: AnyEngine,
    bound: Box<dyn BoundEngine<B, Net<B>>>,
    device: B::Device,
    /// How chains go on: kernel, noise, and the number of the next step.
    run: ChainRun,
    start: States,
    states: Batch<B::InnerBackend>,
    working_set: Option<WorkingSet>,
}

impl<B: AutodiffBackend> TimedChains for OnDevice<B> {
    fn engine(&self) -> &'static str {
        Engine::<B, Net<B>>::name(&self.engine)
    }

    fn run(&mut self, steps: u64) -> Result<(), ExperimentError> {
        self.run.steps = steps;
        let launched = self.bound.launch(self.states.clone(), &self.run)?;
        launched.gradient_magnitude.read()?;
        self.run.first_step += steps;
        self.states = launched.states;
        wait::<B>(&self.device)
    }

    fn run_from_start(&self, steps: u64, times: u32) -> Result<(), ExperimentError> {
        let run = ChainRun {
            steps,
            first_step: 0,
            ..self.run.clone()
        };
        let mut numbers = Vec::new();
        for _ in 0..times {
            let launched = self.bound.launch(Batch::Host(self.start.clone()), &run)?;
            numbers.push(launched.gradient_magnitude);
        }
        for number in numbers {
            number.read()?;
        }
        wait::<B>(&self.device)
    }

    fn states(&self) -> Result<States, ExperimentError> {
        Ok(self.states.clone().into_states()?)
    }

    fn working_set(&self) -> Option<WorkingSet> {
        self.working_set
    }

    fn reserved_memory(&self) -> Result<Option<u64>, ExperimentError> {
        Ok(self.engine.reserved_memory()?)
    }
}
