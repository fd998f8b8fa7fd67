//! The folder of a run: the places of its files, and protection against overwriting them by accident.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use ebm_data::{BrokenImage, LoadedData};
use ebm_diagnostics::{IterationMetrics, read_complete_metrics};
use ebm_trainer::{CheckpointInfo, latest_checkpoint, read_checkpoint_info};
use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::config::{ExperimentConfig, Source};
use crate::json::write_json;
use crate::landscape::DensityRecord;
use crate::learning::unfit;
use crate::metrics_seal;
use crate::recovery_record::RecoveryRecord;

/// A run folder that exists.
#[derive(Debug, Clone)]
pub struct RunFolder {
    root: PathBuf,
    /// Keeps a second process from learning in the folder, until the last copy of this is dropped.
    lock: Option<Arc<File>>,
}

/// The contents of `run.json`: how the run was made.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunInfo {
    /// The experiment's name.
    pub experiment: String,
    /// The seed, as in the config.
    pub seed: u64,
    /// The backend of the last part of the run.
    pub backend: String,
    /// The engine of the chains.
    pub engine: String,
    /// Version of this program.
    pub version: String,
    /// Version of burn.
    pub burn: String,
    /// Processor architecture and system.
    pub platform: String,
    /// How its learning ran away, if it did and was not continued since.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ran_away: Option<String>,
    /// How often it ran away and went back to an earlier checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recoveries: Vec<RecoveryRecord>,
    /// The images that it learned without, if `data.broken` is "skip" and some are broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_images: Option<BrokenImages>,
}

/// Images of a folder that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenImages {
    /// How many there are.
    pub count: usize,
    /// All of them, in the order of their paths.
    pub images: Vec<BrokenImage>,
}

impl BrokenImages {
    fn of(dataset: &LoadedData) -> Option<Self> {
        let images = &dataset.left_out()?.broken;
        (!images.is_empty()).then(|| Self {
            count: images.len(),
            images: images.clone(),
        })
    }
}

impl RunInfo {
    pub(crate) fn new(
        experiment: &str,
        seed: u64,
        dataset: &LoadedData,
        backend: &str,
        engine: &str,
    ) -> Self {
        Self {
            experiment: experiment.to_owned(),
            seed,
            backend: backend.to_owned(),
            engine: engine.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            burn: locked_version("burn").to_owned(),
            platform: format!("{}-{}", std::env::consts::ARCH, std::env::consts::OS),
            ran_away: None,
            recoveries: Vec::new(),
            broken_images: BrokenImages::of(dataset),
        }
    }
}

/// The version of a dependency that this program was built with.
#[must_use]
pub fn locked_version(package: &str) -> &'static str {
    let versions = include_str!(concat!(env!("OUT_DIR"), "/versions.txt"));
    let mut lines = versions.lines().filter_map(|line| line.split_once(' '));
    lines
        .find(|(name, _)| *name == package)
        .map_or("unknown", |(_, version)| version)
}

impl RunFolder {
    /// Creates the folder of a new run: `out`, or the first free of runs/NAME, runs/NAME-2, ...
    pub(crate) fn create(out: Option<&Path>, name: &str) -> Result<Self, ExperimentError> {
        let root = create_root(out, name)?;
        Self { root, lock: None }.locked()
    }

    /// Writes the settings of a run into its folder before the run is learned.
    pub(crate) fn prepare(root: &Path, config: &ExperimentConfig) -> Result<(), ExperimentError> {
        create(root)?;
        let root = root.to_owned();
        Self { root, lock: None }.write_config(config)
    }

    /// The folder, if no other process learns in it.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] if one does.
    pub fn locked(mut self) -> Result<Self, ExperimentError> {
        self.lock = Some(Arc::new(lock(&self.root)?));
        Ok(self)
    }

