//! Nets by their layers, once as tensor operations and once as descriptions.

use burn::module::{Param, ParamId};
use burn::tensor::activation::{leaky_relu, relu, silu, softmax};
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::module::{conv2d, max_pool2d};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};
use ebm_core::{Activation, Energy, LayerDescription, Layered, NoiseKey, ParameterValues, Stream};

/// Weight `[outputs, inputs, kernel, kernel]` and bias of a convolution.
type Map<B> = (Tensor<B, 4>, Tensor<B, 1>);

#[derive(Clone)]
enum Piece<B: Backend> {
    Convolution(Map<B>, usize, usize),
    Linear(Tensor<B, 2>, Tensor<B, 1>),
    Activation(Activation),
    Pool(usize),
    NonLocal(Box<[Map<B>; 4]>),
}

/// A net that is built layer by layer, with random parameters.
#[derive(Clone)]
pub(crate) struct Stack<B: Backend> {
    pub(crate) shape: [usize; 3],
    output: [usize; 3],
    pieces: Vec<Piece<B>>,
    /// Whether convolutions and linear layers have biases.
    has_biases: bool,
}

impl<B: Backend> Stack<B> {
    pub(crate) fn new(shape: [usize; 3]) -> Self {
        Self {
            shape,
            output: shape,
            pieces: Vec::new(),
            has_biases: true,
        }
    }

    /// Linear layers, leaky ReLU between them.
    pub(crate) fn dense(widths: &[usize], slope: f32) -> Self {
        let mut stack = Self::new([widths[0], 1, 1]);
        for (number, &width) in widths[1..].iter().enumerate() {
            if number > 0 {
                stack = stack.leaky(slope);
            }
            stack = stack.linear(width);
        }
        stack
    }

    /// The same net, whose convolutions and linear layers have no biases.
    pub(crate) fn without_biases(mut self) -> Self {
        for piece in &mut self.pieces {
            match piece {
                Piece::Convolution((_, bias), ..) | Piece::Linear(_, bias) => {
                    *bias = bias.zeros_like();
                }
                _ => {}
            }
        }
        self.has_biases = false;
        self
    }

    /// The same net with parameters `factor` times as large.
    pub(crate) fn scaled(mut self, factor: f32) -> Self {
        let scale = |(weight, bias): &mut Map<B>| {
            *weight = weight.clone() * factor;
            *bias = bias.clone() * factor;
        };
        for piece in &mut self.pieces {
            match piece {
                Piece::Convolution(map, ..) => scale(map),
                Piece::NonLocal(maps) => maps.iter_mut().for_each(scale),
                Piece::Linear(weight, bias) => {
                    *weight = weight.clone() * factor;
                    *bias = bias.clone() * factor;
                }
                Piece::Activation(_) | Piece::Pool(_) => {}
            }
        }
        self
    }

    /// A square kernel.
    pub(crate) fn conv(
        mut self,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Self {
        let [inputs, height, width] = self.output;
        let map = self.map(inputs, outputs, kernel, 0);
        self.pieces.push(Piece::Convolution(map, stride, padding));
        let side = |length| (length + 2 * padding - kernel) / stride + 1;
        self.output = [outputs, side(height), side(width)];
        self
    }

    pub(crate) fn linear(mut self, outputs: usize) -> Self {
        let inputs = self.output.iter().product();
        let weight = self.draw([inputs, outputs], (inputs as f32).powf(-0.5), 0);
        let bias = self.draw([outputs], 0.1, 1);
        self.pieces.push(Piece::Linear(weight, bias));
        self.output = [outputs, 1, 1];
        self
    }

    pub(crate) fn activation(mut self, activation: Activation) -> Self {
        self.pieces.push(Piece::Activation(activation));
        self
    }

    pub(crate) fn leaky(self, slope: f32) -> Self {
        self.activation(Activation::LeakyRelu { slope })
    }

    pub(crate) fn pool(mut self, size: usize) -> Self {
        self.pieces.push(Piece::Pool(size));
        let [channels, height, width] = self.output;
        self.output = [channels, height / size, width / size];
        self
    }

    pub(crate) fn non_local(mut self, inner: usize) -> Self {
        let channels = self.output[0];
        let maps = [0, 1, 2].map(|number| self.map(channels, inner, 1, 2 * number));
        let output = self.map(inner, channels, 1, 6);
        let [query, key, value] = maps;
        self.pieces
            .push(Piece::NonLocal(Box::new([query, key, value, output])));
        self
    }

    fn map(&self, inputs: usize, outputs: usize, kernel: usize, number: u64) -> Map<B> {
        let fan_in = (inputs * kernel * kernel) as f32;
        let weight = self.draw([outputs, inputs, kernel, kernel], fan_in.powf(-0.5), number);
        (weight, self.draw([outputs], 0.1, number + 1))
    }

    fn draw<const D: usize>(&self, shape: [usize; D], scale: f32, number: u64) -> Tensor<B, D> {
        let mut values = vec![0.0; shape.iter().product()];
        let key = NoiseKey::new(
            8,
            Stream::Parameters,
            10 * self.pieces.len() as u64 + number,
        );
        key.normals(0, 0, values.len(), &mut values);
        values.iter_mut().for_each(|value| *value *= scale);
        Tensor::from_data(TensorData::new(values, shape), &Default::default())
    }
}

fn convolve<B: Backend>(
    states: Tensor<B, 4>,
    (weight, bias): &Map<B>,
    stride: usize,
    padding: usize,
) -> Tensor<B, 4> {
    let options = ConvOptions::new([stride; 2], [padding; 2], [1; 2], 1);
    conv2d(states, weight.clone(), Some(bias.clone()), options)
}

impl<B: Backend> Energy<B> for Stack<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let mut values = states;
        for piece in &self.pieces {
            values = match piece {
                Piece::Convolution(map, stride, padding) => {
                    convolve(values, map, *stride, *padding)
                }
                Piece::Linear(weight, bias) => {
                    let output = values.flatten::<2>(1, 3).matmul(weight.clone());
                    let output = output + bias.clone().unsqueeze();
                    let [chains, outputs] = output.dims();
                    output.reshape([chains, outputs, 1, 1])
                }
                Piece::Activation(Activation::LeakyRelu { slope }) => {
                    leaky_relu(values, (*slope).into())
                }
                Piece::Activation(Activation::Silu) => silu(values),
                Piece::Activation(Activation::Elu { alpha }) => {
                    let curved = values.clone().clamp_max(0.0).exp().sub_scalar(1.0);
                    relu(values) + curved.mul_scalar(*alpha)
                }
                Piece::Pool(size) => {
                    max_pool2d(values, [*size; 2], [*size; 2], [0; 2], [1; 2], false)
                }
                Piece::NonLocal(maps) => {
                    let [query, key, value, output] = &**maps;
                    let map = |map| convolve(values.clone(), map, 1, 0);
                    let pooled =
                        |map_of| max_pool2d(map(map_of), [2; 2], [2; 2], [0; 2], [1; 2], false);
                    let [chains, _, height, width] = values.dims();
                    let scores = map(query).flatten::<3>(2, 3).transpose();
                    let scores = scores.matmul(pooled(key).flatten::<3>(2, 3));
                    let mixed = pooled(value)
                        .flatten::<3>(2, 3)
                        .matmul(softmax(scores, 2).transpose());
                    let inner = mixed.dims()[1];
                    let mixed = mixed.reshape([chains, inner, height, width]);
                    values.clone() + convolve(mixed, output, 1, 0)
                }
            };
        }
        let chains = values.dims()[0];
        values.reshape([chains])
    }
}

