//! States from a tensor to the host.

use burn::tensor::{Tensor, backend::Backend};

use crate::LangevinError;

/// The values of states, row by row. Waits for the device.
///
/// # Errors
/// [`LangevinError::Backend`] when the device does not hand them over.
pub fn host<B: Backend>(states: Tensor<B, 4>) -> Result<Vec<f32>, LangevinError> {
    let data = states.into_data().convert::<f32>();
    data.into_vec()
        .map_err(|error| LangevinError::Backend(format!("{error:?}")))
}
