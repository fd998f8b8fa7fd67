#![doc = include_str!("../README.md")]

pub mod checksum;
mod dataset;
#[cfg(feature = "burn")]
mod energy;
mod error;
mod file;
mod gaussian;
mod layers;
mod memory;
mod noise;
mod philox;
mod states;
mod step_size;

pub use dataset::{Dataset, DatasetError};
#[cfg(feature = "burn")]
pub use energy::{Energy, PointEnergy, check_energies, energy_and_gradient};
pub use error::CoreError;
pub use file::write_atomically;
pub use layers::{
    Activation, LayerDescription, LayerShape, Layered, LinearMap, ParameterId, ParameterValues,
    layer_shapes,
};
pub use memory::available_memory;
pub use noise::{NoiseKey, Stream};
pub use philox::philox4x32;
pub use states::{StateShape, States};
#[cfg(feature = "burn")]
pub use states::{device_tensor, host_values};
pub use step_size::{StepSize, Temperature};
