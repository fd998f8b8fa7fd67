//! How a classifier is trained: from labels alone, the same every time.

use std::collections::HashMap;
use std::path::Path;

use burn::nn::loss::CrossEntropyLossConfig;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Int, Tensor, TensorData};
use ebm_core::{NoiseKey, Stream, device_tensor};
use ebm_energy_net::{NamedParameter, NetError, named_parameters, write_tensors};
use ebm_trainer::{Gradients, Optimizer, OptimizerConfig};

use super::description::ENTRY;
use super::{ClassifierDescription, ClassifierNet, Lesson};
use crate::ExperimentError;

/// Images in an update: a tenth of few images, so that these are learned in more than a few updates.
const BATCH: usize = 100;
const SMALLEST_BATCH: usize = 8;
/// Adam's rate at the start; it falls linearly to 0.
const LEARNING_RATE: f64 = 2e-3;
/// Images are moved by up to this number of pixels in both directions, anew in each epoch.
const MOST_SHIFT: usize = 2;

/// The settings that determine the weights, beside the data.
#[derive(Debug, Clone, Copy)]
pub struct TrainingSettings {
    /// Seed of initial weights, order, shifts and mirrors.
    pub seed: u64,
    /// How many times each image is shown; see [`Lesson::default_epochs`].
    pub epochs: u32,
}

/// A trained classifier and its accuracy.
#[derive(Debug, Clone)]
pub struct TrainedClassifier {
    /// Its weights.
    pub parameters: Vec<NamedParameter>,
    /// What the header of the file says.
    pub description: ClassifierDescription,
}

impl TrainedClassifier {
    pub(crate) fn judge<B: Backend>(
        net: &ClassifierNet<B>,
        lesson: &Lesson,
        settings: TrainingSettings,
        device: &B::Device,
    ) -> Self {
        let [channels, side] = lesson.input;
        Self {
            parameters: named_parameters(net),
            description: ClassifierDescription {
                channels,
                side,
                classes: lesson.names.clone(),
                seed: settings.seed,
                epochs: settings.epochs,
                held_out: lesson.split.held_out.len(),
                held_out_right: held_out_right(net, lesson, device),
                data: lesson.data.clone(),
            },
        }
    }

    /// Writes the weights as safetensors, which [`super::Classifier::open`] reads.
    ///
    /// # Errors
    /// [`ExperimentError::Net`].
    pub fn write(&self, path: &Path) -> Result<(), ExperimentError> {
        let text = serde_json::to_string(&self.description).map_err(|error| NetError::Format {
            path: path.to_owned(),
            format: "safetensors",
            reason: error.to_string(),
        })?;
        let metadata = HashMap::from([(ENTRY.to_owned(), text)]);
        Ok(write_tensors(&self.parameters, path, metadata)?)
    }
}

