//! Nets as plain data, for engines that run them without tensors.

use burn::module::ParamId;
use burn::nn::PaddingConfig2d;
use burn::nn::conv::Conv2d;
use burn::tensor::backend::Backend;
use ebm_core::{Activation, LayerDescription, Layered, ParameterValues};

use crate::{
    DoubleWell, Gaussian, GaussianMixture, Layer, Net, NonLocalBlock, NonLocalNet, Rings,
    Sequential,
};

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
                    weight: ParameterValues::of(&layer.weight),
                    bias: layer.bias.as_ref().map(ParameterValues::of),
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
        weight: ParameterValues::of(&layer.weight),
        bias: layer.bias.as_ref().map(ParameterValues::of),
    })
}

fn describe_block<B: Backend>(block: &NonLocalBlock<B>) -> LayerDescription {
    let [inner, channels, ..] = block.theta.weight.dims();
    let map = |layer: &Conv2d<B>| {
        let weight = ParameterValues::of(&layer.weight);
        // The block is always made with biases; without one it would add zero.
        let bias = layer.bias.as_ref().map(ParameterValues::of);
        let bias = bias.unwrap_or_else(|| {
            ParameterValues::new(ParamId::new(), vec![0.0; layer.weight.dims()[0]])
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

// Analytic energies have no layers: they run with tensor operations.
impl Layered for Gaussian {}
impl Layered for GaussianMixture {}
impl Layered for DoubleWell {}
impl Layered for Rings {}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::{Architecture, NetConfig, named_parameters};
    use burn::backend::Flex;
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::nn::conv::Conv2dConfig;
    use burn::nn::pool::MaxPool2dConfig;
    use burn::tensor::Tensor;

    struct Ids(Vec<ParamId>);

    impl<B: Backend> ModuleVisitor<B> for Ids {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<B, D>>) {
            self.0.push(param.id);
        }
    }

    /// No parameter is left out or read twice, and each keeps its id.
    #[test]
    fn a_description_holds_every_parameter_of_the_net_under_its_id() {
        for (architecture, shape, count) in [
            (Architecture::Toy, [2, 1, 1], 9),
            (Architecture::Vanilla, [1, 16, 16], 9),
            (Architecture::Nonlocal, [3, 16, 16], 14),
        ] {
            let net = NetConfig {
                width: 4,
                ..NetConfig::published(architecture)
            }
            .init::<Flex>(shape, 5, &Default::default())
            .unwrap();
            let mut ids = Ids(Vec::new());
            net.visit(&mut ids);
            let layers = net.layers().unwrap();
            assert_eq!(layers.len(), count, "{architecture:?}");
            let described: Vec<_> = layers
                .iter()
                .flat_map(LayerDescription::parameters)
                .collect();
            let described_ids: Vec<_> = described.iter().map(|values| values.id).collect();
            assert_eq!(described_ids, ids.0, "{architecture:?}");
            let lengths: Vec<_> = described
                .iter()
                .map(|values| values.values().unwrap().len())
                .collect();
            let expected: Vec<_> = named_parameters(&net)
                .iter()
                .map(|parameter| parameter.values.len())
                .collect();
            assert_eq!(lengths, expected, "{architecture:?}");
        }
    }

    #[test]
    fn what_cannot_be_described_is_named() {
        let device = Default::default();
        let plain = || Conv2dConfig::new([2, 4], [3, 3]);
        let uneven = PaddingConfig2d::Explicit(1, 1, 0, 1);
        for (config, expected) in [
            (plain().with_groups(2), "groups or dilation"),
            (plain().with_dilation([2, 2]), "groups or dilation"),
            (plain().with_stride([1, 2]), "not square"),
            (plain().with_padding(uneven), "uneven padding"),
            (
                plain().with_padding(PaddingConfig2d::Same),
                "uneven padding",
            ),
            (Conv2dConfig::new([2, 4], [3, 1]), "not square"),
        ] {
            let refusal = Layer::<Flex>::Conv2d(config.init(&device)).describe();
            assert!(refusal.unwrap_err().contains(expected));
        }
        let pool = || MaxPool2dConfig::new([2, 2]).with_strides([2, 2]);
        for config in [
            pool().with_strides([1, 1]),
            pool().with_ceil_mode(true),
            pool().with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1)),
            MaxPool2dConfig::new([2, 1]).with_strides([2, 1]),
        ] {
            let refusal = Layer::<Flex>::MaxPool2d(config.init()).describe();
            assert!(refusal.unwrap_err().contains("max-pooling with"));
        }
    }

    #[test]
    fn a_convolution_without_bias_or_with_even_padding_is_described() {
        let config = Conv2dConfig::new([2, 4], [3, 3])
            .with_bias(false)
            .with_padding(PaddingConfig2d::Explicit(1, 1, 1, 1));
        let layer = Layer::<Flex>::Conv2d(config.init(&Default::default()));
        let LayerDescription::Conv2d { padding, bias, .. } = layer.describe().unwrap() else {
            panic!("a convolution is described as something else");
        };
        assert_eq!((padding, bias.is_none()), (1, true));
    }
}
