//! What can be wrong with the quantities of this crate.

/// An impossible step size, temperature or energy shape.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
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
        "the energy returned {got} values for {chains} chains: `Energy::energy` must return one scalar F for each chain, shape [chains]"
    )]
    EnergyShape {
        /// How many chains were given.
        chains: usize,
        /// How many scalars came back.
        got: usize,
    },
}
