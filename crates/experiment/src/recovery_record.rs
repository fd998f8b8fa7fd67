//! What `run.json` says of a recovery.

use std::fmt;

use ebm_trainer::Attempt;
use serde::{Deserialize, Serialize};

use crate::words::as_typed;

/// A recovery of a run that had run away.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecoveryRecord {
    /// The iteration that was given up.
    pub ran_away_at: u64,
    /// What was seen there.
    pub cause: String,
    /// The iteration of the checkpoint from which the run went on.
    pub back_to: u64,
    /// What it went on with.
    pub attempt: Attempt,
}

/// A sentence without its full stop.
impl fmt::Display for RecoveryRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            ran_away_at,
            cause,
            back_to,
            attempt,
        } = self;
        write!(
            f,
            "ran away at iteration {ran_away_at} ({cause}) and went on after iteration {back_to} with other noise"
        )?;
        if attempt.learning_rate_factor != 1.0 {
            write!(
                f,
                ", the rate times {}",
                as_typed(attempt.learning_rate_factor, 3)
            )?;
        }
        if attempt.steps_factor != 1.0 {
            write!(f, ", L times {}", as_typed(attempt.steps_factor, 3))?;
        }
        Ok(())
    }
}
