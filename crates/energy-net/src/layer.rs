//! The layers an energy net can be made of, as burn modules.

use burn::module::{Module, Param};
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::pool::{MaxPool2d, MaxPool2dConfig};
use burn::nn::{LeakyRelu, LeakyReluConfig, Linear, LinearConfig, PaddingConfig2d, Relu};
use burn::tensor::activation::{relu, silu};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{NoiseKey, Stream, device_tensor};

use crate::{LayerConfig, NetError, NonLocalBlock};

/// x · sigmoid(x), without parameters.
#[derive(Module, Clone, Debug, Default)]
pub struct Silu;

/// x for x > 0, alpha · (eˣ − 1) otherwise, without parameters.
#[derive(Module, Clone, Debug)]
pub struct Elu {
    /// The negated limit for large negative inputs.
    pub alpha: f64,
}

impl Elu {
    /// Unlike burn's function of this name, which exponentiates positive inputs too and from x = 89 on has a gradient
    /// that is not a number.
    fn forward<B: Backend, const D: usize>(&self, input: Tensor<B, D>) -> Tensor<B, D> {
        let curved = input.clone().clamp_max(0.0).exp().sub_scalar(1.0);
        relu(input) + curved.mul_scalar(self.alpha)
    }
}

/// A layer with its parameters.
#[derive(Module, Debug)]
#[allow(clippy::large_enum_variant)]
pub enum Layer<B: Backend> {
    /// 2-D convolution.
    Conv2d(Conv2d<B>),
    /// Linear map of the flattened state.
    Linear(Linear<B>),
    /// Leaky ReLU.
    LeakyRelu(LeakyRelu),
    /// ReLU.
    Relu(Relu),
    /// SiLU.
    Silu(Silu),
    /// ELU.
    Elu(Elu),
    /// Max-pooling.
    MaxPool2d(MaxPool2d),
    /// Non-local block.
    NonLocal(NonLocalBlock<B>),
}

impl LayerConfig {
    /// A stack of layers for inputs of `[channels, height, width]`, with PyTorch's default initial parameters. The
    /// output may have any shape; [`crate::Sequential`] checks that it is an energy.
    ///
    /// # Errors
    /// [`NetError::Layer`] for the first layer that does not fit.
    pub fn init_stack<B: Backend>(
        layers: &[Self],
        input: [usize; 3],
        seed: u64,
        device: &B::Device,
    ) -> Result<Vec<Layer<B>>, NetError> {
        Self::check_stack(layers, input)?;
        let draw = &mut ParameterDraw::new(seed, device);
        Ok(layers.iter().map(|layer| layer.init(draw)).collect())
    }

    /// The layer with PyTorch's default initial parameters, drawn by `draw`.
    pub(crate) fn init<B: Backend>(self, draw: &mut ParameterDraw<'_, B>) -> Layer<B> {
        match self {
            Self::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
            } => Layer::Conv2d(draw.conv2d(inputs, outputs, kernel, stride, padding)),
            Self::Linear { inputs, outputs } => Layer::Linear(draw.linear(inputs, outputs)),
            Self::LeakyRelu { slope } => {
                Layer::LeakyRelu(LeakyReluConfig::new().with_negative_slope(slope).init())
            }
            Self::Relu => Layer::Relu(Relu::new()),
            Self::Silu => Layer::Silu(Silu),
            Self::Elu { alpha } => Layer::Elu(Elu { alpha }),
            Self::MaxPool2d { size } => Layer::MaxPool2d(
                MaxPool2dConfig::new([size, size])
                    .with_strides([size, size])
                    .init(),
            ),
            Self::NonLocal { channels } => Layer::NonLocal(NonLocalBlock::init(channels, draw)),
        }
    }
}

impl<B: Backend> Layer<B> {
    /// `[chains, channels, height, width]` → the same with the layer's output shape.
    pub fn forward(&self, input: Tensor<B, 4>) -> Tensor<B, 4> {
        match self {
            Self::Conv2d(layer) => convolve(layer, input),
            Self::Linear(layer) => {
                let output = layer.forward(input.flatten::<2>(1, 3));
                let [chains, values] = output.dims();
                output.reshape([chains, values, 1, 1])
            }
            Self::LeakyRelu(layer) => layer.forward(input),
            Self::Relu(layer) => layer.forward(input),
            Self::Silu(_) => silu(input),
            Self::Elu(layer) => layer.forward(input),
            Self::MaxPool2d(layer) => layer.forward(input),
            Self::NonLocal(layer) => layer.forward(input),
        }
    }
}

