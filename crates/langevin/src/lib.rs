#![doc = include_str!("../README.md")]

mod bank;
mod cpu_engine;
mod engine;
mod error;
mod fused;
mod start;
mod tensor_engine;
mod ula;

pub use bank::PersistentBank;
pub use cpu_engine::{CpuEngine, EngineChoice};
pub use engine::{ChainOutcome, ChainRun, Engine, ParameterGradient};
pub use error::LangevinError;
pub use fused::{FusedEngine, Instructions, WorkingSet};
pub use start::{ChainStart, NoiseStart};
pub use tensor_engine::TensorEngine;
pub use ula::Ula;
