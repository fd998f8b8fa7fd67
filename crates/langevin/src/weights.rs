//! Weights of the energies in a sum whose parameter gradient is wanted.

use crate::LangevinError;

/// Checks that there is one weight for each state whose F is summed.
///
/// # Errors
/// [`LangevinError::Weights`] otherwise.
pub fn check_weights(weights: &[f32], chains: usize) -> Result<(), LangevinError> {
    if weights.len() == chains {
        return Ok(());
    }
    Err(LangevinError::Weights {
        weights: weights.len(),
        chains,
    })
}
