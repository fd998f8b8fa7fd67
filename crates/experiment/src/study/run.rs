//! A study from its first unfinished run to its page.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ebm_figures::Table;

use super::{LEFT, Progress, RunResult, StudyFolder, StudyState, check_runs, figures, table};
use crate::aligned::aligned;
use crate::comparison::{ComparedRun, PAGE, StudyPart, write_page};
use crate::config::{DiagnosisConfig, Study, StudyConfig};
use crate::data::load_data;
use crate::diagnosis::{Diagnosis, DiagnosisOptions, RECORD, Subject, default_folder, diagnose};
use crate::learning::{Destination, LearningRun};
use crate::pictures::write_figure;
use crate::{
    Computation, Compute, EngineChoice, ExperimentError, LearnedRun, NextStep, Supervisor,
};

/// How a study is run.
pub struct StudyRun<'a> {
    /// The backend.
    pub compute: &'a dyn Compute,
    /// The engine of all runs.
    pub engine: EngineChoice,
    /// Where data sets are, if not in the usual place.
    pub data_directory: Option<&'a Path>,
    /// The supervisor, which is told of progress and may stop the study.
    pub supervisor: &'a dyn Supervisor,
    /// Is called with the outcome of each run.
    pub on_event: &'a dyn Fn(StudyEvent<'_>),
}

/// An event in a study: a run has been learned or diagnosed.
#[derive(Debug, Clone, Copy)]
pub enum StudyEvent<'a> {
    /// It has been learned.
    Learned(&'a LearnedRun),
    /// It has been diagnosed, in this folder.
    Diagnosed(&'a Diagnosis, &'a Path),
}

/// The outcome of a study.
#[derive(Debug, Clone)]
pub struct StudyResult {
    /// Its folder.
    pub folder: PathBuf,
    /// Its page.
    pub page: PathBuf,
    /// The runs that can be read, in order, each with its name.
    pub runs: Vec<ComparedRun>,
    /// A row for each variant.
    pub table: Table,
    /// How many runs the study has, also those that cannot be read.
    pub planned: usize,
    /// The runs that failed.
    pub failed: Vec<String>,
}

impl StudyResult {
    /// The table as lines of text.
    #[must_use]
    pub fn table_text(&self) -> String {
        let Table { header, rows, .. } = &self.table;
        aligned(&[std::slice::from_ref(header), rows].concat(), LEFT)
    }
}

impl StudyRun<'_> {
    /// Learns, diagnoses and compares all runs, in `out` or a new folder below runs/.
    ///
    /// # Errors
    /// [`ExperimentError::Variant`] for a run that could never end, before anything is written;
    /// [`ExperimentError::StudyStopped`] after a stop, from where [`Self::resume`] goes on. A run that runs away
    /// is a result like any other, and one that fails does not stop the others.
    pub fn start(&self, study: &Study, out: Option<&Path>) -> Result<StudyResult, ExperimentError> {
        // Impossible requests are found now and not after half of the runs.
        check_runs(study, self.compute, self.engine, self.data_directory)?;
        let (folder, state) = StudyFolder::create(out, study, self.compute.name(), self.engine)?;
        self.supervisor.tell(&format!(
            "{}: {} runs → {}",
            study.name,
            state.runs.len(),
            folder.root().display()
        ));
        self.to_end(&folder, &study.config, state)
    }

    /// Continues a study that was [opened](StudyFolder::open) with its first unfinished run.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn resume(
        &self,
        folder: &StudyFolder,
        config: &StudyConfig,
        state: StudyState,
    ) -> Result<StudyResult, ExperimentError> {
        self.to_end(folder, config, state)
    }

    fn to_end(
        &self,
        folder: &StudyFolder,
        config: &StudyConfig,
        mut state: StudyState,
    ) -> Result<StudyResult, ExperimentError> {
        let runs = Runs {
            study: self,
            folder,
            diagnosis: config.diagnosis,
            stop: self.supervisor.stop_flag(),
        };
        let count = state.runs.len();
        for index in 0..count {
            if state.runs[index].result.is_some() {
                continue;
            }
            let name = state.runs[index].name.clone();
            let number = index + 1;
            let heading = format!("\n[{number} of {count}] {name}");
            self.supervisor.tell(&heading);
            let result = runs.run(&state.name, &name);
            let run = &mut state.runs[index];
            match result {
                Ok(result) => (run.result, run.failed) = (Some(result), None),
                Err(ExperimentError::Stopped) => {
                    return Err(ExperimentError::StudyStopped {
                        folder: folder.root().to_owned(),
                    });
                }
                Err(error) => {
                    self.supervisor.warn(&format!("{name} failed: {error}"));
                    run.failed = Some(error.to_string());
                }
            }
            folder.write_state(&state)?;
        }
        self.compare(folder, config, &mut state)
    }

    /// The page and the table.
    fn compare(
        &self,
        folder: &StudyFolder,
        config: &StudyConfig,
        state: &mut StudyState,
    ) -> Result<StudyResult, ExperimentError> {
        let root = folder.root();
        let mut runs = Vec::new();
        for run in &mut state.runs {
            match ComparedRun::open(&folder.run(&run.name)) {
                Ok(mut compared) => {
                    // An earlier version may have left out some of it.
                    if let Some(result) = &mut run.result {
                        let not_diagnosed = result.not_diagnosed.take();
                        *result = RunResult::of(&compared, not_diagnosed, self.supervisor);
                    }
                    compared.name.clone_from(&run.name);
                    runs.push(compared);
                }
                Err(error) if run.failed.is_some() => {
                    tracing::warn!("{} is not on the page: {error}", run.name);
                }
                Err(error) => return Err(error),
            }
        }
        folder.write_state(state)?;
        let table = table(config, state);
        let figures = figures(config, state);
        for (name, figure) in &figures {
            write_figure(figure, root, name)?;
        }
        // One seed of each variant shows what learning looks like; the table and the figures have all.
        let first_of = |variant| {
            let names = config.runs_of(variant).into_iter();
            let mut names = names.map(|(name, _)| name);
            names.find_map(|name| runs.iter().find(|run| run.name == name))
        };
        let shown: Vec<_> = config
            .variants
            .iter()
            .filter_map(first_of)
            .cloned()
            .collect();
        let study = root.join("study.json");
        let command = self.supervisor.command(NextStep::Learn { config: &study });
        write_page(
            &shown,
            Some(StudyPart {
                headline: match config.seeds.len() {
                    0 | 1 => format!("{} variants side by side.", config.variants.len()),
                    seeds => format!(
                        "{} variants with {seeds} seeds each; pictures, curves and verdicts are those of the first.",
                        config.variants.len()
                    ),
                },
                table: table.clone(),
                figures,
            }),
            command.unwrap_or_default(),
            root,
            self.supervisor,
        )?;
        let failed = state.runs.iter().filter(|run| run.failed.is_some());
        Ok(StudyResult {
            folder: root.to_owned(),
            page: root.join(PAGE),
            runs,
            table,
            planned: state.runs.len(),
            failed: failed.map(|run| run.name.clone()).collect(),
        })
    }
}

