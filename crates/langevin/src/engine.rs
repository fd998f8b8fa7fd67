//! What an engine is asked for and what it returns.

use std::collections::HashMap;

use burn::module::ParamId;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Shape, Tensor};
use ebm_core::{StateShape, States, device_tensor, host_values};

use crate::{ChainOutcome, ChainRun, Chains, LangevinError, PendingNumber};

/// A way to compute many steps. The choice of the engine changes the speed and nothing else.
pub trait Engine<B: AutodiffBackend, E> {
    /// The engine's name, such as "tensor".
    fn name(&self) -> &'static str;

    /// Binds the engine to an energy over states of a shape. The result keeps all that the engine prepares for the
    /// energy: a plan, packed weights, buffers. Tensors, where there are any, live on `device`.
    ///
    /// # Errors
    /// [`LangevinError`] names what the engine lacks, or what does not fit.
    fn bind(
        &self,
        energy: E,
        shape: StateShape,
        device: &B::Device,
    ) -> Result<Box<dyn BoundEngine<B, E>>, LangevinError>;
}

impl<B: AutodiffBackend, E, T: Engine<B, E> + ?Sized> Engine<B, E> for Box<T> {
    fn name(&self) -> &'static str {
        (**self).name()
    }

    fn bind(
        &self,
        energy: E,
        shape: StateShape,
        device: &B::Device,
    ) -> Result<Box<dyn BoundEngine<B, E>>, LangevinError> {
        (**self).bind(energy, shape, device)
    }
}

/// An engine that is bound to an energy `E`, for callers that have tensors of `B`. Callers without tensors use it as
/// [`Chains`].
pub trait BoundEngine<B: AutodiffBackend, E>: Chains {
    /// Takes over the energy with other parameters.
    ///
    /// # Errors
    /// [`LangevinError`] as [`Engine::bind`]; the earlier parameters then stay in use.
    fn update(&mut self, energy: E) -> Result<(), LangevinError>;

    /// Runs chains from `initial`. An engine that can do so returns without waiting for the device, so that the next
    /// work can be queued meanwhile. States stay where the engine has them.
    ///
    /// # Errors
    /// As [`Chains::run`]; what fails on the device later is reported by [`PendingNumber::read`].
    fn launch(
        &self,
        initial: Batch<B::InnerBackend>,
        run: &ChainRun,
    ) -> Result<Launched<B::InnerBackend>, LangevinError> {
        self.run(&initial.into_states()?, run).map(Launched::from)
    }

    /// Whether [`Self::launch`] returns before the chains have run, at least for [`crate::Ula`].
    fn runs_ahead(&self) -> bool {
        false
    }

    /// F of each of the states of `batches`, one after the other, and ∂/∂θ Σᵢ wᵢ F(xᵢ), where the engine computes
    /// parameter gradients itself; `None` leaves them to automatic differentiation.
    ///
    /// # Errors
    /// [`LangevinError`] when the energy breaks its contract, or there is not one weight for each state.
    fn parameter_gradient(
        &self,
        _batches: &[&Batch<B::InnerBackend>],
        _weights: &[f32],
    ) -> Result<Option<ParameterGradient<B::InnerBackend>>, LangevinError> {
        Ok(None)
    }
}

/// The states of a batch of chains, on the host or on a device.
#[derive(Debug, Clone)]
pub enum Batch<B: Backend> {
    /// On the host.
    Host(States),
    /// On a device, `[chains, channels, height, width]`.
    Device(Tensor<B, 4>),
}

impl<B: Backend> Batch<B> {
    /// How many chains.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Host(states) => states.len(),
            Self::Device(states) => states.dims()[0],
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The shape of a state.
    #[must_use]
    pub fn shape(&self) -> StateShape {
        match self {
            Self::Host(states) => states.shape(),
            Self::Device(states) => {
                let [_, channels, height, width] = states.dims();
                StateShape::image([channels, height, width])
            }
        }
    }

    /// The states on the host. Waits for the device, if they are on one.
    ///
    /// # Errors
    /// [`LangevinError::Core`] when the device does not return them.
    pub fn into_states(self) -> Result<States, LangevinError> {
        match self {
            Self::Host(states) => Ok(states),
            Self::Device(states) => Ok(States::from_tensor(states)?),
        }
    }

