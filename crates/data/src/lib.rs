#![doc = include_str!("../README.md")]

mod cifar;
mod config;
mod dataset;
mod digits;
mod directory;
mod error;
#[cfg(feature = "fetch")]
pub mod fetch;
mod folder;
mod guard;
mod idx;
mod image_set;
mod labels;
mod left_out;
mod picture;
mod preprocess;
mod toy;

pub use cifar::{CIFAR_TRAINING_BATCHES, load_cifar};
pub use config::{CifarConfig, DataConfig, FolderConfig, IdxConfig};
pub use dataset::LoadedData;
pub use digits::embedded_digits;
pub use directory::data_directory;
pub use error::DataError;
pub use folder::{OnBroken, load_folder, load_image};
pub use idx::load_idx;
pub use image_set::ImageSet;
pub use labels::Labels;
pub use left_out::{BrokenImage, LeftOut};
pub use preprocess::{Fit, ImageConfig};
pub use toy::{Gmm, PlotExtent, Rings, Toy};
