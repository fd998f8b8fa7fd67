//! The folder of a study.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ebm_langevin::EngineChoice;
use ebm_trainer::{latest_checkpoint, read_checkpoint_info};
use serde::{Deserialize, Serialize};

use super::VariantResult;
use crate::backend::BackendName;
use crate::config::{ExperimentConfig, Source, Study, StudyConfig};
use crate::error::DriverError;
use crate::run_folder::{RunFolder, create_root, lock};

/// The study as it can be given to `--config` again.
const CONFIG: &str = "study.json";
/// What has come of it so far.
const STATE: &str = "results.json";

/// The folder of a study, in which no other process learns.
pub(crate) struct StudyFolder {
    root: PathBuf,
    _lock: File,
}

/// What is known of a study so far.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct StudyState {
    /// The name of the study.
    pub(crate) name: String,
    /// The backend as it was asked for.
    pub(crate) backend: String,
    /// The engine as it was asked for: auto, tensor or fused.
    pub(crate) engine: String,
    /// Version of this program.
    pub(crate) version: String,
    /// In the order of the study.
    pub(crate) variants: Vec<VariantState>,
}

/// A variant and what became of it.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct VariantState {
    pub(crate) name: String,
    /// None before its end.
    #[serde(default)]
    pub(crate) result: Option<VariantResult>,
}

/// How far the run of a variant has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// No checkpoint yet.
    Prepared,
    /// A checkpoint to go on from.
    Begun,
    /// All iterations are done and written.
    Learned,
    /// It ended by running away, and would again.
    RanAway,
}

impl StudyFolder {
    /// Creates the folder with a run folder for each variant; that of the study itself is a study's only when all
    /// is there.
    pub(crate) fn create(
        out: Option<&Path>,
        study: &Study,
        backend: BackendName,
        engine: EngineChoice,
    ) -> Result<(Self, StudyState), DriverError> {
        let root = create_root(out, &study.name)?;
        let folder = Self {
            _lock: lock(&root)?,
            root,
        };
        for (variant, config) in study.config.variants.iter().zip(&study.experiments) {
            RunFolder::create(Some(&folder.run(&variant.name)), &variant.name)?
                .write_config(config)?;
        }
        let state = StudyState {
            name: study.name.clone(),
            backend: backend.as_str().to_owned(),
            engine: format!("{engine:?}").to_lowercase(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            variants: study
                .config
                .variants
                .iter()
                .map(|variant| VariantState {
                    name: variant.name.clone(),
                    result: None,
                })
                .collect(),
        };
        folder.write_state(&state)?;
        folder.write(CONFIG, &study.config)?;
        Ok((folder, state))
    }

    /// Whether this is the folder of a study.
    pub(crate) fn is_at(root: &Path) -> bool {
        root.join(CONFIG).is_file() && root.join(STATE).is_file()
    }

    /// Opens the folder of an earlier study.
    pub(crate) fn open(root: &Path) -> Result<(Self, StudyConfig, StudyState), DriverError> {
        let folder = Self {
            _lock: lock(root)?,
            root: root.to_owned(),
        };
        let config = folder.read(CONFIG)?;
        let state = folder.read(STATE)?;
        Ok((folder, config, state))
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    /// The run folder of a variant.
    pub(crate) fn run(&self, variant: &str) -> PathBuf {
        self.root.join(variant)
    }

    /// The run of a variant, how far it has come, and its settings.
    pub(crate) fn progress(
        &self,
        variant: &str,
    ) -> Result<(RunFolder, Progress, ExperimentConfig), DriverError> {
        let folder = RunFolder::open(&self.run(variant))?;
        let (config, _) = ExperimentConfig::load(&Source::File(folder.config()), &[])?;
        let ran_away = folder.read_info().is_ok_and(|info| info.ran_away.is_some());
        let progress = match latest_checkpoint(&folder.checkpoints()) {
            _ if ran_away => Progress::RanAway,
            Err(_) => Progress::Prepared,
            Ok(checkpoint) => {
                let is_written = folder.weights().is_file() && folder.report().is_file();
                let done = read_checkpoint_info(&checkpoint)?.iteration;
                if is_written && done >= config.iterations {
                    Progress::Learned
                } else {
                    Progress::Begun
                }
            }
        };
        Ok((folder, progress, config))
    }

    pub(crate) fn write_state(&self, state: &StudyState) -> Result<(), DriverError> {
        self.write(STATE, state)
    }

    fn write(&self, name: &str, value: &impl Serialize) -> Result<(), DriverError> {
        let path = self.root.join(name);
        let mut text =
            serde_json::to_vec_pretty(value).map_err(|error| DriverError::RunFolder {
                path: path.clone(),
                problem: error.to_string(),
            })?;
        text.push(b'\n');
        ebm_core::write_atomically(&path, &text).map_err(|error| DriverError::io(path, error))
    }

    fn read<T: for<'a> Deserialize<'a>>(&self, name: &str) -> Result<T, DriverError> {
        let path = self.root.join(name);
        let text = fs::read_to_string(&path).map_err(|error| DriverError::io(&path, error))?;
        serde_json::from_str(&text).map_err(|error| DriverError::RunFolder {
            path,
            problem: format!("not readable ({error}); it is needed to continue the study"),
        })
    }
}