    /// Opens the folder of an earlier run.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] for another folder; for that of a study it names the runs.
    pub fn open(root: &Path) -> Result<Self, ExperimentError> {
        if !root.join(CONFIG).is_file() {
            let runs = runs_below(root);
            if root.join(STUDY).is_file() && !runs.is_empty() {
                return Err(ExperimentError::Request(format!(
                    "{} is a study; its runs are {}: give one of these",
                    root.display(),
                    runs.join(", ")
                )));
            }
            return Err(ExperimentError::Request(format!(
                "{} is not a run folder (it has no {CONFIG}); give the folder that an experiment printed at its end",
                root.display()
            )));
        }
        Ok(Self {
            root: root.to_owned(),
            lock: None,
        })
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The file of its settings.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join(CONFIG)
    }

    /// The file of d and r of every iteration.
    #[must_use]
    pub fn metrics(&self) -> PathBuf {
        self.root.join("metrics.jsonl")
    }

    /// The folder of its checkpoints.
    #[must_use]
    pub fn checkpoints(&self) -> PathBuf {
        self.root.join("checkpoints")
    }

    /// The file of its final weights.
    #[must_use]
    pub fn weights(&self) -> PathBuf {
        self.root.join("weights.safetensors")
    }

    /// The file of the average of its parameters, where one is kept.
    #[must_use]
    pub fn average(&self) -> PathBuf {
        self.root.join("weights-average.safetensors")
    }

    /// Its page.
    #[must_use]
    pub fn report(&self) -> PathBuf {
        self.root.join("report.html")
    }

    /// Whether the run has ended and all its files are written; the report is written last.
    pub(crate) fn has_results(&self) -> bool {
        self.weights().is_file() && self.report().is_file()
    }

