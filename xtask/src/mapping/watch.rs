//! Progress, and whether to stop.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::ProgressBar;

use crate::logging::Screen;
use crate::observers::rounded;

const TEMPLATE: &str = "{bar:24} {pos}/{len}  {msg}  {elapsed} gone";

/// The bar of the stage at work, and the flag of Ctrl-C.
pub(super) struct Watch<'a> {
    bar: ProgressBar,
    stop: &'a AtomicBool,
    stage: &'static str,
    /// Chain steps of the stage, since then.
    steps: u64,
    since: Instant,
}

impl<'a> Watch<'a> {
    pub(super) fn new(screen: &Screen, stop: &'a AtomicBool) -> Self {
        let bar = screen.bar(1, TEMPLATE);
        bar.enable_steady_tick(Duration::from_secs(1));
        Self {
            bar,
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
        self.bar.set_length(of);
        self.bar.set_position(done);
        self.bar.set_message(stage);
    }

    /// So much of the stage is done.
    pub(super) fn advance_to(&self, done: u64, of: u64) {
        self.bar.set_length(of);
        self.bar.set_position(done);
    }

    /// Chains took steps; says whether to go on.
    pub(super) fn walked(&mut self, steps: u64) -> bool {
        self.steps += steps;
        let rate = self.steps as f64 / self.since.elapsed().as_secs_f64().max(1e-9);
        let rate = rounded(rate);
        self.bar
            .set_message(format!("{}  {rate} chain steps/s", self.stage));
        !self.stop.load(Ordering::Relaxed)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
