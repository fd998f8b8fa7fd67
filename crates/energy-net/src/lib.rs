#![doc = include_str!("../README.md")]

mod analytic;
mod config;
mod description;
mod error;
mod fit;
mod layer;
mod net;
mod nonlocal_block;
mod parameters;
mod pytorch;
mod weights;

pub use analytic::{DoubleWell, Gaussian, GaussianMixture, Rings};
pub use config::{Architecture, NetConfig};
pub use error::NetError;
pub use layer::{Layer, LayerConfig};
pub use net::{Net, NonLocalNet, Sequential};
pub use nonlocal_block::NonLocalBlock;
pub use parameters::{NamedParameter, ParameterPath, named_parameters};
pub use weights::{
    load_weight_bytes, load_weights, metadata_of, read_metadata, read_tensors, save_weights,
    write_tensors,
};
