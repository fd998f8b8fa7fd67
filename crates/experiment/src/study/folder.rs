//! The folder of a study.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ebm_trainer::{latest_checkpoint, read_checkpoint_info};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RunResult;
use crate::comparison::PAGE;
use crate::config::{ExperimentConfig, Source, Study, StudyConfig};
use crate::json::write_json;
use crate::run_folder::{RunFolder, RunInfo, STUDY as CONFIG, create_root, lock};
use crate::{EngineChoice, ExperimentError};

/// The file of the results so far.
const STATE: &str = "results.json";

/// The folder of a study, in which no other process learns.
pub struct StudyFolder {
    root: PathBuf,
    _lock: File,
}

/// The state of a study so far.
#[derive(Debug, Serialize, Deserialize)]
pub struct StudyState {
    /// The name of the study.
    pub name: String,
    /// The backend that was requested or chosen.
    pub backend: String,
    /// The engine that was requested: auto, tensor, fused, fused-bf16, cube, cube-tf32 or cube-bf16.
    pub engine: String,
    /// Version of this program.
    pub version: String,
    /// In the order of the study; earlier results call them variants.
    #[serde(alias = "variants")]
    pub runs: Vec<RunState>,
}

/// A run and its outcome.
#[derive(Debug, Serialize, Deserialize)]
pub struct RunState {
    /// Its name.
    pub name: String,
    /// Its result; none before its end.
    #[serde(default)]
    pub result: Option<RunResult>,
    /// Why it has no result, if it was tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<String>,
}

/// How far a run has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No checkpoint yet.
    Prepared,
    /// A checkpoint to go on from.
    Begun,
    /// All iterations are done and written.
    Learned,
    /// Learning ran away, and would do so again.
    RanAway,
}

impl StudyFolder {
    /// Creates the folder with a run folder for each run. The study is written first, because everything else can
    /// be made from it if the rest fails.
    pub(crate) fn create(
        out: Option<&Path>,
        study: &Study,
        backend: &str,
        engine: EngineChoice,
    ) -> Result<(Self, StudyState), ExperimentError> {
        let root = create_root(out, &study.name)?;
        let folder = Self {
            _lock: lock(&root)?,
            root,
        };
        folder.write(CONFIG, &study.config)?;
        let state = StudyState::new(&study.name, backend, engine.name(), &study.config);
        folder.write_state(&state)?;
        for run in &study.runs {
            RunFolder::prepare(&folder.run(&run.name), &run.experiment)?;
        }
        Ok((folder, state))
    }

    /// Whether this is the folder of a study.
    #[must_use]
    pub fn is_at(root: &Path) -> bool {
        root.join(CONFIG).is_file()
    }

    /// Opens the folder of an earlier study. Missing results are read from the runs again, and missing runs are
    /// prepared again.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] when the study is not readable or a run has other settings than it says.
    pub fn open(root: &Path) -> Result<(Self, StudyConfig, StudyState), ExperimentError> {
        let folder = Self {
            _lock: lock(root)?,
            root: root.to_owned(),
        };
        let config: StudyConfig = folder.read(CONFIG).map_err(|problem| ExperimentError::RunFolder {
            path: root.join(CONFIG),
            problem: format!(
                "not readable ({problem}); it is needed to continue the study: put back what the study was, or \
                 compare its runs as they are"
            ),
        })?;
        let mut state = match folder.read::<StudyState>(STATE) {
            Ok(state)
                if config
                    .run_names()
                    .eq(state.runs.iter().map(|run| &*run.name)) =>
            {
                state
            }
            unusable => {
                let problem = unusable.err().unwrap_or_else(|| "of other runs".into());
                tracing::warn!(
                    "{}: {problem}; the results are read off the runs again",
                    root.join(STATE).display()
                );
                folder.state_of_runs(&config)
            }
        };
        folder.check_runs(&mut state)?;
        Ok((folder, config, state))
    }

