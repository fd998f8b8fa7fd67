//! The only place that names concrete backends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::str::FromStr;

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use ebm_core::Layered;
use ebm_langevin::{AnyEngine, EngineChoice, TensorEngine};

use crate::error::DriverError;

/// A backend by name, whether or not this build has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum BackendName {
    /// burn-flex on the CPU, the default.
    #[default]
    Flex,
    /// burn-ndarray on the CPU, for comparison.
    Ndarray,
    /// CUDA on an NVIDIA GPU.
    Cuda,
    /// wgpu on any GPU.
    Wgpu,
}

impl BackendName {
    /// Every backend there is a name for.
    pub(crate) const ALL: [Self; 4] = [Self::Flex, Self::Ndarray, Self::Cuda, Self::Wgpu];

    pub(crate) fn is_gpu(self) -> bool {
        matches!(self, Self::Cuda | Self::Wgpu)
    }

    /// Refuses an engine that the backend cannot have, whatever the net.
    ///
    /// # Errors
    /// [`DriverError::Usage`].
    pub(crate) fn check_engine(self, choice: EngineChoice) -> Result<(), DriverError> {
        if self.is_gpu() && choice == EngineChoice::Fused {
            return Err(DriverError::Usage(format!(
                "--engine fused runs on the CPU with --backend flex; leave it out for --backend {}",
                self.as_str()
            )));
        }
        Ok(())
    }

    /// The engine as it was asked for and as it suits the backend and the net.
    ///
    /// # Errors
    /// [`DriverError::Usage`] as [`Self::check_engine`], [`DriverError::Langevin`] when the fused engine was asked for
    /// and lacks a layer.
    pub(crate) fn engine<E: Layered>(
        self,
        choice: EngineChoice,
        net: &E,
        state_shape: [usize; 3],
    ) -> Result<AnyEngine, DriverError> {
        self.check_engine(choice)?;
        if self.is_gpu() {
            // All chains together: blocks of them would leave a GPU idle.
            return Ok(AnyEngine::Tensor(TensorEngine::default()));
        }
        let (engine, missing) = AnyEngine::choose(choice, net, state_shape)?;
        if let Some(missing) = missing {
            tracing::info!("tensor engine: {missing}");
        }
        Ok(engine)
    }

    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Flex => "flex",
            Self::Ndarray => "ndarray",
            Self::Cuda => "cuda",
            Self::Wgpu => "wgpu",
        }
    }
}

impl FromStr for BackendName {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        Self::ALL
            .into_iter()
            .find(|backend| backend.as_str() == name)
            .ok_or_else(|| "there are flex, ndarray, cuda and wgpu".to_owned())
    }
}

/// Something to do on whichever backend was asked for.
pub(crate) trait BackendTask {
    /// What comes of it.
    type Output;

    /// Does it on backend `B`.
    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Self::Output, DriverError>;
}

/// Runs a task on the named backend.
///
/// # Errors
/// [`DriverError::Backend`] when the build or the machine lacks it; otherwise what the task returns.
pub(crate) fn dispatch<T: BackendTask>(
    name: BackendName,
    task: T,
) -> Result<T::Output, DriverError> {
    match name {
        #[cfg(feature = "flex")]
        BackendName::Flex => start::<burn::backend::Flex, T>(name, task),
        #[cfg(feature = "ndarray")]
        BackendName::Ndarray => start::<burn::backend::NdArray, T>(name, task),
        #[cfg(feature = "cuda")]
        BackendName::Cuda => start::<burn::backend::Cuda, T>(name, task),
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu => start::<burn::backend::Wgpu, T>(name, task),
        #[allow(unreachable_patterns)]
        _ => {
            let name = name.as_str();
            Err(DriverError::Usage(format!(
                "this build has no {name} backend; run the same command as `cargo run -p xtask --features {name} -- ... --backend {name}`"
            )))
        }
    }
}

#[allow(dead_code)] // A build without any backend still compiles.
fn start<B: Backend, T: BackendTask>(name: BackendName, task: T) -> Result<T::Output, DriverError> {
    let device = B::Device::default();
    try_device::<B>(name, &device)?;
    task.run::<burn::backend::Autodiff<B>>(device)
}

/// Computes one number. GPU backends panic when there is no driver or device, so that is the question to ask before
/// anything is created on disk.
fn try_device<B: Backend>(name: BackendName, device: &B::Device) -> Result<(), DriverError> {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let answer = catch_unwind(AssertUnwindSafe(|| {
        let ones = Tensor::<B, 1>::ones([4], device);
        (ones.clone() + ones).sum().into_data().iter::<f32>().next()
    }));
    std::panic::set_hook(hook);
    let reason = match answer {
        Ok(Some(8.0)) => return Ok(()),
        Ok(other) => format!("a sum that should be 8 came back as {other:?}"),
        Err(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "it failed to start".to_owned()),
    };
    let need = match name {
        BackendName::Cuda => "it needs an NVIDIA GPU with its driver and NVRTC",
        BackendName::Wgpu => "it needs a GPU with a Vulkan, Metal or DX12 driver",
        BackendName::Flex | BackendName::Ndarray => "this should not happen on a CPU",
    };
    let first_line = reason.lines().next().unwrap_or_default();
    Err(DriverError::Backend(format!(
        "the {} backend cannot start here ({first_line}): {need}; use --backend flex for the CPU",
        name.as_str()
    )))
}
