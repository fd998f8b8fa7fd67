//! How a command ends when it does not succeed.

use std::path::{Path, PathBuf};

use ebm_data::DataError;
use ebm_diagnostics::DiagnosticsError;
use ebm_energy_net::NetError;
use ebm_landscape::LandscapeError;
use ebm_langevin::LangevinError;
use ebm_trainer::TrainerError;

use crate::backend::BackendName;
use crate::config::ConfigError;

/// Any failure of the driver, each with one message for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    /// A flag or a combination of flags.
    #[error("{0}")]
    Usage(String),
    /// The experiment's settings.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// Learning.
    #[error(transparent)]
    Trainer(#[from] TrainerError),
    /// Something failed in the middle of a run; the advice says how to go on.
    #[error("{error}\n{advice}")]
    Halted {
        /// What failed.
        error: TrainerError,
        /// How to go on.
        advice: String,
    },
    /// Learning ran away; the advice says what to change.
    #[error("{error}\n{advice}")]
    Diverged {
        /// What was seen.
        error: TrainerError,
        /// Where the results are and what to change.
        advice: String,
    },
    /// Data.
    #[error(transparent)]
    Data(#[from] DataError),
    /// A variant of a study that cannot be learned to its end.
    #[error("variant \"{variant}\": {error}")]
    Variant {
        /// Its name.
        variant: String,
        /// Why.
        error: Box<DriverError>,
    },
    /// A study that ended with variants that failed.
    #[error("{0}")]
    Study(String),
    /// Plots and reports.
    #[error(transparent)]
    Diagnostics(#[from] DiagnosticsError),
    /// A net or a weight file.
    #[error(transparent)]
    Net(#[from] NetError),
    /// Chains.
    #[error(transparent)]
    Langevin(#[from] LangevinError),
    /// A setting of a map, or what it was given. What the engine reports is [`Self::Langevin`].
    #[error(transparent)]
    Landscape(LandscapeError),
    /// A map that cannot be made with these settings.
    #[error("{0}")]
    Map(String),
    /// The file system refused.
    #[error("{path}: {source}{}", advice(source))]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file of a run folder is damaged.
    #[error("{path}: {problem}")]
    RunFolder {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong and what to do.
        problem: String,
    },
    /// A file that was given is not what it should be.
    #[error("{path}: {problem}")]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// Chains left all finite states.
    #[error(
        "the chains ran to non-finite states; the net has not learned a proper energy, or --epsilon is too large for it and the temperature"
    )]
    RunawayChains,
    /// A program to compare with failed.
    #[error("{0}")]
    Peer(String),
    /// Measurements failed; the rest is there.
    #[error("{0} of the measurements failed: see above, and `failed` in the file of --out")]
    Bench(usize),
    /// A backend cannot start on this machine.
    #[error("the {name} backend cannot start here: {fault}, or use --backend flex for the CPU")]
    NoStart {
        /// The backend.
        name: BackendName,
        /// What is missing and how to mend it.
        fault: String,
    },
    /// A backend failed in the middle of its work.
    #[error("{0}")]
    Backend(String),
    /// The user stopped the run; a checkpoint was written.
    #[error("interrupted")]
    Interrupted,
}

impl From<LandscapeError> for DriverError {
    fn from(error: LandscapeError) -> Self {
        match error {
            LandscapeError::Langevin(error) => error.into(),
            other => Self::Landscape(other),
        }
    }
}

impl DriverError {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// 2 for wrong usage, 130 for an interruption as shells have it, 1 for the rest.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_)
            | Self::Config(_)
            | Self::Trainer(TrainerError::Setting { .. })
            | Self::Landscape(LandscapeError::Setting { .. })
            | Self::Data(DataError::Config { .. }) => 2,
            Self::Langevin(error) if error.is_lacking() => 2,
            Self::Variant { error, .. } => error.exit_code(),
            Self::Interrupted => 130,
            _ => 1,
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
            "; a file is in the way: choose another folder with --out"
        }
        _ => "",
    }
}
