//! The choice of an engine at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Energy, Layered, StateShape};
use ebm_engine_cpu::{FusedEngine, FusedPrecision, WorkingSet};
#[cfg(feature = "cube")]
use ebm_engine_gpu::{CubeEngine, CubePrecision};
use ebm_langevin::{BoundEngine, Engine, LangevinError, TensorEngine};

#[cfg(feature = "cube")]
use crate::cube_and_tensor::CubeAndTensor;

/// Which engine to use.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum EngineChoice {
    /// The engine written for the device, `fused` or `cube`, where it has all the net's layers, otherwise `tensor`.
    #[default]
    Auto,
    /// Tensor operations and automatic differentiation.
    Tensor,
    /// Hand-written CPU code.
    Fused,
    /// The same with the factors of products rounded to BF16.
    FusedBf16,
    /// Hand-written GPU kernels.
    Cube,
    /// The cube engine with products rounded to TF32, if the net's layers and the device allow it.
    CubeTf32,
    /// The same with BF16.
    CubeBf16,
}

impl EngineChoice {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Auto,
        Self::Tensor,
        Self::Fused,
        Self::FusedBf16,
        Self::Cube,
        Self::CubeTf32,
        Self::CubeBf16,
    ];

    /// The name in settings and flags.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tensor => "tensor",
            Self::Fused => "fused",
            Self::FusedBf16 => "fused-bf16",
            Self::Cube => "cube",
            Self::CubeTf32 => "cube-tf32",
            Self::CubeBf16 => "cube-bf16",
        }
    }

    /// Whether there is such an engine on a GPU, or else on the CPU, whatever the net.
    #[must_use]
    pub fn runs_on(self, is_gpu: bool) -> bool {
        match self {
            Self::Auto | Self::Tensor => true,
            Self::Fused | Self::FusedBf16 => !is_gpu,
            Self::Cube | Self::CubeTf32 | Self::CubeBf16 => is_gpu,
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.name())
    }
}

impl FromStr for EngineChoice {
    type Err = UnknownEngine;

    fn from_str(name: &str) -> Result<Self, UnknownEngine> {
        let found = Self::ALL.into_iter().find(|choice| choice.name() == name);
        found.ok_or_else(|| UnknownEngine(name.to_owned()))
    }
}

/// A name that is not the name of an engine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "there is no engine `{0}`: must be auto, tensor, fused, fused-bf16, cube, cube-tf32 or cube-bf16"
)]
pub struct UnknownEngine(pub String);

/// One of the engines, decided once for a net.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyEngine {
    /// Tensor operations and automatic differentiation.
    Tensor(TensorEngine),
    /// Hand-written CPU code.
    Fused(FusedEngine),
    /// Hand-written GPU kernels, and the tensor engine for what these lack: MALA and landscapes.
    #[cfg(feature = "cube")]
    Cube(CubeEngine, TensorEngine),
}

impl AnyEngine {
    /// Decides for the net `energy` on states of `[channels, height, width]` on the CPU. The second value is a remark:
    /// why `auto` fell back to the tensor engine, or that the choice is slow on this processor.
    ///
    /// # Errors
    /// [`LangevinError::Lacking`] when a fused engine was asked for and lacks a layer, or when the cube engine was,
    /// which needs a GPU's runtime.
    pub fn choose<E: Layered>(
        choice: EngineChoice,
        energy: &E,
        state_shape: [usize; 3],
    ) -> Result<(Self, Option<String>), LangevinError> {
        let tensor = || Self::Tensor(TensorEngine::for_cpu(state_shape));
        match choice {
            EngineChoice::Tensor => return Ok((tensor(), None)),
            EngineChoice::Cube | EngineChoice::CubeTf32 | EngineChoice::CubeBf16 => {
                return Err(LangevinError::lacking("cube", "kernels for the CPU"));
            }
            EngineChoice::Auto | EngineChoice::Fused | EngineChoice::FusedBf16 => {}
        }
        let fused = match choice {
            EngineChoice::FusedBf16 => FusedEngine::default().with_precision(FusedPrecision::Bf16),
            _ => FusedEngine::default(),
        };
        let is_slower = choice == EngineChoice::FusedBf16 && !FusedEngine::bf16_pays();
        let remark = is_slower.then(|| {
            "fused-bf16: this processor has no fast instructions for BF16 (AVX512_BF16), so that it is slower than fused; \
             it computes what one with them would"
                .to_owned()
        });
        match fused.supports(energy, state_shape) {
            Ok(()) => Ok((Self::Fused(fused), remark)),
            Err(error) if choice == EngineChoice::Auto => {
                Ok((tensor(), Some(format!("tensor engine: {error}"))))
            }
            Err(error) => Err(error),
        }
    }

