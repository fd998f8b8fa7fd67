//! A net as a chain of stages, laid out for the kernels.

use ebm_core::{Activation, LayerDescription, StateShape};

use super::activation::Curve;
use super::attention::Attention;
use super::gather::{Convolution, Gather, Shape, numbers_of, padded};
use super::packing::Packing;
use super::pool::Pool;
use crate::missing;
use crate::places::{Counter, Places};
use ebm_langevin::LangevinError;

/// A net that ends in one value, without its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LayeredNet {
    pub(super) stages: Vec<Stage>,
    /// What goes into each stage, and into the head.
    pub(super) shapes: Vec<Shape>,
    /// What kernels read of the parameters.
    pub(super) packings: Vec<Packing>,
    /// The buffer of the last layer: its weights and its bias.
    pub(super) head: usize,
    /// How many products.
    products: usize,
}

/// What a value goes through from one image to the next.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Stage {
    Product(Product),
    Pool(Pool),
    NonLocal(Box<NonLocal>),
}

/// A convolution or a linear map, and the activation after it.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Product {
    pub(super) forward: Gather,
    pub(super) backward: Gather,
    /// Buffers of the left factors of both, and of the biases.
    pub(super) weights: [usize; 2],
    pub(super) bias: usize,
    pub(super) activation: Option<Activation>,
    /// Its place among all of the net.
    pub(super) number: usize,
}

/// x + W · softmax(θ(x)ᵀφ(x)) g(x).
#[derive(Debug, Clone, PartialEq)]
pub(super) struct NonLocal {
    /// θ, φ and g, one after the other.
    pub(super) maps: Product,
    /// Of φ and g.
    pub(super) pool: Pool,
    pub(super) attention: Attention,
    /// W.
    pub(super) output: Product,
}

impl LayeredNet {
    /// Lays out the layers. `shapes` are those before each of them and at their end.
    ///
    /// # Errors
    /// [`LangevinError::Lacking`] names what the kernels lack.
    pub(crate) fn new(
        layers: &[LayerDescription],
        shapes: &[StateShape],
    ) -> Result<Self, LangevinError> {
        let mut net = Self {
            stages: Vec::new(),
            shapes: shapes[..1].iter().map(|shape| shape.dims()).collect(),
            packings: Vec::new(),
            head: 0,
            products: 0,
        };
        let mut counter = Counter::default();
        let last = layers.len().checked_sub(1);
        let last = last.ok_or_else(|| missing("nets without layers"))?;
        for (index, (layer, shapes)) in layers.iter().zip(shapes.windows(2)).enumerate() {
            let [input, output] = [shapes[0], shapes[1]].map(StateShape::dims);
            let (convolution, weights, bias) = match layer {
                LayerDescription::Activation(activation) => {
                    net.activate(*activation)?;
                    continue;
                }
                LayerDescription::MaxPool2d { size } => {
                    let pool = Pool {
                        source: input,
                        first: 0,
                        pooled: input[0],
                        size: *size,
                    };
                    net.push(Stage::Pool(pool), pool.target());
                    continue;
                }
                LayerDescription::NonLocal { inner, maps, .. } => {
                    let maps = maps
                        .each_ref()
                        .map(|map| map.each_ref().map(|part| counter.take(part)));
                    let block = net.non_local(input, *inner, maps);
                    net.push(Stage::NonLocal(Box::new(block)), input);
                    continue;
                }
                LayerDescription::Conv2d {
                    outputs,
                    kernel,
                    stride,
                    padding,
                    weight,
                    bias,
                    ..
                } => {
                    let covers = *padding == 0 && input[1..] == [*kernel; 2];
                    // A bit of a word says of each tap whether it is inside.
                    if *kernel > 5 && !covers {
                        return Err(missing("kernels beyond 5×5"));
                    }
                    let convolution = if covers {
                        // One product for a chain, whatever the stride.
                        Convolution::dense(numbers_of(&input), *outputs)
                    } else {
                        Convolution {
                            input,
                            outputs: *outputs,
                            kernel: *kernel,
                            stride: *stride,
                            padding: *padding,
                        }
                    };
                    (convolution, counter.take(weight), bias)
                }
                LayerDescription::Linear {
                    inputs,
                    outputs,
                    weight,
                    bias,
                } => {
                    let convolution = Convolution::dense(*inputs, *outputs);
                    let weights = counter.take(weight).transposed([*inputs, *outputs]);
                    (convolution, weights, bias)
                }
            };
            let bias = bias.as_ref().map(|bias| counter.take(bias));
            if index == last {
                let is_head = convolution.kernel == 1 && convolution.outputs == 1;
                if is_head && convolution.input[1..] == [1, 1] {
                    let numbers = weights.len() + 1;
                    let all = match bias {
                        Some(bias) => weights.and(bias),
                        None => weights,
                    };
                    net.head = net.keep(Packing::Row(all, numbers));
                    return Ok(net);
                }
                break;
            }
            let product = net.product(convolution, output, weights, bias);
            net.push(Stage::Product(product), output);
        }
        Err(missing("nets that do not end in a layer of one value"))
    }

    /// Values of a state.
    pub(super) fn size(&self) -> usize {
        numbers_of(&self.shapes[0])
    }

