//! A study: one experiment in several variants.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::decode::decode;
use super::error::Fault;
use super::load::is_study;
use super::overrides::Override;
use super::{ConfigError, ExperimentConfig, Source, json};

/// The largest number of letters in the name of a variant; file systems allow a few more.
const LONGEST_NAME: usize = 100;

/// The contents of the file of a study. It is written again with the overrides of the command line in `set`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StudyConfig {
    /// One line for the list of studies.
    #[serde(default)]
    pub description: String,
    /// The experiment that all variants start from: a name, or the path of a file, which ends in `.json` and is
    /// relative to the file of the study.
    pub base: String,
    /// Overrides of all variants, such as `langevin.steps=60`.
    #[serde(default)]
    pub set: Vec<String>,
    /// The experiments to compare, at least two.
    pub variants: Vec<VariantConfig>,
    /// Every variant is learned once with each of these seeds. Without seeds it is learned once, with the seed of the
    /// experiment.
    #[serde(default)]
    pub seeds: Vec<u64>,
    /// The diagnosis of each variant at its end.
    #[serde(default)]
    pub diagnosis: DiagnosisConfig,
}

/// One of the experiments that are compared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VariantConfig {
    /// Its name, and that of its run folder.
    pub name: String,
    /// Overrides of this variant alone.
    #[serde(default)]
    pub set: Vec<String>,
}

/// The settings of a diagnosis, as the flags of `diagnose`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DiagnosisConfig {
    /// The number of chains from each start.
    pub chains: u32,
    /// Length of the chains, in multiples of L.
    pub multiple: u64,
    /// Also judge samples of digits of chains of this length, in multiples of L, from noise and from the data alike.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub judged_multiple: Option<u64>,
}

impl Default for DiagnosisConfig {
    fn default() -> Self {
        Self {
            chains: 64,
            multiple: 100,
            judged_multiple: None,
        }
    }
}

/// A study whose variants have all been checked.
#[derive(Debug)]
pub struct Study {
    /// The name of the study, or of its file.
    pub name: String,
    /// The study as its file says it.
    pub config: StudyConfig,
    /// Its runs: the variants in the order of the file, each with every seed.
    pub runs: Vec<PlannedRun>,
}

/// A run of a study: a variant with a seed.
#[derive(Debug)]
pub struct PlannedRun {
    /// The name of the run, and of its folder.
    pub name: String,
    /// Its settings.
    pub experiment: ExperimentConfig,
}

impl Study {
    /// Whether this text is that of a study rather than an experiment. A text that is not JSON is no study; the error
    /// then comes from reading it as an experiment.
    pub fn is_meant_by(text: &str) -> bool {
        json::glance(text).as_object().is_some_and(is_study)
    }

    /// Reads a study, adds `overrides` to all its variants, and checks each. An override of `seed` takes the place of
    /// the study's seeds.
    ///
    /// # Errors
    /// [`ConfigError`], which the user can always fix.
    pub fn load(source: &Source, overrides: &[String]) -> Result<Self, ConfigError> {
        Self::parse(source, &source.read()?, overrides)
    }

    /// As [`Self::load`], with the text of the source.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn parse(source: &Source, text: &str, overrides: &[String]) -> Result<Self, ConfigError> {
        let origin = match source {
            Source::Named(name) => format!("study {name}"),
            Source::File(path) => path.display().to_string(),
        };
        let file = json::parse(text, &origin)?;
        let mut config: StudyConfig = decode(&file).map_err(|fault| fault.at(&*origin))?;
        config.check().map_err(|fault| fault.at(&*origin))?;
        config.refuse_contested(overrides, &origin)?;
        if let (Source::File(path), true) = (source, config.base.ends_with(".json")) {
            let beside = path.with_file_name(&config.base);
            // The file will be read again from elsewhere.
            let beside = std::path::absolute(&beside).unwrap_or(beside);
            config.base = beside.display().to_string();
        }
        if gives_seed(overrides)? {
            config.seeds.clear();
        }
        config.set.extend_from_slice(overrides);
        Self::checked(source.name(), config, &origin)
    }

    /// A study that was made in code.
    ///
    /// # Errors
    /// [`ConfigError`], as for one from a file.
    pub fn new(name: impl Into<String>, config: StudyConfig) -> Result<Self, ConfigError> {
        let name = name.into();
        config.check().map_err(|fault| fault.at(&*name))?;
        Self::checked(name.clone(), config, &name)
    }

    /// The study, if the settings of all its variants are sound.
    fn checked(name: String, config: StudyConfig, origin: &str) -> Result<Self, ConfigError> {
        let mut runs = Vec::new();
        for variant in &config.variants {
            let experiment = config
                .experiment(variant)
                .map_err(|error| ConfigError::Variant {
                    origin: origin.to_owned(),
                    variant: variant.name.clone(),
                    error: Box::new(error),
                })?;
            for (name, seed) in config.runs_of(variant) {
                let mut experiment = experiment.clone();
                experiment.seed = seed.unwrap_or(experiment.seed);
                runs.push(PlannedRun { name, experiment });
            }
        }
        Ok(Self { name, config, runs })
    }
}

