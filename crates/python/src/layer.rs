//! A layer, with the names and PyTorch's shapes of its parameters.

use ebm_core::{Activation, LayerDescription, LayerShape, ParameterId, ParameterValues};

use crate::arrays::Array;

/// What a layer does.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Operation {
    /// What a shape says in full. Not [`LayerShape::Elementwise`].
    Shape(LayerShape),
    Activation(Activation),
}

/// A parameter as the caller has it.
#[derive(Debug, Clone)]
pub(crate) struct Parameter {
    id: ParameterId,
    pub(crate) name: String,
    pub(crate) shape: Vec<usize>,
    /// Whether the engine has its rows as columns: `[inputs, outputs]` for the `[outputs, inputs]` of PyTorch.
    is_transposed: bool,
}

/// Weight and bias of a linear map.
#[derive(Debug, Clone)]
pub(crate) struct Map {
    weight: Parameter,
    bias: Option<Parameter>,
}

/// A layer without its numbers.
#[derive(Debug, Clone)]
pub(crate) struct Layer {
    pub(crate) operation: Operation,
    pub(crate) maps: Vec<Map>,
}

impl Operation {
    /// The layer's shape for the checks that follow from inputs.
    pub(crate) fn shape(self) -> LayerShape {
        match self {
            Self::Shape(shape) => shape,
            Self::Activation(_) => LayerShape::Elementwise,
        }
    }
}

impl Parameter {
    pub(crate) fn id(&self) -> ParameterId {
        self.id
    }

    /// In the engine's layout. There must be as many numbers as the shape has places.
    fn for_engine(&self, values: Vec<f32>) -> ParameterValues {
        ParameterValues::new(self.id, self.turned(values, &[0, 1]))
    }

    /// In the caller's layout. There must be as many numbers as the shape has places.
    pub(crate) fn for_caller(&self, values: Vec<f32>) -> Array<f32> {
        Array {
            values: self.turned(values, &[1, 0]),
            shape: self.shape.clone(),
        }
    }

    /// The matrix with rows and columns exchanged, where that differs from the other layout; `axes` are those of the
    /// shape that `values` has as rows and columns.
    fn turned(&self, values: Vec<f32>, axes: &[usize; 2]) -> Vec<f32> {
        if !self.is_transposed {
            return values;
        }
        let columns = self.shape[axes[1]].max(1);
        let column = |column: usize| values.iter().skip(column).step_by(columns).copied();
        (0..columns).flat_map(column).collect()
    }
}

impl Map {
    /// A map of the layer `operation`, whose parameters are called `name.weight` and `name.bias`.
    pub(crate) fn new(
        operation: Operation,
        name: &str,
        weight: Vec<usize>,
        bias: Option<Vec<usize>>,
        ids: &mut impl Iterator<Item = u64>,
    ) -> Self {
        let is_linear = matches!(operation, Operation::Shape(LayerShape::Linear { .. }));
        let mut parameter = |part: &str, shape, is_transposed| Parameter {
            id: ParameterId::from(ids.next().unwrap_or(u64::MAX)),
            name: format!("{name}.{part}"),
            shape,
            is_transposed,
        };
        Self {
            weight: parameter("weight", weight, is_linear),
            bias: bias.map(|shape| parameter("bias", shape, false)),
        }
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        std::iter::once(&self.weight).chain(&self.bias)
    }
}

impl Layer {
    /// The layer with its numbers, which `next` gives parameter by parameter; `None` where there are too few, or maps
    /// are missing.
    pub(crate) fn describe(
        &self,
        mut next: impl FnMut() -> Option<Vec<f32>>,
    ) -> Option<LayerDescription> {
        let shape = match self.operation {
            Operation::Activation(activation) => {
                return Some(LayerDescription::Activation(activation));
            }
            Operation::Shape(shape) => shape,
        };
        let mut maps = Vec::new();
        for map in &self.maps {
            let weight = map.weight.for_engine(next()?);
            let bias = match &map.bias {
                Some(bias) => Some(bias.for_engine(next()?)),
                None => None,
            };
            maps.push((weight, bias));
        }
        Some(match shape {
            LayerShape::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
            } => {
                let (weight, bias) = maps.pop()?;
                LayerDescription::Conv2d {
                    inputs,
                    outputs,
                    kernel,
                    stride,
                    padding,
                    weight,
                    bias,
                }
            }
            LayerShape::Linear { inputs, outputs } => {
                let (weight, bias) = maps.pop()?;
                LayerDescription::Linear {
                    inputs,
                    outputs,
                    weight,
                    bias,
                }
            }
            LayerShape::MaxPool2d { size } => LayerDescription::MaxPool2d { size },
            LayerShape::NonLocal { channels, inner } => {
                let pairs = maps.into_iter().map(|(weight, bias)| Some([weight, bias?]));
                let pairs: Vec<_> = pairs.collect::<Option<_>>()?;
                LayerDescription::NonLocal {
                    channels,
                    inner,
                    maps: Box::new(pairs.try_into().ok()?),
                }
            }
            LayerShape::Elementwise => return None,
        })
    }
}
