#![doc = include_str!("../README.md")]

mod annealing;
mod attraction;
mod bank;
mod bound;
mod chains;
#[cfg(feature = "burn")]
mod engine;
mod error;
mod gaussian_base;
mod gradient_kernel;
mod hmc;
mod kernel;
mod kernel_name;
mod ladder;
mod mala;
mod pending;
mod preconditioned;
mod sampler;
mod scales;
mod start;
mod step_size_search;
mod tempering;
#[cfg(feature = "burn")]
mod tensor_chains;
#[cfg(feature = "burn")]
mod tensor_engine;
#[cfg(feature = "burn")]
mod tensor_kernel;
#[cfg(feature = "burn")]
mod tensor_mala;
#[cfg(feature = "burn")]
mod tensor_walk;
mod ula;
mod underdamped;
mod weights;

pub use annealing::{Annealed, Annealing, AnnealingOptions, LogMean, Rung};
pub use attraction::{
    ArrivalRule, Attraction, AttractionPath, AttractionRun, NO_DISTANCE, PathEnd, check_targets,
};
pub use bank::PersistentBank;
pub use bound::Bound;
pub use chains::{ChainOutcome, ChainRun, Chains, EnergyGradient};
#[cfg(feature = "burn")]
pub use engine::{Batch, BoundEngine, Engine, Launched, Numbers, ParameterGradient};
pub use error::LangevinError;
pub use gaussian_base::GaussianBase;
pub use gradient_kernel::{GradientKernel, HostEnergy, HostNoise, Phase, Slopes, slopes};
pub use hmc::Hmc;
pub use kernel::{AnyKernel, OwnKernel};
pub use kernel_name::{KernelName, Momentum};
pub use ladder::{Ladder, LadderSearch};
pub use mala::{Mala, Move};
pub use pending::PendingNumber;
pub use preconditioned::Preconditioned;
pub use sampler::{ChainPlace, Piece, Record, Sampled, Sampler, SinceRecord, WalkEnd, Watch};
pub use scales::{ScaleAdaptation, Scales};
pub use start::{ChainStart, NoiseStart};
pub use step_size_search::{FoundStepSize, StepSizeSearch, find_step_size, find_step_size_for};
pub use tempering::{Swaps, Tempering};
#[cfg(feature = "burn")]
pub use tensor_chains::TensorChains;
#[cfg(feature = "burn")]
pub use tensor_engine::TensorEngine;
#[cfg(feature = "burn")]
pub use tensor_kernel::{EnergyAt, GradientNorm, Kernel, StepInfo, StepNoise};
pub use ula::Ula;
pub use underdamped::Underdamped;
pub use weights::check_weights;

// What a short program that samples its own energy needs beside this crate.
#[cfg(feature = "burn")]
pub use ebm_core::PointEnergy;
pub use ebm_core::States;
