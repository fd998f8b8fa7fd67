#![doc = include_str!("../README.md")]

mod agreement;
mod backends;
mod bench;
mod burn_compute;
mod case;
mod error;
mod flops;
mod learning;
mod machine;
mod measure;
mod median;
mod peers;
mod plan;
mod record;
mod settings;
mod skipped;
mod table;
mod timed;
mod watcher;

pub use backends::{Backends, MeasuredBackend};
pub use bench::bench;
pub use case::Case;
pub use error::BenchError;
pub use flops::chain_step_flops;
pub use machine::Machine;
pub use measure::matrix_product_gflops;
pub use peers::{Peers, Precision};
pub use plan::ENGINES;
pub use record::{
    CaseRecord, Endurance, LearningRecord, PeerRecord, Ratio, Record, WorkingSetRecord,
};
pub use settings::BenchSettings;
pub use skipped::Skipped;
pub use timed::{ChainSettings, TimedBackend, TimedChains};
pub use watcher::{LeftOut, Watcher};
