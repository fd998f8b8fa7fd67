//! Where a training loop gets its batches.

use ebm_core::{DatasetError, NoiseKey, StateShape, States};

use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::left_out::LeftOut;
use crate::toy::Toy;

/// A source of batches: images in memory or a toy density.
#[derive(Debug, Clone, PartialEq)]
pub enum LoadedData {
    /// Images in memory.
    Images {
        /// The source's name, for reports.
        name: &'static str,
        /// The images.
        images: ImageSet,
    },
    /// A density over the plane; its samples are states of 2 channels and one pixel.
    Toy(Toy),
}

impl LoadedData {
    /// Channels, height and width of one state; `[2, 1, 1]` for toys.
    #[must_use]
    pub fn shape(&self) -> [usize; 3] {
        match self {
            Self::Images { images, .. } => images.states.shape().dims(),
            Self::Toy(_) => [2, 1, 1],
        }
    }

    /// How many data there are; `None` for toys, which never run out.
    #[must_use]
    pub fn count(&self) -> Option<usize> {
        match self {
            Self::Images { images, .. } => Some(images.count()),
            Self::Toy(_) => None,
        }
    }

    /// The name of the source as in the configuration, such as "mnist".
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Images { name, .. } => name,
            Self::Toy(Toy::Gmm(_)) => "gmm",
            Self::Toy(Toy::Rings(_)) => "rings",
        }
    }

    /// `count` data: different images in random order, or independent points of a toy density. The same noise gives the
    /// same batch.
    ///
    /// # Errors
    /// [`DataError::BatchTooLarge`] if there are fewer than `count` images.
    pub fn batch(&self, noise: &NoiseKey, count: usize) -> Result<States, DataError> {
        match self {
            Self::Images { name, images } if count > images.count() => {
                Err(DataError::BatchTooLarge {
                    name,
                    count,
                    available: images.count(),
                })
            }
            Self::Images { images, .. } => {
                let places = noise.choose(count, images.count());
                Ok(images.states.gather(&places))
            }
            Self::Toy(toy) => Ok(toy.sample(noise, count)),
        }
    }

    /// A [`Self::batch`] to which `noise` adds scale · N(0, I).
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub fn noisy_batch(
        &self,
        batch: &NoiseKey,
        noise: &NoiseKey,
        count: usize,
        scale: f64,
    ) -> Result<States, DataError> {
        let mut data = self.batch(batch, count)?;
        data.add_noise(noise, scale);
        Ok(data)
    }

    /// What of a folder of images is not among the data.
    #[must_use]
    pub fn left_out(&self) -> Option<&LeftOut> {
        match self {
            Self::Images { images, .. } => Some(&images.left_out),
            Self::Toy(_) => None,
        }
    }

    /// The density, if this is a toy.
    #[must_use]
    pub fn toy(&self) -> Option<&Toy> {
        match self {
            Self::Images { .. } => None,
            Self::Toy(toy) => Some(toy),
        }
    }
}

impl ebm_core::Dataset for LoadedData {
    fn name(&self) -> &str {
        Self::name(self)
    }

    fn shape(&self) -> StateShape {
        Self::shape(self).into()
    }

    fn count(&self) -> Option<usize> {
        Self::count(self)
    }

    fn batch(&self, noise: &NoiseKey, count: usize) -> Result<States, DatasetError> {
        Ok(Self::batch(self, noise, count)?)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::toy::Rings;
    use ebm_core::Stream;
    use std::path::Path;

    fn five_images() -> LoadedData {
        let images = ImageSet::build(Path::new("x"), 5, 1, 2, None, |index, image| {
            image.fill(index as f32);
            Ok(())
        });
        LoadedData::Images {
            name: "folder",
            images: images.unwrap(),
        }
    }

    fn noise(iteration: u64) -> NoiseKey {
        NoiseKey::new(1, Stream::DataBatch, iteration)
    }

    #[test]
    fn a_batch_of_images_has_no_duplicates_and_repeats_for_the_same_noise() {
        let data = five_images();
        let batch = data.batch(&noise(0), 5).unwrap();
        let mut firsts: Vec<f32> = batch.iter().map(|image| image[0]).collect();
        firsts.sort_by(f32::total_cmp);
        assert_eq!(firsts, [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(batch, data.batch(&noise(0), 5).unwrap());
        assert!((1..20).any(|iteration| batch != data.batch(&noise(iteration), 5).unwrap()));
        assert_eq!(
            (data.shape(), data.count(), data.name()),
            ([1, 2, 2], Some(5), "folder")
        );
    }

    #[test]
    fn noise_of_a_scale_is_added_to_the_same_batch() {
        let (data, key) = (five_images(), NoiseKey::new(2, Stream::DataNoise, 0));
        let batch = data.batch(&noise(0), 3).unwrap();
        let noisy = |scale| data.noisy_batch(&noise(0), &key, 3, scale).unwrap();
        assert_eq!(noisy(0.0), batch);
        let mut draws = vec![0.0; batch.values().len()];
        key.normals(0, 0, 4, &mut draws);
        let values = batch.values().iter().zip(&draws);
        for (got, (value, draw)) in noisy(0.5).values().iter().zip(values) {
            assert_eq!(*got, value + 0.5 * draw);
        }
    }

    #[test]
    fn too_large_a_batch_is_an_error_with_the_numbers() {
        let error = five_images().batch(&noise(0), 6).unwrap_err().to_string();
        assert!(
            error.contains("\"folder\"") && error.contains('6') && error.contains('5'),
            "{error}"
        );
    }

    #[test]
    fn toys_are_states_of_one_pixel() {
        let data = LoadedData::Toy(Toy::Rings(Rings::default()));
        assert_eq!(
            (data.shape(), data.count(), data.name()),
            ([2, 1, 1], None, "rings")
        );
        assert_eq!(data.batch(&noise(0), 7).unwrap().len(), 7);
        assert!(data.toy().is_some() && five_images().toy().is_none());
    }
}
