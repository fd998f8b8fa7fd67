//! The net of a classifier.

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::device_tensor;
use ebm_energy_net::{Layer, LayerConfig, load_weight_bytes};

use super::{Classifier, Reading};
use crate::ExperimentError;

/// Values of the last hidden layer.
pub(crate) const FEATURES: usize = 64;

/// Images in one pass, which bounds the memory of the first layer to some tens of MB.
const BATCH: usize = 500;

/// A convolutional classifier, `[images, channels, side, side]` in [−1, 1] → `[images, classes]`; its parameters are
/// named `layers.{layer}.{weight|bias}`, in PyTorch's layout.
#[derive(Module, Debug)]
pub(crate) struct ClassifierNet<B: Backend> {
    layers: Vec<Layer<B>>,
}

impl<B: Backend> ClassifierNet<B> {
    /// A net that has learned nothing.
    pub(crate) fn new(
        [channels, side]: [usize; 2],
        classes: usize,
        seed: u64,
        device: &B::Device,
    ) -> Result<Self, ExperimentError> {
        let conv = |inputs, outputs, kernel| LayerConfig::Conv2d {
            inputs,
            outputs,
            kernel,
            stride: 2,
            padding: kernel / 2,
        };
        let linear = |inputs, outputs| LayerConfig::Linear { inputs, outputs };
        // Each convolution halves the side: 28 and 32 pixels become 4.
        let last = side.div_ceil(2).div_ceil(2).div_ceil(2);
        let stack = [
            conv(channels, 16, 5),
            LayerConfig::Relu,
            conv(16, 32, 5),
            LayerConfig::Relu,
            conv(32, 32, 3),
            LayerConfig::Relu,
            linear(32 * last * last, FEATURES),
            LayerConfig::Relu,
            linear(FEATURES, classes),
        ];
        let layers = LayerConfig::init_stack(&stack, [channels, side, side], seed, device)?;
        Ok(Self { layers })
    }

    /// A trained net.
    pub(crate) fn trained(
        classifier: &Classifier,
        device: &B::Device,
    ) -> Result<Self, ExperimentError> {
        let net = Self::new(classifier.input(), classifier.classes().len(), 0, device)?;
        Ok(load_weight_bytes(
            net,
            &classifier.weights,
            &classifier.path,
        )?)
    }

    /// Features `[images, 64]` and logits `[images, classes]`.
    pub(crate) fn forward(&self, images: Tensor<B, 4>) -> [Tensor<B, 2>; 2] {
        let (last, hidden) = match self.layers.split_last() {
            Some((last, hidden)) => (Some(last), hidden),
            None => (None, &[][..]),
        };
        let features = hidden
            .iter()
            .fold(images, |values, layer| layer.forward(values));
        let logits = last.map_or_else(|| features.clone(), |layer| layer.forward(features.clone()));
        [features.flatten(1, 3), logits.flatten(1, 3)]
    }

    /// Reads images, `[images, channels, side, side]` in [−1, 1], row by row.
    pub(crate) fn read(
        &self,
        images: &[f32],
        [channels, side]: [usize; 2],
        device: &B::Device,
    ) -> Reading {
        let mut reading = Reading {
            features: Vec::new(),
            probabilities: Vec::new(),
            classes: 0,
        };
        let length = channels * side * side;
        for batch in images.chunks(BATCH * length) {
            let count = batch.len() / length;
            let images = device_tensor(batch.to_vec(), [count, channels, side, side], device);
            let [features, logits] = self.forward(images);
            let probabilities = softmax(logits, 1);
            reading.classes = probabilities.dims()[1];
            reading.features.extend(features.into_data().iter::<f32>());
            reading
                .probabilities
                .extend(probabilities.into_data().iter::<f32>());
        }
        reading
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::backend::Flex;
    use burn_ndarray::NdArray;

    use super::*;
    use crate::classifier::{ImageView, Lesson};

    #[derive(serde::Deserialize)]
    struct Golden {
        digits: Vec<usize>,
        features: Vec<f64>,
        probabilities: Vec<f64>,
    }

    fn agrees_with_pytorch<B: Backend>() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/golden/classifier.json")).unwrap();
        let digits = Lesson::digits().unwrap();
        let mut images = digits.gather(&golden.digits);
        // The formula of `make_classifier_golden.py`, resampled on the way.
        let wave: Vec<f32> = (0..32 * 32)
            .map(|index| (1.5 * (1.0 + f64::from(index) * 0.0123).sin()) as f32)
            .collect();
        let wave = ImageView {
            values: &wave,
            channels: 1,
            height: 32,
            width: 32,
        };
        images.extend(wave.at_side(28, &[0]));
        let device = B::Device::default();
        let classifier = Classifier::of_digits();
        let reading = ClassifierNet::<B>::trained(&classifier, &device)
            .unwrap()
            .read(&images, classifier.input(), &device);
        assert_eq!(reading.features.len(), golden.features.len());
        for (got, expected) in reading.features.iter().zip(&golden.features) {
            let error = (f64::from(*got) - expected).abs();
            assert!(error < 1e-4 * (1.0 + expected.abs()), "{got} {expected}");
        }
        for (got, expected) in reading.probabilities.iter().zip(&golden.probabilities) {
            assert!(
                (f64::from(*got) - expected).abs() < 1e-4,
                "{got} {expected}"
            );
        }
        assert_eq!(
            reading.most_probable().take(3).collect::<Vec<_>>(),
            [4, 7, 6]
        );
    }

    #[test]
    fn features_and_probabilities_are_those_of_pytorch() {
        agrees_with_pytorch::<Flex>();
        agrees_with_pytorch::<NdArray>();
    }
}
