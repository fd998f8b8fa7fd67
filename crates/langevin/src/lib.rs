#![doc = include_str!("../README.md")]

mod bank;
mod engine;
mod error;
mod start;
mod tensor_engine;
mod ula;

pub use bank::PersistentBank;
pub use engine::{ChainOutcome, ChainRun, Engine};
pub use error::LangevinError;
pub use start::{ChainStart, NoiseStart};
pub use tensor_engine::TensorEngine;
pub use ula::Ula;
