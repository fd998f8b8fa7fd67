//! Chains of any described net, a few launches a step: no graph, and the host is asked for nothing for fifty steps.

mod activation;
mod attention;
mod chains;
mod finish;
mod gather;
mod head;
mod launches;
mod loading;
mod memory;
mod net;
mod packing;
mod parameters;
mod pool;
mod product;
mod tensor_cores;
mod tile;
mod update;
mod weight_gradient;

pub(super) use self::chains::{fits, launch};
pub(super) use self::net::LayeredNet;
pub(super) use self::parameters::launch_gradients;
