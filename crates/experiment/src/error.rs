//! What can go wrong with an experiment.

use std::path::{Path, PathBuf};

use ebm_data::DataError;
use ebm_diagnostics::DiagnosticsError;
use ebm_energy_net::NetError;
use ebm_figures::FiguresError;
use ebm_landscape::LandscapeError;
use ebm_langevin::LangevinError;
use ebm_trainer::TrainerError;

use crate::config::ConfigError;

/// Any failure of an experiment or of work on its results, each with one message for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExperimentError {
    /// The experiment's settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A setting of an evaluation, a diagnosis, a map or the like that is impossible, by itself or for the net or run
    /// it is applied to.
    #[error("{setting} {problem}")]
    Setting {
        /// The name of the setting, a field of the settings' type.
        setting: &'static str,
        /// Its value if that helps, what is wrong, and what is allowed.
        problem: String,
    },
    /// A request that cannot be met for a reason other than a single setting.
    #[error("{0}")]
    Request(String),
    /// New results would overwrite earlier ones.
    #[error("{path} {problem}; choose another place")]
    Occupied {
        /// The folder or file.
        path: PathBuf,
        /// What it holds, as the rest of a sentence.
        problem: String,
        /// Whether the work that lies there can be continued.
        can_resume: bool,
    },
    /// Weights that do not say which net they belong to.
    #[error("{path}: {problem}; name the experiment that they belong to")]
    UnknownNet {
        /// The file of weights.
        path: PathBuf,
        /// What is missing or not readable.
        problem: String,
    },
    /// A run that has no net.
    #[error("{}: {problem}", folder.display())]
    NoNet {
        /// The run folder.
        folder: PathBuf,
        /// What is missing.
        problem: &'static str,
        /// Whether the average of the parameters was asked for.
        average: bool,
    },
    /// A run without samples to judge.
    #[error("{} has no samples yet; draw some", folder.display())]
    NoSamples {
        /// The run folder.
        folder: PathBuf,
    },
    /// A run that cannot be continued.
    #[error("{}: the run ended before its first checkpoint; start anew", folder.display())]
    NoCheckpoint {
        /// The run folder.
        folder: PathBuf,
    },
    /// A run that has all its iterations.
    #[error("{} already has {done} iterations of {of}; to go on give a larger total", folder.display())]
    Complete {
        /// The run folder.
        folder: PathBuf,
        /// Iterations done.
        done: u64,
        /// Iterations of its config.
        of: u64,
    },
    /// A checkpoint that cannot be read.
    #[error("{error}")]
    Unfit {
        /// What is wrong with it.
        error: Box<TrainerError>,
        /// Its folder.
        checkpoint: PathBuf,
    },
    /// Learning.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// A failure in the middle of a run.
    #[error("{error}")]
    Halted {
        /// What failed.
        error: Box<TrainerError>,
        /// The folder with which the run is resumed: its own, or that of its study.
        folder: PathBuf,
        /// The newest checkpoint, if there is one.
        checkpoint: Option<PathBuf>,
    },
    /// Learning ran away.
    #[error("{error}")]
    Diverged {
        /// What was seen.
        error: Box<TrainerError>,
        /// The run folder, with report and metrics up to then.
        folder: PathBuf,
    },
    /// A run that ran away, and would do so again if it were continued.
    #[error("{} ran away ({cause}), and would do so again if it just went on", folder.display())]
    RanAway {
        /// The run folder.
        folder: PathBuf,
        /// What was seen.
        cause: String,
    },
    /// Data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A variant of a study that can never be learned to its end.
    #[error("variant \"{variant}\": {error}")]
    Variant {
        /// Its name.
        variant: String,
        /// Why.
        error: Box<ExperimentError>,
    },
    /// A study that ended with runs that failed.
    #[error("{} of {of} runs failed: {}", failed.len(), failed.join(", "))]
    Study {
        /// The folder of the study.
        folder: PathBuf,
        /// Their names.
        failed: Vec<String>,
        /// How many runs there are.
        of: usize,
    },
    /// A study was stopped; its folder has what is done.
    #[error("stopped")]
    StudyStopped {
        /// The folder of the study.
        folder: PathBuf,
    },
    /// Numbers of results.
    #[error(transparent)]
    Diagnostics(#[from] DiagnosticsError),
    /// Plots and pages.
    #[error(transparent)]
    Figures(FiguresError),
    /// A net or a weight file.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Chains.
    #[error(transparent)]
    Langevin(LangevinError),
    /// A setting of a map, or what it was given. What the engine reports is [`Self::Langevin`].
    #[error(transparent)]
    Landscape(LandscapeError),
    /// A map that cannot be made with these settings.
    #[error("{0}")]
    Map(String),
    /// The file system refused.
    #[error("{}: {source}{}", path.display(), advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of a run folder, an evaluation or a map is damaged.
    #[error("{}: {problem}", path.display())]
    RunFolder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file that was given is not what it should be.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Samples or data too few for neighbourhoods that large.
    #[error("{}: {count} are too few, at least {needed} are needed; give more, or ask for fewer neighbours", path.display())]
    TooFew {
        /// The file of samples or data.
        path: PathBuf,
        /// How many it has.
        count: usize,
        /// How many are needed.
        needed: usize,
    },
    /// The digit classifier was given something else than digits of one channel.
    #[error("{}: {problem}; the digit classifier reads digits of one channel", path.display())]
    NotDigits {
        /// The run or the file.
        path: PathBuf,
        /// What it holds.
        problem: String,
        /// Whether the request named a run and not a file.
        is_run: bool,
    },
    /// States of chains became NaN or infinite.
    #[error(
        "the chains ran to non-finite states; the net has not learned a proper energy, or the step size is too large \
         for it and the temperature"
    )]
    RunawayChains,
    /// A device failed.
    #[error("{0}")]
    Device(String),
    /// The work was stopped from outside. What it had done is saved as its documentation says.
    #[error("stopped")]
    Stopped,
}

