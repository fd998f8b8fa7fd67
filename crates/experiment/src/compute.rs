//! The one interface to the backends, where tensors are computed.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use ebm_data::LoadedData;
use ebm_energy_net::NetConfig;
use ebm_langevin::Chains;
use ebm_trainer::AnyLearner;

use crate::classifier::{Classifier, Lesson, Reading, TrainedClassifier, TrainingSettings};
use crate::{EngineChoice, ExperimentConfig, ExperimentError};

/// The largest number of values in the states of all chains together: 1 GiB.
pub(crate) const MOST_NUMBERS: usize = 1 << 28;

/// The parts of a learner besides the backend.
#[derive(Debug)]
pub struct LearnerRequest<'a> {
    /// All settings.
    pub config: &'a ExperimentConfig,
    /// The data.
    pub dataset: Arc<LoadedData>,
    /// The engine.
    pub engine: EngineChoice,
    /// Text entries for the header of every weight file that is written.
    pub metadata: HashMap<String, String>,
    /// The flag that stops the chains.
    pub stop: &'a Arc<AtomicBool>,
}

/// Where and how the chains of a piece of work are computed.
#[derive(Clone, Copy)]
pub struct Computation<'a> {
    /// The backend with its device.
    pub compute: &'a dyn Compute,
    /// The engine on it.
    pub engine: EngineChoice,
}

impl<'a> Computation<'a> {
    /// On a backend, with the engine that suits its device and the net.
    #[must_use]
    pub fn on(compute: &'a dyn Compute) -> Self {
        Self {
            compute,
            engine: EngineChoice::Auto,
        }
    }

    /// With another engine.
    #[must_use]
    pub fn with_engine(self, engine: EngineChoice) -> Self {
        Self { engine, ..self }
    }
}

/// A backend with its device. All else in this crate takes and gives host values, so it is compiled once, whatever the
/// backends; [`crate::BurnCompute`] is the one implementation.
pub trait Compute {
    /// The name of the backend in run folders, such as "flex" or "cuda:1".
    fn name(&self) -> &str;

    /// A net with the weights in a file, for states of `[channels, height, width]`, and the engine for it. Its chains
    /// give up with [`ExperimentError::Stopped`] once `stop` is raised.
    ///
    /// # Errors
    /// [`ExperimentError::Net`] when net and weights do not go together, [`ExperimentError::Langevin`] when the engine
    /// lacks a layer.
    fn trained_net(
        &self,
        net: &NetConfig,
        state_shape: [usize; 3],
        weights: &Path,
        engine: EngineChoice,
        stop: &Arc<AtomicBool>,
    ) -> Result<Box<dyn Chains>, ExperimentError>;

    /// A learner before its first iteration.
    ///
    /// # Errors
    /// [`ExperimentError::Trainer`] when a setting does not fit the data; [`ExperimentError::Net`] and
    /// [`ExperimentError::Langevin`] as above.
    fn learner<'a>(
        &self,
        request: LearnerRequest<'a>,
    ) -> Result<Box<dyn AnyLearner>, ExperimentError>;

    /// Checks that there is such a net and that the engine has its layers.
    ///
    /// # Errors
    /// [`ExperimentError::Net`] and [`ExperimentError::Langevin`].
    fn check(&self, config: &ExperimentConfig, engine: EngineChoice)
    -> Result<(), ExperimentError>;

    /// Measures the seconds of one Langevin step of the whole batch, or of one leapfrog step where a step has several; takes
    /// about two seconds.
    ///
    /// # Errors
    /// As [`Self::check`].
    fn seconds_per_step(
        &self,
        config: &ExperimentConfig,
        engine: EngineChoice,
    ) -> Result<f64, ExperimentError>;

    /// The output of a classifier for images, `[images, channels, side, side]` in [−1, 1] with the channels and the
    /// side of [`Classifier::input`].
    ///
    /// # Errors
    /// [`ExperimentError::Net`].
    fn classify(&self, classifier: &Classifier, images: &[f32])
    -> Result<Reading, ExperimentError>;

    /// Trains a classifier. `progress` is told the number of an epoch and its mean loss in nats.
    ///
    /// # Errors
    /// [`ExperimentError::Net`].
    fn train_classifier(
        &self,
        lesson: &Lesson,
        settings: TrainingSettings,
        progress: &mut dyn FnMut(u32, f64),
    ) -> Result<TrainedClassifier, ExperimentError>;
}
