//! How the classifier is trained: from the embedded labels alone, the same every time.

use std::collections::HashMap;
use std::path::Path;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use ebm_core::{NoiseKey, Stream, device_tensor};
use ebm_data::{ImageConfig, ImageSet, embedded_digits};
use ebm_energy_net::{NamedParameter, named_parameters, write_tensors};
use ebm_trainer::{Gradients, Optimizer, OptimizerConfig};

use super::{DigitClassifier, SIDE, held_out, kept};
use crate::ExperimentError;

/// Images in an update.
const BATCH: usize = 100;
/// Adam's rate at the start; it falls linearly to 0.
const LEARNING_RATE: f64 = 2e-3;
/// Images are moved by up to this number of pixels in both directions, anew in each epoch.
const MOST_SHIFT: usize = 2;

/// The settings that determine the weights.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSettings {
    /// Seed of initial weights, order and shifts.
    pub seed: u64,
    /// How many times each image is shown.
    pub epochs: u32,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            seed: 1,
            epochs: 12,
        }
    }
}

/// A trained classifier and its accuracy.
#[derive(Debug, Clone)]
pub struct TrainedClassifier {
    /// Its weights.
    pub parameters: Vec<NamedParameter>,
    /// The settings of its training, for the header of the file.
    pub metadata: HashMap<String, String>,
    /// Held-out digits that it reads right.
    pub right: usize,
    /// Held-out digits.
    pub of: usize,
}

impl TrainedClassifier {
    pub(crate) fn judge<B: Backend>(
        net: &DigitClassifier<B>,
        digits: &ImageSet,
        settings: TrainingSettings,
        device: &B::Device,
    ) -> Self {
        let (right, of) = held_out_accuracy(net, digits, device);
        let metadata = HashMap::from(
            [
                ("digits.seed", settings.seed.to_string()),
                ("digits.epochs", settings.epochs.to_string()),
                ("digits.held_out", of.to_string()),
                ("digits.held_out_right", right.to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        Self {
            parameters: named_parameters(net),
            metadata,
            right,
            of,
        }
    }

    /// Writes the weights as safetensors.
    ///
    /// # Errors
    /// [`ExperimentError::Net`].
    pub fn write(&self, path: &Path) -> Result<(), ExperimentError> {
        Ok(write_tensors(
            &self.parameters,
            path,
            self.metadata.clone(),
        )?)
    }
}

/// The embedded digits at the size of the classifier.
pub(crate) fn digits() -> Result<ImageSet, ExperimentError> {
    Ok(embedded_digits(&ImageConfig {
        size: SIDE,
        ..ImageConfig::default()
    })?)
}

/// Learns from the digits that are not held out, with Adam on the cross-entropy. `progress` is told the number of an
/// epoch and its mean loss in nats.
pub(crate) fn train<B: AutodiffBackend>(
    digits: &ImageSet,
    settings: TrainingSettings,
    device: &B::Device,
    progress: &mut dyn FnMut(u32, f64),
) -> Result<DigitClassifier<B>, ExperimentError> {
    let mut net = DigitClassifier::<B>::new(settings.seed, device)?;
    let mut optimizer = Optimizer::<B::InnerBackend>::new(&OptimizerConfig::adam(LEARNING_RATE));
    let loss = CrossEntropyLossConfig::new().init(device);
    let labels = digits
        .labels
        .as_ref()
        .map_or(&[][..], |labels| &labels.classes);
    let shown = kept(digits.count());
    let batches = shown.len() / BATCH;
    let updates = f64::from(settings.epochs) * batches as f64;
    let mut update = 0.0;
    for epoch in 0..settings.epochs {
        let key = |stream| NoiseKey::new(settings.seed, stream, u64::from(epoch));
        let order = key(Stream::DataBatch).choose(shown.len(), shown.len());
        let mut moves = vec![0.0; 2 * shown.len()];
        key(Stream::DataNoise).uniforms(0, 0, 2, &mut moves);
        let mut sum = 0.0;
        for places in order.chunks_exact(BATCH) {
            let mut images = Vec::with_capacity(BATCH * SIDE * SIDE);
            let mut classes = Vec::with_capacity(BATCH);
            for &place in places {
                let index = shown[place];
                let shift = [moves[2 * place], moves[2 * place + 1]]
                    .map(|uniform| (uniform * (2 * MOST_SHIFT + 1) as f32) as usize);
                append_shifted(
                    digits.states.get(index).unwrap_or_default(),
                    shift,
                    &mut images,
                );
                classes.push(labels[index] as i64);
            }
            let images = device_tensor(images, [BATCH, 1, SIDE, SIDE], device);
            let [_, logits] = net.forward(images);
            let classes = TensorData::new(classes, [BATCH]);
            let loss = loss.forward(logits, Tensor::<B, 1, Int>::from_data(classes, device));
            sum += loss.to_data().iter::<f64>().sum::<f64>();
            let gradients = Gradients::Automatic(loss.backward());
            let rate = LEARNING_RATE * (1.0 - update / updates);
            net = optimizer.step(net, &gradients, rate, 1.0);
            update += 1.0;
        }
        progress(epoch + 1, sum / batches as f64);
    }
    Ok(net)
}

/// Appends a digit moved by `shift` − `MOST_SHIFT` rows and columns; what moves in is background.
fn append_shifted(image: &[f32], shift: [usize; 2], out: &mut Vec<f32>) {
    let source = |place: usize, shift: usize| (place + MOST_SHIFT).checked_sub(shift);
    for row in 0..SIDE {
        for column in 0..SIDE {
            let from = source(row, shift[0]).zip(source(column, shift[1]));
            out.push(match from {
                Some((row, column)) if row < SIDE && column < SIDE => image[row * SIDE + column],
                _ => -1.0,
            });
        }
    }
}

/// How many of the held-out digits the classifier reads right, and of how many.
pub(crate) fn held_out_accuracy<B: Backend>(
    net: &DigitClassifier<B>,
    digits: &ImageSet,
    device: &B::Device,
) -> (usize, usize) {
    let labels = digits
        .labels
        .as_ref()
        .map_or(&[][..], |labels| &labels.classes);
    let indices = held_out(digits.count());
    let reading = net.read(digits.states.gather(&indices).values(), device);
    let right = reading
        .classes()
        .zip(&indices)
        .filter(|(class, index)| *class == labels[**index])
        .count();
    (right, indices.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shifts_move_the_picture_and_fill_with_background() {
        let mut image = vec![-1.0; SIDE * SIDE];
        image[5 * SIDE + 7] = 0.5;
        for (shift, row, column) in [([2, 2], 5, 7), ([0, 4], 3, 9), ([4, 1], 7, 6)] {
            let mut out = Vec::new();
            append_shifted(&image, shift, &mut out);
            assert_eq!(out.len(), image.len());
            assert_eq!(out[row * SIDE + column], 0.5);
            assert_eq!(
                out.iter().filter(|value| **value == -1.0).count(),
                image.len() - 1
            );
        }
    }
}
