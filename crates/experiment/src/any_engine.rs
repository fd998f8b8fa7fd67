//! The choice of an engine at run time.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Tensor, backend::AutodiffBackend};
use ebm_core::{Energy, Layered};

use ebm_engine_cpu::FusedEngine;
#[cfg(feature = "cube")]
use ebm_engine_gpu::{CubeEngine, CubePrecision};
#[cfg(feature = "cube")]
use ebm_langevin::Kernel;
use ebm_langevin::{
    AttractionRun, ChainOutcome, ChainRun, EnergyGradient, Engine, LandscapeEngine, LangevinError,
    LaunchedChains, LaunchedGradient, ParameterGradient, TensorEngine, Way,
};

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
    /// Hand-written GPU kernels.
    Cube,
    /// The same with products rounded to TF32, where the net's layers and the device are for it.
    CubeTf32,
    /// The same with BF16.
    CubeBf16,
}

impl EngineChoice {
    /// All of them.
    pub const ALL: &[Self] = &[
        Self::Auto,
        Self::Tensor,
        Self::Fused,
        Self::Cube,
        Self::CubeTf32,
        Self::CubeBf16,
    ];

    /// The name by which it is asked for.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Tensor => "tensor",
            Self::Fused => "fused",
            Self::Cube => "cube",
            Self::CubeTf32 => "cube-tf32",
            Self::CubeBf16 => "cube-bf16",
        }
    }
}

impl fmt::Display for EngineChoice {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Takes [`EngineChoice::name`].
impl FromStr for EngineChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|choice| choice.name() == text);
        found.copied().ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|choice| choice.name()).collect();
            format!(
                "there is no engine \"{text}\"; the engines are {}",
                names.join(", ")
            )
        })
    }
}

/// One of the engines, decided once for a net.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum AnyEngine {
    /// Tensor operations and automatic differentiation.
    Tensor(TensorEngine),
    /// Hand-written CPU code.
    Fused(FusedEngine),
    /// Hand-written GPU kernels, and the tensor engine for what these do not do: MALA and landscapes.
    #[cfg(feature = "cube")]
    Cube(CubeEngine, TensorEngine),
}

impl AnyEngine {
    /// Decides for the net `energy` on states of `[channels, height, width]` on the CPU. The second value says why `auto` fell
    /// back to the tensor engine, if it did.
    ///
    /// # Errors
    /// [`LangevinError::NotFused`] when the fused engine was asked for and lacks a layer, [`LangevinError::NotCubed`] when the
    /// cube engine was, which needs a GPU's runtime.
    pub fn choose<E: Layered>(
        choice: EngineChoice,
        energy: &E,
        state_shape: [usize; 3],
    ) -> Result<(Self, Option<String>), LangevinError> {
        let tensor = || Self::Tensor(TensorEngine::for_cpu(state_shape));
        match choice {
            EngineChoice::Tensor => return Ok((tensor(), None)),
            EngineChoice::Cube | EngineChoice::CubeTf32 | EngineChoice::CubeBf16 => {
                return Err(LangevinError::NotCubed("kernels for the CPU".to_owned()));
            }
            EngineChoice::Auto | EngineChoice::Fused => {}
        }
        let fused = FusedEngine::default();
        match fused.supports(energy, state_shape) {
            Ok(()) => Ok((Self::Fused(fused), None)),
            Err(error) if choice == EngineChoice::Fused => Err(error),
            Err(error) => Ok((tensor(), Some(error.to_string()))),
        }
    }

    /// As [`Self::choose`], for a GPU, on which `cube` runs.
    ///
    /// # Errors
    /// [`LangevinError::NotCubed`] or [`LangevinError::NoPrecision`] when the cube engine was asked for and lacks a layer or the precision, [`LangevinError::NotFused`] when the
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
            EngineChoice::Fused => return Err(LangevinError::NotFused("GPUs".to_owned())),
            _ => {}
        }
        let cube = match choice {
            EngineChoice::CubeTf32 => cube.with_precision(CubePrecision::Tf32),
            EngineChoice::CubeBf16 => cube.with_precision(CubePrecision::Bf16),
            _ => cube,
        };
        match cube.supports(energy, state_shape) {
            Ok(()) => Ok((Self::Cube(cube, tensor), None)),
            Err(error) if choice == EngineChoice::Auto => {
                Ok((Self::Tensor(tensor), Some(error.to_string())))
            }
            Err(error) => Err(error),
        }
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next step once `cancel` is true; the cube engine before its next
    /// series of launches.
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

    /// The name of the engine that maps landscapes, which may be another than the one that runs chains.
    pub fn landscape_name<B: AutodiffBackend, E: Energy<B> + Layered + Sync>(
        &self,
    ) -> &'static str {
        self.landscapes::<B, E>().name()
    }

    fn chains<B: AutodiffBackend, E: Energy<B> + Layered + Sync>(&self) -> &dyn Engine<B, E> {
        match self {
            Self::Tensor(engine) => engine,
            Self::Fused(engine) => engine,
            #[cfg(feature = "cube")]
            Self::Cube(engine, _) => engine,
        }
    }

    /// The engine for the kernel of a run.
    #[cfg_attr(not(feature = "cube"), allow(unused_variables))]
    fn chains_of<B: AutodiffBackend, E: Energy<B> + Layered + Sync>(
        &self,
        run: &ChainRun,
    ) -> &dyn Engine<B, E> {
        #[cfg(feature = "cube")]
        if let (Self::Cube(_, tensor), Kernel::Mala(_)) = (self, run.kernel) {
            return tensor;
        }
        self.chains::<B, E>()
    }

    fn landscapes<B: AutodiffBackend, E: Energy<B> + Layered + Sync>(
        &self,
    ) -> &dyn LandscapeEngine<B, E> {
        match self {
            Self::Tensor(engine) => engine,
            Self::Fused(engine) => engine,
            #[cfg(feature = "cube")]
            Self::Cube(_, engine) => engine,
        }
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Layered + Sync> Engine<B, E> for AnyEngine {
    fn name(&self) -> &'static str {
        self.chains::<B, E>().name()
    }

    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError> {
        self.chains_of::<B, E>(run).run(energy, initial, run)
    }

    fn launch(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<LaunchedChains<B::InnerBackend>, LangevinError> {
        self.chains_of::<B, E>(run).launch(energy, initial, run)
    }

    fn runs_ahead(&self) -> bool {
        self.chains::<B, E>().runs_ahead()
    }

    fn parameter_gradient(
        &self,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<ParameterGradient>, LangevinError> {
        self.chains::<B, E>()
            .parameter_gradient(energy, states, weights)
    }

    fn launch_parameter_gradient(
        &self,
        energy: &E,
        states: &Tensor<B::InnerBackend, 4>,
        weights: &[f32],
    ) -> Result<Option<LaunchedGradient<B::InnerBackend>>, LangevinError> {
        self.chains::<B, E>()
            .launch_parameter_gradient(energy, states, weights)
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Layered + Sync> LandscapeEngine<B, E> for AnyEngine {
    fn energy_gradient(
        &self,
        energy: &E,
        states: Tensor<B::InnerBackend, 4>,
    ) -> Result<EnergyGradient<B::InnerBackend>, LangevinError> {
        self.landscapes::<B, E>().energy_gradient(energy, states)
    }

    fn attract(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        targets: Tensor<B::InnerBackend, 4>,
        ways: &mut [Way],
        run: &AttractionRun,
    ) -> Result<Tensor<B::InnerBackend, 4>, LangevinError> {
        self.landscapes::<B, E>()
            .attract(energy, initial, targets, ways, run)
    }
}