    /// Every product forward and backward, in the order of their numbers.
    pub(super) fn products(&self) -> impl Iterator<Item = &Product> {
        fn of_stage(stage: &Stage) -> Vec<&Product> {
            match stage {
                Stage::Product(product) => vec![product],
                Stage::NonLocal(block) => vec![&block.maps, &block.output],
                Stage::Pool(_) => Vec::new(),
            }
        }

        self.stages.iter().flat_map(of_stage)
    }

    /// The last layer, from what it sees to F.
    pub(super) fn head_gather(&self) -> Gather {
        let inputs = numbers_of(&self.shapes[self.stages.len()]);
        Convolution::dense(inputs, 1).forward([1, 1, 1])
    }

    /// Where the gradients of every product's weights and biases, `[outputs][inputs · taps² + 1]`, are among those of
    /// the parameters, in the order of their numbers; then of the last layer's.
    pub(super) fn gradient_places(&self) -> Vec<Vec<u32>> {
        let of_product = |product: &Product| {
            let [weights, bias] = [product.weights[0], product.bias];
            let (Packing::Forward(_, weights), Packing::Row(bias, _)) =
                (&self.packings[weights], &self.packings[bias])
            else {
                return Vec::new();
            };
            let depth = product.forward.depth();
            let (weights, bias) = (weights.list(), bias.list());
            let rows = weights.chunks(depth).enumerate();
            rows.flat_map(|(row, weights)| {
                let bias = bias.get(row).copied().unwrap_or(0);
                weights.iter().copied().chain([bias])
            })
            .collect()
        };
        let products = self.products().map(of_product);
        products
            .chain([self.packings[self.head].places()])
            .collect()
    }

    /// The attention of every non-local block.
    pub(super) fn attentions(&self) -> impl Iterator<Item = &Attention> {
        self.stages.iter().filter_map(|stage| match stage {
            Stage::NonLocal(block) => Some(&block.attention),
            _ => None,
        })
    }

    /// The activation that made the input of a stage, or of the head.
    pub(super) fn activation_before(&self, stage: usize) -> Option<Activation> {
        match self.stages.get(stage.checked_sub(1)?) {
            Some(Stage::Product(product)) => product.activation,
            _ => None,
        }
    }

    fn activate(&mut self, activation: Activation) -> Result<(), LangevinError> {
        let is_kept = match activation {
            // The sign of what went in must follow from what came out.
            Activation::LeakyRelu { slope: number } | Activation::Elu { alpha: number } => {
                number >= 0.0
            }
            Activation::Silu => true,
        };
        match self.stages.last_mut() {
            Some(Stage::Product(product)) if product.activation.is_none() && is_kept => {
                product.activation = Some(activation);
                Ok(())
            }
            _ if !is_kept => Err(missing("activations that fall below zero")),
            _ => Err(missing(
                "activations elsewhere than after a convolution or a linear layer",
            )),
        }
    }

    fn push(&mut self, stage: Stage, output: Shape) {
        self.stages.push(stage);
        self.shapes.push(output);
    }

    fn keep(&mut self, packing: Packing) -> usize {
        self.packings.push(packing);
        self.packings.len() - 1
    }

    fn product(
        &mut self,
        convolution: Convolution,
        output: Shape,
        weights: Places,
        bias: Option<Places>,
    ) -> Product {
        let number = self.products;
        self.products += 1;
        let biases = padded(convolution.outputs);
        let bias = bias.unwrap_or_else(Places::none);
        Product {
            forward: convolution.forward(output),
            backward: convolution.backward(output),
            weights: [
                self.keep(Packing::Forward(convolution, weights.clone())),
                self.keep(Packing::Backward(convolution, weights)),
            ],
            bias: self.keep(Packing::Row(bias, biases)),
            activation: None,
            number,
        }
    }

    fn non_local(
        &mut self,
        input: Shape,
        inner: usize,
        [query, key, value, output]: [[Places; 2]; 4],
    ) -> NonLocal {
        let pointwise = |channels, outputs| Convolution {
            input: [channels, input[1], input[2]],
            outputs,
            kernel: 1,
            stride: 1,
            padding: 0,
        };
        let ([query, query_bias], [key, key_bias], [value, value_bias]) = (query, key, value);
        let weights = query.and(key).and(value);
        let biases = query_bias.and(key_bias).and(value_bias);
        let embedded = [3 * inner, input[1], input[2]];
        let maps = self.product(
            pointwise(input[0], 3 * inner),
            embedded,
            weights,
            Some(biases),
        );
        let [weights, bias] = output;
        let output = self.product(pointwise(inner, input[0]), input, weights, Some(bias));
        let pool = Pool {
            source: maps.forward.target,
            first: inner,
            pooled: 2 * inner,
            size: 2,
        };
        let pixels = |shape: Shape| shape[1] * shape[2];
        let attention = Attention {
            inner,
            pixels: pixels(input),
            pooled_pixels: pixels(pool.target()),
        };
        NonLocal {
            maps,
            pool,
            attention,
            output,
        }
    }
}

impl Product {
    /// The curve of the activation, and its number.
    pub(super) fn curve(&self) -> (Curve, f32) {
        Curve::of(self.activation)
    }
}
