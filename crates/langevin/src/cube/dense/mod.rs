//! Whole chains of small dense nets in one launch.

mod kernel;
mod launch;
mod layout;
mod net;

pub(super) use self::launch::{fits, walk};
pub(super) use self::net::DenseNet;
