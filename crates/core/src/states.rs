//! Chain states on the host: their values and their shape.

use std::fmt;
use std::slice::ChunksExact;

#[cfg(feature = "burn")]
use burn::tensor::{Element, Shape, Tensor, TensorData, backend::Backend};
use serde::{Deserialize, Serialize};

use crate::{CoreError, NoiseKey};

/// The shape of one state: an image `[channels, height, width]`, or a point, which is an image of one pixel.
///
/// `2.into()` is a point of the plane and `[3, 32, 32].into()` an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StateShape([usize; 3]);

impl StateShape {
    /// A point with this number of coordinates.
    #[must_use]
    pub fn point(dimensions: usize) -> Self {
        Self([dimensions, 1, 1])
    }

    /// An image `[channels, height, width]`.
    #[must_use]
    pub fn image(shape: [usize; 3]) -> Self {
        Self(shape)
    }

    /// `[channels, height, width]`, which for a point is `[dimensions, 1, 1]`.
    #[must_use]
    pub fn dims(self) -> [usize; 3] {
        self.0
    }

    /// How many values a state has.
    #[must_use]
    pub fn size(self) -> usize {
        self.0.into_iter().fold(1, usize::saturating_mul)
    }

    /// Whether states are points.
    #[must_use]
    pub fn is_point(self) -> bool {
        self.0[1] == 1 && self.0[2] == 1
    }

    /// Checks that this is the shape that is expected.
    ///
    /// # Errors
    /// [`CoreError::OtherShape`] otherwise.
    pub fn check(self, expected: Self) -> Result<(), CoreError> {
        if self == expected {
            Ok(())
        } else {
            Err(CoreError::OtherShape {
                expected,
                got: self,
            })
        }
    }

    /// The shape of `chains` states as a tensor, `[chains, channels, height, width]`.
    #[must_use]
    pub fn batch(self, chains: usize) -> [usize; 4] {
        let [channels, height, width] = self.0;
        [chains, channels, height, width]
    }
}

impl From<[usize; 3]> for StateShape {
    fn from(shape: [usize; 3]) -> Self {
        Self::image(shape)
    }
}

impl From<usize> for StateShape {
    fn from(dimensions: usize) -> Self {
        Self::point(dimensions)
    }
}

impl fmt::Display for StateShape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [channels, height, width] = self.0;
        if self.is_point() {
            write!(formatter, "{channels}")
        } else {
            write!(formatter, "{channels}×{height}×{width}")
        }
    }
}

/// The states of a batch of chains on the host: values and the shape of one state. Chain after chain, each
/// channel-major.
#[derive(Debug, Clone, PartialEq)]
pub struct States {
    shape: StateShape,
    values: Vec<f32>,
}

impl States {
    /// States of a shape, chain after chain.
    ///
    /// # Errors
    /// [`CoreError::States`] when the values are not a whole number of states.
    pub fn new(shape: impl Into<StateShape>, values: Vec<f32>) -> Result<Self, CoreError> {
        let shape = shape.into();
        let is_whole = match shape.size() {
            0 => values.is_empty(),
            size => values.len().is_multiple_of(size),
        };
        if is_whole {
            Ok(Self { shape, values })
        } else {
            Err(CoreError::States {
                values: values.len(),
                shape,
            })
        }
    }

    /// Points with `D` coordinates each.
    #[must_use]
    pub fn points<const D: usize>(points: impl IntoIterator<Item = [f32; D]>) -> Self {
        Self {
            shape: StateShape::point(D),
            values: points.into_iter().flatten().collect(),
        }
    }

    /// `chains` states of zeros.
    #[must_use]
    pub fn zeros(shape: impl Into<StateShape>, chains: usize) -> Self {
        let shape = shape.into();
        Self {
            shape,
            values: vec![0.0; chains * shape.size()],
        }
    }

