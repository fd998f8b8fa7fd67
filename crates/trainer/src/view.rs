//! The state of learning as observers see it: host numbers, no backend types.

use std::path::Path;

use ebm_core::{Dataset, NoiseKey, States, Stream};
use ebm_diagnostics::IterationMetrics;
use ebm_langevin::{ChainRun, Chains, PersistentBank};

use crate::{Attempt, LearningConfig, TrainerError};

/// Read access to a learner, whatever its net and backend. Nothing here draws from a training stream of noise or
/// touches the bank, so watching does not change what is learned.
pub trait LearnerView {
    /// The settings.
    fn config(&self) -> &LearningConfig;

    /// The data.
    fn dataset(&self) -> &dyn Dataset;

    /// Iterations done.
    fn iteration(&self) -> u64;

    /// The part of the run between two recoveries that learning is in.
    fn attempt(&self) -> Attempt;

    /// The short-run samples x⁻ of the last iteration; none before the first.
    ///
    /// # Errors
    /// [`TrainerError::Langevin`].
    fn samples(&self) -> Result<States, TrainerError>;

    /// A batch of data with noise ε_data for chains that only watch.
    ///
    /// # Errors
    /// [`TrainerError::Data`] when there are fewer data.
    fn watch_data(&self, count: usize) -> Result<States, TrainerError>;

    /// The persistent bank, if there is one.
    ///
    /// # Errors
    /// [`TrainerError::Unread`] while there are iterations whose samples have not been written into it.
    fn bank(&self) -> Result<Option<&PersistentBank>, TrainerError>;

    /// The current net with its engine: F of states, and chains on it.
    fn chains(&self) -> &dyn Chains;

    /// Steps of the training kernel, with the noise of the current iteration for chains that only watch.
    fn watch_run(&self, steps: u64) -> ChainRun {
        let noise = NoiseKey::new(self.config().seed, Stream::Watch, self.iteration());
        ChainRun::new(self.config().kernel(), steps).with_noise(noise)
    }

    /// F of states under the average of the parameters; `None` where no average is kept.
    ///
    /// # Errors
    /// [`TrainerError::Langevin`].
    fn average_energies(&self, states: &States) -> Result<Option<Vec<f32>>, TrainerError>;

    /// Writes the parameters as safetensors.
    ///
    /// # Errors
    /// [`TrainerError::Net`].
    fn save_weights(&self, path: &Path) -> Result<(), TrainerError>;

    /// Writes the average of the parameters as safetensors; `false`, and no file, where no average is kept.
    ///
    /// # Errors
    /// [`TrainerError::Net`].
    fn save_average(&self, path: &Path) -> Result<bool, TrainerError>;

    /// Writes everything that is needed to go on: a folder with weights, optimiser state, bank and iteration.
    ///
    /// # Errors
    /// [`TrainerError::Io`] and [`TrainerError::Net`]; [`TrainerError::Unread`] while there are iterations that
    /// nobody has checked for divergence.
    fn save_checkpoint(&self, folder: &Path) -> Result<(), TrainerError>;
}

/// Learning, step by step, whatever the net and the backend: what the [`Trainer`](crate::Trainer) asks for.
pub trait AnyLearner: LearnerView {
    /// One learning iteration: Algorithm 1 of arXiv 1903.12370.
    ///
    /// # Errors
    /// As [`Learner::iterate`](crate::Learner::iterate).
    fn iterate(&mut self) -> Result<IterationMetrics, TrainerError>;

    /// Whether [`Self::advance`] returns before the iteration is computed.
    fn runs_ahead(&self) -> bool;

    /// An iteration whose numbers are not read.
    ///
    /// # Errors
    /// As [`Learner::advance`](crate::Learner::advance).
    fn advance(&mut self) -> Result<(), TrainerError>;

    /// Reads the numbers of the iterations that were advanced, and appends them to `metrics`.
    ///
    /// # Errors
    /// As [`Learner::read`](crate::Learner::read).
    fn read(&mut self, metrics: &mut Vec<IterationMetrics>) -> Result<(), TrainerError>;

    /// Continues from a checkpoint folder. After an error the learner may hold parts of the checkpoint.
    ///
    /// # Errors
    /// As [`Learner::restore`](crate::Learner::restore).
    fn restore_from(&mut self, folder: &Path) -> Result<(), TrainerError>;

    /// Goes on as another attempt: with its random numbers, and with its factors in place of those so far.
    fn begin_attempt(&mut self, attempt: Attempt);

    /// How many iterations have been advanced and not read.
    fn unread(&self) -> usize;

    /// Checks that the update has not made a parameter infinite or not a number.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`].
    fn check_parameters(&self) -> Result<(), TrainerError>;
}
