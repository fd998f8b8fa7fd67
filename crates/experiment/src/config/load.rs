//! The way from a name or a file to checked settings.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::authors::Dialect;
use super::decode::decode_experiment;
use super::error::Fault;
use super::overrides::Override;
use super::{ConfigError, ExperimentConfig, defaults, json, named};

/// Where settings come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// An experiment that comes with the program.
    Named(String),
    /// A JSON file: ours, or one of the paper's authors'.
    File(PathBuf),
}

/// The name in messages.
impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Named(name) => write!(f, "experiment {name}"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

impl Source {
    /// The text of an experiment or a study. Call this once: a pipe can be read only once.
    ///
    /// # Errors
    /// [`ConfigError::UnknownName`], [`ConfigError::Read`] and [`ConfigError::Encoding`].
    pub fn read(&self) -> Result<String, ConfigError> {
        match self {
            Self::Named(name) => named::find(name).map(str::to_owned),
            Self::File(path) => {
                let bytes = fs::read(path).map_err(|source| ConfigError::Read {
                    path: path.clone(),
                    source,
                })?;
                json::decode(bytes).map_err(|problem| ConfigError::Encoding {
                    path: path.clone(),
                    problem,
                })
            }
        }
    }

    /// The experiment's name. For a file it is the file's name without the ending, or for a file in the folder of a
    /// run or study the name of the folder.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Named(name) => name.clone(),
            Self::File(path) => {
                let folder = path.parent().and_then(Path::file_name);
                let stem = path.file_stem().unwrap_or(path.as_os_str());
                let name = match folder {
                    Some(folder)
                        if path.ends_with("config.json") || path.ends_with("study.json") =>
                    {
                        folder
                    }
                    _ => stem,
                };
                name.to_string_lossy().into_owned()
            }
        }
    }
}

/// Whether a file is that of a study: it has keys that no experiment has.
pub(super) fn is_study(file: &Map<String, Value>) -> bool {
    file.contains_key("variants") || file.contains_key("base")
}

impl ExperimentConfig {
    /// Reads settings, applies overrides (`section.key=value`) and checks the outcome. Returns it with the
    /// experiment's name.
    ///
    /// # Errors
    /// [`ConfigError`], which the user can always fix.
    pub fn load(source: &Source, overrides: &[String]) -> Result<(Self, String), ConfigError> {
        Self::parse(source, &source.read()?, overrides)
    }

    /// As [`Self::load`], with the text of the source.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(
        source: &Source,
        text: &str,
        overrides: &[String],
    ) -> Result<(Self, String), ConfigError> {
        let origin = source.to_string();
        let Value::Object(file) = json::parse(text, &origin)? else {
            return Err(ConfigError::NotAnObject { origin });
        };
        if is_study(&file) {
            return Err(ConfigError::Study {
                name: match source {
                    Source::Named(name) => name.clone(),
                    Source::File(path) => path.display().to_string(),
                },
            });
        }
        let overrides = overrides
            .iter()
            .map(|argument| Override::parse(argument))
            .collect::<Result<Vec<_>, _>>()?;

        let dialect = Dialect::of(&file, &origin)?;
        let mut file = dialect
            .translate(file)
            .map_err(|fault| fault.at(&*origin))?;
        for each in &overrides {
            each.apply(&mut file)?;
        }
        defaults::fill(&mut file);
        let locate = |fault: Fault| {
            // The last override of a key is the one that counts.
            match overrides.iter().rev().find(|each| each.gave(&fault.key)) {
                Some(each) => fault.at(each.origin()),
                None => dialect.name_key(fault).at(&*origin),
            }
        };
        let config = decode_experiment(file).map_err(locate)?;
        config.validate().map_err(locate)?;
        Ok((config, source.name()))
    }
}
