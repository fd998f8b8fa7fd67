//! The one implementation of [`Compute`]: a backend of burn with its device.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::module::{AutodiffModule, Module};
use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_core::{NoiseKey, States, Stream};
use ebm_energy_net::{Net, NetConfig, load_weights};
use ebm_langevin::{Batch, BoundEngine, ChainRun, Chains, Engine, LangevinError};
use ebm_trainer::{AnyLearner, Learner};

#[cfg(feature = "cube")]
use ebm_engine_gpu::{CubeEngine, CubeTensors};

use crate::any_engine::{AnyEngine, EngineChoice};
use crate::classifier::{
    Classifier, ClassifierNet, Lesson, Reading, TrainedClassifier, TrainingSettings, train,
};
use crate::{Compute, ExperimentConfig, ExperimentError, LearnerRequest, memory};

const MEASURE: Duration = Duration::from_millis(1500);

/// Chooses the engine for a net: the choice, the net and the shape of its states. The second value is a remark for
/// the log: why `auto` fell back to tensors, or that the choice is a slow one here.
type ChooseEngine<B> =
    dyn Fn(EngineChoice, &Net<B>, [usize; 3]) -> Result<(AnyEngine, Option<String>), LangevinError>;

/// A backend of burn with automatic differentiation, on one of its devices.
pub struct BurnCompute<B: AutodiffBackend> {
    name: String,
    device: B::Device,
    is_gpu: bool,
    choose: Box<ChooseEngine<B>>,
}

impl<B: AutodiffBackend> BurnCompute<B> {
    /// A backend that computes on the CPU, where `ebm_engine_cpu` runs chains. `name` is how run folders call it.
    #[must_use]
    pub fn cpu(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            device: B::Device::default(),
            is_gpu: false,
            choose: Box::new(AnyEngine::choose),
        }
    }

    /// A backend that computes on a GPU, on which `ebm_engine_gpu` runs chains. Runtimes panic where there is no such
    /// device.
    #[cfg(feature = "cube")]
    #[must_use]
    pub fn gpu(name: impl Into<String>, device: B::Device) -> Self
    where
        B: AutodiffBackend<InnerBackend: CubeTensors>,
    {
        let cube = CubeEngine::for_backend::<B>(&device);
        Self {
            name: name.into(),
            device,
            is_gpu: true,
            choose: Box::new(move |choice, net, shape| {
                AnyEngine::choose_on_gpu(choice, cube.clone(), net, shape)
            }),
        }
    }

    /// The device that it computes on.
    pub fn device(&self) -> &B::Device {
        &self.device
    }

    /// Whether it computes with GPU kernels.
    pub fn is_gpu(&self) -> bool {
        self.is_gpu
    }

    /// The engine for a net over states of `[channels, height, width]`. Where `auto` falls back to tensors, or the
    /// choice is a slow one on this processor, the log says so.
    ///
    /// # Errors
    /// [`ExperimentError::Langevin`] when the engine that was asked for lacks a layer or the device.
    pub fn engine(
        &self,
        choice: EngineChoice,
        net: &Net<B>,
        shape: [usize; 3],
    ) -> Result<AnyEngine, ExperimentError> {
        let (engine, remark) = (self.choose)(choice, net, shape)?;
        if let Some(remark) = remark {
            tracing::info!("{remark}");
        }
        Ok(engine)
    }

    fn bound(
        &self,
        net: Net<B>,
        engine: &AnyEngine,
        shape: [usize; 3],
    ) -> Result<Box<dyn BoundEngine<B, Net<B>>>, LangevinError> {
        engine.bind(net, shape.into(), &self.device)
    }

    fn fresh_net(&self, config: &ExperimentConfig) -> Result<Net<B>, ExperimentError> {
        Ok(config
            .net
            .init::<B>(config.data.shape(), config.seed, &self.device)?)
    }
}

impl<B: AutodiffBackend> Compute for BurnCompute<B> {
    fn name(&self) -> &str {
        &self.name
    }

