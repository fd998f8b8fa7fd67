//! Events of learning, for observers.

use std::path::Path;
use std::time::Duration;

use ebm_diagnostics::IterationMetrics;

use crate::{DivergenceCause, LearnerView};

/// An event of learning. Observers see it but cannot change the learning.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// Learning starts, or goes on after `iteration` finished ones.
    Started {
        /// Iterations already done.
        iteration: u64,
        /// The state of learning.
        learner: &'a dyn LearnerView,
    },
    /// An iteration is done.
    IterationDone {
        /// Its numbers.
        metrics: &'a IterationMetrics,
        /// The time it took; the mean over them where the numbers of several iterations were read together.
        elapsed: Duration,
        /// The state of learning after it, for observers that [read](Observer::reads_learner) it. For others it may be
        /// that of a later iteration, or of an earlier one when a later one ran away: compare
        /// [`LearnerView::iteration`].
        learner: &'a dyn LearnerView,
    },
    /// A checkpoint was written.
    CheckpointWritten {
        /// The iterations it holds.
        iteration: u64,
        /// Its folder.
        folder: &'a Path,
    },
    /// Learning ran away, went back to an earlier checkpoint, and continues from there as another attempt. What was
    /// told of the iterations since that checkpoint no longer holds.
    Recovered {
        /// The iteration that was given up.
        iteration: u64,
        /// What was seen.
        cause: DivergenceCause,
        /// The state of learning, back at the checkpoint and in the new attempt.
        learner: &'a dyn LearnerView,
    },
    /// Learning ran away and ends.
    Diverged {
        /// The iteration that was given up.
        iteration: u64,
        /// What was seen.
        cause: DivergenceCause,
    },
}

/// Watches learning: a progress bar, a log, plots.
pub trait Observer {
    /// Called for every event, in order.
    ///
    /// # Errors
    /// An error ends the learning after a checkpoint; return one only when results would otherwise be lost, such as
    /// when the disk is full.
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError>;

    /// Whether this observer reads the learner, and not only the numbers, when it is told that `iteration` is done. It
    /// is asked after each iteration where numbers are read [every few iterations](crate::Trainer::metrics_every); if
    /// any observer reads the learner, the numbers are read at once. After the last iteration and those with a
    /// checkpoint they are always read at once.
    ///
    /// What an observer does on [`Event::IterationDone`] must depend on the number in its metrics, not on the
    /// learner's, where this says no.
    fn reads_learner(&self, _iteration: u64) -> bool {
        true
    }
}

/// An observer's failure, in its own words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct ObserverError(pub String);

impl ObserverError {
    /// Wraps any error.
    pub fn new(error: impl std::fmt::Display) -> Self {
        Self(error.to_string())
    }
}
