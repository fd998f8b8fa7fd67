//! The layers an energy net can be made of, as plain data.

use ebm_core::{Activation, LayerShape, StateShape};
use serde::{Deserialize, Serialize};

use crate::NetError;

/// One layer of a net, as plain data. Every convolution and linear layer has a bias.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum LayerConfig {
    /// 2-D convolution, square kernel, zero padding.
    Conv2d {
        /// Channels in.
        inputs: usize,
        /// Channels out.
        outputs: usize,
        /// Side of the kernel.
        kernel: usize,
        /// Stride, both axes.
        stride: usize,
        /// Zero padding on each side.
        padding: usize,
    },
    /// Linear map of the whole flattened state (channel-major, as PyTorch's `flatten`).
    Linear {
        /// Values in.
        inputs: usize,
        /// Values out.
        outputs: usize,
    },
    /// max(x, slope · x).
    LeakyRelu {
        /// Slope for negative inputs.
        slope: f64,
    },
    /// max(x, 0).
    Relu,
    /// x · sigmoid(x).
    Silu,
    /// x for x > 0, alpha · (eˣ − 1) otherwise.
    Elu {
        /// The negated limit for large negative inputs.
        alpha: f64,
    },
    /// Maximum over square windows that do not overlap.
    MaxPool2d {
        /// Side and stride of the window.
        size: usize,
    },
    /// Non-local block with 2×2-pooled keys and values, [`NonLocalBlock`](crate::NonLocalBlock).
    NonLocal {
        /// Channels in and out.
        channels: usize,
    },
}

impl LayerConfig {
    /// The layer without its parameters.
    #[must_use]
    pub fn shape(self) -> LayerShape {
        match self {
            Self::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
            } => LayerShape::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
            },
            Self::Linear { inputs, outputs } => LayerShape::Linear { inputs, outputs },
            Self::MaxPool2d { size } => LayerShape::MaxPool2d { size },
            Self::NonLocal { channels } => LayerShape::NonLocal {
                channels,
                inner: (channels / 2).max(1),
            },
            Self::LeakyRelu { .. } | Self::Relu | Self::Silu | Self::Elu { .. } => {
                LayerShape::Elementwise
            }
        }
    }

    /// Checks a stack of layers against states of `[channels, height, width]`; returns the shape at its end.
    ///
    /// # Errors
    /// [`NetError::Layer`] for the first layer that does not fit.
    pub fn check_stack(layers: &[Self], input: [usize; 3]) -> Result<[usize; 3], NetError> {
        let mut shape = input;
        for (index, layer) in layers.iter().enumerate() {
            let output = layer.shape().output(shape.into());
            shape = output
                .map(StateShape::dims)
                .map_err(|reason| NetError::Layer {
                    index,
                    layer: format!("{layer:?}"),
                    channels: shape[0],
                    height: shape[1],
                    width: shape[2],
                    reason,
                })?;
        }
        Ok(shape)
    }

    /// The activation, if the layer is one.
    #[must_use]
    pub fn activation(self) -> Option<Activation> {
        match self {
            Self::LeakyRelu { slope } => Some(Activation::LeakyRelu {
                slope: slope as f32,
            }),
            Self::Relu => Some(Activation::LeakyRelu { slope: 0.0 }),
            Self::Silu => Some(Activation::Silu),
            Self::Elu { alpha } => Some(Activation::Elu {
                alpha: alpha as f32,
            }),
            Self::Conv2d { .. }
            | Self::Linear { .. }
            | Self::MaxPool2d { .. }
            | Self::NonLocal { .. } => None,
        }
    }
}
