//! Whole chains of small dense nets in one launch.

mod few;
mod few_layout;
mod launch;
mod many;
mod many_layout;
mod net;
mod supply;

pub(super) use self::launch::{Spread, fits, launch};
pub(super) use self::net::DenseNet;
