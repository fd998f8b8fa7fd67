//! What a learning iteration costs beside its Langevin steps.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use ebm_core::{NoiseKey, Stream};
use ebm_data::{ImageSet, LeftOut, LoadedData};
use ebm_experiment::{EngineChoice, ExperimentConfig, ExperimentError, LearnerRequest, Source};
use ebm_langevin::NoiseStart;

use crate::median::median;
use crate::plan::Planned;
use crate::record::LearningRecord;
use crate::{BenchSettings, ChainSettings, MeasuredBackend};

/// Fewer say little.
const FEWEST: usize = 3;

/// An experiment whose iteration is measured.
pub(crate) struct PlannedLearning<'a> {
    experiment: String,
    config: ExperimentConfig,
    backend: &'a MeasuredBackend,
    engine: EngineChoice,
}

/// Every experiment that was asked for, on every backend that is measured, with every engine of those that were asked
/// for which the backend has.
///
/// # Errors
/// [`ExperimentError::Config`] for an experiment that there is none of.
pub(crate) fn plan<'a>(
    settings: &BenchSettings,
    cases: &[Planned<'a>],
) -> Result<Vec<PlannedLearning<'a>>, ExperimentError> {
    let mut backends: Vec<&MeasuredBackend> = Vec::new();
    for planned in cases {
        if !backends
            .iter()
            .any(|other| other.name() == planned.backend.name())
        {
            backends.push(planned.backend);
        }
    }
    let engines = match &settings.engines[..] {
        [] => &[EngineChoice::Auto],
        asked => asked,
    };
    let mut found = Vec::new();
    for name in &settings.learning {
        let source = Source::Named(name.clone());
        let (config, experiment) = ExperimentConfig::load(&source, &[])?;
        for &backend in &backends {
            let is_gpu = backend.backend.is_gpu();
            for &engine in engines.iter().filter(|engine| engine.runs_on(is_gpu)) {
                found.push(PlannedLearning {
                    experiment: experiment.clone(),
                    config: config.clone(),
                    backend,
                    engine,
                });
            }
        }
    }
    Ok(found)
}

impl PlannedLearning<'_> {
    /// The name in messages.
    pub(crate) fn name(&self) -> String {
        let (engine, backend) = (self.engine, self.backend.name());
        format!("learning/{}/{engine} on {backend}", self.experiment)
    }

    /// Measures for about so many seconds.
    ///
    /// # Errors
    /// Those of the backend, the net, the engine and the learner.
    pub(crate) fn measure(&self, seconds: f64) -> Result<LearningRecord, ExperimentError> {
        let (config, backend) = (&self.config, &*self.backend.backend);
        let dataset = stand_in(config)?;
        let (batch, steps) = (config.batch_size, config.langevin.steps);
        let key = NoiseKey::new(config.seed, Stream::WatchStart, 0);
        let chains = ChainSettings {
            net: config.net,
            seed: config.seed,
            kernel: config.kernel(),
            start: NoiseStart::Uniform.draw(1.0, key, batch, dataset.shape())?,
            noise: NoiseKey::new(config.seed, Stream::Watch, 0),
        };
        let chains = backend.chains(&chains, self.engine)?;
        let mut learner = backend.learner(LearnerRequest {
            config,
            dataset: Arc::new(dataset),
            engine: self.engine,
            metadata: HashMap::new(),
            stop: &Arc::default(),
        })?;
        let runs_ahead = learner.runs_ahead();
        // As in a run: an engine that runs ahead has its numbers read every few iterations.
        let mut iterate = |count| -> Result<(), ExperimentError> {
            for _ in 0..count {
                if runs_ahead {
                    learner.advance()?;
                } else {
                    learner.iterate()?;
                }
            }
            learner.read(&mut Vec::new())?;
            backend.wait()
        };
        let walk = |count| chains.run_from_start(steps, count);
        // The first ones allocate, and compile on a GPU.
        iterate(1)?;
        walk(1)?;
        let together = if runs_ahead {
            // So many of each fit in the time, if they take as long as the second.
            let alone = milliseconds(1, &mut iterate)? / 1e3;
            let fitting = seconds / (2.0 * FEWEST as f64 * alone);
            fitting.clamp(1.0, f64::from(config.output.metrics_every)) as u32
        } else {
            1
        };
        let (mut iterations, mut walks) = (Vec::new(), Vec::new());
        let began = Instant::now();
        while iterations.len() < FEWEST || began.elapsed().as_secs_f64() < seconds {
            iterations.push(milliseconds(together, &mut iterate)?);
            walks.push(milliseconds(together, walk)?);
        }
        let [iteration_ms, steps_ms] = [&iterations, &walks].map(|times| median(times));
        Ok(LearningRecord {
            experiment: self.experiment.clone(),
            engine: format!("{}-{}", chains.engine(), self.backend.name()),
            device: self.backend.device().to_owned(),
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
fn stand_in(config: &ExperimentConfig) -> Result<LoadedData, ExperimentError> {
    if config.is_toy() {
        return Ok(config.data.load(Path::new(""))?);
    }
    let count = 2 * config.batch_size;
    let key = NoiseKey::new(config.seed, Stream::WatchStart, 1);
    let images = ImageSet {
        states: NoiseStart::Uniform.draw(1.0, key, count, config.data.shape())?,
        labels: None,
        left_out: LeftOut::default(),
    };
    Ok(LoadedData::Images {
        name: "noise",
        images,
    })
}

/// Milliseconds for each of `count` repetitions, done in a row.
fn milliseconds(
    count: u32,
    what: impl FnOnce(u32) -> Result<(), ExperimentError>,
) -> Result<f64, ExperimentError> {
    let start = Instant::now();
    what(count)?;
    Ok(1e3 * start.elapsed().as_secs_f64() / f64::from(count))
}