    /// The states on a device, `[chains, channels, height, width]`.
    pub fn into_tensor(self, device: &B::Device) -> Tensor<B, 4> {
        match self {
            Self::Host(states) => states.into_tensor(device),
            Self::Device(states) => states,
        }
    }
}

/// Chains that have been launched and may still be running.
#[derive(Debug)]
pub struct Launched<B: Backend> {
    /// Final states. Computations on the device that use them wait for them.
    pub states: Batch<B>,
    /// r, as in [`ChainOutcome::gradient_magnitude`].
    pub gradient_magnitude: PendingNumber,
    /// As in [`ChainOutcome::acceptance_rate`].
    pub acceptance_rate: Option<f64>,
    /// F of each final state, where the run asked for it; the launch has then waited for it.
    pub energies: Option<Vec<f32>>,
}

impl<B: Backend> Launched<B> {
    /// The chains after their steps, on the host.
    ///
    /// # Errors
    /// [`LangevinError`] when the device has failed.
    pub fn wait(self) -> Result<ChainOutcome, LangevinError> {
        Ok(ChainOutcome {
            states: self.states.into_states()?,
            gradient_magnitude: self.gradient_magnitude.read()?,
            acceptance_rate: self.acceptance_rate,
            energies: self.energies,
            swaps: Vec::new(),
        })
    }
}

impl<B: Backend> From<ChainOutcome> for Launched<B> {
    fn from(outcome: ChainOutcome) -> Self {
        Self {
            states: Batch::Host(outcome.states),
            gradient_magnitude: outcome.gradient_magnitude.into(),
            acceptance_rate: outcome.acceptance_rate,
            energies: outcome.energies,
        }
    }
}

/// F of each state, and the gradient of a weighted sum of them with respect to the parameters. Both may still be in
/// computation.
#[derive(Debug, Clone)]
pub struct ParameterGradient<B: Backend> {
    /// F(xᵢ), one for each state.
    pub energies: Numbers<B>,
    /// ∂/∂θ Σᵢ wᵢ F(xᵢ) by the id of the burn parameter, flattened in burn's layout.
    pub gradients: HashMap<ParamId, Numbers<B>>,
}

/// A row of numbers, on the host or on a device.
#[derive(Debug, Clone)]
pub enum Numbers<B: Backend> {
    /// On the host.
    Host(Vec<f32>),
    /// On a device.
    Device(Tensor<B, 1>),
}

impl<B: Backend> Numbers<B> {
    /// How many.
    #[must_use]
    pub fn len(&self) -> usize {
        match self {
            Self::Host(numbers) => numbers.len(),
            Self::Device(numbers) => numbers.dims()[0],
        }
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The numbers on the host. Waits for the device, if they are on one.
    ///
    /// # Errors
    /// [`LangevinError::Core`] when the device does not return them.
    pub fn read(self) -> Result<Vec<f32>, LangevinError> {
        match self {
            Self::Host(numbers) => Ok(numbers),
            Self::Device(numbers) => Ok(host_values(numbers)?),
        }
    }

    /// Several rows on the host, with one wait for them all.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_all(rows: Vec<Self>) -> Result<Vec<Vec<f32>>, LangevinError> {
        let on_device = rows.iter().filter_map(|row| match row {
            Self::Host(_) => None,
            Self::Device(numbers) => Some(numbers.clone()),
        });
        let on_device: Vec<_> = on_device.collect();
        let values = if on_device.is_empty() {
            Vec::new()
        } else {
            host_values(Tensor::cat(on_device, 0))?
        };
        let mut rest = &values[..];
        let mut of_row = |row: Self| match row {
            Self::Host(numbers) => numbers,
            Self::Device(numbers) => {
                let (own, others) = rest.split_at(numbers.dims()[0]);
                rest = others;
                own.to_vec()
            }
        };
        Ok(rows.into_iter().map(&mut of_row).collect())
    }

    /// The numbers as a tensor on a device; its shape must have as many elements.
    pub fn to_tensor<const D: usize>(&self, shape: Shape, device: &B::Device) -> Tensor<B, D> {
        match self {
            Self::Host(numbers) => device_tensor(numbers.clone(), shape, device),
            Self::Device(numbers) => numbers.clone().reshape(shape),
        }
    }
}
