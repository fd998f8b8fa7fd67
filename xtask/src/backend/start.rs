//! Whether a backend starts here, and what is missing if it does not.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use ebm_experiment::tools::quietly;

use super::name::{Adapter, BackendName};
use crate::error::DriverError;

/// Computes one number. GPU backends panic when there is no driver or device, so that is the question to ask before
/// anything is created on disk.
///
/// # Errors
/// [`DriverError::NoStart`] says what is missing.
pub(super) fn try_device<B: Backend>(
    name: BackendName,
    device: &B::Device,
    set_up: impl FnOnce() -> Result<(), String>,
) -> Result<(), DriverError> {
    let answer = quietly(|| {
        if name.is_gpu() {
            let there_are = devices(name);
            if !is_among(name, &there_are) {
                return Err(no_such_device(name, &there_are));
            }
        }
        set_up()?;
        let ones = Tensor::<B, 1>::ones([4], device);
        let sum = (ones.clone() + ones).sum().into_data();
        Ok(sum.iter::<f32>().next())
    });
    let fault = match answer {
        (Some(Ok(Some(8.0))), _) => return Ok(()),
        (Some(Err(problem)), _) => problem,
        // A kernel that does not compile on a thread of the backend leaves any number behind.
        (_, Some(panic)) => explain(name, &panic),
        (sum, None) => explain(
            name,
            &format!("a sum that should be 8 came back as {sum:?}"),
        ),
    };
    Err(DriverError::NoStart { name, fault })
}

/// What a backend's panic means, and what to do.
fn explain(name: BackendName, panic: &str) -> String {
    let need = match name {
        BackendName::Cuda(_) => {
            if let Some((_, meaning)) = CUDA_FAULTS.iter().find(|(part, _)| panic.contains(part)) {
                return (*meaning).to_owned();
            }
            "check that there is an NVIDIA GPU with its driver and the CUDA toolkit"
        }
        BackendName::Wgpu(_) | BackendName::Vulkan(_) => "check the driver of the GPU",
        BackendName::Flex | BackendName::Ndarray => "this should not happen on a CPU",
    };
    let first_line = panic.lines().map(str::trim).find(|line| !line.is_empty());
    format!("{}; {need}", first_line.unwrap_or_default())
}

/// Parts of what cudarc and CubeCL say when they panic, and what they mean. Neither has another way to say it.
const CUDA_FAULTS: &[(&str, &str)] = &[
    (
        "load the \"cuda\" shared library",
        "no NVIDIA driver was found (libcuda.so, on Windows nvcuda.dll); install the driver of the GPU",
    ),
    (
        "load the \"nvrtc\" shared library",
        "NVRTC, which compiles the kernels, was not found (libnvrtc.so, on Windows nvrtc64_*.dll); install the CUDA \
         toolkit, and name its lib64 folder in LD_LIBRARY_PATH if it is not in a standard place",
    ),
    (
        "CUDA installation not found",
        "the headers of CUDA were not found; install the CUDA toolkit, and name its folder in CUDA_PATH if it is not \
         /usr/local/cuda",
    ),
    (
        "CUDA_ERROR_NO_DEVICE",
        "the NVIDIA driver finds no GPU; check what nvidia-smi lists, and CUDA_VISIBLE_DEVICES",
    ),
    (
        "Missing symbol",
        "the NVIDIA driver or NVRTC is too old for this program; install a newer one",
    ),
];

/// Whether a device is one of those that there are; the fastest is, if there is any.
fn is_among(name: BackendName, there_are: &[String]) -> bool {
    match name {
        BackendName::Wgpu(Adapter::Fastest) | BackendName::Vulkan(Adapter::Fastest) => {
            !there_are.is_empty()
        }
        _ => there_are.contains(&name.to_string()),
    }
}

fn no_such_device(name: BackendName, there_are: &[String]) -> String {
    let backend = match name {
        BackendName::Vulkan(_) => "vulkan",
        _ => name.feature(),
    };
    match there_are {
        [] if backend == "cuda" => {
            "cuda finds no device at all; check that there is a GPU with its driver".to_owned()
        }
        [] => format!(
            "{backend} finds no device at all, no GPU with a Vulkan or Metal driver; install the driver of the GPU, or a \
             software driver such as Mesa's lavapipe"
        ),
        [one] => {
            format!("there is no such device; take {one}, the only one that {backend} finds")
        }
        many => format!("there is no such device; take one of {}", many.join(", ")),
    }
}

/// The devices of a backend, by name.
fn devices(name: BackendName) -> Vec<String> {
    match name {
        #[cfg(feature = "cuda")]
        BackendName::Cuda(_) => {
            use cubecl::Runtime;
            let devices = cubecl::cuda::CudaRuntime::enumerate_devices(0, &());
            let names = devices.iter().map(|id| BackendName::Cuda(id.index_id));
            names.map(|name| name.to_string()).collect()
        }
        #[cfg(feature = "wgpu")]
        BackendName::Wgpu(_) | BackendName::Vulkan(_) => super::adapter::names(name),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As cudarc 0.19 and CubeCL 0.10 say it.
    #[test]
    fn faults_of_cuda_are_told_apart() {
        let cases = [
            (
                "Unable to dynamically load the \"cuda\" shared library - searched for library names: [\"libcuda.so\"].",
                "no NVIDIA driver",
            ),
            (
                "Unable to dynamically load the \"nvrtc\" shared library - searched for library names: [\"libnvrtc.so\"].",
                "NVRTC",
            ),
            (
                "\n        CUDA installation not found.\n        Please ensure that CUDA is installed",
                "CUDA_PATH",
            ),
            (
                "called `Result::unwrap()` on an `Err` value: DriverError(CUDA_ERROR_NO_DEVICE, \"no CUDA-capable device is detected\")",
                "finds no GPU",
            ),
            (
                "\n  something\nelse",
                "something; check that there is an NVIDIA GPU",
            ),
        ];
        for (panic, part) in cases {
            let fault = explain(BackendName::Cuda(0), panic);
            assert!(fault.contains(part), "{fault}");
        }
    }

    #[test]
    fn devices_that_are_not_there() {
        let cuda = BackendName::Cuda(4);
        assert!(no_such_device(cuda, &[]).contains("cuda finds no device at all"));
        let two = ["cuda".to_owned(), "cuda:1".to_owned()];
        assert!(no_such_device(cuda, &two).ends_with("take one of cuda, cuda:1"));
        let vulkan = BackendName::Vulkan(Adapter::Discrete(0));
        let one = ["vulkan:cpu".to_owned()];
        assert!(no_such_device(vulkan, &one).contains("take vulkan:cpu, the only one"));
        assert!(no_such_device(vulkan, &[]).contains("install the driver"));
        assert!(is_among(BackendName::Vulkan(Adapter::Cpu), &one) && !is_among(vulkan, &one));
        let fastest = BackendName::Vulkan(Adapter::Fastest);
        assert!(is_among(fastest, &one) && !is_among(fastest, &[]));
    }
}
