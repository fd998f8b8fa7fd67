//! Where learning gets its data.

use std::error::Error;
use std::sync::Arc;

use crate::{CoreError, NoiseKey, StateShape, States};

/// Why data cannot be given, in the words of their source.
pub type DatasetError = Box<dyn Error + Send + Sync>;

/// A source of data: images, points of a density, whatever states can be.
pub trait Dataset {
    /// The name, for messages.
    fn name(&self) -> &str;

    /// The shape of a state.
    fn shape(&self) -> StateShape;

    /// How many data there are; `None` for a density, which never runs out.
    fn count(&self) -> Option<usize>;

    /// `count` data, all different if the source has that many. The same noise gives the same batch.
    ///
    /// # Errors
    /// The source's, for example when there are fewer data.
    fn batch(&self, noise: &NoiseKey, count: usize) -> Result<States, DatasetError>;

    /// A [`Self::batch`] to which `noise` adds scale · N(0, I).
    ///
    /// # Errors
    /// As [`Self::batch`]; [`CoreError::OtherShape`] when the batch does not have the shape that the source names.
    fn noisy_batch(
        &self,
        batch: &NoiseKey,
        noise: &NoiseKey,
        count: usize,
        scale: f64,
    ) -> Result<States, DatasetError> {
        let mut data = self.batch(batch, count)?;
        data.check_shape(self.shape())
            .map_err(|error: CoreError| Box::new(error))?;
        data.add_noise(noise, scale);
        Ok(data)
    }
}

impl<D: Dataset + ?Sized> Dataset for Arc<D> {
    fn name(&self) -> &str {
        (**self).name()
    }

    fn shape(&self) -> StateShape {
        (**self).shape()
    }

    fn count(&self) -> Option<usize> {
        (**self).count()
    }

    fn batch(&self, noise: &NoiseKey, count: usize) -> Result<States, DatasetError> {
        (**self).batch(noise, count)
    }
}
