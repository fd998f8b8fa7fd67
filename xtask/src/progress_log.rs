//! Progress as log lines, for where no terminal shows a bar, and for machines.

use std::time::{Duration, Instant};

use ebm_experiment::tools::with_digits;
use ebm_trainer::{Event, Observer, ObserverError};

use crate::progress::Throughput;

const INTERVAL: Duration = Duration::from_secs(10);
/// A log line is read by people, and all digits are in metrics.jsonl.
const DIGITS: usize = 4;

/// Logs progress every ten seconds and every checkpoint, with fields.
pub(crate) struct ProgressLog {
    throughput: Throughput,
    last: Option<Instant>,
}

impl ProgressLog {
    pub(crate) fn new(chain_steps_each: u64) -> Self {
        Self {
            throughput: Throughput::new(chain_steps_each),
            last: None,
        }
    }
}

impl Observer for ProgressLog {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        match event {
            Event::IterationDone {
                metrics,
                elapsed,
                learner,
            } => {
                self.throughput.add(*elapsed);
                let total = learner.config().iterations;
                let is_due = self.last.is_none_or(|last| last.elapsed() >= INTERVAL);
                if is_due || metrics.iteration == total {
                    self.last = Some(Instant::now());
                    tracing::info!(
                        iteration = metrics.iteration,
                        of = total,
                        d = with_digits(metrics.energy_difference, DIGITS),
                        r = with_digits(metrics.gradient_magnitude, DIGITS),
                        chain_steps_per_second = self.throughput.per_second().round(),
                        "learning"
                    );
                }
            }
            Event::CheckpointWritten { iteration, folder } => {
                tracing::debug!(iteration, folder = %folder.display(), "checkpoint written");
            }
            Event::Diverged { iteration, cause } => {
                tracing::error!(iteration, %cause, "learning ran away");
            }
            _ => {}
        }
        Ok(())
    }

    fn reads_learner(&self, _iteration: u64) -> bool {
        false
    }
}
