//! What can be wrong with the quantities of this crate.

use crate::StateShape;

/// An impossible step size, temperature or shape, or a device that does not return its values.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum CoreError {
    /// ε is negative, infinite or not a number.
    #[error(
        "step size ε = {0}: must be a finite number ≥ 0 (0 means gradient descent without noise)"
    )]
    StepSize(f64),
    /// T is not positive, infinite or not a number.
    #[error("temperature T = {0}: must be a finite number > 0")]
    Temperature(f64),
    /// An energy returned something else than one scalar for each chain.
    #[error(
        "the energy returned {got} values for {chains} chains: `Energy::energy` must return one scalar F for each \
         chain, shape [chains]"
    )]
    EnergyShape {
        /// How many chains were given.
        chains: usize,
        /// How many scalars came back.
        got: usize,
    },
    /// Values that are not a whole number of states.
    #[error("{values} values are not a whole number of states of shape {shape}")]
    States {
        /// Values given.
        values: usize,
        /// The shape of a state.
        shape: StateShape,
    },
    /// States of another shape than is wanted.
    #[error("states have the shape {got} instead of {expected}")]
    OtherShape {
        /// The shape that is wanted.
        expected: StateShape,
        /// The shape that was given.
        got: StateShape,
    },
    /// A layer of a net's description does not fit its states or its parameters.
    #[error("layer {index} of the net's description does not fit: {problem}")]
    Description {
        /// The layer's place.
        index: usize,
        /// What does not fit.
        problem: String,
    },
    /// The backend did not return its values.
    #[error("the backend returned no data: {0}")]
    Backend(String),
}
