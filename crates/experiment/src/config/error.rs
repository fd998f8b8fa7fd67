//! What can be wrong with an experiment's settings. All of it can be fixed by the user.

use std::fmt;
use std::io;
use std::path::PathBuf;

/// Unusable settings. Every message says where they came from, what is wrong and what is allowed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// There is no experiment of this name.
    #[error(
        "there is no experiment \"{name}\"{suggestion}; the names are {known}; the studies are {studies}"
    )]
    UnknownName {
        /// The name asked for.
        name: String,
        /// A similar name in brackets, or nothing.
        suggestion: String,
        /// All names.
        known: String,
        /// The names of all studies.
        studies: String,
    },
    /// The file cannot be read.
    #[error("{}: cannot be read: {source}; check that the path is right and that you may read it", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is text in another encoding, or no text.
    #[error("{}: {problem}", path.display())]
    Encoding {
        /// The file.
        path: PathBuf,
        /// What is wrong and what would be right.
        problem: String,
    },
    /// The text is no JSON.
    #[error("{origin}: not valid JSON: {problem}")]
    Json {
        /// The file.
        origin: String,
        /// What is wrong, with line and column, and what would be right.
        problem: String,
    },
    /// The text is JSON, but no object.
    #[error("{origin}: must be a JSON object, such as {{\"data\": {{\"source\": \"gmm\"}}}}")]
    NotAnObject {
        /// The file.
        origin: String,
    },
    /// A file for the authors' program that samples from a saved net.
    #[error(
        "{origin}: this describes an evaluation of a saved net (it has \"{key}\"), not learning"
    )]
    Evaluation {
        /// The file.
        origin: String,
        /// The key that shows it.
        key: String,
    },
    /// A key is unknown, absent, there twice, of the wrong type or out of range.
    #[error("{origin}: \"{key}\" {problem}")]
    Key {
        /// The file or the override.
        origin: Origin,
        /// The key, `section.name`.
        key: String,
        /// What is wrong, with the value and what is allowed.
        problem: String,
    },
    /// A study where an experiment is needed.
    #[error("{name} is a study; an experiment is needed here, as it is for the base of a study")]
    Study {
        /// The study or its file.
        name: String,
    },
    /// A variant of a study.
    #[error("{origin}, variant \"{variant}\": {error}")]
    Variant {
        /// The study or its file.
        origin: String,
        /// The variant's name.
        variant: String,
        /// What is wrong with its settings.
        error: Box<ConfigError>,
    },
    /// An override of a whole study for a key that one of its variants sets.
    #[error(
        "{argument}: all variants of a study get this, but variant \"{variant}\" sets {own} itself; \
         to change it, edit the study"
    )]
    Contested {
        /// The key and value, whichever flag gave them.
        argument: String,
        /// The variant.
        variant: String,
        /// What it sets.
        own: String,
    },
    /// An override is not of the form `key=value`.
    #[error("{argument}: {problem}; write KEY=VALUE, such as langevin.steps=200")]
    Override {
        /// The argument.
        argument: String,
        /// What is wrong.
        problem: &'static str,
    },
}

/// The origin of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// A file, or something else that has a name.
    Source(String),
    /// An override, `key=value`.
    Override(String),
}

impl From<&str> for Origin {
    fn from(source: &str) -> Self {
        Self::Source(source.to_owned())
    }
}

impl From<String> for Origin {
    fn from(source: String) -> Self {
        Self::Source(source)
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name) | Self::Override(name) => f.write_str(name),
        }
    }
}

/// A [`ConfigError::Key`] before the origin of the key is known.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) key: String,
    pub(super) problem: String,
}

impl Fault {
    pub(super) fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }

    pub(super) fn at(self, origin: impl Into<Origin>) -> ConfigError {
        ConfigError::Key {
            origin: origin.into(),
            key: self.key,
            problem: self.problem,
        }
    }
}
