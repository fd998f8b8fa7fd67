//! Kernels on tensors, which are open: bring your own.

use std::sync::Arc;

use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{NoiseKey, device_tensor};

use crate::tensor_walk::{Walk, chain_norms};
use crate::{AnyKernel, LangevinError, OwnKernel};

/// F and ∇F of states: `[chains, channels, height, width]` → `[chains]` and the shape of the states.
pub type EnergyAt<'a, B> =
    dyn Fn(Tensor<B, 4>) -> Result<(Tensor<B, 1>, Tensor<B, 4>), LangevinError> + 'a;

/// A kernel as pure mathematics: a start and a step, without input, output or hidden randomness. The tensor engine
/// runs it, on the tensors of the backend `B`, which has no gradients of its own.
///
/// ULA and MALA are kernels. Bring another one with [`AnyKernel::own`]; `examples/own_kernel.rs` does.
pub trait Kernel<B: Backend>: Send + Sync {
    /// What a batch of chains carries from step to step: the states and, for example, momenta. It lasts as long as a
    /// run: chains that are run in pieces begin each piece with [`Self::init`], from the states of the piece before.
    type State;

    /// What a batch of chains at `states` carries before the first step.
    ///
    /// # Errors
    /// Those of `energy`.
    fn init(
        &self,
        states: Tensor<B, 4>,
        energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<Self::State, LangevinError>;

    /// One step. All randomness comes from `noise`, so the same arguments give the same step.
    ///
    /// # Errors
    /// Those of `energy`.
    fn step(
        &self,
        state: Self::State,
        energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<(Self::State, StepInfo<B>), LangevinError>;

    /// The current states of the chains.
    fn states(&self, state: Self::State) -> Tensor<B, 4>;
}

/// The random numbers of one step of some neighbouring chains.
#[derive(Debug, Clone, Copy)]
pub struct StepNoise {
    /// The family of numbers.
    pub key: NoiseKey,
    /// The number of the step.
    pub step: u64,
    /// The number of the first chain in the batch.
    pub first_chain: usize,
}

impl StepNoise {
    /// Z ~ N(0, I) for `states`, of their shape and on their device.
    #[must_use]
    pub fn normals_like<B: Backend>(&self, states: &Tensor<B, 4>) -> Tensor<B, 4> {
        let shape = states.dims();
        let size = shape[1..].iter().product();
        let mut values = vec![0.0f32; shape[0] * size];
        self.key
            .normals(self.step, self.first_chain as u32, size, &mut values);
        device_tensor(values, shape, &states.device())
    }

    /// A number uniform in (0, 1) that decides about a chain of the batch as a whole.
    #[must_use]
    pub fn decision(&self, chain: usize) -> f64 {
        let [decision] = self
            .key
            .decisions(self.step, (self.first_chain + chain) as u32);
        decision
    }
}

/// The statistics of a step.
#[derive(Debug, Clone)]
pub struct StepInfo<B: Backend> {
    /// Σ over the chains of ‖∇F(X)‖₂ where the step starts.
    pub gradient_norm: GradientNorm<B>,
    /// How many chains took the proposal, for kernels that propose.
    pub accepted: Option<u64>,
}

/// A sum of ‖∇F‖₂ over chains.
#[derive(Debug, Clone)]
pub enum GradientNorm<B: Backend> {
    /// On the host.
    Host(f64),
    /// On the device, shape `[1]`, so that no step waits for the host.
    Device(Tensor<B, 1>),
}

impl<B: Backend> StepInfo<B> {
    /// The statistics of a step that proposes nothing, from ∇F, `[chains, channels, height, width]`.
    #[must_use]
    pub fn of_gradient(gradient: Tensor<B, 4>) -> Self {
        Self {
            gradient_norm: GradientNorm::Device(chain_norms(gradient).sum()),
            accepted: None,
        }
    }
}

impl AnyKernel {
    /// A kernel of the caller's for the backend `B`, such as `burn::backend::Flex`.
    #[must_use]
    pub fn own<B: Backend, K: Kernel<B> + 'static>(kernel: K) -> Self {
        let kernel: Box<dyn Walk<B>> = Box::new(kernel);
        Self::Own(OwnKernel(Arc::new(kernel)))
    }
}

impl OwnKernel {
    /// The kernel, if it is for the tensors of `B`.
    pub(crate) fn on<B: Backend>(&self) -> Option<&dyn Walk<B>> {
        let kernel = self.0.downcast_ref::<Box<dyn Walk<B>>>();
        kernel.map(|kernel| &**kernel)
    }
}
