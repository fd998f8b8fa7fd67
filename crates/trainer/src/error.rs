//! What can go wrong while learning.

use std::path::PathBuf;

use ebm_core::DatasetError;
use ebm_energy_net::NetError;
use ebm_langevin::LangevinError;

use crate::ObserverError;

/// An impossible setting, a failed part, or learning that ran away.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainerError {
    /// A setting is out of range.
    #[error("{key} = {value}: {allowed}")]
    Setting {
        /// The key in the config.
        key: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        allowed: String,
    },
    /// Learning ran away. The learner is back at the state before this iteration or, where iterations were
    /// [advanced](crate::Learner::advance), before the first unread one. The last checkpoint is from before, too.
    #[error("learning ran away at iteration {iteration}: {cause}")]
    Diverged {
        /// The iteration that was given up.
        iteration: u64,
        /// What was seen.
        cause: DivergenceCause,
    },
    /// The net or its weight file.
    #[error(transparent)]
    Net(#[from] NetError),
    /// The chains.
    #[error(transparent)]
    Langevin(#[from] LangevinError),
    /// The data.
    #[error("{0}")]
    Data(DatasetError),
    /// A checkpoint does not hold what it should.
    #[error("{path}: {problem}")]
    Checkpoint {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong, and what to do.
        problem: String,
    },
    /// The file system refused.
    #[error("{path}: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An observer failed.
    #[error(transparent)]
    Observer(#[from] ObserverError),
    /// An engine that was asked for the final energies did not give one for each state.
    #[error(
        "the engine gave {energies} energies for {states} states; a run with `final_energies` has to return one for \
         each"
    )]
    Energies {
        /// Energies given.
        energies: usize,
        /// States given.
        states: usize,
    },
    /// A request that is only possible when the numbers of all iterations have been read.
    #[error(
        "the numbers of {iterations} iterations have not been read yet: call `Learner::read` first"
    )]
    Unread {
        /// Iterations that were advanced since.
        iterations: usize,
    },
}

/// The sign by which learning was seen to run away.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum DivergenceCause {
    /// An energy or gradient is infinite or not a number.
    #[error(
        "mean F of data {energy_data}, of samples {energy_samples}, r {gradient_magnitude}: not all finite"
    )]
    NotFinite {
        /// Mean F of data.
        energy_data: f64,
        /// Mean F of samples.
        energy_samples: f64,
        /// r.
        gradient_magnitude: f64,
    },
    /// The update made a parameter infinite or not a number.
    #[error("its update made parameters that are not finite")]
    Parameters,
    /// The energy difference passed the limit.
    #[error(
        "mean F(data) − mean F(samples) = {difference:.4e}, beyond the limit of {limit} (divergence_limit)"
    )]
    EnergyDifference {
        /// Mean F(data) − mean F(samples).
        difference: f64,
        /// The configured limit.
        limit: f64,
    },
    /// The gradient moves chains a hundred times as far in a step as the noise does.
    #[error(
        "r = {gradient_magnitude:.4e}, beyond {limit:.4e}, which is a hundred times the length of the noise of a step"
    )]
    Gradient {
        /// r.
        gradient_magnitude: f64,
        /// 100 ε√N.
        limit: f64,
    },
}
