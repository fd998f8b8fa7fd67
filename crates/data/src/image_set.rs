//! Images in memory.

use std::path::Path;

use rayon::prelude::*;

use crate::error::DataError;

/// Images as a network reads them, all in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// Pixel values in [−1, 1], shape `[count, channels, height, width]`, last index fastest (NCHW).
    pub values: Vec<f32>,
    /// How many images there are.
    pub count: usize,
    /// 1 (grey) or 3 (red, green, blue).
    pub channels: usize,
    /// Height in pixels.
    pub height: usize,
    /// Width in pixels.
    pub width: usize,
    /// The class of each image, where the source has classes; shape `[count]`.
    pub labels: Option<Vec<u8>>,
}

impl ImageSet {
    /// How many numbers one image has: channels × height × width.
    #[must_use]
    pub fn image_len(&self) -> usize {
        self.channels * self.height * self.width
    }

    /// The images at `indices`, in that order, shape `[indices.len(), channels, height, width]`.
    ///
    /// # Panics
    /// If an index is not below `count`.
    #[must_use]
    pub fn gather(&self, indices: &[usize]) -> Vec<f32> {
        let length = self.image_len();
        let mut batch = Vec::with_capacity(indices.len() * length);
        for &index in indices {
            batch.extend_from_slice(&self.values[index * length..][..length]);
        }
        batch
    }

    /// Builds a set of square images; `fill(i, image)` writes image i, shape `[channels, size, size]`. Images are made
    /// in parallel. Of several failures the error of the first image is returned, whatever the thread count.
    pub(crate) fn build(
        path: &Path,
        count: usize,
        channels: usize,
        size: usize,
        labels: Option<Vec<u8>>,
        fill: impl Fn(usize, &mut [f32]) -> Result<(), DataError> + Sync,
    ) -> Result<Self, DataError> {
        let floats_per_image = channels * size * size;
        let mut values = Vec::new();
        count
            .checked_mul(floats_per_image)
            .and_then(|total| values.try_reserve_exact(total).ok().map(|()| total))
            .map(|total| values.resize(total, 0.0))
            .ok_or_else(|| DataError::OutOfMemory {
                path: path.to_path_buf(),
                count,
                floats_per_image,
            })?;
        let failures: Vec<DataError> = values
            .par_chunks_exact_mut(floats_per_image)
            .enumerate()
            .filter_map(|(index, image)| fill(index, image).err())
            .collect();
        match failures.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(Self {
                values,
                count,
                channels,
                height: size,
                width: size,
                labels,
            }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    fn numbered(count: usize) -> ImageSet {
        ImageSet::build(Path::new("numbers"), count, 1, 2, None, |index, image| {
            image.fill(index as f32);
            Ok(())
        })
        .unwrap()
    }

    #[test]
    fn gather_keeps_the_order_asked_for() {
        assert_eq!(
            numbered(5).gather(&[3, 0, 3]),
            [[3.0; 4], [0.0; 4], [3.0; 4]].concat()
        );
        assert!(numbered(5).gather(&[]).is_empty());
    }

    #[test]
    fn the_first_failure_is_reported() {
        let result = ImageSet::build(Path::new("x"), 1000, 1, 1, None, |index, _| {
            if index < 17 {
                return Ok(());
            }
            Err(DataError::UnknownName {
                name: index.to_string(),
                known: String::new(),
            })
        });
        assert!(result.unwrap_err().to_string().contains("\"17\""));
    }

    #[test]
    fn impossible_sizes_are_refused_not_aborted() {
        for count in [usize::MAX, usize::MAX / 4096] {
            let error = ImageSet::build(Path::new("big"), count, 3, 1024, None, |_, _| Ok(()))
                .unwrap_err()
                .to_string();
            assert!(
                error.starts_with("big: ") && error.contains("\"limit\""),
                "{error}"
            );
        }
    }
}
