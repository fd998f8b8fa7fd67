//! A study from its first unfinished variant to its page.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ebm_figures::Table;

use super::{LEFT, Progress, StudyFolder, StudyState, VariantResult, check_variants, table};
use crate::aligned::aligned;
use crate::comparison::{ComparedRun, PAGE, write_page};
use crate::config::{DiagnosisConfig, Study};
use crate::data::load_data;
use crate::diagnosis::{Diagnosis, DiagnosisOptions, RECORD, Subject, default_folder, diagnose};
use crate::learning::{Destination, LearningRun};
use crate::{
    Computation, Compute, EngineChoice, ExperimentError, LearnedRun, NextStep, Supervisor,
};

/// How the variants of a study are run.
pub struct StudyRun<'a> {
    /// The backend.
    pub compute: &'a dyn Compute,
    /// The engine of all variants.
    pub engine: EngineChoice,
    /// Where data sets are, if not in the usual place.
    pub data_directory: Option<&'a Path>,
    /// The supervisor, which is told of progress and may stop the study.
    pub supervisor: &'a dyn Supervisor,
    /// Is called with the outcome of each variant.
    pub on_event: &'a dyn Fn(StudyEvent<'_>),
}

/// An event in a study: a variant has been learned or diagnosed.
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
    /// The runs that can be read, in the order of the variants, each with its name.
    pub runs: Vec<ComparedRun>,
    /// A row for each variant.
    pub table: Table,
    /// The variants that failed.
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
    /// Learns, diagnoses and compares all variants, in `out` or a new folder below runs/.
    ///
    /// # Errors
    /// [`ExperimentError::Variant`] for a variant that could never end, before anything is written;
    /// [`ExperimentError::StudyStopped`] after a stop, from where [`Self::resume`] goes on. A variant that runs away
    /// is a result like any other, and one that fails does not stop the others.
    pub fn start(&self, study: &Study, out: Option<&Path>) -> Result<StudyResult, ExperimentError> {
        // Impossible requests are found now and not after half of the variants.
        check_variants(study, self.compute, self.engine, self.data_directory)?;
        let (folder, state) = StudyFolder::create(out, study, self.compute.name(), self.engine)?;
        self.supervisor.tell(&format!(
            "{}: {} variants → {}",
            study.name,
            state.variants.len(),
            folder.root().display()
        ));
        self.to_end(&folder, study.config.diagnosis, state)
    }

    /// Continues a study that was [opened](StudyFolder::open) with its first unfinished variant.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn resume(
        &self,
        folder: &StudyFolder,
        diagnosis: DiagnosisConfig,
        state: StudyState,
    ) -> Result<StudyResult, ExperimentError> {
        self.to_end(folder, diagnosis, state)
    }

    fn to_end(
        &self,
        folder: &StudyFolder,
        diagnosis: DiagnosisConfig,
        mut state: StudyState,
    ) -> Result<StudyResult, ExperimentError> {
        let variants = Variants {
            run: self,
            folder,
            diagnosis,
            stop: self.supervisor.stop_flag(),
        };
        let count = state.variants.len();
        for index in 0..count {
            if state.variants[index].result.is_some() {
                continue;
            }
            let name = state.variants[index].name.clone();
            let number = index + 1;
            let heading = format!("\n[{number} of {count}] {name}");
            self.supervisor.tell(&heading);
            let result = variants.variant(&state.name, &name);
            let variant = &mut state.variants[index];
            match result {
                Ok(result) => (variant.result, variant.failed) = (Some(result), None),
                Err(ExperimentError::Stopped) => {
                    return Err(ExperimentError::StudyStopped {
                        folder: folder.root().to_owned(),
                    });
                }
                Err(error) => {
                    self.supervisor.warn(&format!("{name} failed: {error}"));
                    variant.failed = Some(error.to_string());
                }
            }
            folder.write_state(&state)?;
        }
        self.compare(folder, &state)
    }

    /// The page and the table.
    fn compare(
        &self,
        folder: &StudyFolder,
        state: &StudyState,
    ) -> Result<StudyResult, ExperimentError> {
        let root = folder.root();
        let mut runs = Vec::new();
        for variant in &state.variants {
            match ComparedRun::open(&folder.run(&variant.name)) {
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
        let config = root.join("study.json");
        let command = self.supervisor.command(NextStep::Learn { config: &config });
        write_page(
            &runs,
            Some(table.clone()),
            command.unwrap_or_default(),
            root,
            self.supervisor,
        )?;
        let failed = state
            .variants
            .iter()
            .filter(|variant| variant.failed.is_some());
        Ok(StudyResult {
            folder: root.to_owned(),
            page: root.join(PAGE),
            runs,
            table,
            failed: failed.map(|variant| variant.name.clone()).collect(),
        })
    }
}

/// The variants of a study on their way.
struct Variants<'a> {
    run: &'a StudyRun<'a>,
    folder: &'a StudyFolder,
    diagnosis: DiagnosisConfig,
    stop: Arc<AtomicBool>,
}

impl Variants<'_> {
    fn variant(&self, study: &str, name: &str) -> Result<VariantResult, ExperimentError> {
        self.learn(study, name)?;
        let not_diagnosed = self.diagnose(name)?;
        let run = ComparedRun::open(&self.folder.run(name))?;
        Ok(VariantResult::of(&run, not_diagnosed, self.run.supervisor))
    }

    /// Learns a variant to its end. Running away counts as an end.
    fn learn(&self, study: &str, variant: &str) -> Result<(), ExperimentError> {
        self.check_stop()?;
        let (folder, progress, config) = self.folder.progress(variant)?;
        let destination = match progress {
            Progress::Learned | Progress::RanAway => return Ok(()),
            Progress::Prepared => Destination::Prepared(folder.locked()?),
            Progress::Begun => Destination::Existing(folder.locked()?),
        };
        let run = LearningRun {
            dataset: load_data(&config.data, self.run.data_directory)?,
            name: format!("{study}/{variant}"),
            destination,
            engine: self.run.engine,
            resumed_by: Some(self.folder.root().to_owned()),
            config,
        };
        match run.learn(self.run.compute, self.run.supervisor, &mut []) {
            Ok(learned) if learned.is_finished() => {
                (self.run.on_event)(StudyEvent::Learned(&learned));
                Ok(())
            }
            Ok(_) => Err(ExperimentError::Stopped),
            Err(ExperimentError::Diverged { error, .. }) => {
                self.run.supervisor.tell(&format!("{variant}: {error}"));
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Diagnoses a variant that has learned to its last iteration. If that is not possible, returns the reason.
    fn diagnose(&self, variant: &str) -> Result<Option<String>, ExperimentError> {
        let (folder, progress, _) = self.folder.progress(variant)?;
        let out = default_folder(folder.root());
        if progress == Progress::RanAway || out.join(RECORD).is_file() {
            return Ok(None);
        }
        self.check_stop()?;
        let subject = Subject::open(folder.root(), false)?;
        let options = DiagnosisOptions {
            chains: self.diagnosis.chains as usize,
            multiple: self.diagnosis.multiple,
            ..DiagnosisOptions::default()
        };
        let StudyRun {
            compute,
            engine,
            data_directory,
            supervisor,
            ..
        } = *self.run;
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
                tracing::warn!("{variant} is not diagnosed: {error}");
                Ok(Some(error.to_string()))
            }
            result => {
                (self.run.on_event)(StudyEvent::Diagnosed(&result?, &out));
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
