//! `experiment` for a study: every variant is learned, diagnosed and put on one page.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ebm_experiment::EngineChoice;
use ebm_langevin::LangevinError;

use crate::advice::shell_word;
use crate::aligned::aligned;
use crate::backend::{BackendChoice, BackendName, dispatch};
use crate::cli::{BackendArguments, DataDirectory, ExperimentArguments};
use crate::commands::diagnose::{DiagnoseArguments, diagnose};
use crate::comparison::{ComparedRun, PAGE, write_page};
use crate::config::{CostEstimate, DiagnosisConfig, ExperimentConfig, Study};
use crate::diagnosis::RECORD;
use crate::error::DriverError;
use crate::estimate::{MeasureStep, duration};
use crate::job::{Job, Place, load_data};
use crate::logging::Screen;
use crate::observers::rounded;
use crate::stop::on_interrupt;
use crate::study::{LEFT, Progress, StudyFolder, StudyState, VariantResult, check_variants, table};

/// Starts a study.
pub(crate) fn start(
    study: &Study,
    arguments: &ExperimentArguments,
    screen: &Screen,
) -> Result<(), DriverError> {
    let (backend, engine) = arguments.backend.resolve(None)?;
    if arguments.dry_run {
        return dry_run(study, backend, engine, screen);
    }
    // What cannot be is better known now than when half of the variants are done.
    check_variants(study, backend, engine, &arguments.data)?;
    let (folder, state) = StudyFolder::create(arguments.out.as_deref(), study, backend, engine)?;
    screen.tell(&format!(
        "{}: {} variants → {}",
        study.name,
        state.variants.len(),
        folder.root().display()
    ));
    let run = StudyRun::new(
        folder,
        study.config.diagnosis,
        (backend, engine),
        arguments,
        screen,
    );
    run.to_end(state)
}

/// Goes on with the first variant that is not done.
pub(crate) fn resume(
    root: &Path,
    arguments: &ExperimentArguments,
    screen: &Screen,
) -> Result<(), DriverError> {
    if arguments.iterations.is_some() {
        return Err(DriverError::Usage(format!(
            "--iterations cannot be changed in a study that has begun; start another with `cargo xtask experiment --config {} --iterations ...`",
            shell_word(&root.join("study.json"))
        )));
    }
    let (folder, config, state) = StudyFolder::open(root)?;
    if state
        .variants
        .iter()
        .all(|variant| variant.result.is_some())
        && root.join(PAGE).is_file()
    {
        return Err(DriverError::Usage(format!(
            "{} is complete: open {}",
            root.display(),
            root.join(PAGE).display()
        )));
    }
    let (backend, engine) = arguments
        .backend
        .resolve_names(Some((&state.backend, &state.engine)))?;
    let run = StudyRun::new(
        folder,
        config.diagnosis,
        (backend, engine),
        arguments,
        screen,
    );
    run.to_end(state)
}

/// Prints the study and what it costs.
fn dry_run(
    study: &Study,
    backend: BackendName,
    engine: EngineChoice,
    screen: &Screen,
) -> Result<(), DriverError> {
    let json = serde_json::to_string_pretty(&study.config)
        .map_err(|error| DriverError::Usage(error.to_string()))?;
    screen.tell(&json);
    // Seconds of a chain step, measured once for nets and batches that are the same.
    let mut measured: Vec<(&ExperimentConfig, f64)> = Vec::new();
    let mut total = 0.0;
    for (variant, config) in study.config.variants.iter().zip(&study.experiments) {
        let is_alike = |(other, _): &&(&ExperimentConfig, f64)| {
            (other.net, other.batch_size, other.data.shape())
                == (config.net, config.batch_size, config.data.shape())
        };
        let known = measured.iter().find(is_alike).map(|(_, seconds)| *seconds);
        let seconds = match known {
            Some(seconds) => seconds,
            None => {
                let measure = MeasureStep {
                    config,
                    backend,
                    engine,
                };
                let seconds = dispatch(backend, measure)? / config.batch_size as f64;
                measured.push((config, seconds));
                seconds
            }
        };
        let [learning, watching, diagnosis] = [
            CostEstimate::learning(config).chain_steps,
            CostEstimate::watching(config),
            CostEstimate::diagnosis(config, study.config.diagnosis),
        ]
        .map(|steps| steps as f64);
        let expected = (learning + watching + diagnosis) * seconds;
        total += expected;
        screen.say(&format!(
            "{}: {} chain steps to learn, {} to watch, {} to diagnose, about {} here",
            variant.name,
            rounded(learning),
            rounded(watching),
            rounded(diagnosis),
            duration(expected)
        ));
    }
    screen.say(&format!("Expected time of the chains: {}", duration(total)));
    Ok(())
}

/// A study on its way.
struct StudyRun<'a> {
    folder: StudyFolder,
    diagnosis: DiagnosisConfig,
    backend: BackendName,
    engine: EngineChoice,
    data: &'a DataDirectory,
    stop: Arc<AtomicBool>,
    screen: &'a Screen,
}

impl<'a> StudyRun<'a> {
    fn new(
        folder: StudyFolder,
        diagnosis: DiagnosisConfig,
        (backend, engine): (BackendName, EngineChoice),
        arguments: &'a ExperimentArguments,
        screen: &'a Screen,
    ) -> Self {
        Self {
            folder,
            diagnosis,
            backend,
            engine,
            data: &arguments.data,
            stop: on_interrupt(),
            screen,
        }
    }

