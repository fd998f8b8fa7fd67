#![doc = include_str!("../README.md")]
// Kernels count rows, columns and places; iterators would hide which is which.
#![allow(clippy::needless_range_loop)]

mod attention;
mod attracted;
mod backward;
mod bf16;
mod block;
mod bound;
mod buffer;
mod chains;
mod convolution;
mod direct;
mod elementwise;
mod engine;
mod exponential;
mod gemm;
mod metropolis;
mod non_local;
mod operation;
mod outer;
mod packing;
mod parameters;
mod plan;
mod pool;
mod records;
mod schedule;
mod scratch;
mod transform;
mod transform_rounded;
mod vector;
mod winograd;

pub use bound::{FusedChains, HostParameterGradient};
pub use engine::{FusedEngine, FusedPrecision, Instructions, WorkingSet};
