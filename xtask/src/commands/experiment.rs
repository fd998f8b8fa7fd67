//! `experiment`: from a name to a run folder.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::backend::AutodiffBackend;
use ebm_data::{Dataset, data_directory};
use ebm_langevin::EngineChoice;
use ebm_trainer::{
    CheckpointInfo, Learner, LearnerView, TrainerError, latest_checkpoint, read_checkpoint_info,
};

use crate::advice::shell_word;
use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::ExperimentArguments;
use crate::config::{ExperimentConfig, Source, named};
use crate::error::DriverError;
use crate::estimate::{MeasureStep, describe};
use crate::learning::learn;
use crate::logging::Screen;
use crate::run_folder::{RunFolder, RunInfo};
use crate::stop::on_interrupt;

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
            let problem =
                "name an experiment (`--list` shows them), or give --config FILE or --resume DIR";
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
    let (backend, engine) = arguments.backend.resolve(None)?;
    if arguments.dry_run {
        return dry_run(&config, backend, engine, screen);
    }
    let dataset = load_data(&config, &arguments)?;
    let job = Job {
        experiment: name,
        backend,
        engine,
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
    let folder = RunFolder::open(root)?.locked()?;
    let overrides: Vec<_> = arguments
        .iterations
        .map(|count| format!("iterations={count}"))
        .into_iter()
        .collect();
    let (config, _) = ExperimentConfig::load(&Source::File(folder.config()), &overrides)?;
    let done = checkpoint_to_resume(&folder)?.iteration;
    // A run that could not write its results at the end, for a full disk perhaps, only does that.
    let lacks_results = !folder.weights().is_file() || !folder.report().is_file();
    if done > config.iterations || done == config.iterations && !lacks_results {
        return Err(DriverError::Usage(format!(
            "{} already has {done} iterations of {}; to go on give a larger total, such as `--iterations {}`",
            root.display(),
            config.iterations,
            2 * done.max(1)
        )));
    }
    let dataset = load_data(&config, arguments)?;
    let earlier = folder.read_info()?;
    let (backend, engine) = arguments.backend.resolve(Some(&earlier))?;
    let job = Job {
        experiment: earlier.experiment,
        backend,
        engine,
        place: Place::Existing(folder),
        config,
        dataset,
        screen,
    };
    dispatch(backend, job)
}

fn load_data(
    config: &ExperimentConfig,
    arguments: &ExperimentArguments,
) -> Result<Dataset, DriverError> {
    let directory = data_directory(arguments.data.data_dir.as_deref());
    let directory = match directory {
        // The others need no folder, and an account without a home has none.
        Err(_) if !config.data.is_fetched() => PathBuf::new(),
        directory => directory?,
    };
    Ok(config.data.load(&directory)?)
}

/// What the newest checkpoint says.
fn checkpoint_to_resume(folder: &RunFolder) -> Result<CheckpointInfo, DriverError> {
    let Ok(checkpoint) = latest_checkpoint(&folder.checkpoints()) else {
        return Err(DriverError::RunFolder {
            path: folder.root().to_owned(),
            problem: format!(
                "the run ended before its first checkpoint; start anew with `cargo xtask experiment --config {}`",
                shell_word(&folder.config())
            ),
        });
    };
    read_checkpoint_info(&checkpoint).map_err(|error| unfit(error, &checkpoint))
}

/// A checkpoint that cannot be read, and what to do then.
fn unfit(error: TrainerError, checkpoint: &Path) -> DriverError {
    let advice = format!(
        "To go on from the checkpoint before, if there is one, delete the folder {} and resume again.",
        checkpoint.display()
    );
    DriverError::Halted { error, advice }
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
    engine: EngineChoice,
    screen: &Screen,
) -> Result<(), DriverError> {
    let json = serde_json::to_string_pretty(config)
        .map_err(|error| DriverError::Usage(error.to_string()))?;
    screen.tell(&json);
    let measure = MeasureStep {
        config,
        backend,
        engine,
    };
    let seconds_per_step = dispatch(backend, measure)?;
    // Beside the config, not in it: `--dry-run > my-experiment.json` gives a file that loads.
    screen.say(&describe(config, seconds_per_step));
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
    experiment: String,
    backend: BackendName,
    engine: EngineChoice,
    dataset: Dataset,
    place: Place<'a>,
    screen: &'a Screen,
}

impl BackendTask for Job<'_> {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<(), DriverError> {
        let Self {
            config,
            experiment,
            backend,
            engine,
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
            .engine(engine, &net, dataset.shape())?
            .cancelled_by(Arc::clone(&stop));
        let mut learner =
            Learner::new(config.learning(), net, engine, dataset, device)?.with_metadata(metadata);
        // Only now that nothing in the settings can be wrong is anything created.
        let folder = match place {
            Place::New(out) => {
                let folder = RunFolder::create(out, &experiment)?;
                screen.tell(&format!("{} → {}", experiment, folder.root().display()));
                folder
            }
            Place::Existing(folder) => {
                let checkpoint = latest_checkpoint(&folder.checkpoints())?;
                learner = learner
                    .restore(&checkpoint)
                    .map_err(|error| unfit(error, &checkpoint))?;
                folder.cut_metrics(learner.iteration())?;
                let from = learner.iteration();
                screen.tell(&format!(
                    "{} goes on after iteration {from}",
                    folder.root().display()
                ));
                folder
            }
        };
        let info = RunInfo::new(
            &experiment,
            config.seed,
            backend.as_str(),
            learner.engine_name(),
        );
        folder.write_config(&config)?;
        folder.write_info(&info)?;
        learn(learner, &config, &info, &folder, stop, screen)
    }
}

/// What `sample --weights FILE` needs to know about the net, and what a resumed run must not have changed.
fn weight_metadata(config: &ExperimentConfig, shape: [usize; 3]) -> HashMap<String, String> {
    let entries = [
        ("ebm.net", serde_json::to_string(&config.net)),
        ("ebm.state_shape", serde_json::to_string(&shape)),
        ("ebm.langevin", serde_json::to_string(&config.langevin)),
        ("ebm.data", serde_json::to_string(&config.data)),
    ];
    entries
        .into_iter()
        .filter_map(|(key, json)| Some((key.to_owned(), json.ok()?)))
        .collect()
}
