//! Settings as users write them, and what they are told when these are wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod authors;
mod named;
mod ours;
mod refusals;
mod texts;

use std::path::PathBuf;

use super::{ConfigError, ExperimentConfig, Source};

/// Loads `json` from a file called `mine.json`.
fn load(json: &str, overrides: &[&str]) -> Result<ExperimentConfig, ConfigError> {
    load_bytes(json.as_bytes(), overrides)
}

fn load_bytes(json: &[u8], overrides: &[&str]) -> Result<ExperimentConfig, ConfigError> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.json");
    std::fs::write(&path, json).unwrap();
    let (config, name) = load_from(Source::File(path), overrides)?;
    assert_eq!(name, "mine");
    Ok(config)
}

fn load_named(name: &str, overrides: &[&str]) -> Result<ExperimentConfig, ConfigError> {
    load_from(Source::Named(name.to_owned()), overrides).map(|(config, _)| config)
}

fn load_from(
    source: Source,
    overrides: &[&str],
) -> Result<(ExperimentConfig, String), ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(ToString::to_string).collect();
    ExperimentConfig::load(&source, &overrides)
}

/// Asserts that the message has every part.
fn refused<T: std::fmt::Debug>(result: Result<T, ConfigError>, parts: &[&str]) {
    let message = result.unwrap_err().to_string();
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

fn authors_file(name: &str) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/authors");
    folder.join(name).with_extension("json")
}