    /// `chains` states of zeros; `None` when there is not enough memory.
    #[must_use]
    pub fn try_zeros(shape: impl Into<StateShape>, chains: usize) -> Option<Self> {
        let shape = shape.into();
        let count = chains.checked_mul(shape.size())?;
        let mut values = Vec::new();
        values.try_reserve_exact(count).ok()?;
        values.resize(count, 0.0);
        Some(Self { shape, values })
    }

    /// No states.
    #[must_use]
    pub fn none(shape: impl Into<StateShape>) -> Self {
        Self::zeros(shape, 0)
    }

    /// The shape of one state.
    #[must_use]
    pub fn shape(&self) -> StateShape {
        self.shape
    }

    /// How many states.
    #[must_use]
    pub fn len(&self) -> usize {
        self.values.len() / self.shape.size().max(1)
    }

    /// Whether there are no states.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// All values, chain after chain.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// All values, to be changed in place.
    pub fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    /// All values, chain after chain.
    #[must_use]
    pub fn into_values(self) -> Vec<f32> {
        self.values
    }

    /// State by state.
    pub fn iter(&self) -> ChunksExact<'_, f32> {
        self.values.chunks_exact(self.shape.size().max(1))
    }

    /// The values of the state at this index, if there is one.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[f32]> {
        let size = self.shape.size();
        let from = index.checked_mul(size)?;
        self.values.get(from..from.checked_add(size)?)
    }

    /// The states at the given places, in their order. Places beyond the end are left out.
    #[must_use]
    pub fn gather(&self, places: &[usize]) -> Self {
        let mut values = Vec::with_capacity(places.len() * self.shape.size());
        for state in places.iter().filter_map(|place| self.get(*place)) {
            values.extend_from_slice(state);
        }
        Self {
            shape: self.shape,
            values,
        }
    }

    /// The states in batches of at most `chains`.
    pub fn pieces(&self, chains: usize) -> impl Iterator<Item = Self> {
        let size = chains.saturating_mul(self.shape.size()).max(1);
        self.values.chunks(size).map(|values| Self {
            shape: self.shape,
            values: values.to_vec(),
        })
    }

    /// Adds a state at the end.
    ///
    /// # Errors
    /// [`CoreError::States`] when it has another number of values.
    pub fn push(&mut self, state: &[f32]) -> Result<(), CoreError> {
        if state.len() != self.shape.size() {
            return Err(CoreError::States {
                values: state.len(),
                shape: self.shape,
            });
        }
        self.values.extend_from_slice(state);
        Ok(())
    }

    /// Adds the states of `other` at the end.
    ///
    /// # Errors
    /// [`CoreError::OtherShape`] when they have another shape.
    pub fn append(&mut self, other: &Self) -> Result<(), CoreError> {
        other.check_shape(self.shape)?;
        self.values.extend_from_slice(&other.values);
        Ok(())
    }

    /// All states of several batches, one after the other; none for no batches.
    ///
    /// # Errors
    /// [`CoreError::OtherShape`] when they are not all of `shape`.
    pub fn concat<'a>(
        shape: impl Into<StateShape>,
        batches: impl IntoIterator<Item = &'a Self>,
    ) -> Result<Self, CoreError> {
        let mut all = Self::none(shape);
        for batch in batches {
            all.append(batch)?;
        }
        Ok(all)
    }

    /// Adds noise scale · N(0, I) that a key gives; nothing for a scale of 0.
    pub fn add_noise(&mut self, noise: &NoiseKey, scale: f64) {
        if scale > 0.0 {
            let mut draws = vec![0.0; self.values.len()];
            noise.normals(0, 0, self.shape.size(), &mut draws);
            for (value, draw) in self.values.iter_mut().zip(draws) {
                *value += scale as f32 * draw;
            }
        }
    }

    /// Whether every value is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.values.iter().all(|value| value.is_finite())
    }

    /// Checks that states are of a shape.
    ///
    /// # Errors
    /// [`CoreError::OtherShape`] otherwise.
    pub fn check_shape(&self, expected: StateShape) -> Result<(), CoreError> {
        self.shape.check(expected)
    }

    #[cfg(feature = "burn")]
    /// A tensor `[chains, channels, height, width]` of the states on a device.
    pub fn into_tensor<B: Backend>(self, device: &B::Device) -> Tensor<B, 4> {
        let shape = self.shape.batch(self.len());
        device_tensor(self.values, shape, device)
    }

    #[cfg(feature = "burn")]
    /// The states of a tensor `[chains, channels, height, width]`. Waits for its device.
    ///
    /// # Errors
    /// [`CoreError::Backend`] when the device does not return them.
    pub fn from_tensor<B: Backend>(tensor: Tensor<B, 4>) -> Result<Self, CoreError> {
        let [_, channels, height, width] = tensor.dims();
        Self::new([channels, height, width], host_values(tensor)?)
    }
}

