//! The only place that names concrete backends.

#[cfg(feature = "wgpu")]
mod adapter;
mod choice;
mod name;
mod start;

use burn::backend::Autodiff;
use burn::tensor::backend::Backend;
use ebm_benches::TimedBackend;
use ebm_experiment::{BurnCompute, Compute};

pub(crate) use self::choice::{BackendChoice, has_hardware};
pub(crate) use self::name::BackendName;
use crate::error::DriverError;

/// The named backend, started.
///
/// # Errors
/// As [`open`].
pub(crate) fn compute(name: BackendName) -> Result<Box<dyn Compute>, DriverError> {
    Ok(open(name)?)
}

/// The named backend, started, for experiments and to be timed.
///
/// # Errors
/// [`DriverError::Usage`] when the build lacks it, [`DriverError::NoStart`] when the machine does.
pub(crate) fn open(name: BackendName) -> Result<Box<dyn TimedBackend>, DriverError> {
    match name {
        #[cfg(feature = "flex")]
        BackendName::Flex => on_cpu::<burn::backend::Flex>(name),
        #[cfg(feature = "ndarray")]
        BackendName::Ndarray => on_cpu::<burn_ndarray::NdArray>(name),
        #[cfg(feature = "cuda")]
        BackendName::Cuda(index) => {
            let device = cubecl::cuda::CudaDevice::new(index.into());
            start::try_device::<burn::backend::Cuda>(name, &device, || Ok(()))?;
            let backend =
                BurnCompute::<Autodiff<burn::backend::Cuda>>::gpu(name.to_string(), device);
            Ok(Box::new(backend))
        }
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu(adapter) | BackendName::Vulkan(adapter) => {
            let device = adapter.into();
            let set_up = || adapter::set_up(name, &device);
            start::try_device::<burn::backend::Wgpu>(name, &device, set_up)?;
            let backend =
                BurnCompute::<Autodiff<burn::backend::Wgpu>>::gpu(name.to_string(), device);
            Ok(Box::new(backend))
        }
        #[allow(unreachable_patterns)]
        _ => Err(DriverError::Usage(format!(
            "this build has no {name} backend; run the same command as `cargo run -p xtask --features {} -- ... --backend {name}`",
            name.feature()
        ))),
    }
}

#[allow(dead_code)] // There are builds for GPUs alone.
fn on_cpu<B: Backend>(name: BackendName) -> Result<Box<dyn TimedBackend>, DriverError> {
    start::try_device::<B>(name, &B::Device::default(), || Ok(()))?;
    Ok(Box::new(BurnCompute::<Autodiff<B>>::cpu(name.to_string())))
}
