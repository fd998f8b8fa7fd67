//! The net that reads digits.

use std::path::Path;

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::device_tensor;
use ebm_energy_net::{Layer, LayerConfig, load_weight_bytes};

use crate::ExperimentError;

/// Side of the images that the net reads.
pub const SIDE: usize = 28;
/// Values of the last hidden layer.
pub(crate) const FEATURES: usize = 64;
/// Digits from 0 to 9.
pub const CLASSES: usize = 10;

/// The weights that come with the program, and where they are for messages; `assets/README.md` says how they came to
/// be.
const WEIGHTS: &[u8] = include_bytes!("../../assets/digit-classifier.safetensors");
const WEIGHTS_NAME: &str = "assets/digit-classifier.safetensors";

/// Images in one pass, which bounds the memory of the first layer to some tens of MB.
const BATCH: usize = 500;

/// A convolutional classifier of digits, `[images, 1, 28, 28]` in [−1, 1] → `[images, 10]`; its parameters are named
/// `layers.{layer}.{weight|bias}`, in PyTorch's layout.
#[derive(Module, Debug)]
pub(crate) struct DigitClassifier<B: Backend> {
    layers: Vec<Layer<B>>,
}

/// What the classifier says of images.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The last hidden layer after its ReLU, `[images, 64]`.
    pub features: Vec<f32>,
    /// Probabilities of the classes, `[images, 10]`.
    pub probabilities: Vec<f32>,
}

impl<B: Backend> DigitClassifier<B> {
    /// A net that has learned nothing.
    pub(crate) fn new(seed: u64, device: &B::Device) -> Result<Self, ExperimentError> {
        let conv = |inputs, outputs, kernel| LayerConfig::Conv2d {
            inputs,
            outputs,
            kernel,
            stride: 2,
            padding: kernel / 2,
        };
        let linear = |inputs, outputs| LayerConfig::Linear { inputs, outputs };
        let stack = [
            conv(1, 16, 5),
            LayerConfig::Relu,
            conv(16, 32, 5),
            LayerConfig::Relu,
            conv(32, 32, 3),
            LayerConfig::Relu,
            // 32 channels of 4×4.
            linear(32 * 4 * 4, FEATURES),
            LayerConfig::Relu,
            linear(FEATURES, CLASSES),
        ];
        let layers = LayerConfig::init_stack(&stack, [1, SIDE, SIDE], seed, device)?;
        Ok(Self { layers })
    }

    /// The trained net that comes with the program.
    pub(crate) fn trained(device: &B::Device) -> Result<Self, ExperimentError> {
        let net = Self::new(0, device)?;
        Ok(load_weight_bytes(net, WEIGHTS, Path::new(WEIGHTS_NAME))?)
    }

    /// Features `[images, 64]` and logits `[images, 10]`.
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

    /// Reads images, `[images, 28, 28]` in [−1, 1], row by row.
    pub(crate) fn read(&self, images: &[f32], device: &B::Device) -> Reading {
        let mut reading = Reading {
            features: Vec::new(),
            probabilities: Vec::new(),
        };
        for batch in images.chunks(BATCH * SIDE * SIDE) {
            let count = batch.len() / (SIDE * SIDE);
            let images = device_tensor(batch.to_vec(), [count, 1, SIDE, SIDE], device);
            let [features, logits] = self.forward(images);
            let probabilities = softmax(logits, 1);
            reading.features.extend(features.into_data().iter::<f32>());
            reading
                .probabilities
                .extend(probabilities.into_data().iter::<f32>());
        }
        reading
    }
}

impl Reading {
    /// The most probable class of each image.
    pub fn classes(&self) -> impl Iterator<Item = usize> {
        self.probabilities.chunks(CLASSES).map(|row| {
            (1..CLASSES).fold(
                0,
                |best, class| if row[class] > row[best] { class } else { best },
            )
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use burn::backend::Flex;
    use burn_ndarray::NdArray;
    use ebm_energy_net::read_metadata;

    use super::*;
    use crate::digits::DigitImages;
    use crate::digits::training::{digits, held_out_accuracy};

    /// The weights that are compiled in read as many held-out digits as their file says, but for two that another
    /// processor may round to the other side.
    #[test]
    fn the_weights_read_as_well_as_they_say() {
        let path =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/digit-classifier.safetensors");
        let metadata = read_metadata(&path).unwrap();
        let net = DigitClassifier::<Flex>::trained(&Default::default()).unwrap();
        let (right, of) = held_out_accuracy(&net, &digits().unwrap(), &Default::default());
        assert_eq!(metadata["digits.held_out"], of.to_string());
        let stated: usize = metadata["digits.held_out_right"].parse().unwrap();
        assert!(right.abs_diff(stated) <= 2, "{right}, not {stated}");
        assert!(100 * right >= 97 * of, "{right} of {of}");
    }

    #[derive(serde::Deserialize)]
    struct Golden {
        digits: Vec<usize>,
        features: Vec<f64>,
        probabilities: Vec<f64>,
    }

    fn agrees_with_pytorch<B: Backend>() {
        let golden: Golden =
            serde_json::from_str(include_str!("../../tests/golden/classifier.json")).unwrap();
        let digits = digits().unwrap();
        let mut images = DigitImages::from(&digits).at_classifier_size(&golden.digits);
        // The formula of `make_classifier_golden.py`, resampled on the way.
        let wave: Vec<f32> = (0..32 * 32)
            .map(|index| (1.5 * (1.0 + f64::from(index) * 0.0123).sin()) as f32)
            .collect();
        let wave = DigitImages {
            values: &wave,
            height: 32,
            width: 32,
        };
        images.extend(wave.at_classifier_size(&[0]));
        let device = B::Device::default();
        let reading = DigitClassifier::<B>::trained(&device)
            .unwrap()
            .read(&images, &device);
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
        assert_eq!(reading.classes().take(3).collect::<Vec<_>>(), [4, 7, 6]);
    }

    #[test]
    fn features_and_probabilities_are_those_of_pytorch() {
        agrees_with_pytorch::<Flex>();
        agrees_with_pytorch::<NdArray>();
    }
}
