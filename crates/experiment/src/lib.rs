#![doc = include_str!("../README.md")]

mod any_engine;

pub use any_engine::{AnyEngine, EngineChoice};
