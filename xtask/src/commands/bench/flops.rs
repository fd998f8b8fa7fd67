//! How much arithmetic a chain step is, from the layers' shapes.

use ebm_benches::Case;
use ebm_energy_net::LayerConfig;

/// Floating-point operations of one chain step: twice the multiply-adds of the forward pass and of the gradient with
/// respect to the states, every convolution counted as its definition has it. Activations, pooling, softmax, biases
/// and noise are left out, as is usual; they are a few per cent.
pub(crate) fn chain_step_flops(case: &Case) -> f64 {
    let (stack, head) = case.config.layers(case.state_shape);
    let mut shape = case.state_shape;
    let mut multiply_adds = 0;
    for layer in stack.iter().chain(&head) {
        let (count, after) = layer_cost(layer, shape);
        multiply_adds += count;
        shape = after;
    }
    2.0 * multiply_adds as f64
}

/// Multiply-adds of a layer, forward and input gradient, and the shape of its output.
fn layer_cost(layer: &LayerConfig, input: [usize; 3]) -> (usize, [usize; 3]) {
    let [_, height, width] = input;
    match *layer {
        LayerConfig::Conv2d {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
        } => {
            let side = |size: usize| (size + 2 * padding - kernel) / stride + 1;
            let after = [outputs, side(height), side(width)];
            // The input gradient is the same products, summed over outputs instead of inputs.
            let forward = inputs * kernel * kernel * after.iter().product::<usize>();
            (2 * forward, after)
        }
        LayerConfig::Linear { inputs, outputs } => (2 * inputs * outputs, [outputs, 1, 1]),
        LayerConfig::NonLocal { channels } => {
            let inner = (channels / 2).max(1);
            let pixels = height * width;
            let pooled = (height / 2) * (width / 2);
            let maps = 4 * channels * inner * pixels;
            // Scores and mixture; both factors of both products depend on the states, so each has two gradients.
            let attention = 2 * pixels * pooled * inner;
            (2 * maps + 3 * attention, input)
        }
        LayerConfig::MaxPool2d { size } => (0, [input[0], height / size, width / size]),
        LayerConfig::LeakyRelu { .. }
        | LayerConfig::Relu
        | LayerConfig::Silu
        | LayerConfig::Elu { .. } => (0, input),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_agree_with_those_made_by_hand() {
        let [toy, vanilla, nonlocal] = Case::published().map(|case| chain_step_flops(&case));
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
