//! Several variants of one experiment, each a run folder of its own below the folder of the study.
//!
//! `check_variants` finds what would stop it half-way, `StudyFolder` says where things are and how far they have come, `VariantResult` is what became of a variant, and
//! `table()` puts them below each other.

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
pub use table::LEFT;
pub(crate) use table::table;
