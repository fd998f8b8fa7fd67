//! Long chains under a net that is no longer learned: do they stay near the data, and at which energies?
//!
//! `EvaluationSettings` says what is run, `EvaluationFolder` keeps weights, newest states and records so that it can
//! be continued, `Evaluation` runs the chains from record to record with memory that does not grow with the steps, and
//! `page` shows them.

mod folder;
mod options;
mod page;
mod prepare;
mod record;
mod run;
mod settings;
mod start;
mod trace;
mod walk;

pub use folder::EvaluationFolder;
pub use options::EvaluationOptions;
pub(crate) use page::Page;
pub use record::Record;
pub use run::Evaluation;
pub use settings::EvaluationSettings;
pub(crate) use settings::{step_size, temperature};
pub(crate) use start::Starts;
pub use start::{EvaluationStart, StartOptions};
pub use trace::{EffectiveDraws, Efficiency, Trace};
pub use walk::EvaluationEnd;
