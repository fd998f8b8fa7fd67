//! What layers do to shapes: the one place where outputs follow from inputs.

use crate::{CoreError, LayerDescription, StateShape};

/// A layer without its parameters: what goes in, what comes out, and of which shapes the parameters are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerShape {
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
    },
    /// Linear map of the whole flattened state.
    Linear {
        /// Values in.
        inputs: usize,
        /// Values out.
        outputs: usize,
    },
    /// Element by element.
    Elementwise,
    /// Maximum over square windows that do not overlap.
    MaxPool2d {
        /// Side and stride of the window.
        size: usize,
    },
    /// The non-local block, with keys that are pooled by 2.
    NonLocal {
        /// Channels in and out.
        channels: usize,
        /// Channels of query, key and value.
        inner: usize,
    },
}

/// A linear map with a bias in a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinearMap {
    /// Rows of the weight, and numbers of the bias.
    pub outputs: usize,
    /// The shape of a row: `[inputs]`, or `[inputs, kernel, kernel]`.
    pub row: Vec<usize>,
}

impl LinearMap {
    fn new(outputs: usize, row: &[usize]) -> Self {
        Self {
            outputs,
            row: row.to_vec(),
        }
    }

    /// Numbers of the weight.
    #[must_use]
    pub fn weights(&self) -> usize {
        let row = self.row.iter().copied();
        row.fold(self.outputs, usize::saturating_mul)
    }
}

impl LayerShape {
    /// The shape that comes out for an input.
    ///
    /// # Errors
    /// A clause that says what does not fit.
    pub fn output(self, input: StateShape) -> Result<StateShape, String> {
        let [channels, height, width] = input.dims();
        let expect_channels = |inputs: usize| {
            if inputs == channels {
                Ok(())
            } else {
                Err(format!("it expects {inputs} channels and is given {input}"))
            }
        };
        match self {
            Self::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
            } => {
                expect_channels(inputs)?;
                if kernel == 0 || stride == 0 || outputs == 0 {
                    return Err("kernel, stride and outputs must be at least 1".into());
                }
                let side = |length: usize| {
                    length
                        .saturating_add(padding.saturating_mul(2))
                        .checked_sub(kernel)
                        .map(|room| room / stride + 1)
                        .ok_or_else(|| {
                            format!("the {kernel}×{kernel} kernel is larger than {input}")
                        })
                };
                Ok([outputs, side(height)?, side(width)?].into())
            }
            Self::Linear { inputs, outputs } => {
                if inputs == input.size() && outputs > 0 {
                    Ok(outputs.into())
                } else {
                    let given = input.size();
                    Err(format!(
                        "it expects {inputs} values in all and is given {given}"
                    ))
                }
            }
            Self::MaxPool2d { size } => {
                if size == 0 || height < size || width < size {
                    return Err(format!(
                        "the window of {size} must be 1 or more and fit into {input}"
                    ));
                }
                Ok([channels, height / size, width / size].into())
            }
            Self::NonLocal {
                channels: expected,
                inner,
            } => {
                expect_channels(expected)?;
                if height < 2 || width < 2 || inner == 0 {
                    return Err(format!(
                        "its keys are pooled by 2, which needs at least 2×2, and it is given {input}"
                    ));
                }
                Ok(input)
            }
            Self::Elementwise => Ok(input),
        }
    }

    /// The linear maps in the layer, in the order of their parameters.
    #[must_use]
    pub fn maps(self) -> Vec<LinearMap> {
        match self {
            Self::Conv2d {
                inputs,
                outputs,
                kernel,
                ..
            } => vec![LinearMap::new(outputs, &[inputs, kernel, kernel])],
            Self::Linear { inputs, outputs } => vec![LinearMap::new(outputs, &[inputs])],
            Self::NonLocal { channels, inner } => {
                let embed = LinearMap::new(inner, &[channels, 1, 1]);
                let output = LinearMap::new(channels, &[inner, 1, 1]);
                vec![embed.clone(), embed.clone(), embed, output]
            }
            Self::Elementwise | Self::MaxPool2d { .. } => Vec::new(),
        }
    }
}

/// The shape before each layer and after the last one, for states of the shape `input`.
///
/// # Errors
/// [`CoreError::Description`] for the first layer that does not fit its input, or whose parameters have a wrong
/// number of values.
pub fn layer_shapes(
    layers: &[LayerDescription],
    input: StateShape,
) -> Result<Vec<StateShape>, CoreError> {
    if input.size() == 0 {
        let problem = format!("states of shape {input} have no values");
        return Err(CoreError::Description { index: 0, problem });
    }
    let mut shapes = vec![input];
    let mut shape = input;
    for (index, layer) in layers.iter().enumerate() {
        let problem = |problem: String| CoreError::Description { index, problem };
        shape = layer.shape().output(shape).map_err(problem)?;
        check_parameters(layer).map_err(problem)?;
        shapes.push(shape);
    }
    Ok(shapes)
}

fn check_parameters(layer: &LayerDescription) -> Result<(), String> {
    for (map, [weight, bias]) in layer.shape().maps().iter().zip(layer.maps()) {
        let pairs = [
            ("weight", weight, map.weights()),
            ("bias", bias, map.outputs),
        ];
        for (what, parameter, expected) in pairs {
            let got = parameter.map_or(expected, |parameter| parameter.len());
            if got != expected {
                return Err(format!("its {what} has {got} values instead of {expected}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_follow_from_inputs() {
        let conv = |kernel, stride, padding| LayerShape::Conv2d {
            inputs: 3,
            outputs: 5,
            kernel,
            stride,
            padding,
        };
        let image = StateShape::image([3, 9, 8]);
        let of = |layer: LayerShape| layer.output(image).map(StateShape::dims);
        assert_eq!(of(conv(3, 1, 1)), Ok([5, 9, 8]));
        assert_eq!(of(conv(4, 2, 1)), Ok([5, 4, 4]));
        assert!(of(conv(11, 1, 0)).is_err() && of(conv(0, 1, 0)).is_err());
        assert_eq!(of(LayerShape::MaxPool2d { size: 2 }), Ok([3, 4, 4]));
        assert!(of(LayerShape::MaxPool2d { size: 9 }).is_err());
        let linear = LayerShape::Linear {
            inputs: 216,
            outputs: 2,
        };
        assert_eq!(of(linear), Ok([2, 1, 1]));
        let block = LayerShape::NonLocal {
            channels: 3,
            inner: 1,
        };
        assert_eq!(of(block), Ok([3, 9, 8]));
        assert_eq!(block.maps()[3].weights(), 3);
        assert!(block.output(3.into()).is_err());
        assert!(linear.output(3.into()).is_err());
    }
}
