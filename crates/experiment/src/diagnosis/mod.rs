//! The verdict on both axes, redone from a run folder.
//!
//! `Subject` finds net, bank and metrics, `Schedule` says at which steps chains are recorded, `chains` runs them from
//! each start, `plane` adds what only toy densities allow, `short_run` the quality of samples of digits, `Diagnosis`
//! puts the numbers into one sentence and `verdict.json`, and `page` writes figures and `diagnosis.html`.

mod chains;
mod page;
mod plane;
mod run;
mod schedule;
mod short_run;
mod starts;
mod subject;
mod verdict;

pub use chains::Runaway;
pub(crate) use chains::{GroupRecord, Recorder};
pub(crate) use page::{PAGE, Page, short};
pub use plane::PlaneQuality;
pub(crate) use plane::judge_plane;
pub use run::{DiagnosisOptions, default_folder, diagnose, page_in};
pub(crate) use schedule::Schedule;
pub(crate) use short_run::JUDGED_STARTS;
pub use short_run::JudgedStart;
pub use starts::StartName;
pub(crate) use starts::{Starts, enough};
pub use subject::Subject;
pub use verdict::{Diagnosis, LearningOutcome, LongChains};
pub(crate) use verdict::{RECORD, read_diagnosis};
