#![doc = include_str!("../README.md")]

mod bound;
mod bridge;
#[cfg(feature = "burn-cubecl")]
mod burn_cubecl;
mod dense;
mod device;
mod engine;
mod kept;
mod layered;
mod layout;
mod moving;
mod noise;
mod norms;
mod places;
mod precision;
mod step;

pub use bound::CubeChains;
pub use bridge::CubeTensors;
pub use engine::CubeEngine;
use engine::{missing, missing_precision};
pub use precision::CubePrecision;
