//! The executor: iterations, checkpoints and events, until the end, a stop or a divergence.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::Energy;
use ebm_langevin::{Engine, LangevinError};

use crate::{Checkpoints, Event, Learner, LearnerView, Observer, TrainerError};

/// How learning ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All iterations are done.
    Finished,
    /// It was asked to stop after so many iterations; the checkpoint continues from there.
    Stopped {
        /// Iterations done.
        iteration: u64,
        /// The checkpoint, where checkpoints are written at all.
        checkpoint: Option<PathBuf>,
    },
}

/// Runs a learner to its last iteration.
#[derive(Default)]
pub struct Trainer<'a> {
    checkpoints: Option<Checkpoints>,
    observers: Vec<&'a mut dyn Observer>,
    stop: Arc<AtomicBool>,
}

impl<'a> Trainer<'a> {
    /// A trainer without checkpoints and observers.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes checkpoints.
    #[must_use]
    pub fn checkpoints(mut self, checkpoints: Checkpoints) -> Self {
        self.checkpoints = Some(checkpoints);
        self
    }

    /// Adds an observer; observers are told in the order they were added.
    #[must_use]
    pub fn observer(mut self, observer: &'a mut dyn Observer) -> Self {
        self.observers.push(observer);
        self
    }

    /// Stops after the running iteration once `stop` is true. Give the same flag to the engine, and the running
    /// iteration is given up instead; it loses nothing, because it is repeated exactly on resuming.
    #[must_use]
    pub fn stop_on(mut self, stop: Arc<AtomicBool>) -> Self {
        self.stop = stop;
        self
    }

    /// Learns until the configured number of iterations is reached.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`] when learning ran away, after telling the observers; the last checkpoint is from before.
    /// Any other error of the parts; where the learner's state is sound a checkpoint is written first.
    pub fn run<B, N, E>(mut self, learner: &mut Learner<B, N, E>) -> Result<Outcome, TrainerError>
    where
        B: AutodiffBackend,
        N: AutodiffModule<B> + Energy<B>,
        E: Engine<B, N>,
    {
        self.tell(&Event::Started {
            iteration: learner.iteration(),
            learner,
        })?;
        while learner.iteration() < learner.config().iterations {
            if self.stop.load(Ordering::Relaxed) {
                return self.stopped(learner);
            }
            let start = Instant::now();
            let metrics = match learner.iterate() {
                Ok(metrics) => metrics,
                Err(TrainerError::Langevin(LangevinError::Cancelled)) => {
                    return self.stopped(learner);
                }
                Err(error) => return self.failed(error),
            };
            let told = self.tell(&Event::IterationDone {
                metrics: &metrics,
                elapsed: start.elapsed(),
                learner,
            });
            if let Err(error) = told {
                // A watching chain that was cancelled is a stop like any other.
                if self.stop.load(Ordering::Relaxed) {
                    return self.stopped(learner);
                }
                self.checkpoint(learner)?;
                return Err(error);
            }
            let is_last = metrics.iteration == learner.config().iterations;
            let is_due = |checkpoints: &Checkpoints| {
                metrics.iteration.is_multiple_of(checkpoints.every.max(1))
            };
            if is_last || self.checkpoints.as_ref().is_some_and(is_due) {
                if let Err(error) = learner.check_parameters() {
                    return self.failed(error);
                }
                self.checkpoint(learner)?;
            }
        }
        Ok(Outcome::Finished)
    }

    fn failed(mut self, error: TrainerError) -> Result<Outcome, TrainerError> {
        if let TrainerError::Diverged { iteration, cause } = error {
            self.tell(&Event::Diverged { iteration, cause })?;
        }
        Err(error)
    }

    fn stopped(mut self, learner: &dyn LearnerView) -> Result<Outcome, TrainerError> {
        Ok(Outcome::Stopped {
            iteration: learner.iteration(),
            checkpoint: self.checkpoint(learner)?,
        })
    }

    fn checkpoint(&mut self, learner: &dyn LearnerView) -> Result<Option<PathBuf>, TrainerError> {
        let Some(checkpoints) = &self.checkpoints else {
            return Ok(None);
        };
        let folder = checkpoints.write(learner)?;
        self.tell(&Event::CheckpointWritten {
            iteration: learner.iteration(),
            folder: &folder,
        })?;
        Ok(Some(folder))
    }

    fn tell(&mut self, event: &Event<'_>) -> Result<(), TrainerError> {
        for observer in &mut self.observers {
            observer.notice(event)?;
        }
        Ok(())
    }
}