#[cfg(feature = "burn")]
/// A tensor of values of the host on a device, in the precision of the backend's type.
///
/// The precision is named here because burn otherwise keeps one for each device and process: that of the backend which
/// made the first tensor on it, so that a backend in f64 would compute in f32 after one in f32.
///
/// # Panics
/// If there are not as many values as the shape has places.
pub fn device_tensor<B: Backend, const D: usize>(
    values: Vec<f32>,
    shape: impl Into<Shape>,
    device: &B::Device,
) -> Tensor<B, D> {
    let data = TensorData::new(values, shape.into());
    Tensor::from_data(data, (device, B::FloatElem::dtype()))
}

#[cfg(feature = "burn")]
/// The values of a tensor on the host, row by row, in single precision. Waits for its device.
///
/// # Errors
/// [`CoreError::Backend`] when the device does not return them.
pub fn host_values<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
) -> Result<Vec<f32>, CoreError> {
    let failed = |error: &dyn fmt::Debug| CoreError::Backend(format!("{error:?}"));
    let data = tensor.try_into_data().map_err(|error| failed(&error))?;
    data.convert::<f32>()
        .into_vec()
        .map_err(|error| failed(&error))
}

impl<'a> IntoIterator for &'a States {
    type Item = &'a [f32];
    type IntoIter = ChunksExact<'a, f32>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::backend::Flex;

    #[test]
    fn states_are_whole_and_counted_in_chains() {
        let states = States::new(2, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
        assert_eq!((states.len(), states.shape().dims()), (3, [2, 1, 1]));
        assert_eq!(
            states.gather(&[2, 0, 9, usize::MAX]).values(),
            [5.0, 6.0, 1.0, 2.0]
        );
        assert_eq!(states.iter().nth(1), Some(&[3.0, 4.0][..]));
        assert_eq!(states, States::points([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]));
        let pieces: Vec<usize> = states.pieces(2).map(|piece| piece.len()).collect();
        assert_eq!(pieces, [2, 1]);
        let message = States::new([1, 2, 2], vec![0.0; 6])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains('6') && message.contains("1×2×2"),
            "{message}"
        );
        assert!(States::new(0, vec![0.0]).is_err());
        assert_eq!(States::new(0, Vec::new()).unwrap().len(), 0);
    }

    #[test]
    fn batches_of_one_shape_go_one_after_the_other() {
        let one = States::points([[1.0, 2.0]]);
        let mut all = States::concat(2, [&one, &one]).unwrap();
        all.push(&[7.0, 8.0]).unwrap();
        assert_eq!(all.values(), [1.0, 2.0, 1.0, 2.0, 7.0, 8.0]);
        assert!(all.push(&[1.0]).is_err());
        assert!(all.append(&States::zeros(3, 1)).is_err());
    }

    #[test]
    fn a_tensor_and_back() {
        let states = States::new([1, 2, 3], (0..12).map(|x| x as f32).collect()).unwrap();
        let tensor = states.clone().into_tensor::<Flex>(&Default::default());
        assert_eq!(tensor.dims(), [2, 1, 2, 3]);
        assert_eq!(States::from_tensor(tensor).unwrap(), states);
        assert!(states.is_finite());
        assert!(!States::points([[f32::NAN]]).is_finite());
    }
}
