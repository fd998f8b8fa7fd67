//! The run that is diagnosed: its settings, its newest net with the bank of the same iteration, and its metrics.

use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_diagnostics::{IterationMetrics, read_metrics};
use ebm_energy_net::read_tensors;
use ebm_langevin::{LangevinError, PersistentBank};

use crate::config::ExperimentConfig;
use crate::run_folder::{RunFolder, RunInfo};
use crate::trained::NewestWeights;
use crate::{ExperimentError, metrics_seal};

/// A run as it lies on disk.
pub struct Subject {
    /// Its folder.
    pub folder: RunFolder,
    /// Its settings.
    pub config: ExperimentConfig,
    /// How it was made.
    pub info: RunInfo,
    /// d and r of every iteration.
    pub metrics: Vec<IterationMetrics>,
    /// The file of the net.
    pub weights: PathBuf,
    /// Whether the net has the average of the parameters over learning.
    pub average: bool,
    /// Learning iterations of the net.
    pub iteration: u64,
    /// The persistent bank of the same iteration, if it has one.
    pub bank: Option<PersistentBank>,
}

impl Subject {
    /// Reads the folder; with `average`, the net has the average of the parameters over learning. The net is that of
    /// the newest checkpoint, because it belongs to the bank there. A folder that kept only its final weights gives
    /// these and no bank.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] for no run folder; others name the file that is missing or damaged.
    pub fn open(root: &Path, average: bool) -> Result<Self, ExperimentError> {
        let folder = RunFolder::open(root)?;
        let config = folder.read_config()?;
        let info = folder.read_info()?;
        let metrics = read_all_metrics(&folder)?;
        let last = metrics.last().map_or(0, |m| m.iteration);
        let newest = NewestWeights::of(&folder, average)?;
        let iteration = newest.iteration.unwrap_or(last);
        let bank = match &newest.bank {
            Some(bank) => read_bank(bank, &config)?,
            None => None,
        };
        if last < iteration {
            tracing::warn!(
                "{}: ends at iteration {last}, the net is of iteration {iteration}; lines are missing, and the first \
                 axis is judged without them",
                folder.metrics().display()
            );
        }
        Ok(Self {
            folder,
            config,
            info,
            metrics,
            weights: newest.path,
            average,
            iteration,
            bank,
        })
    }
}

fn read_all_metrics(folder: &RunFolder) -> Result<Vec<IterationMetrics>, ExperimentError> {
    let path = folder.metrics();
    let problem = if path.is_file() {
        metrics_seal::check(&path)?;
        let metrics = read_metrics(&path)?;
        if !metrics.is_empty() {
            return Ok(metrics);
        }
        "holds no iteration yet; diagnose the run when it has learned for a while"
    } else {
        "is missing; without it nothing is known of d and r: give a folder as an experiment leaves it"
    };
    Err(ExperimentError::RunFolder {
        path,
        problem: problem.into(),
    })
}

fn read_bank(
    path: &Path,
    config: &ExperimentConfig,
) -> Result<Option<PersistentBank>, ExperimentError> {
    if config.langevin.start != ebm_langevin::ChainStart::Persistent {
        return Ok(None);
    }
    let states = read_tensors(path)?.pop().map(|tensor| tensor.values);
    let states = States::new(config.data.shape(), states.unwrap_or_default());
    Ok(Some(PersistentBank::new(
        states.map_err(LangevinError::from)?,
    )))
}
