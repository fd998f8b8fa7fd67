//! The contents of a run folder that a comparison needs.

use std::path::{Path, PathBuf};

use ebm_diagnostics::{IterationMetrics, RunSummary};

use crate::config::ExperimentConfig;
use crate::diagnosis::{Diagnosis, LearningOutcome, read_diagnosis};
use crate::landscape::DensityRecord;
use crate::likelihood::{Likelihood, read_likelihood};
use crate::run_folder::{RunFolder, RunInfo};
use crate::{ExperimentError, NextStep, Supervisor};

/// A run to compare.
#[derive(Debug, Clone)]
pub struct ComparedRun {
    /// The folder as it was given.
    pub name: String,
    /// Where it is.
    pub root: PathBuf,
    /// Its settings.
    pub config: ExperimentConfig,
    /// How it was made, if the folder still has that file.
    pub info: Option<RunInfo>,
    /// d and r of every iteration.
    pub metrics: Vec<IterationMetrics>,
    /// Distances of densities during learning, for toy runs.
    pub landscape: Vec<DensityRecord>,
    /// Means and spreads of d and r, where there are enough iterations.
    pub summary: Option<RunSummary>,
    /// Its diagnosis, if there is one.
    pub diagnosis: Option<Diagnosis>,
    /// The likelihood of its data, if it was estimated.
    pub likelihood: Option<Likelihood>,
}

impl ComparedRun {
    /// Reads a run folder. An unfinished run is read as far as it has come.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] names a folder that is no run; others name a damaged file.
    pub fn open(root: &Path) -> Result<Self, ExperimentError> {
        let folder = RunFolder::open(root)?;
        let config = folder.read_config()?;
        let metrics = folder.read_metrics()?;
        Ok(Self {
            name: root.display().to_string(),
            root: root.to_owned(),
            info: folder.read_info().ok(),
            landscape: folder.read_landscape()?,
            summary: RunSummary::from_metrics(&metrics, &config.summary_options()).ok(),
            diagnosis: read_diagnosis(&root.join("diagnosis"))?,
            likelihood: read_likelihood(&root.join("likelihood"))?,
            config,
            metrics,
        })
    }

    /// Iterations done.
    #[must_use]
    pub fn iterations(&self) -> u64 {
        self.metrics.last().map_or(0, |metrics| metrics.iteration)
    }

    /// How its learning ran away, if it did.
    #[must_use]
    pub fn ran_away(&self) -> Option<&str> {
        self.info.as_ref()?.ran_away.as_deref()
    }

    /// The sentence on its outcome: that learning ran away, or the verdict of the diagnosis, or else a new judgement
    /// of the first axis.
    pub fn verdict(&self, supervisor: &dyn Supervisor) -> String {
        if let Some(cause) = self.ran_away() {
            return format!("Ran away: {cause}.");
        }
        let Some(diagnosis) = &self.diagnosis else {
            let learning = LearningOutcome::of(&self.metrics);
            let reason = match &learning {
                LearningOutcome::NotJudged(problem) => format!(" ({problem})"),
                LearningOutcome::Judged(_) => String::new(),
            };
            let how = supervisor.command(NextStep::Diagnose { run: &self.root });
            let how = how.map_or_else(String::new, |command| format!(", which `{command}` does"));
            return format!(
                "{}{reason}; convergence not judged{how}.",
                learning.sentence()
            );
        };
        if diagnosis.iteration == self.iterations() {
            return diagnosis.sentence.clone();
        }
        // A run that was continued since then has a net that has not been judged.
        format!(
            "{} (Diagnosed after iteration {}; the run has {} now.)",
            diagnosis.sentence,
            diagnosis.iteration,
            self.iterations()
        )
    }
}