/// Learns from the images that are not held out, with Adam on the cross-entropy. `progress` is told the number of an
/// epoch and its mean loss in nats.
pub(crate) fn train<B: AutodiffBackend>(
    lesson: &Lesson,
    settings: TrainingSettings,
    device: &B::Device,
    progress: &mut dyn FnMut(u32, f64),
) -> Result<ClassifierNet<B>, ExperimentError> {
    let [channels, side] = lesson.input;
    let mut net = ClassifierNet::<B>::new(lesson.input, lesson.names.len(), settings.seed, device)?;
    let mut optimizer = Optimizer::<B::InnerBackend>::new(&OptimizerConfig::adam(LEARNING_RATE));
    let loss = CrossEntropyLossConfig::new().init(device);
    let shown = &lesson.split.kept;
    let batch = (shown.len() / 10).clamp(SMALLEST_BATCH, BATCH);
    let batches = shown.len() / batch;
    let updates = f64::from(settings.epochs) * batches as f64;
    let draws = if lesson.has_mirrors { 3 } else { 2 };
    let mut update = 0.0;
    for epoch in 0..settings.epochs {
        let key = |stream| NoiseKey::new(settings.seed, stream, u64::from(epoch));
        let order = key(Stream::DataBatch).choose(shown.len(), shown.len());
        let mut moves = vec![0.0; draws * shown.len()];
        key(Stream::DataNoise).uniforms(0, 0, draws, &mut moves);
        let mut sum = 0.0;
        for places in order.chunks_exact(batch) {
            let mut images = Vec::with_capacity(batch * channels * side * side);
            let mut classes = Vec::with_capacity(batch);
            for &place in places {
                let index = shown[place];
                let moves = &moves[draws * place..][..draws];
                let shift = [moves[0], moves[1]]
                    .map(|uniform| (uniform * (2 * MOST_SHIFT + 1) as f32) as usize);
                let is_mirrored = moves.get(2).is_some_and(|uniform| *uniform < 0.5);
                append_moved(lesson.image(index), side, shift, is_mirrored, &mut images);
                classes.push(lesson.classes[index] as i64);
            }
            let images = device_tensor(images, [batch, channels, side, side], device);
            let [_, logits] = net.forward(images);
            let classes = TensorData::new(classes, [batch]);
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

/// Appends an image, `[channels, side, side]`, mirrored or not and then moved by `shift` − `MOST_SHIFT` rows and
/// columns; what moves in is black.
fn append_moved(
    image: &[f32],
    side: usize,
    shift: [usize; 2],
    is_mirrored: bool,
    out: &mut Vec<f32>,
) {
    let source = |place: usize, shift: usize| {
        (place + MOST_SHIFT)
            .checked_sub(shift)
            .filter(|place| *place < side)
    };
    for plane in image.chunks_exact(side * side) {
        for row in 0..side {
            for column in 0..side {
                let from = source(row, shift[0]).zip(source(column, shift[1]));
                out.push(match from {
                    Some((row, column)) if is_mirrored => plane[row * side + side - 1 - column],
                    Some((row, column)) => plane[row * side + column],
                    None => -1.0,
                });
            }
        }
    }
}

/// How many of the held-out images the classifier reads right.
pub(super) fn held_out_right<B: Backend>(
    net: &ClassifierNet<B>,
    lesson: &Lesson,
    device: &B::Device,
) -> usize {
    let indices = &lesson.split.held_out;
    let reading = net.read(&lesson.gather(indices), lesson.input, device);
    reading
        .most_probable()
        .zip(indices)
        .filter(|(class, index)| *class == lesson.classes[**index])
        .count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 28;

    #[test]
    fn shifts_move_the_picture_and_fill_with_background() {
        let mut image = vec![-1.0; SIDE * SIDE];
        image[5 * SIDE + 7] = 0.5;
        for (shift, row, column) in [([2, 2], 5, 7), ([0, 4], 3, 9), ([4, 1], 7, 6)] {
            for (is_mirrored, column) in [(false, column), (true, column + 13)] {
                // Mirrored, column 7 is 20.
                let mut out = Vec::new();
                append_moved(&image, SIDE, shift, is_mirrored, &mut out);
                assert_eq!(out.len(), image.len());
                assert_eq!(out[row * SIDE + column], 0.5);
                assert_eq!(
                    out.iter().filter(|value| **value == -1.0).count(),
                    image.len() - 1
                );
            }
        }
    }

    #[test]
    fn all_channels_move_alike() {
        let image: Vec<f32> = (0..3 * 4).map(|value| value as f32).collect();
        let mut out = Vec::new();
        append_moved(&image, 2, [2, 2], true, &mut out);
        assert_eq!(
            out,
            [1.0, 0.0, 3.0, 2.0, 5.0, 4.0, 7.0, 6.0, 9.0, 8.0, 11.0, 10.0]
        );
        out.clear();
        append_moved(&image, 2, [2, 3], false, &mut out);
        assert_eq!(
            out,
            [
                -1.0, 0.0, -1.0, 2.0, -1.0, 4.0, -1.0, 6.0, -1.0, 8.0, -1.0, 10.0
            ]
            .map(|value: f32| value)
        );
    }
}
