#![doc = include_str!("../README.md")]

mod barriers;
mod descent;
mod diffusion;
mod error;
mod grouping;
mod surface;
mod sweep;
mod tree;

pub use barriers::{Barrier, BarrierSearch, Barriers};
pub use descent::{Descent, Minimum};
pub use diffusion::{Attempt, Crossing, Diffusion};
pub use error::LandscapeError;
pub use grouping::{Basin, Grouping, Joined};
pub use surface::{EnergySurface, Surface};
pub use sweep::{StrengthSweep, SweptPair};
pub use tree::{DisconnectivityTree, Merge};
