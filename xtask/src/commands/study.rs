//! `experiment` for a study: every run is learned, diagnosed and put on one page.

use std::path::Path;

use ebm_experiment::config::Study;
use ebm_experiment::study::{StudyEvent, StudyFolder, StudyResult, StudyRun, describe_costs};
use ebm_experiment::{Compute, EngineChoice, ExperimentError};

use super::{diagnose, experiment};
use crate::advice::resume as resume_command;
use crate::backend::compute;
use crate::cli::ExperimentArguments;
use crate::error::DriverError;
use crate::logging::Screen;

/// Starts a study.
pub(crate) fn start(
    study: &Study,
    arguments: &ExperimentArguments,
    screen: &Screen,
) -> Result<(), DriverError> {
    let (backend, engine) = arguments.backend.resolve(None)?;
    let compute = compute(backend)?;
    if arguments.dry_run {
        return dry_run(study, &*compute, engine, screen);
    }
    let out = arguments.out.as_deref();
    with_run(&*compute, engine, arguments, screen, |run| {
        run.start(study, out)
    })
}

/// Goes on with the first run that is not done.
pub(crate) fn resume(
    root: &Path,
    arguments: &ExperimentArguments,
    screen: &Screen,
) -> Result<(), DriverError> {
    if arguments.iterations.is_some() {
        return Err(DriverError::Usage(format!(
            "--iterations cannot be changed in a study that has begun; start another with `{} --iterations ...`",
            experiment::again(root)
        )));
    }
    if arguments.attempt || !arguments.set.is_empty() {
        let flag = if arguments.attempt {
            "--attempt"
        } else {
            "--set"
        };
        return Err(DriverError::Usage(format!(
            "{flag} is for single runs, and {} is a study, whose variants stay as they are",
            root.display()
        )));
    }
    let (folder, config, state) = StudyFolder::open(root)?;
    if state.is_complete() && folder.page().is_file() {
        return Err(DriverError::Usage(format!(
            "{} is complete: open {}",
            root.display(),
            folder.page().display()
        )));
    }
    let earlier = Some((&*state.backend, &*state.engine));
    let (backend, engine) = arguments.backend.resolve_names(earlier)?;
    with_run(&*compute(backend)?, engine, arguments, screen, |run| {
        run.resume(&folder, &config, state)
    })
}

/// Runs a study and prints the outcome.
fn with_run(
    compute: &dyn Compute,
    engine: EngineChoice,
    arguments: &ExperimentArguments,
    screen: &Screen,
    work: impl FnOnce(&StudyRun<'_>) -> Result<StudyResult, ExperimentError>,
) -> Result<(), DriverError> {
    let on_event = |event: StudyEvent<'_>| match event {
        StudyEvent::Learned(learned) => {
            // A variant that has ended cannot be continued.
            let _ = experiment::tell(learned, screen);
        }
        StudyEvent::Diagnosed(diagnosis, folder) => diagnose::tell(diagnosis, folder, screen),
    };
    let run = StudyRun {
        compute,
        engine,
        data_directory: arguments.data.folder(),
        supervisor: screen,
        on_event: &on_event,
    };
    let result = match work(&run) {
        Err(ExperimentError::StudyStopped { folder }) => {
            screen.say(&format!(
                "Stopped. Go on with:\n  {}",
                resume_command("experiment", &folder)
            ));
            return Err(DriverError::Interrupted);
        }
        result => result?,
    };
    tell(&result, screen)
}

fn tell(result: &StudyResult, screen: &Screen) -> Result<(), DriverError> {
    screen.tell("");
    for run in &result.runs {
        screen.tell(&format!("{}: {}", run.name, run.verdict(screen)));
    }
    screen.tell(&format!("\n{}", result.table_text()));
    screen.tell(&format!(
        "Study: {} — open {}",
        result.folder.display(),
        result.page.display()
    ));
    if result.failed.is_empty() {
        return Ok(());
    }
    Err(ExperimentError::Study {
        folder: result.folder.clone(),
        failed: result.failed.clone(),
        of: result.planned,
    }
    .into())
}

/// Prints the study and what it costs.
fn dry_run(
    study: &Study,
    compute: &dyn Compute,
    engine: EngineChoice,
    screen: &Screen,
) -> Result<(), DriverError> {
    let json = serde_json::to_string_pretty(&study.config)
        .map_err(|error| DriverError::Usage(error.to_string()))?;
    screen.tell(&json);
    describe_costs(study, compute, engine, &mut |line| screen.say(line))?;
    Ok(())
}
