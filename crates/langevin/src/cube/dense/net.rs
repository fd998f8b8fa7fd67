//! A stack of dense layers, laid out for the kernel.

use ebm_core::{Activation, LayerDescription};

use crate::LangevinError;
use crate::cube::missing;

/// Numbers that a layer has in the table: inputs, outputs, and where weights, transposed weights and biases begin.
pub(super) const FIELDS: usize = 5;

/// A net of dense layers with leaky ReLU between them.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::cube) struct DenseNet {
    /// Values of a state.
    pub(super) size: usize,
    /// Values of the widest layer, that of the state included.
    pub(super) width: usize,
    /// [`FIELDS`] numbers a layer.
    pub(super) table: Vec<u32>,
    /// The slope of the activation before each layer; 1 is none.
    pub(super) slopes: Vec<f32>,
    /// Of every layer the weights `[inputs, outputs]`, the weights `[outputs, inputs]` and the biases: threads that share a layer
    /// read neighbours in both directions.
    pub(super) parameters: Vec<f32>,
}

impl DenseNet {
    /// Lays out the layers for states of `shape`.
    ///
    /// # Errors
    /// [`LangevinError::NotCubed`] names what the kernel lacks, [`LangevinError::Description`] what does not fit.
    pub(in crate::cube) fn new(
        layers: &[LayerDescription],
        shape: [usize; 3],
    ) -> Result<Self, LangevinError> {
        let size = shape.iter().product();
        let mut net = Self {
            size,
            width: size,
            table: Vec::new(),
            slopes: Vec::new(),
            parameters: Vec::new(),
        };
        // Convolutions see an image, linear layers what is left of it.
        let mut is_pixel = shape[1] == 1 && shape[2] == 1;
        let mut values = size;
        // Of the activation that the next layer sees.
        let mut slope_before = None;
        for (index, layer) in layers.iter().enumerate() {
            let problem = |problem: String| LangevinError::Description { index, problem };
            let (inputs, outputs, weight, bias, is_transposed) = match layer {
                // With a negative slope, the sign of the value before is lost.
                LayerDescription::Activation(Activation::LeakyRelu { slope })
                    if *slope >= 0.0 && index > 0 && slope_before.is_none() =>
                {
                    slope_before = Some(*slope);
                    continue;
                }
                LayerDescription::Activation(_) => {
                    return Err(missing(
                        "activations other than a (leaky) ReLU after a layer",
                    ));
                }
                LayerDescription::Conv2d {
                    inputs,
                    outputs,
                    kernel: 1,
                    stride: 1,
                    padding: 0,
                    weight,
                    bias,
                } if is_pixel => (*inputs, *outputs, weight, bias, true),
                LayerDescription::Linear {
                    inputs,
                    outputs,
                    weight,
                    bias,
                } => (*inputs, *outputs, weight, bias, false),
                LayerDescription::Conv2d { .. } => return Err(missing("convolutions of images")),
                LayerDescription::MaxPool2d { .. } => return Err(missing("max-pooling")),
                LayerDescription::NonLocal { .. } => return Err(missing("non-local blocks")),
            };
            if inputs != values {
                return Err(problem(format!(
                    "it takes {inputs} values and is given {values}"
                )));
            }
            let biases = bias.as_ref().map(|bias| &bias.values[..]);
            let given = biases.map_or(outputs, <[f32]>::len);
            if weight.values.len() != inputs * outputs || given != outputs || size == 0 {
                return Err(problem(format!(
                    "{} weights and {given} biases are not those of {inputs} × {outputs} values",
                    weight.values.len()
                )));
            }
            net.slopes.push(slope_before.take().unwrap_or(1.0));
            net.push([inputs, outputs], &weight.values, biases, is_transposed);
            (values, is_pixel) = (outputs, true);
        }
        if net.layers() < 2 {
            return Err(missing("nets of fewer than two layers"));
        }
        if values != 1 || slope_before.is_some() {
            return Err(missing("nets that do not end in a layer of one value"));
        }
        Ok(net)
    }

    fn push(
        &mut self,
        [inputs, outputs]: [usize; 2],
        weight: &[f32],
        bias: Option<&[f32]>,
        is_transposed: bool,
    ) {
        let other: Vec<f32> = if is_transposed {
            transposed(weight, [outputs, inputs])
        } else {
            transposed(weight, [inputs, outputs])
        };
        let (forward, backward) = if is_transposed {
            (&other[..], weight)
        } else {
            (weight, &other[..])
        };
        let first = self.parameters.len();
        let count = inputs * outputs;
        let places = [inputs, outputs, first, first + count, first + 2 * count];
        self.table.extend(places.map(|place| place as u32));
        self.parameters.extend(forward);
        self.parameters.extend(backward);
        match bias {
            Some(bias) => self.parameters.extend(bias),
            None => self.parameters.extend(vec![0.0; outputs]),
        }
        self.width = self.width.max(inputs).max(outputs);
    }

    /// How many layers.
    pub(super) fn layers(&self) -> usize {
        self.slopes.len()
    }
}

fn transposed(matrix: &[f32], [rows, columns]: [usize; 2]) -> Vec<f32> {
    let entries = (0..columns).flat_map(|column| (0..rows).map(move |row| (row, column)));
    entries
        .map(|(row, column)| matrix[row * columns + column])
        .collect()
}