/// A convolution; where the kernel covers the whole unpadded input it is one matrix product, which is many times
/// faster than a convolution over images of one pixel (every layer of `toy`, the last of `vanilla`).
fn convolve<B: Backend>(layer: &Conv2d<B>, input: Tensor<B, 4>) -> Tensor<B, 4> {
    let [chains, _, height, width] = input.dims();
    let unpadded = matches!(layer.padding, PaddingConfig2d::Valid);
    if !unpadded || layer.kernel_size != [height, width] {
        return layer.forward(input);
    }
    let weight = layer.weight.val().flatten::<2>(1, 3);
    let outputs = weight.dims()[0];
    let product = input.flatten::<2>(1, 3).matmul(weight.transpose());
    let output = match &layer.bias {
        Some(bias) => product + bias.val().unsqueeze_dim::<2>(0),
        None => product,
    };
    output.reshape([chains, outputs, 1, 1])
}

/// Draws initial parameters as PyTorch does: weights and biases uniform in ±1/√fan_in. The numbers come from the
/// project's noise, one iteration number for each tensor, so a seed means the same net on every backend.
pub(crate) struct ParameterDraw<'a, B: Backend> {
    seed: u64,
    tensors: u64,
    device: &'a B::Device,
}

impl<'a, B: Backend> ParameterDraw<'a, B> {
    pub(crate) fn new(seed: u64, device: &'a B::Device) -> Self {
        Self {
            seed,
            tensors: 0,
            device,
        }
    }

    fn uniform<const D: usize>(&mut self, shape: [usize; D], fan_in: usize) -> Param<Tensor<B, D>> {
        let key = NoiseKey::new(self.seed, Stream::Parameters, self.tensors);
        self.tensors += 1;
        let mut values = vec![0.0; shape.iter().product()];
        let count = values.len();
        key.uniforms(0, 0, count, &mut values);
        let bound = 1.0 / (fan_in as f32).sqrt();
        for value in &mut values {
            *value = (2.0 * *value - 1.0) * bound;
        }
        Param::from_tensor(device_tensor(values, shape, self.device))
    }

    pub(crate) fn conv2d(
        &mut self,
        inputs: usize,
        outputs: usize,
        kernel: usize,
        stride: usize,
        padding: usize,
    ) -> Conv2d<B> {
        let padding = match padding {
            0 => PaddingConfig2d::Valid,
            sides => PaddingConfig2d::Explicit(sides, sides, sides, sides),
        };
        let fan_in = inputs * kernel * kernel;
        let mut layer = Conv2dConfig::new([inputs, outputs], [kernel, kernel])
            .with_stride([stride, stride])
            .with_padding(padding)
            .init(self.device);
        layer.weight = self.uniform([outputs, inputs, kernel, kernel], fan_in);
        layer.bias = Some(self.uniform([outputs], fan_in));
        layer
    }

    fn linear(&mut self, inputs: usize, outputs: usize) -> Linear<B> {
        let mut layer = LinearConfig::new(inputs, outputs).init(self.device);
        layer.weight = self.uniform([inputs, outputs], inputs);
        layer.bias = Some(self.uniform([outputs], inputs));
        layer
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::backend::{Autodiff, Flex};
    use burn::tensor::TensorData;

    /// Value and derivative at points from far below to far above 0, where an exponential of the input is infinite.
    #[test]
    fn elu_and_its_derivative_are_the_formula() {
        let points = [-100.0f32, -3.0, -0.4, -1e-3, 1e-3, 0.7, 5.0, 100.0];
        for alpha in [1.0, 0.3, 2.0] {
            let layer = LayerConfig::Elu { alpha };
            assert_eq!(layer.shape().output([2, 2, 2].into()), Ok([2, 2, 2].into()));
            let layer: Layer<Autodiff<Flex>> =
                layer.init(&mut ParameterDraw::new(0, &Default::default()));
            let data = TensorData::new(points.to_vec(), [1, 2, 2, 2]);
            let input = Tensor::from_data(data, &Default::default()).require_grad();
            let output = layer.forward(input.clone());
            let gradients = output.clone().sum().backward();
            let slopes = input.grad(&gradients).unwrap();
            let outputs = output.into_data().to_vec::<f32>().unwrap();
            let slopes = slopes.into_data().to_vec::<f32>().unwrap();
            for ((&x, &y), &slope) in points.iter().zip(&outputs).zip(&slopes) {
                let x = f64::from(x);
                let (expected, expected_slope) = if x > 0.0 {
                    (x, 1.0)
                } else {
                    (alpha * x.exp_m1(), alpha * x.exp())
                };
                assert!(
                    (f64::from(y) - expected).abs() < 1e-6,
                    "α {alpha}, x {x}: {y}"
                );
                assert!(
                    (f64::from(slope) - expected_slope).abs() < 1e-6,
                    "α {alpha}, x {x}: derivative {slope}"
                );
            }
        }
    }
}
