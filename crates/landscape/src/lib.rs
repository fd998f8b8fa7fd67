#![doc = include_str!("../README.md")]

mod barriers;
mod descent;
mod diffusion;
mod error;
mod experiments;
mod grouping;
mod surface;
mod sweep;
mod tree;

pub use barriers::{Barrier, BarrierSearch, Barriers};
pub use descent::{Descent, Minimum};
pub use diffusion::{Attempt, Crossing, Diffusion};
pub use error::LandscapeError;
pub use experiments::Experiments;
pub use grouping::{Basin, Grouping, Joined};
pub use surface::Surface;
pub use sweep::{StrengthSweep, SweptPair};
pub use tree::{DisconnectivityTree, Merge};
