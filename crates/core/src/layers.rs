//! A net as plain data: what an engine needs to compute it without tensors.

mod parameter;
mod shape;

pub use parameter::{ParameterId, ParameterValues};
pub use shape::{LayerShape, LinearMap, layer_shapes};

/// One layer with its parameters.
#[derive(Debug, Clone)]
pub enum LayerDescription {
    /// 2-D convolution with a square kernel and zero padding.
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
        /// `[outputs, inputs, kernel, kernel]`.
        weight: ParameterValues,
        /// `[outputs]`.
        bias: Option<ParameterValues>,
    },
    /// Linear map of the whole flattened state, channel-major.
    Linear {
        /// Values in.
        inputs: usize,
        /// Values out.
        outputs: usize,
        /// `[inputs, outputs]`, burn's layout.
        weight: ParameterValues,
        /// `[outputs]`.
        bias: Option<ParameterValues>,
    },
    /// An activation, element by element.
    Activation(Activation),
    /// Maximum over square windows that do not overlap.
    MaxPool2d {
        /// Side and stride of the window.
        size: usize,
    },
    /// x + W · softmax(θ(x)ᵀφ(x)) g(x) with 2×2 max-pooled φ and g, all four 1×1 convolutions.
    NonLocal {
        /// Channels in and out, c.
        channels: usize,
        /// Channels of query, key and value, h.
        inner: usize,
        /// Weight and bias of θ, φ, g (`[h, c]`, `[h]`) and W (`[c, h]`, `[c]`), in this order.
        maps: Box<[[ParameterValues; 2]; 4]>,
    },
}

impl LayerDescription {
    /// The layer without its parameters.
    #[must_use]
    pub fn shape(&self) -> LayerShape {
        match *self {
            Self::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
                ..
            } => LayerShape::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
            },
            Self::Linear {
                inputs, outputs, ..
            } => LayerShape::Linear { inputs, outputs },
            Self::Activation(_) => LayerShape::Elementwise,
            Self::MaxPool2d { size } => LayerShape::MaxPool2d { size },
            Self::NonLocal {
                channels, inner, ..
            } => LayerShape::NonLocal { channels, inner },
        }
    }

    /// Weight and bias of every linear map, in the order of [`LayerShape::maps`].
    fn maps(&self) -> Vec<[Option<&ParameterValues>; 2]> {
        match self {
            Self::Conv2d { weight, bias, .. } | Self::Linear { weight, bias, .. } => {
                vec![[Some(weight), bias.as_ref()]]
            }
            Self::NonLocal { maps, .. } => {
                let pairs = maps.iter().map(|map| map.each_ref().map(Some));
                pairs.collect()
            }
            Self::Activation(_) | Self::MaxPool2d { .. } => Vec::new(),
        }
    }

    /// The parameters in the order of the fields: weight and bias of every linear map.
    #[must_use]
    pub fn parameters(&self) -> Vec<&ParameterValues> {
        match self {
            Self::Conv2d { weight, bias, .. } | Self::Linear { weight, bias, .. } => {
                std::iter::once(weight).chain(bias).collect()
            }
            Self::NonLocal { maps, .. } => maps.iter().flatten().collect(),
            Self::Activation(_) | Self::MaxPool2d { .. } => Vec::new(),
        }
    }
}

/// Activations that need no parameters.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Activation {
    /// x for x > 0, slope · x otherwise. ReLU is slope 0.
    LeakyRelu {
        /// Slope for negative inputs.
        slope: f32,
    },
    /// x · sigmoid(x).
    Silu,
    /// x for x > 0, α (eˣ − 1) otherwise.
    Elu {
        /// α.
        alpha: f32,
    },
}

/// An energy that can describe its layers. Engines that do not use tensors run it from this description. An energy
/// without a description is run with tensor operations.
pub trait Layered {
    /// The layers in order; together they must compute what [`crate::Energy::energy`] does.
    ///
    /// # Errors
    /// A short phrase that names what cannot be described, such as "a tanh layer".
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        Err("a net without a layer description".into())
    }
}

impl<E: Layered> Layered for &E {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        E::layers(self)
    }
}
