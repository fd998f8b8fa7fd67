//! The only place that names concrete backends.

#[cfg(feature = "wgpu")]
mod adapter;
mod choice;
mod name;
mod start;

use burn::backend::Autodiff;
use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_core::Layered;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
use ebm_engine_gpu::CubeEngine;
use ebm_experiment::{AnyEngine, Compute, EngineChoice, OnBackend};

pub(crate) use self::choice::{BackendChoice, has_hardware, start};
pub(crate) use self::name::BackendName;
pub(crate) use self::start::quietly;
use crate::error::DriverError;

/// Something to do on whichever backend was asked for.
pub(crate) trait BackendTask {
    /// What comes of it.
    type Output;

    /// Does it on backend `B`.
    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Self::Output, DriverError>;
}

/// The named backend, started.
///
/// # Errors
/// [`DriverError::Usage`] when the build lacks it, [`DriverError::NoStart`] when the machine does.
pub(crate) fn compute(name: BackendName) -> Result<Box<dyn Compute>, DriverError> {
    start(name)?;
    match name {
        #[cfg(feature = "flex")]
        BackendName::Flex => Ok(Box::new(OnBackend::<Autodiff<burn::backend::Flex>>::cpu(
            name.to_string(),
        ))),
        #[cfg(feature = "ndarray")]
        BackendName::Ndarray => Ok(Box::new(OnBackend::<Autodiff<burn_ndarray::NdArray>>::cpu(
            name.to_string(),
        ))),
        #[cfg(feature = "cuda")]
        BackendName::Cuda(index) => {
            let device = cubecl::cuda::CudaDevice::new(index.into());
            Ok(on_gpu::<burn::backend::Cuda>(name, device))
        }
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu(adapter) | BackendName::Vulkan(adapter) => {
            Ok(on_gpu::<burn::backend::Wgpu>(name, adapter.into()))
        }
        #[allow(unreachable_patterns)]
        _ => Err(not_built(name)),
    }
}

#[cfg(any(feature = "cuda", feature = "wgpu"))]
fn on_gpu<B>(name: BackendName, device: B::Device) -> Box<dyn Compute>
where
    B: Backend + ebm_engine_gpu::CubeTensors,
{
    let cube = CubeEngine::for_backend::<Autodiff<B>>(&device);
    Box::new(OnBackend::<Autodiff<B>>::gpu(
        name.to_string(),
        device,
        cube,
    ))
}

/// Waits for everything that was asked of a device.
///
/// # Errors
/// [`DriverError::Backend`].
pub(crate) fn synchronise<B: Backend>(device: &B::Device) -> Result<(), DriverError> {
    B::sync(device).map_err(|error| DriverError::Backend(format!("{error:?}")))
}

/// Runs a task on the named backend.
///
/// # Errors
/// [`DriverError::Usage`] when the build lacks it, [`DriverError::NoStart`] when the machine does; otherwise what the task
/// returns.
pub(crate) fn dispatch<T: BackendTask>(
    name: BackendName,
    task: T,
) -> Result<T::Output, DriverError> {
    match name {
        #[cfg(feature = "flex")]
        BackendName::Flex => {
            let device = Default::default();
            run_on::<burn::backend::Flex, T>(name, device, || Ok(()), task)
        }
        #[cfg(feature = "ndarray")]
        BackendName::Ndarray => {
            let device = Default::default();
            run_on::<burn_ndarray::NdArray, T>(name, device, || Ok(()), task)
        }
        #[cfg(feature = "cuda")]
        BackendName::Cuda(index) => {
            let device = cubecl::cuda::CudaDevice::new(index.into());
            run_on::<burn::backend::Cuda, T>(name, device, || Ok(()), task)
        }
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu(adapter) | BackendName::Vulkan(adapter) => {
            let device = cubecl::wgpu::WgpuDevice::from(adapter);
            let same = device.clone();
            let set_up = || adapter::set_up(name, &same);
            run_on::<burn::backend::Wgpu, T>(name, device, set_up, task)
        }
        #[allow(unreachable_patterns)]
        _ => Err(not_built(name)),
    }
}

#[allow(dead_code)] // A build without any backend still compiles.
fn run_on<B: Backend, T: BackendTask>(
    name: BackendName,
    device: B::Device,
    set_up: impl FnOnce() -> Result<(), String>,
    task: T,
) -> Result<T::Output, DriverError> {
    start::try_device::<B>(name, &device, set_up)?;
    task.run::<Autodiff<B>>(device)
}

#[allow(dead_code)] // A build with every backend has no use for it.
fn not_built(name: BackendName) -> DriverError {
    DriverError::Usage(format!(
        "this build has no {name} backend; run the same command as `cargo run -p xtask --features {} -- ... --backend {name}`",
        name.feature()
    ))
}

impl BackendName {
    /// The engine as it was asked for and as it suits the backend, which runs here, and the net.
    ///
    /// # Errors
    /// [`DriverError::Usage`] as [`Self::check_engine`], [`DriverError::Experiment`] when the engine that was asked for lacks a
    /// layer.
    pub(crate) fn engine<E: Layered>(
        self,
        choice: EngineChoice,
        net: &E,
        state_shape: [usize; 3],
    ) -> Result<AnyEngine, DriverError> {
        self.check_engine(choice)?;
        let (engine, missing) = match self {
            Self::Flex | Self::Ndarray => AnyEngine::choose(choice, net, state_shape)?,
            #[cfg(feature = "cuda")]
            Self::Cuda(index) => {
                let device = cubecl::cuda::CudaDevice::new(index.into());
                let cube = CubeEngine::for_backend::<Autodiff<burn::backend::Cuda>>(&device);
                AnyEngine::choose_on_gpu(choice, cube, net, state_shape)?
            }
            #[cfg(feature = "wgpu")]
            Self::Wgpu(adapter) | Self::Vulkan(adapter) => {
                let cube =
                    CubeEngine::for_backend::<Autodiff<burn::backend::Wgpu>>(&adapter.into());
                AnyEngine::choose_on_gpu(choice, cube, net, state_shape)?
            }
            #[allow(unreachable_patterns)]
            _ => return Err(not_built(self)),
        };
        if let Some(missing) = missing {
            tracing::info!("tensor engine: {missing}");
        }
        Ok(engine)
    }
}
