//! Images in memory.

use std::path::Path;

use ebm_core::States;
use rayon::prelude::*;

use crate::error::DataError;

/// Images as a network reads them, all in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// The images, with pixels in [−1, 1] and 1 channel (grey) or 3 (red, green, blue).
    pub states: States,
    /// The class of each image, where the source has classes; shape `[count]`.
    pub labels: Option<Vec<u8>>,
}

impl ImageSet {
    /// How many images there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.states.len()
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
        let states = States::try_zeros([channels, size, size], count);
        let mut states = states.ok_or_else(|| DataError::OutOfMemory {
            path: path.to_path_buf(),
            count,
            floats_per_image,
        })?;
        let failures: Vec<DataError> = states
            .values_mut()
            .par_chunks_exact_mut(floats_per_image)
            .enumerate()
            .filter_map(|(index, image)| fill(index, image).err())
            .collect();
        match failures.into_iter().next() {
            Some(first) => Err(first),
            None => Ok(Self { states, labels }),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

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
