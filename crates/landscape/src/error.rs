//! What can go wrong while mapping.

use ebm_langevin::LangevinError;

/// An impossible setting, states that do not fit, or a failed engine.
#[derive(Debug, thiserror::Error)]
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
    /// The values are not those of whole states.
    #[error("{values} values are not a whole number of states of {per_state} values each")]
    States {
        /// Values given.
        values: usize,
        /// Values of a state.
        per_state: usize,
    },
    /// A pair names a state that is not there.
    #[error("a pair asks for state {index}, but there are {states}, counted from 0")]
    NoSuchState {
        /// The index asked for.
        index: usize,
        /// How many states there are.
        states: usize,
    },
    /// Minima out of order.
    #[error(
        "the minima are not sorted: number {index} has a lower energy than the one before; sort them with the lowest first"
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
}
