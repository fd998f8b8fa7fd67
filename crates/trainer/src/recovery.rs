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
    /// the parameters just before it are spoiled already. A recovery goes back by less than twice this and the interval
    /// of checkpoints, and never beyond where the one before it went.
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

    /// The iteration to go back to when `given_up` has run away. It depends on nothing but the settings and the
    /// attempt, so that checkpoints of a stop in between do not change what follows.
    pub(crate) fn goal(&self, every: u64, given_up: u64, attempt: Attempt) -> u64 {
        let grid = self.grid(every);
        let far_enough = given_up.saturating_sub(self.distance) / grid * grid;
        far_enough.max(attempt.since)
    }

    /// Whether a recovery may go back to a checkpoint of this iteration.
    pub(crate) fn is_on_grid(&self, every: u64, iteration: u64) -> bool {
        iteration.is_multiple_of(self.grid(every))
    }

    /// The interval of the checkpoints that are kept for recoveries: the smallest multiple of that of all checkpoints
    /// that is no less than the distance. So at most two of them are needed at a time.
    fn grid(&self, every: u64) -> u64 {
        let every = every.max(1);
        self.distance.max(1).div_ceil(every).saturating_mul(every)
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
    /// The iteration that the last of them went back to.
    pub since: u64,
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
            since: 0,
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

    /// The attempt after one more recovery, which went back to an iteration.
    #[must_use]
    pub fn next(self, recovery: &Recovery, back_to: u64) -> Self {
        Self {
            number: self.number + 1,
            since: back_to,
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// As far as the distance, less than twice that and the interval of checkpoints; from then on never further
        /// back.
        #[test]
        fn a_goal_is_far_enough_and_not_too_far(
            distance in 0u64..500, every in 1u64..300, given_up in 1u64..5000, since in 0u64..5000,
        ) {
            let recovery = Recovery { distance, ..Recovery::default() };
            let goal = recovery.goal(every, given_up, Attempt::default());
            prop_assert!(goal.is_multiple_of(every) && recovery.is_on_grid(every, goal));
            prop_assert!(goal == 0 || goal + distance <= given_up);
            prop_assert!(goal + 2 * distance.max(1) + every > given_up);
            let later = Attempt { since, ..Attempt::default() };
            prop_assert_eq!(recovery.goal(every, given_up, later), goal.max(since));
        }
    }
}
