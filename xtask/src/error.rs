//! How a command ends when it does not succeed.

use std::path::{Path, PathBuf};

use ebm_benches::BenchError;
use ebm_experiment::ExperimentError;

use crate::advice::{explain, explain_bench};
use crate::backend::BackendName;
use crate::logging::Screen;

/// The outcome of work that leaves nothing behind when Ctrl-C ends it; `advice` then says so, and what takes less time.
///
/// # Errors
/// [`DriverError::Interrupted`] after a stop, [`DriverError::Experiment`] otherwise.
pub(crate) fn unless_stopped<T>(
    outcome: Result<T, ExperimentError>,
    screen: &Screen,
    advice: &str,
) -> Result<T, DriverError> {
    match outcome {
        Err(ExperimentError::Stopped) => {
            screen.say(advice);
            Err(DriverError::Interrupted)
        }
        outcome => Ok(outcome?),
    }
}

/// Any failure of the driver, each with one message for a person.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DriverError {
    /// A flag or a combination of flags.
    #[error("{0}")]
    Usage(String),
    /// An experiment failed, or work on its results; the message names the flags that help.
    #[error("{}", explain(.0))]
    Experiment(#[from] ExperimentError),
    /// The file system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A measurement as a whole.
    #[error("{}", explain_bench(.0))]
    Bench(#[from] BenchError),
    /// Parts of a measurement failed; the rest is there.
    #[error("{0} of the measurements failed: see above, and `failed` in the file of --out")]
    Measurements(usize),
    /// A backend cannot start on this machine.
    #[error("the {name} backend cannot start here: {fault}, or use --backend flex for the CPU")]
    NoStart {
        /// The backend.
        name: BackendName,
        /// What is missing and how to fix it.
        fault: String,
    },
    /// The user stopped the work, and has been told how to go on.
    #[error("interrupted")]
    Interrupted,
}

/// Errors of the crates that the driver itself calls are shown like those of an experiment.
macro_rules! by_way_of_experiment {
    ($($part:ty),* $(,)?) => {$(
        impl From<$part> for DriverError {
            fn from(error: $part) -> Self {
                Self::Experiment(error.into())
            }
        }
    )*};
}

by_way_of_experiment!(ebm_data::DataError, ebm_experiment::config::ConfigError,);

impl DriverError {
    pub(crate) fn io(path: impl AsRef<Path>, source: std::io::Error) -> Self {
        Self::Io {
            path: path.as_ref().to_owned(),
            source,
        }
    }

    /// 2 for wrong usage, 130 for an interruption, as in shells, and 1 for all other failures.
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Usage(_) => 2,
            Self::Experiment(error) if error.is_usage() => 2,
            Self::Bench(error) if error.is_usage() => 2,
            Self::Experiment(ExperimentError::Stopped) | Self::Interrupted => 130,
            _ => 1,
        }
    }
}

/// A message as it may be shown: names in it may come from files, and a terminal obeys what some of their characters
/// say.
pub(crate) fn printable(message: &str) -> String {
    const MOST: usize = 4000;
    let mut shown = String::new();
    let mut characters = message.chars();
    for character in characters.by_ref().take(MOST) {
        if character.is_control() && character != '\n' {
            shown.extend(character.escape_default());
        } else {
            shown.push(character);
        }
    }
    let left = characters.count();
    if left > 0 {
        shown += &format!("… and {left} more characters");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::printable;

    #[test]
    fn messages_are_shown_as_they_are_but_for_what_a_terminal_obeys() {
        let message = "a.json: \"α\" is 3:\n  must be ≥ 5";
        assert_eq!(printable(message), message);
        assert_eq!(printable("`\u{1b}[2J\r\0`"), "`\\u{1b}[2J\\r\\u{0}`");
        let long = printable(&"n".repeat(5000));
        assert!(long.len() < 4100 && long.ends_with("… and 1000 more characters"));
    }
}
