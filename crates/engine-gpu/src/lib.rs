#![doc = include_str!("../README.md")]

mod bridge;
#[cfg(feature = "burn-cubecl")]
mod burn_cubecl;
mod dense;
mod device;
mod engine;
mod gradient;
mod kept;
mod layered;
mod layout;
mod moving;
mod noise;
mod norms;
mod places;
mod precision;
mod step;
mod walk;

pub use bridge::CubeTensors;
pub use engine::CubeEngine;
use engine::missing;
pub use precision::CubePrecision;
