#![doc = include_str!("../README.md")]

mod any_engine;
#[cfg(feature = "cube")]
mod cube_and_tensor;

pub use any_engine::{AnyEngine, EngineChoice, UnknownEngine};
