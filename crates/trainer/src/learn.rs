//! What the trainer asks of a learner: no backend types.

use std::path::Path;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::Energy;
use ebm_diagnostics::IterationMetrics;
use ebm_langevin::Engine;

use crate::{Learner, LearnerView, TrainerError, checkpoint};

/// A [`Learner`], whatever its net, engine and backend, so that the [`Trainer`](crate::Trainer) is compiled once.
pub trait Learn: LearnerView {
    /// As [`Learner::iterate`].
    ///
    /// # Errors
    /// As there.
    fn iterate(&mut self) -> Result<IterationMetrics, TrainerError>;

    /// As [`Learner::runs_ahead`].
    fn runs_ahead(&self) -> bool;

    /// As [`Learner::advance`].
    ///
    /// # Errors
    /// As there.
    fn advance(&mut self) -> Result<(), TrainerError>;

    /// As [`Learner::read`].
    ///
    /// # Errors
    /// As there.
    fn read(&mut self, metrics: &mut Vec<IterationMetrics>) -> Result<(), TrainerError>;

    /// Checks that every iteration that was advanced has been read.
    ///
    /// # Errors
    /// [`TrainerError::Unread`].
    fn check_read(&self) -> Result<(), TrainerError>;

    /// As [`Learner::check_parameters`].
    ///
    /// # Errors
    /// As there.
    fn check_parameters(&self) -> Result<(), TrainerError>;

    /// The engine's name.
    fn engine_name(&self) -> &'static str;

    /// Continues from a checkpoint folder. After an error the learner may hold parts of the checkpoint.
    ///
    /// # Errors
    /// As [`Learner::restore`].
    fn restore_from(&mut self, folder: &Path) -> Result<(), TrainerError>;
}

impl<B, N, E> Learn for Learner<B, N, E>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
    E: Engine<B, N>,
{
    fn iterate(&mut self) -> Result<IterationMetrics, TrainerError> {
        Self::iterate(self)
    }

    fn runs_ahead(&self) -> bool {
        Self::runs_ahead(self)
    }

    fn advance(&mut self) -> Result<(), TrainerError> {
        Self::advance(self)
    }

    fn read(&mut self, metrics: &mut Vec<IterationMetrics>) -> Result<(), TrainerError> {
        Self::read(self, metrics)
    }

    fn check_read(&self) -> Result<(), TrainerError> {
        Self::check_read(self)
    }

    fn check_parameters(&self) -> Result<(), TrainerError> {
        Self::check_parameters(self)
    }

    fn engine_name(&self) -> &'static str {
        Self::engine_name(self)
    }

    fn restore_from(&mut self, folder: &Path) -> Result<(), TrainerError> {
        checkpoint::restore(self, folder)
    }
}