    /// Removes the report, if there is one.
    pub(crate) fn remove_report(&self) -> Result<(), ExperimentError> {
        match fs::remove_file(self.report()) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                Err(ExperimentError::io(self.report(), error))
            }
            _ => Ok(()),
        }
    }

    /// A file in a subfolder, which is made when it is first needed.
    pub(crate) fn file_in(&self, subfolder: &str, name: &str) -> Result<PathBuf, ExperimentError> {
        Ok(self.make(subfolder)?.join(name))
    }

    /// A subfolder, which is made when it is first needed.
    pub(crate) fn make(&self, subfolder: &str) -> Result<PathBuf, ExperimentError> {
        let folder = self.root.join(subfolder);
        create(&folder)?;
        Ok(folder)
    }

    /// The settings of the run.
    ///
    /// # Errors
    /// [`ExperimentError::Config`].
    pub fn read_config(&self) -> Result<ExperimentConfig, ExperimentError> {
        Ok(ExperimentConfig::load(&Source::File(self.config()), &[])?.0)
    }

    pub(crate) fn write_config(&self, config: &ExperimentConfig) -> Result<(), ExperimentError> {
        self.write_json(CONFIG, config)
    }

    pub(crate) fn write_info(&self, info: &RunInfo) -> Result<(), ExperimentError> {
        self.write_json(INFO, info)
    }

    /// The numbers of all density plots; none for images and before the first.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] when they are damaged.
    pub fn read_landscape(&self) -> Result<Vec<DensityRecord>, ExperimentError> {
        let path = self.root.join(LANDSCAPE);
        if !path.is_file() {
            return Ok(Vec::new());
        }
        let text = fs::read(&path).map_err(|error| ExperimentError::io(&path, error))?;
        serde_json::from_slice(&text).map_err(|error| ExperimentError::RunFolder {
            path,
            problem: format!("not readable ({error}); remove it to go on without its numbers"),
        })
    }

    pub(crate) fn write_landscape(&self, records: &[DensityRecord]) -> Result<(), ExperimentError> {
        self.write_json(LANDSCAPE, &records)
    }

    /// How the run was made.
    ///
    /// # Errors
    /// [`ExperimentError::Io`] and [`ExperimentError::RunFolder`].
    pub fn read_info(&self) -> Result<RunInfo, ExperimentError> {
        let path = self.root.join(INFO);
        let text = fs::read_to_string(&path).map_err(|error| ExperimentError::io(&path, error))?;
        serde_json::from_str(&text).map_err(|error| ExperimentError::RunFolder {
            path,
            problem: format!("not readable ({error}); it is needed to continue the run"),
        })
    }

    /// The header of the newest checkpoint.
    pub(crate) fn checkpoint_to_resume(&self) -> Result<CheckpointInfo, ExperimentError> {
        let Ok(checkpoint) = latest_checkpoint(&self.checkpoints()) else {
            return Err(ExperimentError::NoCheckpoint {
                folder: self.root().to_owned(),
            });
        };
        read_checkpoint_info(&checkpoint).map_err(|error| unfit(error, &checkpoint))
    }

    /// The metrics of all complete iterations; none before the first.
    ///
    /// # Errors
    /// [`ExperimentError::Diagnostics`] and [`ExperimentError::RunFolder`] when they are damaged.
    pub fn read_metrics(&self) -> Result<Vec<IterationMetrics>, ExperimentError> {
        if !self.metrics().exists() {
            return Ok(Vec::new());
        }
        metrics_seal::check(&self.metrics())?;
        Ok(read_complete_metrics(self.metrics())?.records)
    }

    /// Cuts the metrics back to the iterations that a checkpoint holds, because the later iterations will be run
    /// again.
    pub(crate) fn cut_metrics(&self, iteration: u64) -> Result<(), ExperimentError> {
        let (kept, _) = self.split_metrics(iteration)?;
        self.keep_metrics(&kept, iteration)
    }

    /// Cuts the metrics back to the checkpoint that a recovery went back to. The iterations after it are kept in
    /// undone/ under the number of the attempt that they belong to.
    pub(crate) fn undo_metrics(&self, iteration: u64, attempt: u32) -> Result<(), ExperimentError> {
        let (kept, undone) = self.split_metrics(iteration)?;
        let path = self.file_in("undone", &format!("metrics-{attempt}.jsonl"))?;
        write_metrics(&path, &undone)?;
        self.keep_metrics(&kept, iteration)
    }

    /// The metrics up to an iteration, and those after it.
    fn split_metrics(
        &self,
        iteration: u64,
    ) -> Result<(Vec<IterationMetrics>, Vec<IterationMetrics>), ExperimentError> {
        let all = self.read_metrics()?.into_iter();
        Ok(all.partition(|metrics| metrics.iteration <= iteration))
    }

    /// Replaces the metrics by those up to an iteration.
    fn keep_metrics(
        &self,
        kept: &[IterationMetrics],
        iteration: u64,
    ) -> Result<(), ExperimentError> {
        let missing = iteration.saturating_sub(kept.len() as u64);
        if missing > 0 {
            tracing::warn!(
                "{}: {missing} of the {iteration} iterations before the checkpoint are missing; the plots will lack them",
                self.metrics().display(),
            );
        }
        metrics_seal::remove(&self.metrics())?;
        write_metrics(&self.metrics(), kept)
    }

    /// The metrics file, opened for further lines.
    pub(crate) fn append_metrics(&self) -> Result<File, ExperimentError> {
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.metrics())
            .map_err(|error| ExperimentError::io(self.metrics(), error))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> Result<(), ExperimentError> {
        write_json(&self.root.join(name), value)
    }
}

fn write_metrics(path: &Path, records: &[IterationMetrics]) -> Result<(), ExperimentError> {
    let mut text = String::new();
    for metrics in records {
        text += &metrics.to_json_line()?;
        text.push('\n');
    }
    ebm_core::write_atomically(path, text.as_bytes())
        .map_err(|error| ExperimentError::io(path, error))
}