impl StudyConfig {
    /// The names of all runs, in order.
    pub fn run_names(&self) -> impl Iterator<Item = String> {
        let of_variant = |variant| self.runs_of(variant).into_iter().map(|(name, _)| name);
        self.variants.iter().flat_map(of_variant)
    }

    /// The names and seeds of the runs of a variant. Without seeds there is one run with the name of the variant.
    pub(crate) fn runs_of(&self, variant: &VariantConfig) -> Vec<(String, Option<u64>)> {
        if self.seeds.is_empty() {
            return vec![(variant.name.clone(), None)];
        }
        let with_seed = |&seed: &u64| (format!("{}-seed-{seed}", variant.name), Some(seed));
        self.seeds.iter().map(with_seed).collect()
    }

    /// The settings of a variant: the base, then the overrides of all variants, then its own.
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
            if name.len() > LONGEST_NAME {
                return Err(Fault::new(
                    key,
                    format!(
                        "has {} letters: must have at most {LONGEST_NAME}, since a folder is named after it",
                        name.len()
                    ),
                ));
            }
            let mut earlier = self.variants[..index].iter();
            if earlier.any(|other| other.name.eq_ignore_ascii_case(name)) {
                return Err(Fault::new(
                    key,
                    format!(
                        "is \"{name}\", which is also the name of an earlier variant; give it another name"
                    ),
                ));
            }
        }
        self.check_seeds()?;
        let DiagnosisConfig {
            chains,
            multiple,
            judged_multiple,
        } = self.diagnosis;
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
        if let Some(multiple) = judged_multiple.filter(|it| !(1..=1_000_000).contains(it)) {
            return Err(Fault::new(
                "diagnosis.judged_multiple",
                format!("is {multiple}: must be from 1 to 1000000"),
            ));
        }
        Ok(())
    }

    fn check_seeds(&self) -> Result<(), Fault> {
        for (index, seed) in self.seeds.iter().enumerate() {
            if self.seeds[..index].contains(seed) {
                let problem = format!("holds {seed} twice: the two runs would be the same");
                return Err(Fault::new("seeds", problem));
            }
        }
        let sets = self.variants.iter().map(|variant| &variant.set);
        for set in sets.chain([&self.set]) {
            // An override that cannot be read is refused later, with the name of its variant.
            if !self.seeds.is_empty() && gives_seed(set).unwrap_or(false) {
                let problem = "is given, and \"set\" gives a seed too; take one of them out";
                return Err(Fault::new("seeds", problem));
            }
        }
        Ok(())
    }

    /// An override of all variants must not set a key in which they differ.
    fn refuse_contested(&self, overrides: &[String], origin: &str) -> Result<(), ConfigError> {
        for argument in overrides {
            let asked = Override::parse(argument)?;
            for variant in &self.variants {
                for own in &variant.set {
                    let parsed = Override::parse(own).map_err(|error| ConfigError::Variant {
                        origin: origin.to_owned(),
                        variant: variant.name.clone(),
                        error: Box::new(error),
                    })?;
                    if asked.gave(parsed.key()) {
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

fn gives_seed(overrides: &[String]) -> Result<bool, ConfigError> {
    for argument in overrides {
        if Override::parse(argument)?.gave("seed") {
            return Ok(true);
        }
    }
    Ok(false)
}
