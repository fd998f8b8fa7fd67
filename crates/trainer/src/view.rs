//! The state of learning as observers see it: host numbers, no backend types.

use std::path::Path;

use ebm_data::Dataset;
use ebm_langevin::PersistentBank;

use crate::{LearningConfig, TrainerError};

/// Read access to a learner, whatever its net and backend. Nothing here draws from a training stream of noise or
/// touches the bank, so watching does not change what is learned.
pub trait LearnerView {
    /// The settings.
    fn config(&self) -> &LearningConfig;

    /// The data.
    fn dataset(&self) -> &Dataset;

    /// Iterations done.
    fn iteration(&self) -> u64;

    /// The short-run samples x⁻ of the last iteration, `[batch, channels, height, width]`; empty before the first.
    ///
    /// # Errors
    /// [`TrainerError::Backend`].
    fn samples(&self) -> Result<Vec<f32>, TrainerError>;

    /// A batch of data with noise ε_data for chains that only watch, `[count, channels, height, width]`.
    ///
    /// # Errors
    /// [`TrainerError::Data`] when there are fewer data.
    fn watch_data(&self, count: usize) -> Result<Vec<f32>, TrainerError>;

    /// The persistent bank, if there is one.
    ///
    /// # Errors
    /// [`TrainerError::Unread`] while there are iterations whose samples have not been written into it.
    fn bank(&self) -> Result<Option<&PersistentBank>, TrainerError>;

    /// F of the given states, row by row.
    ///
    /// # Errors
    /// [`TrainerError::Langevin`].
    fn energies(&self, states: &[f32]) -> Result<Vec<f64>, TrainerError>;

    /// F of the given states under the average of the parameters; `None` where no average is kept.
    ///
    /// # Errors
    /// [`TrainerError::Langevin`].
    fn average_energies(&self, states: &[f32]) -> Result<Option<Vec<f64>>, TrainerError>;

    /// Runs `steps` of the training kernel from the given states, row by row. `first_step` numbers the first step in
    /// the noise, so that a long run can be made in pieces.
    ///
    /// # Errors
    /// [`TrainerError::Langevin`].
    fn run_chains(
        &self,
        states: Vec<f32>,
        first_step: u64,
        steps: u64,
    ) -> Result<Vec<f32>, TrainerError>;

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
    /// [`TrainerError::Io`] and [`TrainerError::Net`]; [`TrainerError::Unread`] while there are iterations that nobody has checked
    /// for divergence.
    fn save_checkpoint(&self, folder: &Path) -> Result<(), TrainerError>;
}
