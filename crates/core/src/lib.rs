#![doc = include_str!("../README.md")]

mod energy;
mod error;
mod file;
mod gaussian;
mod layers;
mod noise;
mod philox;
mod step_size;

pub use energy::{Energy, check_energies, energy_and_gradient};
pub use error::CoreError;
pub use file::write_atomically;
pub use layers::{Activation, LayerDescription, Layered, ParameterValues};
pub use noise::{NoiseKey, Stream};
pub use philox::philox4x32;
pub use step_size::{StepSize, Temperature};
