//! burn's own backends on CubeCL, with and without fusion of operations.

use burn::tensor::{DType, Shape, Tensor, TensorPrimitive};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{BoolElement, CubeBackend, CubeRuntime, IntElement};
use burn_fusion::client::GlobalFusionClient;
use burn_fusion::stream::OperationStreams;
use burn_fusion::{Fusion, NoOp};
use burn_ir::{BackendIr, InitOperationIr, OperationIr, OperationOutput};
use cubecl::server::Handle;

use super::bridge::CubeTensors;

impl<R: CubeRuntime, I: IntElement, B: BoolElement> CubeTensors for CubeBackend<R, f32, I, B> {
    type Runtime = R;

    fn buffer(tensor: Tensor<Self, 1>) -> Handle {
        into_contiguous(tensor.into_primitive().tensor()).handle
    }

    fn tensor(buffer: Handle, numbers: usize, device: &Self::Device) -> Tensor<Self, 1> {
        let tensor = owned::<R>(buffer, numbers, device);
        Tensor::from_primitive(TensorPrimitive::Float(tensor))
    }
}

impl<R: CubeRuntime, I: IntElement, B: BoolElement> CubeTensors
    for Fusion<CubeBackend<R, f32, I, B>>
{
    type Runtime = R;

    /// Operations that still wait to be fused are queued on the device first.
    fn buffer(tensor: Tensor<Self, 1>) -> Handle {
        let tensor = tensor.into_primitive().tensor();
        let client = tensor.client.clone();
        // If the last reference were resolved, its entry would stay in the queue of burn.
        let resolved = client.resolve_tensor_float::<CubeBackend<R, f32, I, B>>(tensor.clone());
        drop(tensor);
        into_contiguous(resolved).handle
    }

    fn tensor(buffer: Handle, numbers: usize, device: &Self::Device) -> Tensor<Self, 1> {
        type Plain<R, I, B> = CubeBackend<R, f32, I, B>;

        let client = GlobalFusionClient::load(device);
        let tensor = owned::<R>(buffer, numbers, device);
        let handle = Plain::<R, I, B>::float_tensor_handle(tensor);
        let known = InitOperationIr::create(Shape::new([numbers]), DType::F32, || {
            client.register_tensor_handle(handle)
        });
        let tensor = client
            .register(
                OperationStreams::default(),
                OperationIr::Init(known),
                NoOp::<Plain<R, I, B>>::new(),
            )
            .output();
        Tensor::from_primitive(TensorPrimitive::Float(tensor))
    }
}

fn owned<R: CubeRuntime>(buffer: Handle, numbers: usize, device: &R::Device) -> CubeTensor<R> {
    CubeTensor::new_contiguous(
        R::client(device),
        device.clone(),
        Shape::new([numbers]),
        buffer,
        DType::F32,
    )
}
