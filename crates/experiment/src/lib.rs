#![doc = include_str!("../README.md")]

mod aligned;
mod any_engine;
mod arrays;
mod burn_compute;
pub mod classifier;
pub mod comparison;
mod compute;
pub mod config;
#[cfg(feature = "cube")]
mod cube_and_tensor;
mod data;
pub mod diagnosis;
mod error;
mod estimate;
pub mod evaluation;
mod json;
mod landscape;
mod learning;
pub mod likelihood;
pub mod mapping;
mod memory;
mod metrics_seal;
mod npy;
mod observers;
mod once;
mod other_data;
mod pictures;
pub mod quality;
mod quietly;
mod recovery_record;
mod report;
pub mod restore;
mod run_folder;
mod sample;
pub mod score;
pub mod study;
mod supervisor;
mod trained;
mod words;
mod work_folder;

pub use any_engine::{AnyEngine, EngineChoice, UnknownEngine};
pub use arrays::{Array, read_features};
pub use burn_compute::BurnCompute;
pub use comparison::compare;
pub use compute::{Computation, Compute, LearnerRequest};
pub use config::{ExperimentConfig, Source};
pub use data::load_data;
pub use diagnosis::diagnose;
pub use error::ExperimentError;
pub use estimate::describe_cost;
pub use evaluation::Evaluation;
pub use landscape::{DensityDistance, DensityRecord};
pub use learning::{Destination, LearnedRun, LearningEnd, LearningRun, Resumption};
pub use likelihood::likelihood;
pub use mapping::Map;
pub use other_data::{OtherData, UnknownData};
pub use quality::QualityTable;
pub use recovery_record::RecoveryRecord;
pub use restore::restore;
pub use run_folder::{BrokenImages, RunFolder, RunInfo};
pub use sample::{SampleOptions, Samples};
pub use score::score;
pub use supervisor::{NextStep, Progress, Supervisor, Work};
pub use trained::{Trained, TrainedSource};

/// Small tools that the command line and the benchmarks share with this crate.
#[doc(hidden)]
pub mod tools {
    pub use crate::aligned::aligned;
    pub use crate::quietly::quietly;
    pub use crate::run_folder::{check_new_file, locked_version};
    pub use crate::words::{as_typed, duration, rounded, with_digits};
}
