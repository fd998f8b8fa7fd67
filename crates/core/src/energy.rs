//! An energy is a function from states to scalars.

use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};

use crate::CoreError;

/// A function F from states to scalars; everything else in the project only needs this.
///
/// States have shape `[chains, channels, height, width]`; points have one pixel, and [`PointEnergy`] makes an energy
/// of a function of `[chains, dimensions]`. The density that Langevin chains with noise ε sample is p(x) ∝ exp(−U(x))
/// with the *learned energy* U = F / (ε²/2) (Nijkamp et al., arXiv 1903.12370, section 2.1): F is what a network
/// computes, U is what the chains feel. [`crate::Temperature`] holds the factor between the two.
///
/// A chain's F must depend on that chain's state alone. Then one backward pass of the sum over chains
/// gives every chain its own gradient.
pub trait Energy<B: Backend> {
    /// F of each state: `[chains, channels, height, width]` → `[chains]`.
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1>;
}

impl<B: Backend, E: Energy<B>> Energy<B> for &E {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        E::energy(self, states)
    }
}

/// An energy of points, as a function of their coordinates: `[chains, dimensions]` → `[chains]`.
///
/// ```
/// # use burn::{backend::{Autodiff, Flex}, tensor::Tensor};
/// # use ebm_core::PointEnergy;
/// // U(x) = |x|²/2 in nats, the standard normal density.
/// let energy = PointEnergy(|x: Tensor<Autodiff<Flex>, 2>| x.powi_scalar(2).sum_dim(1).squeeze_dim::<1>(1) / 2.0);
/// # let _: &dyn ebm_core::Energy<Autodiff<Flex>> = &energy;
/// ```
#[derive(Debug, Clone, Copy)]
pub struct PointEnergy<F>(pub F);

impl<B: Backend, F: Fn(Tensor<B, 2>) -> Tensor<B, 1>> Energy<B> for PointEnergy<F> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        (self.0)(states.flatten(1, 3))
    }
}

/// F of each state and its gradient ∇F with respect to the state, `[chains]` and
/// `[chains, channels, height, width]`, by automatic differentiation.
///
/// Only the states are differentiated: give a network whose parameters do not require gradients
/// (`module.no_grad()`), otherwise the backward pass also spends time on them. The graph ends here;
/// the returned tensors live on the inner backend.
///
/// # Errors
/// [`CoreError::EnergyShape`] when the energy does not return one scalar a chain.
#[allow(clippy::type_complexity)]
pub fn energy_and_gradient<B: AutodiffBackend, E: Energy<B>>(
    energy: &E,
    states: Tensor<B::InnerBackend, 4>,
) -> Result<(Tensor<B::InnerBackend, 1>, Tensor<B::InnerBackend, 4>), CoreError> {
    let chains = states.dims()[0];
    let tracked = Tensor::<B, 4>::from_inner(states.clone()).require_grad();
    let energies = energy.energy(tracked.clone());
    check_energies(chains, &energies)?;
    let mut gradients = energies.clone().sum().backward();
    // An energy that ignores its input has no path back to it: its gradient is zero.
    let gradient = tracked
        .grad_remove(&mut gradients)
        .unwrap_or_else(|| states.zeros_like());
    Ok((energies.inner(), gradient))
}

/// Checks that `energies` has one scalar for each of `chains` chains.
///
/// # Errors
/// [`CoreError::EnergyShape`] otherwise.
pub fn check_energies<B: Backend>(chains: usize, energies: &Tensor<B, 1>) -> Result<(), CoreError> {
    let got = energies.dims()[0];
    if got == chains {
        Ok(())
    } else {
        Err(CoreError::EnergyShape { chains, got })
    }
}