    /// A state without results, with what the runs say of how they were made.
    fn state_of_runs(&self, config: &StudyConfig) -> StudyState {
        let info: Option<RunInfo> = config.run_names().find_map(|name| {
            let folder = RunFolder::open(&self.run(&name)).ok()?;
            folder.read_info().ok()
        });
        let own = self.root.file_name().unwrap_or_default().to_string_lossy();
        let name = info
            .as_ref()
            .and_then(|info| info.experiment.split_once('/'));
        let name = name.map_or(&*own, |(study, _)| study);
        let backend = match &info {
            Some(info) => info.backend.clone(),
            None => "flex".to_owned(),
        };
        // Where a run has the engine fused or cube, auto chose it or would choose it again.
        let engine = match &info {
            Some(info)
                if ["tensor", "fused-bf16", "cube-tf32", "cube-bf16"].contains(&&*info.engine) =>
            {
                &*info.engine
            }
            _ => "auto",
        };
        StudyState::new(name, &backend, engine, config)
    }

    /// Prepares runs that are missing, and refuses those whose settings are not the study's.
    fn check_runs(&self, state: &mut StudyState) -> Result<(), ExperimentError> {
        let study = match Study::load(&Source::File(self.root.join(CONFIG)), &[]) {
            Ok(study) => study,
            Err(error) => {
                let is_there = |run: &RunState| self.run(&run.name).join("config.json").is_file();
                if !state.runs.iter().all(is_there) {
                    return Err(error.into());
                }
                // The base may have been moved. The runs have all their settings.
                tracing::warn!("the runs go on with the settings in their folders: {error}");
                return Ok(());
            }
        };
        for (state, planned) in state.runs.iter_mut().zip(&study.runs) {
            let root = self.run(&planned.name);
            let Ok(run) = RunFolder::open(&root) else {
                tracing::warn!("{} is missing and begins anew", root.display());
                RunFolder::prepare(&root, &planned.experiment)?;
                state.result = None;
                continue;
            };
            let own = run.read_config()?;
            // Both as they are read from a file, since reading may move the last digit of a number.
            let written = serde_json::to_string(&planned.experiment).unwrap_or_default();
            let expected: Option<Value> = serde_json::from_str(&written).ok();
            if serde_json::to_value(&own).ok() != expected {
                return Err(ExperimentError::RunFolder {
                    path: run.config(),
                    problem: format!(
                        "has other settings than {CONFIG} gives this run; put them back, or delete the folder {} \
                         to learn it anew",
                        root.display()
                    ),
                });
            }
        }
        Ok(())
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Its page, which is written at its end.
    #[must_use]
    pub fn page(&self) -> PathBuf {
        self.root.join(PAGE)
    }

    /// The folder of a run.
    pub(crate) fn run(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// A run, how far it has come, and its settings.
    pub(crate) fn progress(
        &self,
        name: &str,
    ) -> Result<(RunFolder, Progress, ExperimentConfig), ExperimentError> {
        let folder = RunFolder::open(&self.run(name))?;
        let config = folder.read_config()?;
        let ran_away = folder.read_info().is_ok_and(|info| info.ran_away.is_some());
        let progress = match latest_checkpoint(&folder.checkpoints()) {
            _ if ran_away => Progress::RanAway,
            Err(_) => Progress::Prepared,
            Ok(checkpoint) => {
                let done = read_checkpoint_info(&checkpoint)?.iteration;
                if folder.has_results() && done >= config.iterations {
                    Progress::Learned
                } else {
                    Progress::Begun
                }
            }
        };
        Ok((folder, progress, config))
    }

    pub(crate) fn write_state(&self, state: &StudyState) -> Result<(), ExperimentError> {
        self.write(STATE, state)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), ExperimentError> {
        write_json(&self.root.join(name), value)
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T, String> {
        let text = fs::read_to_string(self.root.join(name)).map_err(|error| error.to_string())?;
        serde_json::from_str(&text).map_err(|error| error.to_string())
    }
}

impl StudyState {
    /// Whether every run has a result.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.runs.iter().all(|run| run.result.is_some())
    }

    /// The result of a run, once it has one.
    pub(crate) fn result(&self, run: &str) -> Option<&RunResult> {
        let found = self.runs.iter().find(|known| known.name == run)?;
        found.result.as_ref()
    }

    fn new(name: &str, backend: &str, engine: &str, config: &StudyConfig) -> Self {
        let runs = config.run_names().map(|name| RunState {
            name,
            result: None,
            failed: None,
        });
        Self {
            name: name.to_owned(),
            backend: backend.to_owned(),
            engine: engine.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            runs: runs.collect(),
        }
    }
}
