//! The executor: iterations, checkpoints and events, until the end, a stop or a divergence.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use ebm_diagnostics::IterationMetrics;
use ebm_langevin::LangevinError;

use crate::{AnyLearner, Checkpoints, Event, LearnerView, Observer, TrainerError};

/// How learning ended without an error.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// All iterations are done.
    Finished,
    /// It was asked to stop; these are the iterations that are done, and the checkpoint continues from there.
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
    metrics_every: u32,
    metrics_within: Option<Duration>,
    /// The time of an iteration, as it was last.
    pace: Option<Duration>,
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

    /// Reads the numbers of iterations from the device only after every `iterations` iterations, at least and by
    /// default 1, where the engine runs ahead ([`AnyLearner::runs_ahead`]); with other engines it changes nothing. What
    /// is learned is the same. Numbers are read earlier when an observer [reads the learner](Observer::reads_learner),
    /// for a checkpoint, at the end, and on a stop, which waits for the queued work.
    ///
    /// Observers are told of the iterations when their numbers are read, in order. When one of them turns out to have
    /// run away, the learner goes back to before the first of them.
    #[must_use]
    pub fn metrics_every(mut self, iterations: u32) -> Self {
        self.metrics_every = iterations;
        self
    }

    /// Reads numbers before [`Self::metrics_every`] iterations are done if these would take longer than this, judged
    /// by the iterations before. On a slow device observers are thus still told of learning, and a stop does not wait
    /// long for the queued work. The first iteration, which may compile and try kernels, is then read alone.
    #[must_use]
    pub fn metrics_within(mut self, time: Duration) -> Self {
        self.metrics_within = Some(time);
        self
    }

    /// Learns until the configured number of iterations is reached.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`] when learning ran away and the settings allow no further [recovery](crate::Recovery),
    /// after telling the observers; the last checkpoint is from before. Any other error of the parts; where the
    /// learner's state is sound a checkpoint is written first. [`TrainerError::Unread`] for a learner with iterations
    /// that its owner has not read.
    pub fn run(mut self, learner: &mut dyn AnyLearner) -> Result<Outcome, TrainerError> {
        let iterations = learner.unread();
        if iterations > 0 {
            return Err(TrainerError::Unread { iterations });
        }
        self.tell(&Event::Started {
            iteration: learner.iteration(),
            learner,
        })?;
        if learner.iteration() == 0 && learner.config().recovery.attempts > 0 {
            self.checkpoint(learner)?;
        }
        while learner.iteration() < learner.config().iterations {
            if self.stop.load(Ordering::Relaxed) {
                return self.stopped(learner);
            }
            let mut metrics = Vec::new();
            let start = Instant::now();
            let (advanced, result) = self.learn(learner, &mut metrics);
            let elapsed = start.elapsed() / advanced.max(1);
            self.pace = Some(elapsed);
            let told = metrics.iter().try_for_each(|metrics| {
                self.tell(&Event::IterationDone {
                    metrics,
                    elapsed,
                    learner: &*learner,
                })
            });
            if let Err(error) = told {
                // A cancelled chain of an observer is a stop like any other.
                if self.stop.load(Ordering::Relaxed) {
                    return self.stopped(learner);
                }
                self.checkpoint(learner)?;
                return Err(error);
            }
            match result {
                Ok(()) => {}
                Err(TrainerError::Langevin(LangevinError::Cancelled)) => {
                    return self.stopped(learner);
                }
                Err(error) => {
                    self.recover(learner, error)?;
                    continue;
                }
            }
            if self.is_saved(learner) {
                if let Err(error) = learner.check_parameters() {
                    self.recover(learner, error)?;
                    continue;
                }
                self.checkpoint(learner)?;
            }
        }
        Ok(Outcome::Finished)
    }

    /// Runs the next iteration, or as many as need not be read one by one. Returns how many were done and the numbers
    /// of the sound ones.
    fn learn(
        &self,
        learner: &mut dyn AnyLearner,
        metrics: &mut Vec<IterationMetrics>,
    ) -> (u32, Result<(), TrainerError>) {
        let most = self.most_unread();
        if most <= 1 || !learner.runs_ahead() {
            return (1, learner.iterate().map(|read| metrics.push(read)));
        }
        let mut advanced = 0;
        let last = loop {
            if let Err(error) = learner.advance() {
                break Err(error);
            }
            advanced += 1;
            if advanced == most || self.is_awaited(learner) {
                break Ok(());
            }
        };
        // Numbers are read even after an error, because an error in an earlier iteration comes first.
        let read = learner.read(metrics);
        (advanced, read.and(last))
    }

    /// How many iterations may be computed before their numbers are read.
    fn most_unread(&self) -> u32 {
        let Some(time) = self.metrics_within else {
            return self.metrics_every;
        };
        let fitting = self.pace.map_or(1.0, |pace| {
            time.as_secs_f64() / pace.as_secs_f64().max(1e-9)
        });
        fitting.clamp(1.0, f64::from(self.metrics_every.max(1))) as u32
    }

    /// Whether an observer or a checkpoint needs the state after the newest iteration.
    fn is_awaited(&self, learner: &dyn LearnerView) -> bool {
        let iteration = learner.iteration();
        let mut observers = self.observers.iter();
        self.stop.load(Ordering::Relaxed)
            || self.is_saved(learner)
            || observers.any(|observer| observer.reads_learner(iteration))
    }

    /// Whether the state after the newest iteration is to be kept.
    fn is_saved(&self, learner: &dyn LearnerView) -> bool {
        let iteration = learner.iteration();
        let is_due = |checkpoints: &Checkpoints| iteration.is_multiple_of(checkpoints.every.max(1));
        iteration == learner.config().iterations || self.checkpoints.as_ref().is_some_and(is_due)
    }

    /// After a divergence, goes back to an earlier checkpoint and begins another attempt, as far as the settings allow.
    fn recover(
        &mut self,
        learner: &mut dyn AnyLearner,
        error: TrainerError,
    ) -> Result<(), TrainerError> {
        let TrainerError::Diverged { iteration, cause } = error else {
            return Err(error);
        };
        let recovery = learner.config().recovery;
        let attempt = learner.attempt();
        let is_allowed = attempt.number < recovery.attempts;
        let target = match self.checkpoints.as_ref().filter(|_| is_allowed) {
            Some(checkpoints) => {
                let goal = recovery.goal(checkpoints.every, iteration, attempt);
                let folder = checkpoints.up_to(goal)?;
                folder.map(|folder| (checkpoints, folder))
            }
            None => None,
        };
        let Some((checkpoints, folder)) = target else {
            self.tell(&Event::Diverged { iteration, cause })?;
            return Err(error);
        };
        learner.restore_from(&folder)?;
        checkpoints.remove_after(learner.iteration())?;
        learner.begin_attempt(attempt.next(&recovery, learner.iteration()));
        self.tell(&Event::Recovered {
            iteration,
            cause,
            learner,
        })
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
