//! Long chains under a net that is no longer learned: do they stay near the data, and at which energies?
//!
//! [`Settings`] says what is run, [`EvaluationFolder`] keeps weights, newest states and records so that it can be continued,
//! [`Walk`] runs the chains from record to record with memory that does not grow with the steps, and [`page`] shows them.

mod folder;
mod page;
mod record;
mod settings;
mod start;
mod step_size;
mod walk;

pub(crate) use folder::{ChainState, EvaluationFolder, Sums};
pub(crate) use page::Page;
pub(crate) use record::Record;
pub(crate) use settings::{KernelName, Settings, step_size, temperature};
pub(crate) use start::{EvaluationStart, StartArguments, Starts};
pub(crate) use step_size::find_step_size;
pub(crate) use walk::{Ended, Walk};