    fn to_end(&self, mut state: StudyState) -> Result<(), DriverError> {
        let count = state.variants.len();
        for index in 0..count {
            let variant = &state.variants[index];
            if variant.result.is_some() {
                continue;
            }
            let name = variant.name.clone();
            self.screen
                .tell(&format!("\n[{} of {count}] {name}", index + 1));
            let outcome = self.variant(&state.name, &name);
            let variant = &mut state.variants[index];
            match outcome {
                Ok(result) => {
                    variant.result = Some(result);
                    variant.failed = None;
                }
                Err(DriverError::Interrupted) => return Err(DriverError::Interrupted),
                // The others need not wait for this one to be mended.
                Err(error) => {
                    self.screen.say(&format!("{name} failed: {error}"));
                    variant.failed = Some(error.to_string());
                }
            }
            self.folder.write_state(&state)?;
        }
        self.compare(&state)?;
        self.tell_failed(&state)
    }

    fn variant(&self, study: &str, name: &str) -> Result<VariantResult, DriverError> {
        self.learn(study, name)?;
        let not_diagnosed = self.diagnose(name)?;
        let run = ComparedRun::open(&self.folder.run(name))?;
        Ok(VariantResult::of(&run, not_diagnosed))
    }

    fn tell_failed(&self, state: &StudyState) -> Result<(), DriverError> {
        let failed: Vec<_> = state
            .variants
            .iter()
            .filter(|variant| variant.failed.is_some())
            .map(|variant| variant.name.as_str())
            .collect();
        if failed.is_empty() {
            return Ok(());
        }
        Err(DriverError::Study(format!(
            "{} of {} variants failed: {}. When the cause is mended, go on with:\n  cargo xtask experiment --resume {}",
            failed.len(),
            state.variants.len(),
            failed.join(", "),
            shell_word(self.folder.root())
        )))
    }

    /// Learns a variant to its end. To run away is one of the ends.
    fn learn(&self, study: &str, variant: &str) -> Result<(), DriverError> {
        self.check_stop()?;
        let (folder, progress, config) = self.folder.progress(variant)?;
        let place = match progress {
            Progress::Learned | Progress::RanAway => return Ok(()),
            Progress::Prepared => Place::Prepared(folder.locked()?),
            Progress::Begun => Place::Existing(folder.locked()?),
        };
        let job = Job {
            dataset: load_data(&config.data, self.data)?,
            config,
            experiment: format!("{study}/{variant}"),
            backend: self.backend,
            engine: self.engine,
            place,
            stop: Arc::clone(&self.stop),
            resumed_by: Some(self.folder.root()),
            screen: self.screen,
        };
        match dispatch(self.backend, job) {
            Err(DriverError::Diverged { error, .. }) => {
                self.screen.tell(&format!("{variant}: {error}"));
                Ok(())
            }
            result => result,
        }
    }

    /// Diagnoses a variant that has learned to its last iteration; returns why that is not possible, if it is not.
    fn diagnose(&self, variant: &str) -> Result<Option<String>, DriverError> {
        let (folder, progress, _) = self.folder.progress(variant)?;
        let is_done = folder.root().join("diagnosis").join(RECORD).is_file();
        if progress == Progress::RanAway || is_done {
            return Ok(None);
        }
        self.check_stop()?;
        let arguments = DiagnoseArguments {
            average: false,
            run: folder.root().to_owned(),
            chains: self.diagnosis.chains,
            multiple: self.diagnosis.multiple,
            from: Vec::new(),
            seed: 1,
            out: None,
            backend: BackendArguments {
                backend: Some(BackendChoice::Named(self.backend)),
                engine: None,
            },
            data: DataDirectory {
                data_dir: self.data.data_dir.clone(),
            },
        };
        match diagnose(&arguments, || Arc::clone(&self.stop), self.screen) {
            Err(DriverError::Langevin(LangevinError::Cancelled)) => Err(self.stopped()),
            // Chains that cannot be compared, such as those that all fell into one state, leave the other axis.
            Err(DriverError::Diagnostics(error)) if error.lies_in_the_values() => {
                tracing::warn!("{variant} is not diagnosed: {error}");
                Ok(Some(error.to_string()))
            }
            result => result.map(|()| None),
        }
    }

    /// The page and the table.
    fn compare(&self, state: &StudyState) -> Result<(), DriverError> {
        let root = self.folder.root();
        let mut runs = Vec::new();
        for variant in &state.variants {
            match ComparedRun::open(&self.folder.run(&variant.name)) {
                Ok(mut run) => {
                    run.name.clone_from(&variant.name);
                    runs.push(run);
                }
                Err(error) if variant.failed.is_some() => {
                    tracing::warn!("{} is not on the page: {error}", variant.name);
                }
                Err(error) => return Err(error),
            }
        }
        let table = table(state);
        let rows = [std::slice::from_ref(&table.header), &table.rows].concat();
        let command = format!(
            "cargo xtask experiment --config {}",
            shell_word(&root.join("study.json"))
        );
        write_page(&runs, Some(table), command, root)?;
        self.screen.tell("");
        for run in &runs {
            self.screen
                .tell(&format!("{}: {}", run.name, run.verdict()));
        }
        self.screen.tell(&format!("\n{}", aligned(&rows, LEFT)));
        self.screen.tell(&format!(
            "Study: {} — open {}",
            root.display(),
            root.join(PAGE).display()
        ));
        Ok(())
    }

    fn check_stop(&self) -> Result<(), DriverError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(self.stopped());
        }
        Ok(())
    }

    /// Says how to go on.
    fn stopped(&self) -> DriverError {
        self.screen.say(&format!(
            "Stopped between two results. Go on with:\n  cargo xtask experiment --resume {}",
            shell_word(self.folder.root())
        ));
        DriverError::Interrupted
    }
}
