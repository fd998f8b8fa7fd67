//! Progress reports and cancellation.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use crate::diagnosis::DiagnosisOptions;

/// A supervisor of the work, which is told of its progress and may stop it. Every method does nothing unless it is
/// overridden, and `&()` is a supervisor that does nothing at all.
pub trait Supervisor {
    /// A line for people, such as where results are written or what the work will cost.
    fn tell(&self, _line: &str) {}

    /// A line that is shown even if the user asked for quiet, such as a variant of a study that failed.
    fn warn(&self, line: &str) {
        self.tell(line);
    }

    /// Work begins, of which `done` of `length` parts are done already.
    fn begin(&self, _work: Work, _done: u64, _length: u64) -> Box<dyn Progress> {
        Box::new(())
    }

    /// The flag that stops the work when it is raised. It is requested when everything has been checked and before
    /// anything is written.
    fn stop_flag(&self) -> Arc<AtomicBool> {
        Arc::default()
    }

    /// The command with which a person takes a next step, for pages and messages; `None` leaves it out.
    fn command(&self, _step: NextStep<'_>) -> Option<String> {
        None
    }
}

impl Supervisor for () {}

/// A piece of work whose length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Work {
    /// Long chains beside learning; parts are Langevin steps.
    LongRun,
    /// An evaluation; parts are Langevin steps.
    Evaluation,
    /// The chains of a diagnosis; parts are chain steps.
    Diagnosis,
    /// A stage of a map, whose length may become known later.
    Map,
    /// The chains of an estimate of the likelihood; parts are gradients of F.
    Likelihood,
}

/// The progress of a piece of work. It is dropped when the work ends.
pub trait Progress {
    /// `done` of `length` parts are done.
    fn advance_to(&mut self, _done: u64, _length: u64) {}

    /// What is going on, in a few words.
    fn message(&mut self, _message: &str) {}
}

impl Progress for () {}

/// A next step that the user may want to take.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum NextStep<'a> {
    /// Learn with this config or study file.
    Learn {
        /// The file.
        config: &'a Path,
    },
    /// Judge convergence of this run.
    Diagnose {
        /// The run folder.
        run: &'a Path,
    },
    /// Repeat a diagnosis beside the existing one.
    DiagnoseAgain {
        /// The run folder.
        run: &'a Path,
        /// Whether the net has the average of the parameters over learning.
        average: bool,
        /// The options of the existing diagnosis, with the starts that were chosen.
        options: &'a DiagnosisOptions,
        /// The backend.
        backend: &'a str,
        /// The engine.
        engine: &'a str,
        /// The folder of the existing diagnosis.
        out: &'a Path,
    },
}
