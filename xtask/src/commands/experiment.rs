//! `experiment`: from a name to a run folder.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use burn::tensor::backend::AutodiffBackend;
use ebm_data::{Dataset, data_directory};
use ebm_energy_net::Net;
use ebm_langevin::TensorEngine;
use ebm_trainer::{
    Checkpoints, Event, Learner, LearnerView, Observer, ObserverError, Outcome, Trainer,
    TrainerError, latest_checkpoint, read_checkpoint_info,
};

use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::ExperimentArguments;
use crate::config::{ExperimentConfig, Source, named};
use crate::error::DriverError;
use crate::estimate::{MeasureStep, describe, duration};
use crate::logging::Screen;
use crate::observers::{
    LandscapePlots, LongRuns, MetricsFile, Pictures, ProgressLog, ProgressView, rounded,
};
use crate::report::{Ending, ReportMaker};
use crate::run_folder::{RunFolder, RunInfo};
use crate::stop::on_interrupt;

const ENGINE: &str = "tensor";

pub(crate) fn run(arguments: ExperimentArguments, screen: &Screen) -> Result<(), DriverError> {
    if arguments.list {
        return list(screen);
    }
    if let Some(folder) = &arguments.resume {
        return resume(folder, &arguments, screen);
    }
    let source = match (&arguments.name, &arguments.config) {
        (Some(name), _) => Source::Named(name.clone()),
        (None, Some(file)) => Source::File(file.clone()),
        (None, None) => {
            let problem = "name an experiment, or give --config FILE or --resume DIR";
            return Err(DriverError::Usage(problem.into()));
        }
    };
    let mut overrides = arguments.set.clone();
    overrides.extend(arguments.seed.map(|seed| format!("seed={seed}")));
    overrides.extend(
        arguments
            .iterations
            .map(|count| format!("iterations={count}")),
    );
    let (config, name) = ExperimentConfig::load(&source, &overrides)?;
    let backend = arguments.backend.backend;
    if arguments.dry_run {
        return dry_run(&config, backend, screen);
    }
    let dataset = config
        .data
        .load(&data_directory(arguments.data.data_dir.as_deref())?)?;
    let job = Job {
        info: RunInfo::new(&name, config.seed, backend.as_str(), ENGINE),
        backend,
        place: Place::New(arguments.out.as_deref()),
        config,
        dataset,
        screen,
    };
    dispatch(backend, job)
}

fn resume(
    root: &Path,
    arguments: &ExperimentArguments,
    screen: &Screen,
) -> Result<(), DriverError> {
    let folder = RunFolder::open(root)?;
    let overrides: Vec<_> = arguments
        .iterations
        .map(|count| format!("iterations={count}"))
        .into_iter()
        .collect();
    let (config, _) = ExperimentConfig::load(&Source::File(folder.config()), &overrides)?;
    let done = read_checkpoint_info(&latest_checkpoint(&folder.checkpoints())?)?.iteration;
    if done >= config.iterations {
        return Err(DriverError::Usage(format!(
            "{} already has {done} iterations of {}; to go on give a larger total, such as `--iterations {}`",
            root.display(),
            config.iterations,
            2 * done.max(1)
        )));
    }
    let dataset = config
        .data
        .load(&data_directory(arguments.data.data_dir.as_deref())?)?;
    let backend = arguments.backend.backend;
    let experiment = folder.read_info()?.experiment;
    let job = Job {
        info: RunInfo::new(&experiment, config.seed, backend.as_str(), ENGINE),
        backend,
        place: Place::Existing(folder),
        config,
        dataset,
        screen,
    };
    dispatch(backend, job)
}

fn list(screen: &Screen) -> Result<(), DriverError> {
    let width = named().iter().map(|(name, _)| name.len()).max();
    for (name, _) in named() {
        let (config, _) = ExperimentConfig::load(&Source::Named((*name).to_owned()), &[])?;
        let width = width.unwrap_or_default();
        screen.tell(&format!("{name:width$}  {}", config.description));
    }
    Ok(())
}

