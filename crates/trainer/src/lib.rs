#![doc = include_str!("../README.md")]

mod ahead;
mod averaging;
mod checkpoint;
mod config;
mod descent;
mod difference;
mod error;
mod events;
mod learner;
mod numbers;
mod optimizer;
mod recovery;
mod stabilisers;
mod state;
mod trainer;
mod unread;
mod unwritten;
mod view;

pub use checkpoint::{
    CHECKPOINT_FORMAT, CheckpointInfo, Checkpoints, latest_checkpoint, read_checkpoint_info,
};
pub use config::{LangevinConfig, LearningConfig, Method, OptimizerConfig, TOY_BANK_SIZE};
pub use error::{DivergenceCause, TrainerError};
pub use events::{Event, Observer, ObserverError};
pub use learner::Learner;
pub use optimizer::{Gradients, Optimizer};
pub use recovery::{Attempt, Recovery};
pub use stabilisers::Stabilisers;
pub use trainer::{Outcome, Trainer};
pub use view::{AnyLearner, LearnerView};

pub use ebm_core::{Dataset, DatasetError};
