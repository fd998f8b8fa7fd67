//! How much arithmetic a chain step is, from the layers' shapes.

use ebm_core::LayerShape;
use ebm_energy_net::{LayerConfig, NetError};

use crate::Case;

/// Floating-point operations of one chain step: twice the multiply-adds of the forward pass and of the gradient with
/// respect to the states, every convolution counted as its definition has it. Activations, pooling, softmax, biases
/// and noise are left out, as is usual; they are a few per cent.
///
/// # Errors
/// [`NetError`] when the net does not fit its states.
pub fn chain_step_flops(case: &Case) -> Result<f64, NetError> {
    let (stack, head) = case.config.layers(case.state_shape);
    let mut shape = case.state_shape;
    let mut multiply_adds = 0;
    for layer in stack.iter().chain(&head) {
        let output = LayerConfig::check_stack(std::slice::from_ref(layer), shape)?;
        multiply_adds += multiply_adds_of(layer.shape(), output);
        shape = output;
    }
    Ok(2.0 * multiply_adds as f64)
}

/// Multiply-adds of a layer that gives `[channels, height, width]`, forward and input gradient.
fn multiply_adds_of(layer: LayerShape, [_, height, width]: [usize; 3]) -> usize {
    let pixels = height * width;
    let weights: usize = layer.maps().iter().map(|map| map.weights()).sum();
    let attention = match layer {
        // Scores and mixture.
        LayerShape::NonLocal { inner, .. } => 2 * pixels * (height / 2) * (width / 2) * inner,
        _ => 0,
    };
    // The input gradient of a map is the same products, summed over outputs instead of inputs. In attention both
    // factors of both products depend on the states, so each has two gradients.
    2 * weights * pixels + 3 * attention
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ebm_energy_net::Architecture;

    #[test]
    fn counts_agree_with_those_made_by_hand() {
        let [toy, vanilla, nonlocal] = Architecture::ALL
            .map(|architecture| chain_step_flops(&Case::published(architecture)).unwrap());
        let points = 2 * 32 + 32 * 64 + 2 * 64 * 64 + 64;
        assert_eq!(toy, 4.0 * f64::from(points));
        let down = 16 * (256 * 32 * 64 + 64 * 64 * 128 + 16 * 128 * 256);
        let images = 1024 * 27 * 32 + down + 16 * 256;
        assert_eq!(vanilla, 4.0 * f64::from(images));
        let convolutions = 9 * (1024 * 3 * 32 + 256 * 32 * 64 + 64 * 64 * 128);
        let linear = 2048 * 256 + 256;
        let maps = 4 * (256 * 32 * 16 + 64 * 64 * 32);
        let attention = 2 * (256 * 64 * 16 + 64 * 16 * 32);
        assert_eq!(
            nonlocal,
            4.0 * f64::from(convolutions + linear + maps) + 6.0 * f64::from(attention)
        );
    }
}
