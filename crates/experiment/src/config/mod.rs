//! What an experiment is made of: settings by name or from a file, with overrides, checked before anything runs.
//!
//! A file passes five stations: `Source` reads it, `json` makes values of its text, `authors` translates files in the
//! format of the paper's authors, `overrides` applies `--set`, `defaults` fills in missing keys. From `authors` on all
//! happens on JSON values; only then `decode` makes an `ExperimentConfig` of them and `validate` checks its ranges. A
//! `Study` is a base and the overrides of each of its variants.

mod authors;
mod complaint;
pub(crate) mod cost;
mod data_section;
mod decode;
mod defaults;
mod error;
mod experiment;
mod json;
mod load;
mod named;
mod overrides;
mod sections;
mod study;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

pub use data_section::data_section;
pub use error::{ConfigError, Origin};
pub use experiment::{ExperimentConfig, are_digits};
pub use load::Source;
pub use named::{named, studies};
pub use sections::{DensityPlotConfig, LongRunConfig, LongRunStart, OutputConfig};
pub use study::{DiagnosisConfig, Study, StudyConfig, VariantConfig};
