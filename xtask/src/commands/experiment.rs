//! `experiment`: from a name to a run folder.

use std::path::Path;

use ebm_experiment::EngineChoice;
use ebm_trainer::{CheckpointInfo, latest_checkpoint, read_checkpoint_info};

use crate::advice::shell_word;
use crate::backend::{BackendName, dispatch};
use crate::cli::ExperimentArguments;
use crate::commands::study;
use crate::config::{ExperimentConfig, Source, Study, named, studies};
use crate::error::DriverError;
use crate::estimate::{MeasureStep, describe};
use crate::job::{Job, Place, load_data, unfit};
use crate::logging::Screen;
use crate::run_folder::RunFolder;
use crate::stop::on_interrupt;
use crate::study::StudyFolder;

pub(crate) fn run(arguments: ExperimentArguments, screen: &Screen) -> Result<(), DriverError> {
    if arguments.list {
        return list(screen);
    }
    if let Some(folder) = &arguments.resume {
        if StudyFolder::is_at(folder) {
            return study::resume(folder, &arguments, screen);
        }
        return resume(folder, &arguments, screen);
    }
    let source = match (&arguments.name, &arguments.config) {
        (Some(name), _) => Source::Named(name.clone()),
        (None, Some(file)) => Source::File(file.clone()),
        (None, None) => {
            let problem = "name an experiment or a study (`--list` shows them), or give --config FILE or --resume DIR";
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
    let text = source.read()?;
    if Study::is_meant_by(&text) {
        let study = Study::parse(&source, &text, &overrides)?;
        return study::start(&study, &arguments, screen);
    }
    let (config, name) = ExperimentConfig::parse(&source, &text, &overrides)?;
    let (backend, engine) = arguments.backend.resolve(None)?;
    if arguments.dry_run {
        return dry_run(&config, backend, engine, screen);
    }
    let dataset = load_data(&config.data, &arguments.data)?;
    let job = Job {
        experiment: name,
        backend,
        engine,
        place: Place::New(arguments.out.as_deref()),
        config,
        dataset,
        stop: on_interrupt(),
        resumed_by: None,
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
    if done > config.iterations || done == config.iterations && folder.has_results() {
        return Err(DriverError::Usage(format!(
            "{} already has {done} iterations of {}; to go on give a larger total, such as `--iterations {}`",
            root.display(),
            config.iterations,
            2 * done.max(1)
        )));
    }
    let dataset = load_data(&config.data, &arguments.data)?;
    let earlier = folder.read_info()?;
    let (backend, engine) = arguments.backend.resolve(Some(&earlier))?;
    let job = Job {
        experiment: earlier.experiment,
        backend,
        engine,
        place: Place::Existing(folder),
        config,
        dataset,
        stop: on_interrupt(),
        resumed_by: None,
        screen,
    };
    dispatch(backend, job)
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

fn list(screen: &Screen) -> Result<(), DriverError> {
    let names = named().iter().chain(studies());
    let width = names.map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, _) in named() {
        let (config, _) = ExperimentConfig::load(&Source::Named((*name).to_owned()), &[])?;
        screen.tell(&format!("{name:width$}  {}", config.description));
    }
    screen.tell("\nStudies, which learn, diagnose and compare several variants:");
    for (name, _) in studies() {
        let study = Study::load(&Source::Named((*name).to_owned()), &[])?;
        screen.tell(&format!("{name:width$}  {}", study.config.description));
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
