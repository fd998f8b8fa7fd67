#![doc = include_str!("../README.md")]

#[cfg(feature = "burn")]
mod analytic;
mod config;
#[cfg(feature = "burn")]
mod description;
mod error;
mod fit;
#[cfg(feature = "burn")]
mod layer;
mod layer_config;
#[cfg(feature = "burn")]
mod net;
#[cfg(feature = "burn")]
mod nonlocal_block;
#[cfg(feature = "burn")]
mod parameters;
#[cfg(feature = "burn")]
mod pytorch;
#[cfg(feature = "burn")]
mod weights;

#[cfg(feature = "burn")]
pub use analytic::{DoubleWell, Gaussian, GaussianMixture, Rings};
pub use config::{Architecture, NetConfig};
pub use error::NetError;
pub use fit::map_names;
#[cfg(feature = "burn")]
pub use layer::Layer;
pub use layer_config::LayerConfig;
#[cfg(feature = "burn")]
pub use net::{Net, NonLocalNet, Sequential};
#[cfg(feature = "burn")]
pub use nonlocal_block::NonLocalBlock;
#[cfg(feature = "burn")]
pub use parameters::{NamedParameter, ParameterPath, named_parameters};
#[cfg(feature = "burn")]
pub use weights::{
    load_weight_bytes, load_weights, metadata_of, read_metadata, read_tensors, save_weights,
    write_tensors,
};