/// The runs of a study on their way.
struct Runs<'a> {
    study: &'a StudyRun<'a>,
    folder: &'a StudyFolder,
    diagnosis: DiagnosisConfig,
    stop: Arc<AtomicBool>,
}

impl Runs<'_> {
    fn run(&self, study: &str, name: &str) -> Result<RunResult, ExperimentError> {
        self.learn(study, name)?;
        let not_diagnosed = self.diagnose(name)?;
        let run = ComparedRun::open(&self.folder.run(name))?;
        Ok(RunResult::of(&run, not_diagnosed, self.study.supervisor))
    }

    /// Learns to the end. Running away counts as an end.
    fn learn(&self, study: &str, name: &str) -> Result<(), ExperimentError> {
        self.check_stop()?;
        let (folder, progress, config) = self.folder.progress(name)?;
        let destination = match progress {
            Progress::Learned | Progress::RanAway => return Ok(()),
            Progress::Prepared => Destination::Prepared(folder.locked()?),
            Progress::Begun => Destination::Existing(folder.locked()?),
        };
        let run = LearningRun {
            dataset: load_data(&config.data, self.study.data_directory)?,
            name: format!("{study}/{name}"),
            destination,
            engine: self.study.engine,
            resumed_by: Some(self.folder.root().to_owned()),
            config,
        };
        match run.learn(self.study.compute, self.study.supervisor, &mut []) {
            Ok(learned) if learned.is_finished() => {
                (self.study.on_event)(StudyEvent::Learned(&learned));
                Ok(())
            }
            Ok(_) => Err(ExperimentError::Stopped),
            Err(ExperimentError::Diverged { error, .. }) => {
                self.study.supervisor.tell(&format!("{name}: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Diagnoses a run that has learned to its last iteration. If that is not possible, returns the reason.
    fn diagnose(&self, name: &str) -> Result<Option<String>, ExperimentError> {
        let (folder, progress, _) = self.folder.progress(name)?;
        let out = default_folder(folder.root());
        if progress == Progress::RanAway || out.join(RECORD).is_file() {
            return Ok(None);
        }
        self.check_stop()?;
        let subject = Subject::open(folder.root(), false)?;
        let options = DiagnosisOptions {
            chains: self.diagnosis.chains as usize,
            multiple: self.diagnosis.multiple,
            judged_multiple: self.diagnosis.judged_multiple,
            ..DiagnosisOptions::default()
        };
        let StudyRun {
            compute,
            engine,
            data_directory,
            supervisor,
            ..
        } = *self.study;
        match diagnose(
            &subject,
            &options,
            &out,
            data_directory,
            Computation { compute, engine },
            supervisor,
        ) {
            // If chains cannot be compared, for example because all fell into one state, the first axis is still
            // judged.
            Err(ExperimentError::Diagnostics(error)) if error.lies_in_the_values() => {
                tracing::warn!("{name} is not diagnosed: {error}");
                Ok(Some(error.to_string()))
            }
            result => {
                (self.study.on_event)(StudyEvent::Diagnosed(&result?, &out));
                Ok(None)
            }
        }
    }

    fn check_stop(&self) -> Result<(), ExperimentError> {
        if self.stop.load(Ordering::Relaxed) {
            return Err(ExperimentError::Stopped);
        }
        Ok(())
    }
}