impl From<LangevinError> for ExperimentError {
    fn from(error: LangevinError) -> Self {
        match error {
            LangevinError::Cancelled => Self::Stopped,
            other => Self::Langevin(other),
        }
    }
}

/// Errors about values are shown in the same way, whether they come from a figure or from a statistic.
impl From<FiguresError> for ExperimentError {
    fn from(error: FiguresError) -> Self {
        match error {
            FiguresError::Values(error) => Self::Diagnostics(error),
            other => Self::Figures(other),
        }
    }
}

impl From<LandscapeError> for ExperimentError {
    fn from(error: LandscapeError) -> Self {
        match error {
            LandscapeError::Langevin(error) => error.into(),
            other => Self::Landscape(other),
        }
    }
}

impl ExperimentError {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    pub(crate) fn setting(setting: &'static str, problem: impl Into<String>) -> Self {
        Self::Setting {
            setting,
            problem: problem.into(),
        }
    }

    /// Whether the request itself is wrong, rather than something that happened while it was carried out.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Setting { .. }
            | Self::Request(_)
            | Self::Occupied { .. }
            | Self::UnknownNet { .. }
            | Self::Complete { .. }
            | Self::RanAway { .. }
            | Self::NoSamples { .. }
            | Self::NotDigits { is_run: true, .. }
            | Self::Config(_)
            | Self::Trainer(TrainerError::Setting { .. })
            | Self::Landscape(LandscapeError::Setting { .. })
            | Self::Data(DataError::Config { .. }) => true,
            Self::Langevin(error) => error.is_lacking(),
            Self::Variant { error, .. } => error.is_usage(),
            _ => false,
        }
    }
}

fn advice(error: &std::io::Error) -> &'static str {
    match error.kind() {
        std::io::ErrorKind::StorageFull => "; free some space or choose another folder",
        std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::ReadOnlyFilesystem => {
            "; make it writable or choose a folder that is"
        }
        std::io::ErrorKind::NotADirectory | std::io::ErrorKind::AlreadyExists => {
            "; a file is in the way: choose another folder"
        }
        _ => "",
    }
}
