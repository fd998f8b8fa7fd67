//! Tensors that lie on the device already, or are wanted there.

use std::any::Any;

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use cubecl::Runtime;
use cubecl::server::Handle;
use ebm_core::ParameterValues;

/// A burn backend whose tensors of floats are buffers of a CubeCL runtime, in single precision.
pub trait CubeTensors: Backend {
    /// The runtime.
    type Runtime: Runtime<Device = Self::Device>;

    /// The buffer of a tensor, without gaps, once what was asked of the tensor has been handed to the device. Others may have the
    /// same buffer.
    fn buffer(tensor: Tensor<Self, 1>) -> Handle;

    /// A tensor of `numbers` in `buffer`.
    fn tensor(buffer: Handle, numbers: usize, device: &Self::Device) -> Tensor<Self, 1>;
}

/// [`CubeTensors`] for callers that do not know the backend. Tensors are [`Tensor<B, 1>`]; those of other backends have no buffer.
pub(super) trait Bridge: Send + Sync {
    fn buffer(&self, tensor: &dyn Any) -> Option<Handle>;

    /// The buffer of all, one after the other.
    fn joined(&self, parameters: &[ParameterValues]) -> Option<Handle>;

    fn tensor(&self, buffer: Handle, numbers: usize) -> Box<dyn Any>;
}

/// To the tensors of `B::InnerBackend` on a device.
pub(super) struct BridgeTo<B: AutodiffBackend>(pub(super) B::Device);

impl<B: AutodiffBackend<InnerBackend: CubeTensors>> BridgeTo<B> {
    /// The tensor, if it is one of the backend, of its gradients or without them.
    fn own(tensor: &dyn Any) -> Option<Tensor<B::InnerBackend, 1>> {
        let with_gradients = || {
            let tensor = tensor.downcast_ref::<Tensor<B, 1>>()?;
            Some(tensor.clone().inner())
        };
        let plain = tensor.downcast_ref::<Tensor<B::InnerBackend, 1>>();
        plain.cloned().or_else(with_gradients)
    }
}

impl<B: AutodiffBackend<InnerBackend: CubeTensors>> Bridge for BridgeTo<B> {
    fn buffer(&self, tensor: &dyn Any) -> Option<Handle> {
        Self::own(tensor).map(B::InnerBackend::buffer)
    }

    fn joined(&self, parameters: &[ParameterValues]) -> Option<Handle> {
        let tensor = |parameter: &ParameterValues| match parameter.tensor() {
            Some(tensor) => Self::own(tensor),
            None => Some(Tensor::from_data(parameter.values(), &self.0)),
        };
        let all: Vec<_> = parameters.iter().map(tensor).collect::<Option<_>>()?;
        Some(B::InnerBackend::buffer(Tensor::cat(all, 0)))
    }

    fn tensor(&self, buffer: Handle, numbers: usize) -> Box<dyn Any> {
        Box::new(B::InnerBackend::tensor(buffer, numbers, &self.0))
    }
}
