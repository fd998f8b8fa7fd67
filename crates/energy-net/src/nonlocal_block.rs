//! The non-local block: self-attention over pixels (Wang, Girshick, Gupta and He, "Non-local neural networks",
//! CVPR 2018), in the embedded-Gaussian form with 2×2-pooled keys and values.

// `W` is the name in the published checkpoints, and the derived record repeats it.
#![allow(non_snake_case)]

use burn::module::{Module, Param};
use burn::nn::conv::Conv2d;
use burn::tensor::activation::softmax;
use burn::tensor::module::max_pool2d;
use burn::tensor::{Tensor, backend::Backend};

use crate::layer::ParameterDraw;

/// Residual attention on c channels with h = max(1, c/2) inner ones: x + W · softmax(θ(x)ᵀφ(x)) g(x), no scaling.
///
/// Fields carry the parameter names of the published PyTorch checkpoints: `theta` = query, `phi` = key,
/// `g` = value, `W` = output, which starts at zero so that the block starts as the identity.
#[derive(Module, Debug)]
pub struct NonLocalBlock<B: Backend> {
    /// Query, 1×1 convolution c → h.
    pub theta: Conv2d<B>,
    /// Key, 1×1 convolution c → h, then pooled by 2.
    pub phi: [Conv2d<B>; 1],
    /// Value, 1×1 convolution c → h, then pooled by 2.
    pub g: [Conv2d<B>; 1],
    /// Output, 1×1 convolution h → c.
    pub W: Conv2d<B>,
}

impl<B: Backend> NonLocalBlock<B> {
    pub(crate) fn init(channels: usize, draw: &mut ParameterDraw<'_, B>) -> Self {
        let inner = (channels / 2).max(1);
        let mut output = draw.conv2d(inner, channels, 1, 1, 0);
        // New parameters: mapped ones would stay zero for ever, because `zeros_like` forgets to require a gradient.
        output.weight = Param::from_tensor(output.weight.val().zeros_like());
        output.bias = output
            .bias
            .map(|bias| Param::from_tensor(bias.val().zeros_like()));
        let mut embed = || draw.conv2d(channels, inner, 1, 1, 0);
        Self {
            theta: embed(),
            phi: [embed()],
            g: [embed()],
            W: output,
        }
    }

    /// `[chains, channels, height, width]` → the same shape.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        let [chains, _, height, width] = input.dims();
        let pool = |states| max_pool2d(states, [2, 2], [2, 2], [0, 0], [1, 1], false);
        let query = self.theta.forward(input.clone()).flatten::<3>(2, 3);
        let key = pool(self.phi[0].forward(input.clone())).flatten::<3>(2, 3);
        let value = pool(self.g[0].forward(input.clone())).flatten::<3>(2, 3);
        // [chains, pixels, pooled pixels]
        let attention = softmax(query.transpose().matmul(key), 2);
        // [chains, inner channels, pixels]
        let mixed = value.matmul(attention.transpose());
        let inner = mixed.dims()[1];
        input
            + self
                .W
                .forward(mixed.reshape([chains, inner, height, width]))
    }
}
