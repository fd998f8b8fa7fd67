//! What can go wrong while mapping.

use ebm_core::CoreError;
use ebm_langevin::LangevinError;

/// An impossible setting, states that do not fit, or a failed engine.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LandscapeError {
    /// A setting is out of range.
    #[error("{name} is {value}: {allowed}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// The value given.
        value: String,
        /// What would be right.
        allowed: &'static str,
    },
    /// States of another shape than the surface's.
    #[error(transparent)]
    States(#[from] CoreError),
    /// A pair names a state that does not exist.
    #[error("a pair asks for state {index}, but there are {states}, counted from 0")]
    NoSuchState {
        /// The index asked for.
        index: usize,
        /// How many states there are.
        states: usize,
    },
    /// The minima are not those with which the grouping began.
    #[error("the grouping began with {expected} minima and was given {got}")]
    OtherMinima {
        /// How many it began with.
        expected: usize,
        /// How many were given.
        got: usize,
    },
    /// A barrier between basins that do not exist, or with an energy that is not finite.
    #[error(
        "a barrier of {energy} nats between basins {a} and {b}: there are {basins} basins, counted from 0, and \
         energies must be finite"
    )]
    Barrier {
        /// A basin.
        a: usize,
        /// The other.
        b: usize,
        /// U in nats.
        energy: f64,
        /// How many basins there are.
        basins: usize,
    },
    /// Minima out of order.
    #[error(
        "the minima are not sorted: number {index} does not have a finite energy at or above the one before; sort \
         them with the lowest first"
    )]
    NotSorted {
        /// The first one out of order.
        index: usize,
    },
    /// The engine.
    #[error(transparent)]
    Langevin(#[from] LangevinError),
}

impl LandscapeError {
    pub(crate) fn setting(name: &'static str, value: impl ToString, allowed: &'static str) -> Self {
        Self::Setting {
            name,
            value: value.to_string(),
            allowed,
        }
    }

    /// Checks that a setting is a finite number above 0.
    pub(crate) fn unless_positive(name: &'static str, value: f64) -> Result<(), Self> {
        if value.is_finite() && value > 0.0 {
            Ok(())
        } else {
            Err(Self::setting(name, value, "must be a finite number > 0"))
        }
    }
}
