//! Images in memory.

use std::path::Path;

use ebm_core::{StateShape, States, available_memory};
use rayon::prelude::*;

use crate::error::DataError;
use crate::labels::Labels;
use crate::left_out::LeftOut;

/// Images as a network reads them, all in memory.
#[derive(Debug, Clone, PartialEq)]
pub struct ImageSet {
    /// The images, with pixels in [−1, 1] and 1 channel (grey) or 3 (red, green, blue).
    pub states: States,
    /// The class of each image, where the source has classes.
    pub labels: Option<Labels>,
    /// What of a folder is not among the images; nothing for other sources.
    pub left_out: LeftOut,
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
        labels: Option<Labels>,
        fill: impl Fn(usize, &mut [f32]) -> Result<(), DataError> + Sync,
    ) -> Result<Self, DataError> {
        let (states, failures) = fill_states(path, count, [channels, size, size], fill)?;
        match failures.into_iter().next() {
            Some((_, first)) => Err(first),
            None => Ok(Self {
                states,
                labels,
                left_out: LeftOut::default(),
            }),
        }
    }
}

/// States of a shape, which `fill(i, state)` writes in parallel, and the errors with their i, in ascending order. A
/// state whose filling failed may hold anything.
pub(crate) fn fill_states(
    path: &Path,
    count: usize,
    shape: [usize; 3],
    fill: impl Fn(usize, &mut [f32]) -> Result<(), DataError> + Sync,
) -> Result<(States, Vec<(usize, DataError)>), DataError> {
    let floats_per_image = StateShape::image(shape).size();
    let refusal = |available| DataError::OutOfMemory {
        path: path.to_path_buf(),
        count,
        shape,
        needed: bytes(count, floats_per_image),
        available,
    };
    // The system may promise more memory than there is, and end the program when it is used.
    if let Some(available) = available_memory()
        && bytes(count, floats_per_image) > available.into()
    {
        return Err(refusal(format!("{available} bytes are")));
    }
    let states = States::try_zeros(shape, count);
    let mut states = states.ok_or_else(|| refusal("less is".into()))?;
    let failures = states
        .values_mut()
        .par_chunks_exact_mut(floats_per_image)
        .enumerate()
        .filter_map(|(index, image)| Some((index, fill(index, image).err()?)))
        .collect();
    Ok((states, failures))
}

/// So many images of so many numbers take this many bytes.
fn bytes(count: usize, floats_per_image: usize) -> u128 {
    count as u128 * floats_per_image as u128 * size_of::<f32>() as u128
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
    fn impossible_sizes_are_refused_with_the_bytes_that_they_need() {
        // The last is 12 TiB, which Linux would promise and not have.
        for count in [usize::MAX, usize::MAX / 4096, 1 << 20] {
            let error = ImageSet::build(Path::new("big"), count, 3, 1024, None, |_, _| Ok(()))
                .unwrap_err()
                .to_string();
            let needed = count as u128 * 3 * 1024 * 1024 * 4;
            let expected =
                format!("big: {count} images of 3×1024×1024 numbers need {needed} bytes");
            assert!(error.starts_with(&expected), "{error}");
            assert!(error.contains("\"limit\""), "{error}");
        }
    }
}
