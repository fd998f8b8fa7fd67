//! A study: one experiment in several variants.

use std::fs;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::decode::explain;
use super::error::Fault;
use super::named::{find_study, studies};
use super::overrides::Override;
use super::{ConfigError, ExperimentConfig, Source};

/// A study as its file says it, and as it is written down again with the overrides of the command line in `set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct StudyConfig {
    /// One line for the list of studies.
    #[serde(default)]
    pub(crate) description: String,
    /// The experiment that all variants start from: a name, or the path of a file, which ends in `.json` and is relative to the
    /// file of the study.
    pub(crate) base: String,
    /// Overrides of all variants, such as `langevin.steps=60`.
    #[serde(default)]
    pub(crate) set: Vec<String>,
    /// What is compared, at least two.
    pub(crate) variants: Vec<VariantConfig>,
    /// How each variant is diagnosed at its end.
    #[serde(default)]
    pub(crate) diagnosis: DiagnosisConfig,
}

/// One of the things compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct VariantConfig {
    /// Its name, and that of its run folder.
    pub(crate) name: String,
    /// Overrides of this variant alone.
    #[serde(default)]
    pub(crate) set: Vec<String>,
}

/// As the flags of `diagnose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct DiagnosisConfig {
    /// Chains from each start.
    pub(crate) chains: u32,
    /// Length of the chains, in multiples of L.
    pub(crate) multiple: u64,
}

impl Default for DiagnosisConfig {
    fn default() -> Self {
        Self {
            chains: 64,
            multiple: 100,
        }
    }
}

/// A study whose variants have all been checked.
#[derive(Debug)]
pub(crate) struct Study {
    /// The name of the study, or of its file.
    pub(crate) name: String,
    pub(crate) config: StudyConfig,
    /// The settings of each variant, in the order of the file.
    pub(crate) experiments: Vec<ExperimentConfig>,
}

impl Study {
    /// Whether this names a study rather than an experiment. A file that cannot be read is no study: reading it as an
    /// experiment tells why.
    pub(crate) fn is_meant_by(source: &Source) -> bool {
        match source {
            Source::Named(name) => studies().iter().any(|(known, _)| known == name),
            Source::File(path) => {
                let text = fs::read_to_string(path).unwrap_or_default();
                let file: Value = serde_json::from_str(&text).unwrap_or_default();
                file.get("variants").is_some() || file.get("base").is_some()
            }
        }
    }

    /// Reads a study, adds `overrides` to all its variants, and checks each.
    ///
    /// # Errors
    /// [`ConfigError`], which is always the user's to mend.
    pub(crate) fn load(source: &Source, overrides: &[String]) -> Result<Self, ConfigError> {
        let origin = match source {
            Source::Named(name) => format!("study {name}"),
            Source::File(path) => path.display().to_string(),
        };
        let text = match source {
            Source::Named(name) => find_study(name)?.to_owned(),
            Source::File(path) => fs::read_to_string(path).map_err(|source| ConfigError::Read {
                path: path.clone(),
                source,
            })?,
        };
        let json = |source| ConfigError::Json {
            origin: origin.clone(),
            source,
        };
        let file: Value = serde_json::from_str(&text).map_err(json)?;
        let mut config: StudyConfig = serde_path_to_error::deserialize(&file)
            .map_err(|error| explain(&error.path().to_string(), &error.inner().to_string()))
            .map_err(|fault| fault.at(&*origin))?;
        config.check().map_err(|fault| fault.at(&*origin))?;
        config.refuse_contested(overrides)?;
        if let (Source::File(path), true) = (source, config.base.ends_with(".json")) {
            let beside = path.with_file_name(&config.base);
            // The file will be read again from elsewhere.
            let beside = std::path::absolute(&beside).unwrap_or(beside);
            config.base = beside.display().to_string();
        }
        config.set.extend_from_slice(overrides);
        let experiments = config
            .variants
            .iter()
            .map(|variant| {
                config
                    .experiment(variant)
                    .map_err(|error| ConfigError::Variant {
                        origin: origin.clone(),
                        variant: variant.name.clone(),
                        error: Box::new(error),
                    })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self {
            name: source.name(),
            config,
            experiments,
        })
    }
}

impl StudyConfig {
    /// The settings of a variant: the base, then what is set for all, then what is set for it.
    fn experiment(&self, variant: &VariantConfig) -> Result<ExperimentConfig, ConfigError> {
        let base = if self.base.ends_with(".json") {
            Source::File(PathBuf::from(&self.base))
        } else {
            Source::Named(self.base.clone())
        };
        let sets = [&self.set[..], &variant.set].concat();
        ExperimentConfig::load(&base, &sets).map(|(config, _)| config)
    }

    fn check(&self) -> Result<(), Fault> {
        let count = self.variants.len();
        if count < 2 {
            return Err(Fault::new(
                "variants",
                format!("has {count}: a comparison takes at least 2"),
            ));
        }
        for (index, variant) in self.variants.iter().enumerate() {
            let name = &variant.name;
            let key = format!("variants[{index}].name");
            let is_plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
            if name.is_empty() || !name.chars().all(is_plain) {
                return Err(Fault::new(
                    key,
                    format!(
                        "is \"{name}\": must be letters, digits, - and _, since a folder is named after it"
                    ),
                ));
            }
            let mut earlier = self.variants[..index].iter();
            if earlier.any(|other| other.name.eq_ignore_ascii_case(name)) {
                return Err(Fault::new(
                    key,
                    format!(
                        "is \"{name}\", which an earlier variant is called too; give it another name"
                    ),
                ));
            }
        }
        let DiagnosisConfig { chains, multiple } = self.diagnosis;
        if !(4..=100_000).contains(&chains) {
            return Err(Fault::new(
                "diagnosis.chains",
                format!("is {chains}: must be from 4 to 100000"),
            ));
        }
        if !(3..=1_000_000).contains(&multiple) {
            return Err(Fault::new(
                "diagnosis.multiple",
                format!("is {multiple}: must be from 3 to 1000000"),
            ));
        }
        Ok(())
    }

    /// What is meant for all variants cannot be a key in which they differ.
    fn refuse_contested(&self, overrides: &[String]) -> Result<(), ConfigError> {
        for argument in overrides {
            let asked = Override::parse(argument)?;
            for variant in &self.variants {
                for own in &variant.set {
                    if asked.gave(Override::parse(own)?.key()) {
                        return Err(ConfigError::Contested {
                            argument: argument.clone(),
                            variant: variant.name.clone(),
                            own: own.clone(),
                        });
                    }
                }
            }
        }
        Ok(())
    }
}
