//! Tensors that are already on the device, or are needed there.

use std::any::Any;

use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{DType, Tensor, TensorData};
use cubecl::Runtime;
use cubecl::server::Handle;
use ebm_core::ParameterValues;

use ebm_langevin::LangevinError;

/// A burn backend whose tensors of floats are buffers of a CubeCL runtime.
pub trait CubeTensors: Backend {
    /// The runtime.
    type Runtime: Runtime<Device = Self::Device>;

    /// The buffer of a tensor in single precision, without gaps, after all pending operations on the tensor have been
    /// queued on the device. Other tensors may share the buffer, and it may be a part of a larger one.
    fn buffer(tensor: Tensor<Self, 1>) -> Handle;

    /// A tensor of `numbers` values from a buffer, in single precision.
    fn tensor(buffer: Handle, numbers: usize, device: &Self::Device) -> Tensor<Self, 1>;
}

/// [`CubeTensors`] for callers that do not know the backend. Tensors of other backends or devices have no buffer.
pub(super) trait Bridge: Send + Sync {
    /// Of a tensor of rank 1.
    fn buffer(&self, tensor: &dyn Any) -> Option<Handle>;

    /// The buffer of all, one after the other.
    fn joined(&self, parameters: &[ParameterValues]) -> Result<Handle, LangevinError>;

    /// Of rank 1.
    fn tensor(&self, buffer: Handle, numbers: usize) -> Box<dyn Any>;
}

impl dyn Bridge + '_ {
    /// The buffer of states, row by row.
    ///
    /// # Errors
    /// [`LangevinError::OtherBackend`].
    pub(super) fn buffer_of<B: Backend>(
        &self,
        states: Tensor<B, 4>,
    ) -> Result<Handle, LangevinError> {
        let numbers = states.shape().num_elements();
        let buffer = self.buffer(&states.reshape([numbers]));
        buffer.ok_or(LangevinError::OtherBackend)
    }

    /// A buffer as a tensor of the caller's backend.
    ///
    /// # Errors
    /// [`LangevinError::OtherBackend`].
    pub(super) fn tensor_of<B: Backend>(
        &self,
        buffer: Handle,
        numbers: usize,
    ) -> Result<Tensor<B, 1>, LangevinError> {
        let tensor = self.tensor(buffer, numbers).downcast();
        tensor
            .map(|tensor| *tensor)
            .map_err(|_| LangevinError::OtherBackend)
    }
}

/// To the tensors of `B::InnerBackend` on a device.
pub(super) struct BridgeTo<B: AutodiffBackend>(pub(super) B::Device);

impl<B: AutodiffBackend<InnerBackend: CubeTensors>> BridgeTo<B> {
    /// The tensor in a row, if it is one of the backend, of its gradients or without them, and of rank `D`.
    fn row<const D: usize>(&self, tensor: &dyn Any) -> Option<Tensor<B::InnerBackend, 1>> {
        let with_gradients = || {
            let tensor = tensor.downcast_ref::<Tensor<B, D>>()?;
            Some(tensor.clone().inner())
        };
        let plain = tensor.downcast_ref::<Tensor<B::InnerBackend, D>>();
        let tensor = plain.cloned().or_else(with_gradients)?;
        let count = tensor.shape().num_elements();
        let tensor = tensor.reshape([count]);
        // A precision is a tensor's own, whatever its type.
        let tensor = match tensor.dtype() {
            DType::F32 => tensor,
            _ => tensor.cast(DType::F32),
        };
        (tensor.device() == self.0).then_some(tensor)
    }
}

impl<B: AutodiffBackend<InnerBackend: CubeTensors>> Bridge for BridgeTo<B> {
    fn buffer(&self, tensor: &dyn Any) -> Option<Handle> {
        self.row::<1>(tensor).map(B::InnerBackend::buffer)
    }

    fn joined(&self, parameters: &[ParameterValues]) -> Result<Handle, LangevinError> {
        let row = |parameter: &ParameterValues| match parameter.tensor() {
            Some(tensor) => {
                let vector = self.row::<1>(tensor).or_else(|| self.row::<2>(tensor));
                let row = vector.or_else(|| self.row::<4>(tensor));
                row.ok_or(LangevinError::OtherBackend)
            }
            None => {
                let data = TensorData::new(parameter.values()?.to_vec(), [parameter.len()]);
                Ok(Tensor::from_data(data, (&self.0, DType::F32)))
            }
        };
        let all: Vec<_> = parameters.iter().map(row).collect::<Result<_, _>>()?;
        Ok(B::InnerBackend::buffer(Tensor::cat(all, 0)))
    }

    fn tensor(&self, buffer: Handle, numbers: usize) -> Box<dyn Any> {
        Box::new(B::InnerBackend::tensor(buffer, numbers, &self.0))
    }
}
