//! The engine for GPUs, written once for CUDA and wgpu.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::backend::AutodiffBackend;
use cubecl::Runtime;
use ebm_core::{Layered, StateShape};

use crate::bound::CubeChains;
use crate::bridge::{Bridge, BridgeTo, CubeTensors};
use crate::device::{Device, Gpu, Options};
use crate::layout::Layout;
use crate::precision::CubePrecision;
use ebm_langevin::{BoundEngine, Engine, LangevinError};

/// Runs Langevin chains of nets that describe their layers on a GPU. States and activations never leave the card on
/// the way.
///
/// Small nets of dense layers with leaky ReLU (the toy net of arXiv 1903.12370 is one) run up to a thousand steps in
/// one launch. Images and wide nets take two launches for each layer, nine for each non-local block, and one for the
/// step, with buffers that are allocated at the start. The chains are the same either way. The only kernel is ULA;
/// the tensor engine has MALA.
///
/// It lacks convolutions with kernels beyond 5×5 that do not cover their image, activations that are not right after
/// a convolution or a linear layer, and negative slopes. Where F or ∇F overflows, a state becomes NaN here, while it
/// may be infinite with other engines.
///
/// The noise is the project's own stream, computed in the kernel, so chains follow those of the other engines up to
/// rounding.
///
/// The engine also computes the gradient of the parameters, always layer by layer, with the products for the weights
/// in f32.
///
/// Made [for a burn backend](Self::for_backend) of the same runtime it takes states and parameters where they are,
/// leaves the final states there, and [launches](BoundEngine::launch) without waiting. Made [on a device](Self::on)
/// it works with any backend: states pass through the host once in each run, parameters once in each update.
#[derive(Clone)]
pub struct CubeEngine {
    pub(crate) device: Arc<dyn Device>,
    pub(crate) bridge: Option<Arc<dyn Bridge>>,
    pub(crate) cancel: Option<Arc<AtomicBool>>,
    pub(crate) options: Options,
}

impl std::fmt::Debug for CubeEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CubeEngine").finish_non_exhaustive()
    }
}

impl CubeEngine {
    /// An engine on a device of a CubeCL runtime. Runtimes panic where there is no such device.
    #[must_use]
    pub fn on<R: Runtime>(device: &R::Device) -> Self {
        Self {
            device: Arc::new(Gpu::<R>::new(device)),
            bridge: None,
            cancel: None,
            options: Options::default(),
        }
    }

    /// An engine on the device of a backend, whose tensors it uses where they are: burn's `Cuda` and `Wgpu` with the
    /// feature `burn-cubecl`. Runtimes panic where there is no such device.
    #[must_use]
    pub fn for_backend<B: AutodiffBackend<InnerBackend: CubeTensors>>(device: &B::Device) -> Self {
        Self {
            bridge: Some(Arc::new(BridgeTo::<B>(device.clone()))),
            ..Self::on::<<B::InnerBackend as CubeTensors>::Runtime>(device)
        }
    }

    /// Whether the engine has every layer of the net, for states of a shape.
    ///
    /// # Errors
    /// [`LangevinError::Lacking`] names what it lacks, [`LangevinError::Core`] what does not fit.
    pub fn supports<E: Layered>(
        &self,
        energy: &E,
        shape: impl Into<StateShape>,
    ) -> Result<(), LangevinError> {
        Layout::new(energy, shape.into(), &*self.device, self.options).map(|_| ())
    }

    /// Binds the engine to a net over states of a shape: [`Engine::bind`]. The net's parameters go to the device, or
    /// stay there.
    ///
    /// # Errors
    /// As [`Self::supports`].
    pub fn bind<E: Layered>(
        &self,
        energy: &E,
        shape: impl Into<StateShape>,
    ) -> Result<CubeChains, LangevinError> {
        CubeChains::new(self.clone(), energy, shape.into())
    }

    /// By the precision.
    pub(crate) fn name(&self) -> &'static str {
        match self.options.precision {
            CubePrecision::F32 => "cube",
            CubePrecision::Tf32 => "cube-tf32",
            CubePrecision::Bf16 => "cube-bf16",
        }
    }

    /// Bytes that the runtime has reserved on the device for whatever the calling thread computes there. It does not
    /// grow with the number of steps.
    ///
    /// # Errors
    /// [`LangevinError::Backend`] when the runtime does not report it.
    pub fn reserved_memory(&self) -> Result<u64, LangevinError> {
        self.device.reserved_memory()
    }

    /// The number of units that share a neuron when whole chains run in one launch: 4, 2 or 1, the largest of these
    /// that does not exceed `units` and fits into a cube. By default 4 where the runtime says that units can shuffle,
    /// else 1; a larger number on a device that cannot shuffle fails when chains are run. The number changes the
    /// order of sums and so the rounding.
    #[must_use]
    pub fn with_units_per_neuron(self, units: NonZeroUsize) -> Self {
        let options = Options {
            units_per_neuron: Some(units),
            ..self.options
        };
        Self { options, ..self }
    }

    /// The number of multiprocessors of the device, among which chains and products are divided. Only CUDA reports
    /// it; otherwise 40 are assumed. It does not change the chains of nets that go layer by layer. It changes the
    /// slices in which the gradient of weights is summed, and for small dense nets it decides between the kernel for
    /// few chains and that for many, which round differently.
    #[must_use]
    pub fn with_multiprocessors(self, multiprocessors: NonZeroUsize) -> Self {
        let options = Options {
            multiprocessors: Some(multiprocessors),
            ..self.options
        };
        Self { options, ..self }
    }

    /// The largest number of chains that step together. More chains run one batch after the other, with the same
    /// result: bit for bit for chains of nets that go layer by layer, otherwise and for gradients of parameters up to
    /// rounding. The default is as many as fit into 1 GiB, and all chains of a small dense net.
    #[must_use]
    pub fn with_most_chains(self, chains: NonZeroUsize) -> Self {
        let options = Options {
            most_chains: Some(chains),
            ..self.options
        };
        Self { options, ..self }
    }

    /// The precision of the factors of products. TF32 and BF16 are for nets that go layer by layer, on devices with
    /// tensor cores for them. They apply to products of at least 16 rows, so not to the gradient of an image of three
    /// channels. Other nets and devices are refused with [`LangevinError::Lacking`].
    #[must_use]
    pub fn with_precision(self, precision: CubePrecision) -> Self {
        let options = Options {
            precision,
            ..self.options
        };
        Self { options, ..self }
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next thousand steps of a small dense net, or fifty of
    /// another, once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

impl<B: AutodiffBackend, E: Layered> Engine<B, E> for CubeEngine {
    fn name(&self) -> &'static str {
        Self::name(self)
    }

    fn bind(
        &self,
        energy: E,
        shape: StateShape,
        _device: &B::Device,
    ) -> Result<Box<dyn BoundEngine<B, E>>, LangevinError> {
        Ok(Box::new(Self::bind(self, &energy, shape)?))
    }
}

pub(crate) fn missing(what: impl Into<String>) -> LangevinError {
    LangevinError::lacking("cube", what)
}

/// No products of this precision for a net or a device.
pub(crate) fn missing_precision(precision: CubePrecision, of: &str) -> LangevinError {
    LangevinError::Lacking {
        engine: "cube",
        what: format!("products in {} for {of}", precision.name()),
        advice: "use f32 (the engine `cube`)",
    }
}
