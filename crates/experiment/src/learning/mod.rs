//! Learning in a run folder: from settings to net, metrics, pictures and report.

mod resumption;
mod run;
mod shown;

pub use resumption::Resumption;
pub(crate) use run::unfit;
pub use run::{Destination, LearnedRun, LearningEnd, LearningRun};
pub(crate) use shown::Shown;
