//! What a learning iteration costs beside its Langevin steps.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{NoiseKey, Stream};
use ebm_data::{Dataset, ImageSet};
use ebm_energy_net::Net;
use ebm_experiment::EngineChoice;
use ebm_langevin::{Batch, BoundEngine, ChainRun, Engine, NoiseStart};
use ebm_trainer::Learner;

use super::arguments::BenchArguments;
use super::measure::median;
use super::plan::Planned;
use super::record::LearningRecord;
use crate::backend::{BackendName, BackendTask, dispatch, synchronise};
use crate::error::DriverError;
use ebm_experiment::{ExperimentConfig, Source};

/// Fewer say little.
const FEWEST: usize = 3;

/// An experiment whose iteration is measured.
pub(crate) struct PlannedLearning {
    experiment: String,
    config: ExperimentConfig,
    backend: BackendName,
    engine: EngineChoice,
    device: String,
}

/// Every experiment that was asked for, on every backend that is measured, with every engine of those that were asked for which the
/// backend has.
///
/// # Errors
/// [`DriverError::Experiment`] for an experiment that there is none of.
pub(crate) fn plan(
    arguments: &BenchArguments,
    cases: &[Planned],
) -> Result<Vec<PlannedLearning>, DriverError> {
    let mut places: Vec<(BackendName, String)> = Vec::new();
    for planned in cases {
        let place = (planned.backend, planned.device());
        if !places.contains(&place) {
            places.push(place);
        }
    }
    let mut engines: Vec<EngineChoice> = arguments.engine.iter().map(|&name| name.into()).collect();
    if engines.is_empty() {
        engines.push(EngineChoice::Auto);
    }
    let mut found = Vec::new();
    for name in &arguments.learning {
        let source = Source::Named(name.clone());
        let (config, experiment) = ExperimentConfig::load(&source, &[])?;
        for (backend, device) in &places {
            for &engine in &engines {
                if backend.check_engine(engine).is_ok() {
                    found.push(PlannedLearning {
                        experiment: experiment.clone(),
                        config: config.clone(),
                        backend: *backend,
                        engine,
                        device: device.clone(),
                    });
                }
            }
        }
    }
    Ok(found)
}

impl PlannedLearning {
    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        let engine = self.engine.name();
        format!("learning/{}/{engine} on {}", self.experiment, self.backend)
    }

    /// Measures for about so many seconds.
    ///
    /// # Errors
    /// Those of the backend, the net, the engine and the learner.
    pub(crate) fn measure(&self, seconds: f64) -> Result<LearningRecord, DriverError> {
        let task = MeasureLearning {
            planned: self,
            seconds,
        };
        dispatch(self.backend, task)
    }
}

struct MeasureLearning<'a> {
    planned: &'a PlannedLearning,
    seconds: f64,
}

impl BackendTask for MeasureLearning<'_> {
    type Output = LearningRecord;

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<LearningRecord, DriverError> {
        let PlannedLearning {
            experiment,
            config,
            backend,
            engine: choice,
            device: place,
        } = self.planned;
        let dataset = stand_in(config)?;
        let shape = dataset.shape();
        let net = config.net.init::<B>(shape, config.seed, &device)?;
        let frozen = net.clone().no_grad();
        let engine = backend.engine(*choice, &net, shape)?;
        let name = Engine::<B, Net<B>>::name(&engine);
        let learning = config.learning();
        let (batch, steps) = (learning.batch_size, learning.langevin.steps);
        let run = ChainRun {
            kernel: learning.kernel().into(),
            steps,
            first_step: 0,
            noise: NoiseKey::new(config.seed, Stream::Watch, 0),
            final_energies: false,
        };
        let key = NoiseKey::new(config.seed, Stream::WatchStart, 0);
        let start = NoiseStart::Uniform.draw(1.0, key, batch, shape)?;
        let chains = backend.engine(*choice, &net, shape)?;
        let chains: Box<dyn BoundEngine<B, Net<B>>> = chains.bind(frozen, shape.into(), &device)?;
        let mut learner = Learner::new(learning, net, engine, dataset, device.clone())?;
        let runs_ahead = learner.runs_ahead();
        // As in a run: an engine that runs ahead has its numbers read every few iterations.
        let mut iterate = |count| -> Result<(), DriverError> {
            for _ in 0..count {
                if runs_ahead {
                    learner.advance()?;
                } else {
                    learner.iterate()?;
                }
            }
            learner.read(&mut Vec::new())?;
            synchronise::<B::InnerBackend>(&device)
        };
        let walk = |count| -> Result<(), DriverError> {
            let mut numbers = Vec::new();
            for _ in 0..count {
                let launched = chains.launch(Batch::Host(start.clone()), &run)?;
                numbers.push(launched.gradient_magnitude);
            }
            for number in numbers {
                number.read()?;
            }
            synchronise::<B::InnerBackend>(&device)
        };
        // The first ones allocate, and compile on a GPU.
        iterate(1)?;
        walk(1)?;
        let together = if runs_ahead {
            // So many of each fit in the time, if they take as long as the second.
            let alone = milliseconds(1, &mut iterate)? / 1e3;
            let fitting = self.seconds / (2.0 * FEWEST as f64 * alone);
            fitting.clamp(1.0, f64::from(config.output.metrics_every)) as u32
        } else {
            1
        };
        let (mut iterations, mut walks) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while iterations.len() < FEWEST || began.elapsed().as_secs_f64() < self.seconds {
            iterations.push(milliseconds(together, &mut iterate)?);
            walks.push(milliseconds(together, walk)?);
        }
        let [iteration_ms, steps_ms] = [&iterations, &walks].map(|times| median(times));
        Ok(LearningRecord {
            experiment: experiment.clone(),
            engine: format!("{name}-{backend}"),
            device: place.clone(),
            batch,
            steps,
            together,
            iteration_ms,
            steps_ms,
            ratio: iteration_ms / steps_ms,
            iterations_ms: iterations,
            all_steps_ms: walks,
        })
    }
}

/// The toy density itself, or as many noise images as two batches have.
fn stand_in(config: &ExperimentConfig) -> Result<Dataset, DriverError> {
    if config.is_toy() {
        return Ok(config.data.load(std::path::Path::new(""))?);
    }
    let count = 2 * config.batch_size;
    let key = NoiseKey::new(config.seed, Stream::WatchStart, 1);
    let images = ImageSet {
        states: NoiseStart::Uniform.draw(1.0, key, count, config.data.shape())?,
        labels: None,
    };
    Ok(Dataset::Images {
        name: "noise",
        images,
    })
}

/// What each of `count` takes that are done in a row.
fn milliseconds(
    count: u32,
    what: impl FnOnce(u32) -> Result<(), DriverError>,
) -> Result<f64, DriverError> {
    let start = Instant::now();
    what(count)?;
    Ok(1e3 * start.elapsed().as_secs_f64() / f64::from(count))
}