/// Creates the folder of something new: `out`, or the first free of runs/NAME, runs/NAME-2, ...
pub(crate) fn create_root(out: Option<&Path>, name: &str) -> Result<PathBuf, ExperimentError> {
    let Some(out) = out else {
        return create_free(Path::new("runs"), name);
    };
    if is_occupied(out)? {
        return Err(ExperimentError::Occupied {
            path: out.to_owned(),
            problem: "already exists and is not empty".to_owned(),
            can_resume: true,
        });
    }
    create(out)?;
    Ok(out.to_owned())
}

/// Keeps a second process from learning in a folder, for as long as the file lives.
pub(crate) fn lock(root: &Path) -> Result<File, ExperimentError> {
    let path = root.join(LOCK);
    let file = File::create(&path).map_err(|error| ExperimentError::io(&path, error))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(ExperimentError::RunFolder {
            path: root.to_owned(),
            problem: "another process is at work in this folder; stop it with Ctrl-C first, \
                      or wait until it has finished"
                .into(),
        }),
        // Some network file systems cannot lock. The run then goes on without protection against a second process.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

/// Refuses a folder that holds a result of this kind, such as "scores". `record` is the file that is written last: without
/// it the rest is what interrupted work left.
///
/// # Errors
/// [`ExperimentError::Occupied`].
pub(crate) fn refuse_second(
    folder: &Path,
    record: &str,
    what: &str,
) -> Result<(), ExperimentError> {
    if folder.join(record).exists() {
        return Err(ExperimentError::Occupied {
            path: folder.to_owned(),
            problem: format!("already holds {what}"),
            can_resume: false,
        });
    }
    Ok(())
}

/// Refuses a file that exists already or cannot be made, before time is spent on its contents.
///
/// # Errors
/// [`ExperimentError::Occupied`] for a file that exists, [`ExperimentError::Io`] names the folder that is missing or
/// not writable.
pub fn check_new_file(path: &Path) -> Result<(), ExperimentError> {
    if path.exists() {
        return Err(ExperimentError::Occupied {
            path: path.to_owned(),
            problem: "already exists".to_owned(),
            can_resume: false,
        });
    }
    // The test writes a file beside the final place and moves it there, as the real write will.
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let probe = folder.join(format!(".ebm-{}", std::process::id()));
    File::create_new(&probe)
        .and_then(|_| fs::remove_file(&probe))
        .map_err(|error| ExperimentError::io(folder, error))
}

/// Creates the first free of NAME, NAME-2, ... in a folder, which is made where it is missing.
pub(crate) fn create_free(parent: &Path, name: &str) -> Result<PathBuf, ExperimentError> {
    create(parent)?;
    let mut number = 1;
    loop {
        let suffix = if number == 1 {
            String::new()
        } else {
            format!("-{number}")
        };
        let candidate = parent.join(format!("{name}{suffix}"));
        // The folder is created without asking first, so that two runs that start together get two folders.
        match fs::create_dir(&candidate) {
            Ok(()) => return Ok(candidate),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(ExperimentError::io(candidate, error)),
        }
    }
}

/// The study as it can be given to `--config` again, in the folder of a study.
pub(crate) const STUDY: &str = "study.json";

const CONFIG: &str = "config.json";
const LOCK: &str = ".lock";
const LANDSCAPE: &str = "landscape.json";
const INFO: &str = "run.json";

/// The run folders in a folder, by name.
fn runs_below(root: &Path) -> Vec<String> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut runs: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.join(CONFIG).is_file())
        .map(|path| path.display().to_string())
        .collect();
    runs.sort();
    runs
}

fn is_occupied(folder: &Path) -> Result<bool, ExperimentError> {
    match fs::read_dir(folder) {
        // An earlier start may have left nothing but the lock.
        Ok(mut entries) => Ok(entries.any(|entry| entry.is_ok_and(|it| it.file_name() != LOCK))),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(ExperimentError::io(folder, error)),
    }
}

fn create(folder: &Path) -> Result<(), ExperimentError> {
    fs::create_dir_all(folder).map_err(|error| ExperimentError::io(folder, error))
}
