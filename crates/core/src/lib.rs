#![doc = include_str!("../README.md")]

#[cfg(feature = "burn")]
mod energy;
mod error;
mod file;
mod gaussian;
#[cfg(feature = "burn")]
mod layers;
mod noise;
mod philox;
mod step_size;

#[cfg(feature = "burn")]
pub use energy::{Energy, check_energies, energy_and_gradient};
pub use error::CoreError;
pub use file::write_atomically;
#[cfg(feature = "burn")]
pub use layers::{Activation, LayerDescription, Layered, ParameterValues};
pub use noise::{NoiseKey, Stream};
pub use philox::philox4x32;
pub use step_size::{StepSize, Temperature};