impl<B: Backend> Layered for Stack<B> {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        let mut number = 0;
        let describe = |piece: &Piece<B>| match piece {
            Piece::Convolution((weight, bias), stride, padding) => {
                let [outputs, inputs, kernel, _] = weight.dims();
                LayerDescription::Conv2d {
                    inputs,
                    outputs,
                    kernel,
                    stride: *stride,
                    padding: *padding,
                    weight: read(&mut number, weight),
                    bias: self.has_biases.then(|| read(&mut number, bias)),
                }
            }
            Piece::Linear(weight, bias) => {
                let [inputs, outputs] = weight.dims();
                LayerDescription::Linear {
                    inputs,
                    outputs,
                    weight: read(&mut number, weight),
                    bias: self.has_biases.then(|| read(&mut number, bias)),
                }
            }
            Piece::Activation(activation) => LayerDescription::Activation(*activation),
            Piece::Pool(size) => LayerDescription::MaxPool2d { size: *size },
            Piece::NonLocal(maps) => {
                let [inner, channels, ..] = maps[0].0.dims();
                LayerDescription::NonLocal {
                    channels,
                    inner,
                    maps: Box::new([0, 1, 2, 3].map(|at| {
                        [
                            read(&mut number, &maps[at].0),
                            read(&mut number, &maps[at].1),
                        ]
                    })),
                }
            }
        };
        Ok(self.pieces.iter().map(describe).collect())
    }
}

/// Parameters are numbered in the order in which they are described.
fn read<B: Backend, const D: usize>(number: &mut u64, tensor: &Tensor<B, D>) -> ParameterValues {
    let id = ParamId::from(*number);
    *number += 1;
    ParameterValues::of(&Param::initialized(id, tensor.clone()))
}

impl<B: AutodiffBackend> Stack<B> {
    /// ∂/∂θ Σᵢ wᵢ F(xᵢ) by automatic differentiation, in the order of the parameters.
    pub(crate) fn gradients(
        &self,
        states: Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Vec<Vec<f32>> {
        let net = self.learned();
        let weights = Tensor::<B, 1>::from_floats(weights, &states.device());
        let energies = net.energy(Tensor::from_inner(states));
        let gradients = (energies * weights).sum().backward();
        let mut found = Vec::new();
        for piece in &net.pieces {
            match piece {
                Piece::Convolution((weight, bias), ..) => {
                    found.push(of(weight, &gradients));
                    self.has_biases.then(|| found.push(of(bias, &gradients)));
                }
                Piece::Linear(weight, bias) => {
                    found.push(of(weight, &gradients));
                    self.has_biases.then(|| found.push(of(bias, &gradients)));
                }
                Piece::NonLocal(maps) => {
                    for (weight, bias) in &**maps {
                        found.extend([of(weight, &gradients), of(bias, &gradients)]);
                    }
                }
                Piece::Activation(_) | Piece::Pool(_) => {}
            }
        }
        found
    }

    fn learned(&self) -> Self {
        let mut net = self.clone();
        let learn = |(weight, bias): &mut Map<B>| {
            *weight = weight.clone().require_grad();
            *bias = bias.clone().require_grad();
        };
        for piece in &mut net.pieces {
            match piece {
                Piece::Convolution(map, ..) => learn(map),
                Piece::NonLocal(maps) => maps.iter_mut().for_each(learn),
                Piece::Linear(weight, bias) => {
                    *weight = weight.clone().require_grad();
                    *bias = bias.clone().require_grad();
                }
                Piece::Activation(_) | Piece::Pool(_) => {}
            }
        }
        net
    }
}

fn of<B: AutodiffBackend, const D: usize>(
    tensor: &Tensor<B, D>,
    gradients: &B::Gradients,
) -> Vec<f32> {
    let gradient = tensor.grad(gradients);
    gradient.unwrap().to_data().to_vec().unwrap()
}
