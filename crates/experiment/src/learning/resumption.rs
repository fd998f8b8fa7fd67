//! A run that goes on: what may change, and when it makes sense.

use std::path::Path;

use super::{Destination, LearningRun};
use crate::config::{ExperimentConfig, Source};
use crate::data::load_data;
use crate::run_folder::{RunFolder, RunInfo};
use crate::{EngineChoice, ExperimentError};

/// Sections whose keys may change between the parts of a run, because nothing that was learned depends on them.
const FREE_SECTIONS: [&str; 2] = ["recovery", "output"];

/// What changes when a run goes on.
#[derive(Debug, Clone, Default)]
pub struct Resumption {
    /// The number of iterations in total, where it changes.
    pub iterations: Option<u64>,
    /// Whether a run that ran away is allowed one recovery more than it has had.
    pub attempt: bool,
    /// Overrides, `section.key=value`, of keys in `recovery` and `output`.
    pub set: Vec<String>,
}

impl Resumption {
    fn overrides(&self) -> Result<Vec<String>, ExperimentError> {
        for argument in &self.set {
            let is_free = FREE_SECTIONS
                .iter()
                .any(|section| argument.starts_with(&format!("{section}.")));
            if !is_free {
                return Err(ExperimentError::setting(
                    "set",
                    format!(
                        "{argument} cannot change while a run goes on: only keys of {} can; for others start a new run",
                        FREE_SECTIONS.join(" and ")
                    ),
                ));
            }
        }
        let total = self.iterations.map(|count| format!("iterations={count}"));
        Ok(self.set.iter().cloned().chain(total).collect())
    }
}

impl LearningRun {
    /// The run in `folder` from its newest checkpoint on; and how it was made. A run that ran away learns the same
    /// iterations up to there again, and then recovers if its settings allow it.
    ///
    /// # Errors
    /// [`ExperimentError::Complete`], [`ExperimentError::NoCheckpoint`], [`ExperimentError::Unfit`];
    /// [`ExperimentError::RanAway`] for a run that ran away and would only do so again; [`ExperimentError::Setting`]
    /// for a key that may not change; those of the folder and the data.
    pub fn resume(
        folder: &Path,
        changes: &Resumption,
        data_directory: Option<&Path>,
    ) -> Result<(Self, RunInfo), ExperimentError> {
        let overrides = changes.overrides()?;
        let folder = RunFolder::open(folder)?.locked()?;
        let (mut config, _) = ExperimentConfig::load(&Source::File(folder.config()), &overrides)?;
        // First, because a run that ended before its first checkpoint may not have all its files.
        let done = folder.checkpoint_to_resume()?.iteration;
        let info = folder.read_info()?;
        let tries = info.recoveries.len() as u32;
        if changes.attempt {
            if info.ran_away.is_none() {
                return Err(ExperimentError::setting(
                    "attempt",
                    format!(
                        "is for runs that ran away, and {} did not; resume it without",
                        folder.root().display()
                    ),
                ));
            }
            config.recovery.attempts = config.recovery.attempts.max(tries + 1);
        }
        if let Some(cause) = &info.ran_away
            && config.recovery.attempts <= tries
        {
            return Err(ExperimentError::RanAway {
                folder: folder.root().to_owned(),
                cause: cause.clone(),
            });
        }
        // If a run has all its iterations but could not write its results, for example on a full disk, only that is
        // done.
        if done > config.iterations || done == config.iterations && folder.has_results() {
            return Err(ExperimentError::Complete {
                folder: folder.root().to_owned(),
                done,
                of: config.iterations,
            });
        }
        let dataset = load_data(&config.data, data_directory)?;
        let run = Self {
            config,
            name: info.experiment.clone(),
            engine: EngineChoice::Auto,
            dataset,
            destination: Destination::Existing(folder),
            resumed_by: None,
        };
        Ok((run, info))
    }
}
