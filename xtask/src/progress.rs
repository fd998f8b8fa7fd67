//! The progress bar.

use std::time::{Duration, Instant};

use ebm_experiment::tools::rounded;
use ebm_trainer::{Event, Observer, ObserverError};
use indicatif::ProgressBar;

use crate::logging::Screen;

const TEMPLATE: &str = "{bar:24} {pos}/{len}  {msg}  {elapsed} gone, {eta} left";

/// Shows iteration, d, r, chain steps per second and the time left.
pub(crate) struct ProgressView {
    bar: ProgressBar,
    throughput: Throughput,
}

impl ProgressView {
    pub(crate) fn new(screen: &Screen, iterations: u64, chain_steps_each: u64) -> Self {
        Self {
            bar: screen.bar(iterations, TEMPLATE),
            throughput: Throughput::new(chain_steps_each),
        }
    }
}

impl Observer for ProgressView {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        match event {
            Event::Started { iteration, .. } => {
                // The time left is estimated from the work of this process, not from that of an earlier one.
                self.bar.set_position(*iteration);
                self.bar.reset_eta();
                self.bar.enable_steady_tick(Duration::from_secs(1));
            }
            Event::IterationDone {
                metrics, elapsed, ..
            } => {
                self.throughput.add(*elapsed);
                self.bar.set_message(format!(
                    "d {:+.3e}  r {:.4}  {} chain steps/s",
                    metrics.energy_difference,
                    metrics.gradient_magnitude,
                    rounded(self.throughput.per_second()),
                ));
                self.bar.set_position(metrics.iteration);
            }
            Event::Recovered { learner, .. } => self.bar.set_position(learner.iteration()),
            Event::Diverged { .. } => self.bar.abandon(),
            _ => {}
        }
        Ok(())
    }

    fn reads_learner(&self, _iteration: u64) -> bool {
        false
    }
}

impl Drop for ProgressView {
    fn drop(&mut self) {
        self.bar.abandon();
    }
}

/// Chain steps per second over the last iterations, half of the weight within five seconds.
pub(crate) struct Throughput {
    chain_steps_each: u64,
    average: Option<f64>,
    since: Instant,
}

impl Throughput {
    pub(crate) fn new(chain_steps_each: u64) -> Self {
        Self {
            chain_steps_each,
            average: None,
            since: Instant::now(),
        }
    }

    pub(crate) fn add(&mut self, elapsed: Duration) {
        let now = self.chain_steps_each as f64 / elapsed.as_secs_f64().max(1e-9);
        let weight = 1.0 - 0.5f64.powf(self.since.elapsed().as_secs_f64() / 5.0);
        self.since = Instant::now();
        self.average = Some(match self.average {
            Some(average) => average + weight * (now - average),
            None => now,
        });
    }

    pub(crate) fn per_second(&self) -> f64 {
        self.average.unwrap_or(0.0)
    }
}
