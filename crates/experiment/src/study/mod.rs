//! Several variants of one experiment, each a run folder of its own below the folder of the study.
//!
//! `check_variants` finds what would stop it half-way, `StudyFolder` knows the files and the progress of all
//! variants, `VariantResult` is the outcome of a variant, and `table()` lists the outcomes.

mod check;
mod cost;
mod folder;
mod result;
mod run;
mod table;

pub(crate) use check::check_variants;
pub use cost::describe_costs;
pub(crate) use folder::Progress;
pub use folder::{StudyFolder, StudyState, VariantState};
pub use result::{Spread, VariantResult};
pub use run::{StudyEvent, StudyResult, StudyRun};
pub(crate) use table::{LEFT, table};
