#![doc = include_str!("../README.md")]

mod dataset;
mod energy;
mod error;
mod file;
mod gaussian;
mod layers;
mod noise;
mod philox;
mod states;
mod step_size;

pub use dataset::{Dataset, DatasetError};
pub use energy::{Energy, PointEnergy, check_energies, energy_and_gradient};
pub use error::CoreError;
pub use file::write_atomically;
pub use layers::{
    Activation, LayerDescription, LayerShape, Layered, LinearMap, ParameterValues, layer_shapes,
};
pub use noise::{NoiseKey, Stream};
pub use philox::philox4x32;
pub use states::{StateShape, States, host_values};
pub use step_size::{StepSize, Temperature};