    fn trained_net(
        &self,
        net: &NetConfig,
        state_shape: [usize; 3],
        weights: &Path,
        engine: EngineChoice,
        stop: &Arc<AtomicBool>,
    ) -> Result<Box<dyn Chains>, ExperimentError> {
        let net = net.init::<B>(state_shape, 0, &self.device)?;
        let net = load_weights(net, weights)?.no_grad();
        let engine = self
            .engine(engine, &net, state_shape)?
            .cancelled_by(Arc::clone(stop));
        Ok(self.bound(net, &engine, state_shape)?)
    }

    fn learner(&self, request: LearnerRequest<'_>) -> Result<Box<dyn AnyLearner>, ExperimentError> {
        let LearnerRequest {
            config,
            dataset,
            engine,
            metadata,
            stop,
        } = request;
        let net = self.fresh_net(config)?;
        let engine = self
            .engine(engine, &net, config.data.shape())?
            .cancelled_by(Arc::clone(stop));
        if !self.is_gpu {
            memory::check_learning(config, &net, &engine, dataset.count())?;
        }
        let learner = Learner::new(config.learning(), net, engine, dataset, self.device.clone())?;
        Ok(Box::new(learner.with_metadata(metadata)))
    }

    fn check(
        &self,
        config: &ExperimentConfig,
        engine: EngineChoice,
    ) -> Result<(), ExperimentError> {
        let net = self.fresh_net(config)?;
        self.engine(engine, &net, config.data.shape()).map(|_| ())
    }

    fn seconds_per_step(
        &self,
        config: &ExperimentConfig,
        engine: EngineChoice,
    ) -> Result<f64, ExperimentError> {
        let shape = config.data.shape();
        let net = self.fresh_net(config)?.no_grad();
        let engine = self.engine(engine, &net, shape)?;
        let chains = self.bound(net, &engine, shape)?;
        let mut states = Batch::Host(States::zeros(shape, config.batch_size));
        let mut take_steps = |first_step, steps| -> Result<(), ExperimentError> {
            let noise = NoiseKey::new(config.seed, Stream::Watch, 0);
            let run = ChainRun::new(config.kernel(), steps)
                .with_first_step(first_step)
                .with_noise(noise);
            let launched = chains.launch(states.clone(), &run)?;
            launched.gradient_magnitude.read()?;
            states = launched.states;
            B::InnerBackend::sync(&self.device)
                .map_err(|error| ExperimentError::Device(format!("{error:?}")))
        };
        for step in 0..2 {
            take_steps(step, 1)?;
        }
        // As many steps at once as an iteration takes, if there is time for them, because a run has costs of its own.
        let (mut taken, mut at_once) = (2, 1);
        loop {
            let start = Instant::now();
            take_steps(taken, at_once)?;
            let elapsed = start.elapsed();
            taken += at_once;
            if at_once == config.langevin.steps || 2 * elapsed > MEASURE {
                let gradients = at_once as f64 * config.langevin.gradients() as f64
                    / config.langevin.steps as f64;
                return Ok(elapsed.as_secs_f64() / gradients);
            }
            at_once = (2 * at_once).min(config.langevin.steps);
        }
    }

    fn classify(
        &self,
        classifier: &Classifier,
        images: &[f32],
    ) -> Result<Reading, ExperimentError> {
        let net = ClassifierNet::<B::InnerBackend>::trained(classifier, &self.device)?;
        Ok(net.read(images, classifier.input(), &self.device))
    }

    fn train_classifier(
        &self,
        lesson: &Lesson,
        settings: TrainingSettings,
        progress: &mut dyn FnMut(u32, f64),
    ) -> Result<TrainedClassifier, ExperimentError> {
        let net = train::<B>(lesson, settings, &self.device, progress)?.valid();
        Ok(TrainedClassifier::judge(
            &net,
            lesson,
            settings,
            &self.device,
        ))
    }
}
