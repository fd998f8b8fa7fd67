//! Metastable basins of a learned energy: the states between which chains can move, and the barriers between them.
//!
//! `MapSettings` says what is mapped and how, `MapFolder` keeps weights, chains, minima and the `State` of the work so
//! that it can be continued, `Map` goes through the stages: chains are gathered and descend to their minima
//! (`gathering`), a sweep over the pull α chooses its strength (`strength`), minima are grouped, and barriers between
//! the groups are sought. `Summary` computes the results, and `Page` shows them.

mod agreement;
mod cost;
mod folder;
mod gathering;
mod job;
mod options;
mod page;
mod pictures;
mod run;
mod settings;
mod state;
mod strength;
mod summary;
mod watch;

pub(crate) use cost::Cost;
pub use folder::MapFolder;
pub use options::{MapOptions, Strength};
pub(crate) use page::Page;
pub use run::Map;
pub(crate) use settings::batch;
pub use settings::{MOST_STEPS, MapSettings, Start};
pub use state::State;
pub use strength::Choice;
pub use summary::Summary;
