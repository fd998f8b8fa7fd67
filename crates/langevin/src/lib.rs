#![doc = include_str!("../README.md")]

mod attraction;
mod bank;
mod bound;
mod engine;
mod error;
mod host;
mod kernel;
mod mala;
mod pending;
mod start;
mod step_size_search;
mod tensor_attraction;
mod tensor_engine;
mod tensor_mala;
mod ula;

pub use attraction::{
    ArrivalRule, Attraction, AttractionRun, EnergyGradient, LandscapeEngine, NO_DISTANCE, Way,
    WayEnd, check_targets,
};
pub use bank::PersistentBank;
pub use bound::Bound;
pub use engine::{
    ChainOutcome, ChainRun, Engine, LaunchedChains, LaunchedGradient, ParameterGradient,
};
pub use error::LangevinError;
pub use host::host;
pub use kernel::Kernel;
pub use mala::{Mala, Move};
pub use pending::PendingNumber;
pub use start::{ChainStart, NoiseStart};
pub use step_size_search::{FoundStepSize, StepSizeSearch, find_step_size};
pub use tensor_engine::TensorEngine;
pub use ula::Ula;
