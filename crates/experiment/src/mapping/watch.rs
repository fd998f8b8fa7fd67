//! Progress, and whether to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::words::rounded;
use crate::{Progress, Supervisor, Work};

/// The progress of the stage at work, and the flag that stops it.
pub(super) struct Watch<'a> {
    supervisor: &'a dyn Supervisor,
    progress: Box<dyn Progress>,
    stop: &'a AtomicBool,
    stage: &'static str,
    /// Chain steps of the stage, since then.
    steps: u64,
    since: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn new(supervisor: &'a dyn Supervisor, stop: &'a AtomicBool) -> Self {
        Self {
            supervisor,
            progress: Box::new(()),
            stop,
            stage: "",
            steps: 0,
            since: Instant::now(),
        }
    }

    /// A stage begins, with so much of it done already.
    pub(super) fn begin(&mut self, stage: &'static str, done: u64, of: u64) {
        self.stage = stage;
        self.steps = 0;
        self.since = Instant::now();
        // The bar of the earlier stage is removed first.
        self.progress = Box::new(());
        self.progress = self.supervisor.begin(Work::Map, done, of);
        self.progress.message(stage);
    }

    /// Sets how much of the stage is done.
    pub(super) fn advance_to(&mut self, done: u64, of: u64) {
        self.progress.advance_to(done, of);
    }

    /// Counts chain steps; returns whether to go on.
    pub(super) fn walked(&mut self, steps: u64) -> bool {
        self.steps += steps;
        let rate = self.steps as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        self.progress
            .message(&format!("{}  {} chain steps/s", self.stage, rounded(rate)));
        !self.stop.load(Ordering::Relaxed)
    }
}
