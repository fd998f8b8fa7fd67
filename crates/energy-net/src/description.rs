//! Nets as plain data, for engines that run them without tensors.

use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::backend::Backend;
use ebm_core::{Activation, LayerDescription, Layered, ParameterValues};

use crate::{Layer, Net, NonLocalBlock, NonLocalNet, Sequential};

impl<B: Backend> Layer<B> {
    /// The layer with its parameters as plain data.
    ///
    /// # Errors
    /// A short phrase that names what cannot be described.
    pub fn describe(&self) -> Result<LayerDescription, String> {
        Ok(match self {
            Self::Conv2d(layer) => describe_convolution(layer)?,
            Self::Linear(layer) => {
                let [inputs, outputs] = layer.weight.dims();
                LayerDescription::Linear {
                    inputs,
                    outputs,
                    weight: ParameterValues::read(&layer.weight),
                    bias: layer.bias.as_ref().map(ParameterValues::read),
                }
            }
            Self::LeakyRelu(layer) => LayerDescription::Activation(Activation::LeakyRelu {
                slope: layer.negative_slope as f32,
            }),
            Self::Relu(_) => LayerDescription::Activation(Activation::LeakyRelu { slope: 0.0 }),
            Self::Silu(_) => LayerDescription::Activation(Activation::Silu),
            Self::Elu(layer) => LayerDescription::Activation(Activation::Elu {
                alpha: layer.alpha as f32,
            }),
            Self::MaxPool2d(layer) => {
                let [size, width] = layer.kernel_size;
                let is_plain = size == width
                    && layer.stride == layer.kernel_size
                    && layer.dilation == [1, 1]
                    && matches!(layer.padding, PaddingConfig2d::Valid)
                    && !layer.ceil_mode;
                if !is_plain {
                    return Err("max-pooling with padding, dilation or overlap".into());
                }
                LayerDescription::MaxPool2d { size }
            }
            Self::NonLocal(block) => describe_block(block),
        })
    }
}

fn describe_convolution<B: Backend>(layer: &Conv2d<B>) -> Result<LayerDescription, String> {
    let [outputs, inputs, kernel, width] = layer.weight.dims();
    let [stride, across] = layer.stride;
    if kernel != width || stride != across {
        return Err("a convolution that is not square".into());
    }
    if layer.groups != 1 || layer.dilation != [1, 1] {
        return Err("a convolution with groups or dilation".into());
    }
    let padding = match layer.padding {
        PaddingConfig2d::Valid => 0,
        PaddingConfig2d::Explicit(top, left, bottom, right)
            if [top, left, bottom] == [right; 3] =>
        {
            right
        }
        PaddingConfig2d::Explicit(..) | PaddingConfig2d::Same => {
            return Err("a convolution with uneven padding".into());
        }
    };
    Ok(LayerDescription::Conv2d {
        inputs,
        outputs,
        kernel,
        stride,
        padding,
        weight: ParameterValues::read(&layer.weight),
        bias: layer.bias.as_ref().map(ParameterValues::read),
    })
}

fn describe_block<B: Backend>(block: &NonLocalBlock<B>) -> LayerDescription {
    let [inner, channels, ..] = block.theta.weight.dims();
    let map = |layer: &Conv2d<B>| {
        let weight = ParameterValues::read(&layer.weight);
        // The block is always made with biases; without one it would add zero.
        let bias = layer.bias.as_ref().map(ParameterValues::read);
        let bias = bias.unwrap_or_else(|| ParameterValues {
            id: burn::module::ParamId::new(),
            values: vec![0.0; layer.weight.dims()[0]],
        });
        [weight, bias]
    };
    LayerDescription::NonLocal {
        channels,
        inner,
        maps: Box::new([&block.theta, &block.phi[0], &block.g[0], &block.W].map(map)),
    }
}

fn describe<'a, B: Backend>(
    layers: impl IntoIterator<Item = &'a Layer<B>>,
) -> Result<Vec<LayerDescription>, String> {
    layers.into_iter().map(Layer::describe).collect()
}

impl<B: Backend> Layered for Sequential<B> {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        describe(&self.f)
    }
}

impl<B: Backend> Layered for NonLocalNet<B> {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        describe(self.convs.iter().chain(&self.fc))
    }
}

impl<B: Backend> Layered for Net<B> {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        match self {
            Self::Sequential(net) => net.layers(),
            Self::NonLocal(net) => net.layers(),
        }
    }
}