fn dry_run(
    config: &ExperimentConfig,
    backend: BackendName,
    screen: &Screen,
) -> Result<(), DriverError> {
    let json = serde_json::to_string_pretty(config)
        .map_err(|error| DriverError::Usage(error.to_string()))?;
    screen.tell(&json);
    let seconds_per_step = dispatch(backend, MeasureStep { config, backend })?;
    screen.tell(&describe(config, seconds_per_step));
    Ok(())
}

/// Where the run's folder is or will be.
enum Place<'a> {
    New(Option<&'a Path>),
    Existing(RunFolder),
}

/// A run that is ready to start on some backend.
struct Job<'a> {
    config: ExperimentConfig,
    info: RunInfo,
    backend: BackendName,
    dataset: Dataset,
    place: Place<'a>,
    screen: &'a Screen,
}

impl BackendTask for Job<'_> {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<(), DriverError> {
        let Self {
            config,
            info,
            backend,
            dataset,
            place,
            screen,
        } = self;
        let stop = on_interrupt();
        let net = config
            .net
            .init::<B>(dataset.shape(), config.seed, &device)?;
        let metadata = weight_metadata(&config, dataset.shape());
        let engine = backend
            .engine(dataset.shape())
            .cancelled_by(Arc::clone(&stop));
        let mut learner =
            Learner::new(config.learning(), net, engine, dataset, device)?.with_metadata(metadata);
        // Only now that nothing in the settings can be wrong is anything created.
        let folder = match place {
            Place::New(out) => {
                let folder = RunFolder::create(out, &info.experiment)?;
                screen.tell(&format!(
                    "{} → {}",
                    info.experiment,
                    folder.root().display()
                ));
                folder
            }
            Place::Existing(folder) => {
                learner = learner.restore(&latest_checkpoint(&folder.checkpoints())?)?;
                folder.cut_metrics(learner.iteration())?;
                let from = learner.iteration();
                screen.tell(&format!(
                    "{} goes on after iteration {from}",
                    folder.root().display()
                ));
                folder
            }
        };
        folder.write_config(&config)?;
        folder.write_info(&info)?;
        learn(learner, &config, &info, &folder, stop, screen)
    }
}

/// What `sample --weights FILE` needs to know about the net.
fn weight_metadata(config: &ExperimentConfig, shape: [usize; 3]) -> HashMap<String, String> {
    let entries = [
        ("ebm.net", serde_json::to_string(&config.net)),
        ("ebm.state_shape", serde_json::to_string(&shape)),
        ("ebm.langevin", serde_json::to_string(&config.langevin)),
    ];
    entries
        .into_iter()
        .filter_map(|(key, json)| Some((key.to_owned(), json.ok()?)))
        .collect()
}

