//! What an experiment is made of: settings by name or from a file, with overrides, checked before anything runs.
//!
//! A file passes four stations: [`Source`] reads it, [`authors`] translates the format of the paper's authors where it
//! meets it, [`overrides`] applies `--set`, [`defaults`] fills in what is not said. All that happens on JSON values; only
//! then [`decode`] makes an [`ExperimentConfig`] of them and `validate` checks its ranges. A [`Study`] is a base and what
//! `--set` would say for each of its variants.

mod authors;
mod cost;
mod decode;
mod defaults;
mod error;
mod experiment;
mod load;
mod named;
mod overrides;
mod sections;
mod study;
mod suggest;
#[cfg(test)]
mod tests;
mod validate;

pub(crate) use cost::CostEstimate;
pub(crate) use error::ConfigError;
pub(crate) use experiment::{ExperimentConfig, are_digits};
pub(crate) use load::Source;
pub(crate) use named::{named, studies};
pub(crate) use sections::{LandscapeConfig, LongRunConfig, LongRunStart, OutputConfig};
pub(crate) use study::{DiagnosisConfig, Study, StudyConfig};
