//! Several runs on one page.
//!
//! `ComparedRun` reads a run folder, `differing_settings` keeps the settings in which the runs differ, `page` puts
//! everything side by side.

mod compare;
mod page;
mod run;
mod settings;

pub use compare::{Comparison, compare};
pub(crate) use page::{PAGE, StudyPart, write_page};
pub use run::ComparedRun;
pub(crate) use settings::differing_settings;
