//! `experiment`: from a name to a run folder.

use std::path::Path;

use ebm_experiment::config::{Study, named, studies};
use ebm_experiment::study::StudyFolder;
use ebm_experiment::tools::{duration, rounded};
use ebm_experiment::{
    Compute, Destination, EngineChoice, ExperimentConfig, LearnedRun, LearningEnd, LearningRun,
    Resumption, Source, describe_cost, load_data,
};
use ebm_trainer::Observer;

use crate::advice::{resume as resume_command, shell_word};
use crate::backend::compute;
use crate::cli::ExperimentArguments;
use crate::commands::study;
use crate::error::DriverError;
use crate::logging::Screen;
use crate::progress::ProgressView;
use crate::progress_log::ProgressLog;

pub(crate) fn run(arguments: &ExperimentArguments, screen: &Screen) -> Result<(), DriverError> {
    if arguments.list {
        return list(screen);
    }
    if let Some(folder) = &arguments.resume {
        if StudyFolder::is_at(folder) {
            return study::resume(folder, arguments, screen);
        }
        return resume(folder, arguments, screen);
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
        return study::start(&study, arguments, screen);
    }
    let (config, name) = ExperimentConfig::parse(&source, &text, &overrides)?;
    let (backend, engine) = arguments.backend.resolve(None)?;
    if arguments.dry_run {
        return dry_run(&config, &*compute(backend)?, engine, screen);
    }
    let run = LearningRun {
        dataset: load_data(&config.data, arguments.data.folder())?,
        config,
        name,
        engine,
        destination: Destination::New(arguments.out.clone()),
        resumed_by: None,
    };
    learn(run, &*compute(backend)?, screen)
}

fn resume(
    root: &Path,
    arguments: &ExperimentArguments,
    screen: &Screen,
) -> Result<(), DriverError> {
    let changes = Resumption {
        iterations: arguments.iterations,
        attempt: arguments.attempt,
        set: arguments.set.clone(),
    };
    let (mut run, info) = LearningRun::resume(root, &changes, arguments.data.folder())?;
    let (backend, engine) = arguments.backend.resolve(Some(&info))?;
    run.engine = engine;
    learn(run, &*compute(backend)?, screen)
}

/// Learns with a progress bar, or with log lines where no terminal shows bars.
fn learn(run: LearningRun, compute: &dyn Compute, screen: &Screen) -> Result<(), DriverError> {
    let chain_steps_each = run
        .config
        .langevin
        .steps
        .saturating_mul(run.config.batch_size as u64);
    let mut observer: Box<dyn Observer> = if screen.has_no_bars() {
        Box::new(ProgressLog::new(chain_steps_each))
    } else {
        Box::new(ProgressView::new(
            screen,
            run.config.iterations,
            chain_steps_each,
        ))
    };
    let learned = run.learn(compute, screen, &mut [&mut *observer]);
    drop(observer);
    tell(&learned?, screen)
}

/// Prints the outcome of a run, and how to go on.
pub(crate) fn tell(learned: &LearnedRun, screen: &Screen) -> Result<(), DriverError> {
    let resume = resume_command("experiment", &learned.resumed_by);
    match learned.end {
        LearningEnd::Finished => {
            screen.tell(&format!(
                "\n{} iterations in {}, {} chain steps/s overall.",
                learned.iterations,
                duration(learned.seconds),
                rounded(learned.chain_steps / learned.seconds.max(1e-9)),
            ));
            if let Some(summary) = &learned.summary {
                screen.tell(&summary.to_string());
            }
            let folder = &learned.folder;
            screen.tell(&format!(
                "Results: {} — open {}",
                folder.root().display(),
                folder.report().display()
            ));
            return Ok(());
        }
        LearningEnd::Stopped { iteration } => screen.say(&format!(
            "Stopped after iteration {iteration}; the checkpoint is written. Go on with:\n  {resume}"
        )),
        LearningEnd::StoppedBeforeReport => screen.say(&format!(
            "Stopped before the report; learning is done and the net is written. Write the report with:\n  {resume}"
        )),
    }
    Err(DriverError::Interrupted)
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
    compute: &dyn Compute,
    engine: EngineChoice,
    screen: &Screen,
) -> Result<(), DriverError> {
    let json = serde_json::to_string_pretty(config)
        .map_err(|error| DriverError::Usage(error.to_string()))?;
    screen.tell(&json);
    let seconds_per_step = compute.seconds_per_step(config, engine)?;
    // The cost goes to standard error, so that `--dry-run > my-experiment.json` gives a file that loads.
    screen.say(&describe_cost(config, seconds_per_step));
    Ok(())
}

/// The command that starts a study anew, for a message.
pub(crate) fn again(root: &Path) -> String {
    format!(
        "{} experiment --config {}",
        crate::advice::program(),
        shell_word(&root.join("study.json"))
    )
}
