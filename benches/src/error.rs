//! Why there is no figure.

use std::path::PathBuf;

use ebm_experiment::ExperimentError;

/// Any failure of a measurement, each with one message for a person.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BenchError {
    /// An experiment's settings, a net, an engine or a device.
    #[error(transparent)]
    Experiment(#[from] ExperimentError),
    /// Everything that was asked for is left out, for these reasons.
    #[error("nothing is left to measure: {0}")]
    Nothing(String),
    /// The script that measures peers is not there.
    #[error("there is no peer script {}", .0.display())]
    NoScript(PathBuf),
    /// The interpreter that runs it is not there.
    #[error("there is no Python interpreter {}", .0.display())]
    NoInterpreter(PathBuf),
    /// A program to compare with failed.
    #[error("{0}")]
    Peer(String),
    /// A backend panicked, with these words.
    #[error("{0}")]
    Panic(String),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl BenchError {
    /// Whether the request is at fault, and not what was met while it was carried out.
    #[must_use]
    pub fn is_usage(&self) -> bool {
        match self {
            Self::Experiment(error) => error.is_usage(),
            Self::Nothing(_) | Self::NoScript(_) | Self::NoInterpreter(_) => true,
            Self::Peer(_) | Self::Panic(_) | Self::Io { .. } => false,
        }
    }

    /// Whether an engine lacks what the case needs: a gap, and no failure.
    pub(crate) fn is_lacking(&self) -> bool {
        matches!(self, Self::Experiment(ExperimentError::Langevin(error)) if error.is_lacking())
    }
}