fn learn<B: AutodiffBackend>(
    mut learner: Learner<B, Net<B>, TensorEngine>,
    config: &ExperimentConfig,
    info: &RunInfo,
    folder: &RunFolder,
    stop: Arc<AtomicBool>,
    screen: &Screen,
) -> Result<(), DriverError> {
    let per_iteration = config
        .langevin
        .steps
        .saturating_mul(config.batch_size as u64);
    let first = learner.iteration();
    let started = Instant::now();
    let mut metrics = MetricsFile::open(folder)?;
    let mut pictures = Pictures::new(folder, config.output.images_every);
    let mut landscape = config
        .landscape
        .map(|plots| LandscapePlots::new(folder, plots));
    let mut long_runs = config
        .long_run
        .map(|runs| LongRuns::new(folder, runs, screen));
    let mut refresh = PlotRefresh {
        folder,
        info,
        config,
        last: Instant::now(),
    };
    let mut bar = ProgressView::new(screen, config.iterations, per_iteration);
    let mut log = ProgressLog::new(per_iteration);

    // Numbers first: whatever fails later, they are on disk.
    let mut trainer = Trainer::new().observer(&mut metrics);
    trainer = if screen.has_no_bars() {
        trainer.observer(&mut log)
    } else {
        trainer.observer(&mut bar)
    };
    if !config.is_toy() {
        trainer = trainer.observer(&mut pictures);
    }
    if let Some(landscape) = &mut landscape {
        trainer = trainer.observer(landscape);
    }
    if let Some(long_runs) = &mut long_runs {
        trainer = trainer.observer(long_runs);
    }
    let result = trainer
        .observer(&mut refresh)
        .checkpoints(Checkpoints {
            folder: folder.checkpoints(),
            every: config.output.checkpoint_every,
            keep: config.output.keep_checkpoints,
        })
        .stop_on(stop)
        .run(&mut learner);
    drop(bar);

    let elapsed = started.elapsed();
    let maker = ReportMaker {
        folder,
        info,
        config,
        landscape: landscape.as_ref(),
    };
    let root = folder.root().display();
    match result {
        Ok(Outcome::Finished) => {
            learner.save_weights(&folder.weights())?;
            let summary = maker.write(&learner, &Ending::Finished)?;
            let chain_steps = (learner.iteration() - first) as f64 * per_iteration as f64;
            screen.tell(&format!(
                "\n{} iterations in {}, {} chain steps/s overall.",
                learner.iteration() - first,
                duration(elapsed.as_secs_f64()),
                rounded(chain_steps / elapsed.as_secs_f64().max(1e-9)),
            ));
            if let Some(summary) = summary {
                screen.tell(&format!("{summary}"));
            }
            screen.tell(&format!(
                "Results: {root} — open {}",
                folder.report().display()
            ));
            Ok(())
        }
        Ok(Outcome::Stopped { iteration, .. }) => {
            maker.write(&learner, &Ending::Unfinished)?;
            screen.say(&format!(
                "Stopped after iteration {iteration}; the checkpoint is written. Go on with:\n  cargo xtask experiment --resume {root}"
            ));
            Err(DriverError::Interrupted)
        }
        Err(error @ TrainerError::Diverged { .. }) => {
            maker.write(&learner, &Ending::Diverged(&error.to_string()))?;
            let advice = divergence_advice(config, folder);
            Err(DriverError::Diverged { error, advice })
        }
        Err(error) => Err(error.into()),
    }
}

/// Keeps plots and report fresh while learning goes on, at most every half minute.
struct PlotRefresh<'a> {
    folder: &'a RunFolder,
    info: &'a RunInfo,
    config: &'a ExperimentConfig,
    last: Instant,
}

impl Observer for PlotRefresh<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone {
            metrics, learner, ..
        } = event
            && metrics.iteration < learner.config().iterations
            && self.last.elapsed() > Duration::from_secs(30)
        {
            let Self {
                folder,
                info,
                config,
                ..
            } = self;
            let maker = ReportMaker {
                folder,
                info,
                config,
                landscape: None,
            };
            maker
                .write(*learner, &Ending::Unfinished)
                .map_err(ObserverError::new)?;
            self.last = Instant::now();
        }
        Ok(())
    }
}

fn divergence_advice(config: &ExperimentConfig, folder: &RunFolder) -> String {
    let epsilon = config.langevin.epsilon.get();
    let mut advice = match latest_checkpoint(&folder.checkpoints()) {
        Ok(checkpoint) => format!("The last good checkpoint is {}.", checkpoint.display()),
        Err(_) => "It ran away before the first checkpoint.".to_owned(),
    };
    advice += &format!(" Plots: {}\nWhat usually helps:", folder.report().display());
    if !config.is_toy() {
        advice += &format!(
            "\n  more data noise, which gives flat regions of images a width: --set data_noise={}",
            (config.data_noise * 2.0).max(3.0 * epsilon)
        );
    }
    advice += &format!(
        "\n  a lower rate: --set optimizer.learning_rate={:e}\n  longer chains: --set langevin.steps={}",
        config.optimizer.learning_rate / 3.0,
        config.langevin.steps * 2
    );
    advice
}
