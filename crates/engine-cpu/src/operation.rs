//! The operations of a net, with packed weights.
//!
//! Each knows the shapes that it works on, so that it can run on a block of chains with nothing but its buffers. Those
//! with weights are shared: the forward pass, the backward pass and the sums for parameters all refer to the same ones.

use std::sync::Arc;

use ebm_core::{Activation, ParameterId, ParameterValues};

use crate::direct::Direct;
use crate::gemm::Packed;
use crate::pool::Windows;
use crate::winograd::Tiling;

/// One operation of a net, from the values before it to those after it.
#[derive(Debug)]
pub(crate) enum Operation {
    Dense(Arc<Dense>),
    Convolution(Arc<Convolution>),
    Activation(Activation),
    MaxPool(MaxPool),
    NonLocal(Arc<NonLocal>),
}

/// Weight and bias: where their gradients belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) weight: ParameterId,
    pub(crate) bias: Option<ParameterId>,
}

/// A matrix applied at every pixel: 1×1 convolutions, linear layers and kernels that cover the whole input.
#[derive(Debug)]
pub(crate) struct Dense {
    pub(crate) ids: Ids,
    /// W, `[outputs][inputs]`.
    pub(crate) forward: Packed,
    /// Wᵀ, `[inputs][outputs]`.
    pub(crate) backward: Packed,
    pub(crate) bias: Vec<f32>,
    /// Leaky ReLU after it, fused; 1 is none.
    pub(crate) slope: f32,
    pub(crate) pixels: usize,
    /// Whether burn stores the weight as `[inputs, outputs]`.
    pub(crate) is_transposed: bool,
}

/// A convolution.
#[derive(Debug)]
pub(crate) struct Convolution {
    pub(crate) ids: Ids,
    pub(crate) geometry: Geometry,
    pub(crate) method: Method,
    pub(crate) bias: Vec<f32>,
    /// Leaky ReLU after it, fused; 1 is none.
    pub(crate) slope: f32,
}

/// Which pixels and channels a convolution connects.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Geometry {
    /// Channels.
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    /// Pixels of the kernel, down and across.
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// Height and width of the images before and after it.
    pub(crate) before: [usize; 2],
    pub(crate) after: [usize; 2],
}

/// How a convolution becomes products.
#[derive(Debug)]
pub(crate) enum Method {
    /// Sums over shifted images.
    Direct { forward: Direct, backward: Direct },
    /// Minimal filtering; one product for each of the transform's places.
    Winograd {
        tiling: Tiling,
        forward: Vec<Packed>,
        backward: Vec<Packed>,
    },
}

/// The maxima of windows side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct MaxPool {
    /// Of the images before it: channels, height, width.
    pub(crate) shape: [usize; 3],
    pub(crate) size: usize,
}

/// A non-local block. Query, key and value are one product of 3h rows.
#[derive(Debug)]
pub(crate) struct NonLocal {
    pub(crate) ids: [Ids; 4],
    pub(crate) channels: usize,
    /// h, the channels of query, key and value each.
    pub(crate) inner: usize,
    /// Height and width.
    pub(crate) image: [usize; 2],
    pub(crate) embed: Packed,
    pub(crate) embed_backward: Packed,
    pub(crate) embed_bias: Vec<f32>,
    pub(crate) output: Packed,
    pub(crate) output_backward: Packed,
    pub(crate) output_bias: Vec<f32>,
}

impl Ids {
    pub(crate) fn of(weight: &ParameterValues, bias: Option<&ParameterValues>) -> Self {
        Self {
            weight: weight.id,
            bias: bias.map(|bias| bias.id),
        }
    }
}

impl Operation {
    /// Bytes of packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        let bytes = |packed: &[Packed]| packed.iter().map(Packed::bytes).sum::<usize>();
        match self {
            Self::Dense(dense) => dense.forward.bytes() + dense.backward.bytes(),
            Self::Convolution(convolution) => match &convolution.method {
                Method::Direct { forward, backward } => {
                    forward.weights.bytes() + backward.weights.bytes()
                }
                Method::Winograd {
                    forward, backward, ..
                } => bytes(forward) + bytes(backward),
            },
            Self::NonLocal(block) => 2 * (block.embed.bytes() + block.output.bytes()),
            Self::Activation(_) | Self::MaxPool(_) => 0,
        }
    }
}

impl MaxPool {
    /// Its windows in a block of so many lanes.
    pub(crate) fn windows(self, lanes: usize) -> Windows {
        Windows {
            shape: self.shape,
            size: self.size,
            lanes,
        }
    }
}

impl NonLocal {
    pub(crate) fn pixels(&self) -> usize {
        self.image.iter().product()
    }
}
