//! The digits that come with the crate.

use std::path::Path;

use crate::error::DataError;
use crate::idx;
use crate::image_set::ImageSet;
use crate::preprocess::ImageConfig;

const IMAGES: &[u8] = include_bytes!("../assets/t10k-images-idx3-ubyte.gz");
const LABELS: &[u8] = include_bytes!("../assets/t10k-labels-idx1-ubyte.gz");

/// The 10,000 images and labels of the MNIST test set, which are compiled into the crate: real data without a
/// download. Source and licence are in `assets/README.md`.
///
/// # Errors
/// [`DataError::Config`] for a value out of range.
pub fn embedded_digits(config: &ImageConfig) -> Result<ImageSet, DataError> {
    idx::image_set(
        (Path::new("embedded digits (images)"), IMAGES),
        Some((Path::new("embedded digits (labels)"), LABELS)),
        config,
    )
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::preprocess::Fit;

    /// The published figures of the test set: 10,000 digits, this many of each class, mean grey value 0.1325 of 255.
    #[test]
    fn the_digits_are_those_of_mnist() {
        let config = ImageConfig {
            size: 28,
            ..ImageConfig::default()
        };
        let set = embedded_digits(&config).unwrap();
        assert_eq!(
            (set.count(), set.states.shape().dims()),
            (10_000, [1, 28, 28])
        );
        let labels = set.labels.unwrap();
        assert_eq!(labels.names[7], "7");
        assert_eq!(
            labels.counts(),
            [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
        );
        let values = set.states.values();
        let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / values.len() as f64;
        assert!((mean / 2.0 + 0.5 - 0.1325).abs() < 1e-4, "{mean}");
    }

    #[test]
    fn digits_resize_and_pad_to_32() {
        for fit in [Fit::Resize, Fit::Pad] {
            let config = ImageConfig {
                fit,
                limit: Some(100),
                ..ImageConfig::default()
            };
            let set = embedded_digits(&config).unwrap();
            let values = set.states.values();
            assert_eq!(values.len(), 100 * 32 * 32);
            assert!(values.iter().all(|value| (-1.0..=1.0).contains(value)));
            assert!(values.iter().any(|&value| value > 0.9));
        }
    }
}
