//! Several variants of one experiment, each learned with one or more seeds. Every such run has a folder of its own
//! below that of the study.
//!
//! `check_runs` finds what would stop it half-way, `StudyFolder` knows the files and the progress of all runs,
//! `RunResult` is the outcome of a run, `table()` lists the outcomes of variants, and `figures()` draws them.

mod check;
mod cost;
mod figures;
mod folder;
mod result;
mod run;
mod table;

pub(crate) use check::check_runs;
pub use cost::describe_costs;
pub(crate) use figures::figures;
pub(crate) use folder::Progress;
pub use folder::{RunState, StudyFolder, StudyState};
pub use result::{RunResult, SampleQuality, Spread};
pub use run::{StudyEvent, StudyResult, StudyRun};
pub(crate) use table::{LEFT, table};
