#![doc = include_str!("../README.md")]

mod any_engine;
mod attraction;
mod bank;
mod bound;
#[cfg(feature = "cube")]
mod cube;
mod engine;
mod error;
mod fused;
mod kernel;
mod mala;
mod pending;
mod start;
mod step_size_search;
mod tensor_attraction;
mod tensor_engine;
mod tensor_mala;
mod ula;

pub use any_engine::{AnyEngine, EngineChoice};
pub use attraction::{
    ArrivalRule, Attraction, AttractionRun, EnergyGradient, LandscapeEngine, Way, WayEnd,
};
pub use bank::PersistentBank;
pub use bound::Bound;
#[cfg(feature = "cube")]
pub use cube::{CubeEngine, CubePrecision, CubeTensors};
pub use engine::{
    ChainOutcome, ChainRun, Engine, LaunchedChains, LaunchedGradient, ParameterGradient,
};
pub use error::LangevinError;
pub use fused::{FusedEngine, Instructions, WorkingSet};
pub use kernel::Kernel;
pub use mala::{Mala, Move};
pub use pending::PendingNumber;
pub use start::{ChainStart, NoiseStart};
pub use step_size_search::{FoundStepSize, StepSizeSearch, find_step_size};
pub use tensor_engine::TensorEngine;
pub use ula::Ula;
