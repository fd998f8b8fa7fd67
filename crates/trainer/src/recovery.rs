//! What follows when learning has run away: it goes back to an earlier checkpoint and on from there with other noise.

use serde::{Deserialize, Serialize};

use crate::TrainerError;
use crate::config::positive;

/// How often a run that ran away goes back and tries again, and with what.
///
/// A recovery goes back to a checkpoint from well before the iteration that ran away. From there the run continues as
/// another attempt: with random numbers of its own, and where asked for with a lower rate or longer chains. All of it
/// is a function of the settings, so a run with recoveries can be repeated and resumed exactly.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Recovery {
    /// The largest number of recoveries in a run. With 0, the default, a run that ran away ends.
    pub attempts: u32,
    /// The least number of iterations between the checkpoint to go back to and the iteration that ran away, because
    /// the parameters just before it are spoiled already. Where no checkpoint is so old, the oldest is taken.
    pub distance: u64,
    /// Every recovery multiplies the learning rate and its floor by this.
    pub learning_rate_factor: f64,
    /// Every recovery multiplies L, the number of Langevin steps, by this.
    pub steps_factor: f64,
}

impl Default for Recovery {
    /// None. Where there are some, they go back by 100 iterations and change nothing but the noise.
    fn default() -> Self {
        Self {
            attempts: 0,
            distance: 100,
            learning_rate_factor: 1.0,
            steps_factor: 1.0,
        }
    }
}

impl Recovery {
    /// Whether all settings are the default ones.
    #[must_use]
    pub fn is_default(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn validate(&self) -> Result<(), TrainerError> {
        positive("recovery.learning_rate_factor", self.learning_rate_factor)?;
        positive("recovery.steps_factor", self.steps_factor)
    }
}

/// The part of a run between two recoveries.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    /// The recoveries before it.
    pub number: u32,
    /// The factor of the learning rate and its floor, from all recoveries before it.
    pub learning_rate_factor: f64,
    /// The factor of the Langevin steps, from all recoveries before it.
    pub steps_factor: f64,
}

impl Default for Attempt {
    /// The one before any recovery.
    fn default() -> Self {
        Self {
            number: 0,
            learning_rate_factor: 1.0,
            steps_factor: 1.0,
        }
    }
}

impl Attempt {
    /// Whether no recovery came before it.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.number == 0
    }

    /// The attempt after one more recovery.
    #[must_use]
    pub fn next(self, recovery: &Recovery) -> Self {
        Self {
            number: self.number + 1,
            learning_rate_factor: self.learning_rate_factor * recovery.learning_rate_factor,
            steps_factor: self.steps_factor * recovery.steps_factor,
        }
    }

    /// L of this attempt: `steps` of the settings times the factor, at least 1.
    #[must_use]
    pub fn steps(&self, steps: u64) -> u64 {
        if self.steps_factor == 1.0 {
            return steps;
        }
        ((steps as f64 * self.steps_factor).round() as u64).max(1)
    }
}