    /// As [`Self::choose`], for a GPU, on which `cube` runs.
    ///
    /// # Errors
    /// [`LangevinError::Lacking`] when the cube engine was asked for and lacks a layer or the precision, or when a
    /// fused engine was, which runs on the CPU.
    #[cfg(feature = "cube")]
    pub fn choose_on_gpu<E: Layered>(
        choice: EngineChoice,
        cube: CubeEngine,
        energy: &E,
        state_shape: [usize; 3],
    ) -> Result<(Self, Option<String>), LangevinError> {
        // All chains together: blocks of them would leave a GPU idle.
        let tensor = TensorEngine::default();
        match choice {
            EngineChoice::Tensor => return Ok((Self::Tensor(tensor), None)),
            EngineChoice::Fused | EngineChoice::FusedBf16 => {
                return Err(LangevinError::lacking(choice.name(), "GPUs"));
            }
            _ => {}
        }
        let cube = match choice {
            EngineChoice::CubeTf32 => cube.with_precision(CubePrecision::Tf32),
            EngineChoice::CubeBf16 => cube.with_precision(CubePrecision::Bf16),
            _ => cube,
        };
        match cube.supports(energy, state_shape) {
            Ok(()) => Ok((Self::Cube(cube, tensor), None)),
            Err(error) if choice == EngineChoice::Auto => Ok((
                Self::Tensor(tensor),
                Some(format!("tensor engine: {error}")),
            )),
            Err(error) => Err(error),
        }
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true; the cube engine before
    /// its next series of launches.
    #[must_use]
    pub fn cancelled_by(self, cancel: Arc<AtomicBool>) -> Self {
        match self {
            Self::Tensor(engine) => Self::Tensor(engine.cancelled_by(cancel)),
            Self::Fused(engine) => Self::Fused(engine.cancelled_by(cancel)),
            #[cfg(feature = "cube")]
            Self::Cube(cube, tensor) => Self::Cube(
                cube.cancelled_by(Arc::clone(&cancel)),
                tensor.cancelled_by(cancel),
            ),
        }
    }
}

impl AnyEngine {
    /// Bytes that so many chains of the net `energy` need beside their states, where the engine tells: `fused` does.
    ///
    /// # Errors
    /// [`LangevinError`] when the engine lacks a layer of the net.
    pub fn working_set<E: Layered>(
        &self,
        energy: &E,
        shape: StateShape,
        chains: usize,
    ) -> Result<Option<WorkingSet>, LangevinError> {
        match self {
            Self::Fused(engine) => engine.working_set(energy, shape, chains).map(Some),
            _ => Ok(None),
        }
    }

    /// Bytes that are reserved on the GPU, where the engine tells: `cube` does.
    ///
    /// # Errors
    /// [`LangevinError::Backend`] when the GPU's runtime does not tell.
    pub fn reserved_memory(&self) -> Result<Option<u64>, LangevinError> {
        match self {
            #[cfg(feature = "cube")]
            Self::Cube(engine, _) => engine.reserved_memory().map(Some),
            _ => Ok(None),
        }
    }
}

impl<B: AutodiffBackend, E> Engine<B, E> for AnyEngine
where
    E: Energy<B> + Layered + Clone + Send + Sync + 'static,
{
    fn name(&self) -> &'static str {
        match self {
            Self::Tensor(engine) => Engine::<B, E>::name(engine),
            Self::Fused(engine) => Engine::<B, E>::name(engine),
            #[cfg(feature = "cube")]
            Self::Cube(engine, _) => Engine::<B, E>::name(engine),
        }
    }

    fn bind(
        &self,
        energy: E,
        shape: StateShape,
        device: &B::Device,
    ) -> Result<Box<dyn BoundEngine<B, E>>, LangevinError> {
        match self {
            Self::Tensor(engine) => Engine::<B, E>::bind(engine, energy, shape, device),
            Self::Fused(engine) => Engine::<B, E>::bind(engine, energy, shape, device),
            #[cfg(feature = "cube")]
            Self::Cube(cube, tensor) => Ok(Box::new(CubeAndTensor::<B, E> {
                cube: cube.bind(&energy, shape)?,
                tensor: tensor.bind(energy, shape, device),
            })),
        }
    }
}
