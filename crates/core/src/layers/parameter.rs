//! A parameter of a described layer.

use std::any::Any;
use std::sync::{Arc, OnceLock};

#[cfg(feature = "burn")]
use burn::module::Param;
#[cfg(feature = "burn")]
use burn::tensor::{Tensor, backend::Backend};

use crate::CoreError;
#[cfg(feature = "burn")]
use crate::host_values;

/// The id of a parameter.
#[cfg(feature = "burn")]
pub use burn::module::ParamId as ParameterId;

/// The id of a parameter. With the feature `burn` it is burn's, which also has what is here.
#[cfg(not(feature = "burn"))]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterId(u64);

#[cfg(not(feature = "burn"))]
impl ParameterId {
    /// The number that it is made of.
    #[must_use]
    pub fn val(&self) -> u64 {
        self.0
    }
}

#[cfg(not(feature = "burn"))]
impl From<u64> for ParameterId {
    fn from(number: u64) -> Self {
        Self(number)
    }
}

/// A parameter as a row of numbers in burn's layout. Where it comes from a tensor, its values are brought to the host
/// when they are first asked for, so that a description costs nothing on a GPU; clones share them.
#[derive(Clone)]
pub struct ParameterValues {
    /// The id of the parameter, by which its gradient is assigned to it.
    pub id: ParameterId,
    count: usize,
    tensor: Option<Arc<dyn Parameter>>,
    values: Arc<OnceLock<Vec<f32>>>,
}

impl ParameterValues {
    /// A parameter of a burn module.
    #[cfg(feature = "burn")]
    pub fn of<B: Backend, const D: usize>(parameter: &Param<Tensor<B, D>>) -> Self {
        // Taken unchanged: every operation on a tensor with automatic differentiation is added to its graph.
        let tensor = parameter.val();
        Self {
            id: parameter.id,
            count: tensor.shape().num_elements(),
            tensor: Some(Arc::new(tensor)),
            values: Arc::default(),
        }
    }

    /// A parameter with the given values, row by row.
    #[must_use]
    pub fn new(id: ParameterId, values: Vec<f32>) -> Self {
        Self {
            id,
            count: values.len(),
            tensor: None,
            values: Arc::new(values.into()),
        }
    }

    /// How many numbers it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether it has no numbers.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// Its values, row by row. The first call waits for the device of the tensor.
    ///
    /// # Errors
    /// [`CoreError::Backend`] when the device does not return them.
    pub fn values(&self) -> Result<&[f32], CoreError> {
        if let Some(values) = self.values.get() {
            return Ok(values);
        }
        let read = match &self.tensor {
            Some(tensor) => tensor.read()?,
            None => Vec::new(),
        };
        Ok(self.values.get_or_init(|| read))
    }

    /// The tensor that it comes from, if there is one: a burn `Tensor<B, D>` of the module's backend and the parameter's
    /// rank, for engines that can use it where it is.
    #[must_use]
    pub fn tensor(&self) -> Option<&dyn Any> {
        self.tensor.as_ref().map(|tensor| tensor.as_any())
    }
}

impl std::fmt::Debug for ParameterValues {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("ParameterValues")
            .field("id", &self.id)
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}

/// A tensor of any backend and rank.
trait Parameter: Send + Sync {
    fn read(&self) -> Result<Vec<f32>, CoreError>;
    fn as_any(&self) -> &dyn Any;
}

#[cfg(feature = "burn")]
impl<B: Backend, const D: usize> Parameter for Tensor<B, D> {
    fn read(&self) -> Result<Vec<f32>, CoreError> {
        host_values(self.clone())
    }

    fn as_any(&self) -> &dyn Any {
        self
    }
}

#[cfg(all(test, feature = "burn"))]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use burn::backend::Flex;
    use burn::module::ParamId;

    #[test]
    fn values_are_those_of_the_tensor_and_of_clones() {
        let tensor = Tensor::<Flex, 2>::from_data([[1.0, -2.0], [3.0, 4.5]], &Default::default());
        let id = ParamId::new();
        let parameter = ParameterValues::of(&Param::initialized(id, tensor));
        let clone = parameter.clone();
        assert_eq!((parameter.len(), parameter.is_empty()), (4, false));
        assert_eq!(clone.values().unwrap(), [1.0, -2.0, 3.0, 4.5]);
        let known = ParameterValues::new(id, vec![7.0, 8.0]);
        assert_eq!(known.values().unwrap(), [7.0, 8.0]);
        let tensor = parameter
            .tensor()
            .unwrap()
            .downcast_ref::<Tensor<Flex, 2>>();
        assert_eq!(tensor.unwrap().dims(), [2, 2]);
        assert!(ParameterValues::new(id, Vec::new()).tensor().is_none());
    }
}
