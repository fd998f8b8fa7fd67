//! A stack of dense layers, laid out for the kernel.

use ebm_core::{Activation, LayerDescription, StateShape};

use super::few_layout::FewLayout;
use super::many_layout::ManyLayout;
use crate::missing;
use crate::places::{Counter, Places};
use ebm_langevin::LangevinError;

/// A net of dense layers with leaky ReLU between them, the last one of one value, without its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct DenseNet {
    /// Values of the state and after each layer but the last.
    pub(super) widths: Vec<usize>,
    /// The slope of the activation after each layer but the last; 1 is none.
    pub(super) slopes: Vec<f32>,
    layers: Vec<Dense>,
}

/// Where the parameters of a layer are.
#[derive(Debug, Clone, PartialEq)]
struct Dense {
    inputs: usize,
    outputs: usize,
    weights: Places,
    biases: Option<Places>,
    /// Whether weights are `[outputs][inputs]` and not `[inputs][outputs]`.
    is_by_outputs: bool,
}

impl Dense {
    fn weight(&self, input: usize, output: usize) -> u32 {
        let at = if self.is_by_outputs {
            output * self.inputs + input
        } else {
            input * self.outputs + output
        };
        self.weights.first() + at as u32
    }

    /// Nowhere, if there are none.
    fn bias(&self, output: usize) -> u32 {
        let biases = self.biases.as_ref();
        biases.map_or(0, |biases| biases.first() + output as u32)
    }
}

impl DenseNet {
    /// Lays out the layers. `shapes` are those before each of them and at their end.
    ///
    /// # Errors
    /// [`LangevinError::Lacking`] names what the kernel lacks.
    pub(crate) fn new(
        layers: &[LayerDescription],
        shapes: &[StateShape],
    ) -> Result<Self, LangevinError> {
        let mut net = Self {
            widths: Vec::new(),
            slopes: Vec::new(),
            layers: Vec::new(),
        };
        let mut counter = Counter::default();
        // Of the activation that the next layer sees.
        let mut slope_before = None;
        for (index, (layer, shape)) in layers.iter().zip(shapes).enumerate() {
            let (inputs, outputs, weight, bias, is_by_outputs) = match layer {
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
                } if shape.is_point() => (*inputs, *outputs, weight, bias, true),
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
            let weights = counter.take(weight);
            let biases = bias.as_ref().map(|bias| counter.take(bias));
            if !net.layers.is_empty() {
                net.slopes.push(slope_before.take().unwrap_or(1.0));
            }
            net.widths.push(inputs);
            net.layers.push(Dense {
                inputs,
                outputs,
                weights,
                biases,
                is_by_outputs,
            });
        }
        if net.layers.len() < 2 {
            return Err(missing("whole chains of nets of fewer than two layers"));
        }
        let ends_in_one = shapes.last().is_some_and(|shape| shape.size() == 1);
        if !ends_in_one || slope_before.is_some() {
            return Err(missing("nets that do not end in a layer of one value"));
        }
        Ok(net)
    }

    /// Values of a state.
    pub(super) fn size(&self) -> usize {
        self.widths[0]
    }

    /// Values of the widest layer, that of the state included.
    pub(super) fn width(&self) -> usize {
        self.widths.iter().copied().max().unwrap_or(0)
    }

    /// Multiply-adds of a step of a chain.
    pub(super) fn multiply_adds(&self) -> u64 {
        let weights = self.layers.iter().map(|layer| layer.weights.len());
        2 * weights.sum::<usize>() as u64
    }

    /// Whether the last layer has a bias.
    pub(crate) fn ends_in_bias(&self) -> bool {
        self.layers
            .last()
            .is_some_and(|layer| layer.biases.is_some())
    }

    /// What each unit needs, `[entries][units]`: unit `parts` · n + p has neuron n, and of the inputs of a sum those
    /// that are congruent to p. The entries are those of [`FewLayout`]; where a layer has no such weight there is
    /// none.
    pub(super) fn by_units(&self, layout: &FewLayout) -> Vec<u32> {
        let parts = layout.parts;
        let mut packed = vec![0; layout.entries() * layout.units];
        let places = (0..layout.units).map(|unit| (unit, unit / parts, unit % parts));
        for (unit, neuron, part) in places {
            for (number, layer) in self.layers.iter().enumerate() {
                let Dense {
                    inputs, outputs, ..
                } = *layer;
                if number == self.layers.len() - 1 {
                    if neuron < inputs {
                        packed[layout.head() * layout.units + unit] = layer.weight(neuron, 0);
                    }
                    continue;
                }
                if neuron < outputs {
                    packed[layout.bias(number) * layout.units + unit] = layer.bias(neuron);
                    for (at, input) in (part..inputs).step_by(parts).enumerate() {
                        packed[(layout.forward(number) + at) * layout.units + unit] =
                            layer.weight(input, neuron);
                    }
                }
                if neuron < inputs {
                    for (at, output) in (part..outputs).step_by(parts).enumerate() {
                        packed[(layout.backward(number) + at) * layout.units + unit] =
                            layer.weight(neuron, output);
                    }
                }
            }
        }
        packed
    }

    /// The parameters as [`ManyLayout`] has them, none where fours are padded.
    pub(super) fn by_fours(&self, layout: &ManyLayout) -> Vec<u32> {
        let mut packed = vec![0; 4 * layout.parameters()];
        for (number, layer) in self.layers.iter().enumerate() {
            let Dense {
                inputs, outputs, ..
            } = *layer;
            if number == layout.hidden() {
                for input in 0..inputs {
                    packed[4 * layout.head() + input] = layer.weight(input, 0);
                }
                continue;
            }
            let [row, row_back] = [number + 1, number].map(|layer| 4 * layout.rows(layer));
            let [first, back] = [layout.forward(number), layout.backward(number)];
            for input in 0..inputs {
                for output in 0..outputs {
                    let weight = layer.weight(input, output);
                    packed[4 * first + input * row + output] = weight;
                    packed[4 * back + output * row_back + input] = weight;
                }
            }
            for output in 0..outputs {
                packed[4 * layout.bias(number) + output] = layer.bias(output);
            }
        }
        packed
    }
}
