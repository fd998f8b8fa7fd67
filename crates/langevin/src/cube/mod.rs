//! The engine for GPUs: whole chains in one launch, written once for CUDA and wgpu.

mod dense_net;
mod kernel;
mod launch;
mod noise;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::{Tensor, TensorData, backend::AutodiffBackend};
use cubecl::Runtime;
use ebm_core::{Energy, Layered};

use self::dense_net::DenseNet;
use self::launch::{Device, Walker};
use crate::fused::host;
use crate::{ChainOutcome, ChainRun, Engine, Kernel, LangevinError};

/// Runs Langevin chains of dense nets with leaky ReLU (the toy net of arXiv 1903.12370 is one) on a GPU, L steps a launch: states
/// and activations never leave the card on the way. Everything else is for the tensor engine.
///
/// The noise is the project's own stream, computed in the kernel, so chains walk the paths of the other engines to rounding. It does not
/// depend on burn's backend: states and parameters are handed over once a run.
#[derive(Clone)]
pub struct CubeEngine {
    device: Arc<dyn Device>,
    cancel: Option<Arc<AtomicBool>>,
}

impl std::fmt::Debug for CubeEngine {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("CubeEngine").finish_non_exhaustive()
    }
}

impl CubeEngine {
    /// On a device of a CubeCL runtime. Runtimes panic where there is no such device.
    #[must_use]
    pub fn on<R: Runtime>(device: &R::Device) -> Self {
        Self {
            device: Arc::new(Walker::<R>::new(device)),
            cancel: None,
        }
    }

    /// Whether the engine has every layer of the net, for states of `[channels, height, width]`.
    ///
    /// # Errors
    /// [`LangevinError::NotCubed`] names what it lacks, [`LangevinError::Description`] what does not fit.
    pub fn supports<E: Layered>(
        &self,
        energy: &E,
        state_shape: [usize; 3],
    ) -> Result<(), LangevinError> {
        let net = lay_out(energy, state_shape)?;
        self.device.fits(&net)
    }

    /// Gives up with [`LangevinError::Cancelled`] before the next launch, of a thousand steps at most, once `cancel` is true.
    #[must_use]
    pub fn cancelled_by(mut self, cancel: Arc<AtomicBool>) -> Self {
        self.cancel = Some(cancel);
        self
    }
}

impl<B: AutodiffBackend, E: Energy<B> + Layered> Engine<B, E> for CubeEngine {
    fn name(&self) -> &'static str {
        "cube"
    }

    fn run(
        &self,
        energy: &E,
        initial: Tensor<B::InnerBackend, 4>,
        run: &ChainRun,
    ) -> Result<ChainOutcome<B::InnerBackend>, LangevinError> {
        let Kernel::Ula(ula) = run.kernel else {
            return Err(LangevinError::NotCubed("MALA".to_owned()));
        };
        let shape = initial.dims();
        let net = lay_out(energy, [shape[1], shape[2], shape[3]])?;
        let device = initial.device();
        let states = host(initial)?;
        let walked = self
            .device
            .walk(&net, states, ula, run, self.cancel.as_deref())?;
        let chains = walked.norms.len();
        Ok(ChainOutcome {
            states: Tensor::from_data(TensorData::new(walked.states, shape), &device),
            gradient_magnitude: run.mean(walked.norms.iter().sum(), chains),
            acceptance_rate: None,
            energies: run.final_energies.then_some(walked.energies),
        })
    }
}

fn lay_out<E: Layered>(energy: &E, state_shape: [usize; 3]) -> Result<DenseNet, LangevinError> {
    let layers = energy.layers().map_err(LangevinError::NotCubed)?;
    DenseNet::new(&layers, state_shape)
}
