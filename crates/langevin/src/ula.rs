//! The unadjusted Langevin algorithm.

#[cfg(feature = "burn")]
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{CoreError, StepSize, Temperature};

use crate::Bound;
#[cfg(feature = "burn")]
use crate::{EnergyAt, Kernel, LangevinError, StepInfo, StepNoise};

/// Unadjusted Langevin dynamics on U = F/T: X ← X − (ε²/2T)∇F(X) + εZ, Z ~ N(0, I)
/// (arXiv 1903.12370, equation 5).
///
/// A net that is trained with noise ε defines its own temperature T = ε²/2, with which the step is
/// X ← X − ∇F(X) + εZ: [`Ula::learned`]. For potentials in nats, such as the analytic ones, T = 1: [`Ula::new`].
///
/// Two bounds of earlier work are off unless asked for: [`Ula::with_gradient_clip`] and [`Ula::with_state_clamp`].
/// With either the step is no longer Langevin dynamics on U where the bound bites, and the stationary density is
/// another one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ula {
    step_size: StepSize,
    drift: f64,
    gradient_clip: Option<Bound>,
    state_clamp: Option<Bound>,
}

impl Default for Ula {
    /// The training dynamics X ← X − ∇F(X) + εZ with ε = 0.01.
    fn default() -> Self {
        Self::learned(StepSize::default())
    }
}

impl Ula {
    /// Langevin dynamics with noise ε on U = F/T. With ε = 0 there is neither noise nor a scale left: the
    /// step is X ← X − ∇F(X), gradient descent on F, whatever T is.
    #[must_use]
    pub fn new(step_size: StepSize, temperature: Temperature) -> Self {
        let epsilon = step_size.get();
        let drift = if epsilon == 0.0 {
            1.0
        } else {
            epsilon * epsilon / (2.0 * temperature.get())
        };
        Self {
            step_size,
            drift,
            gradient_clip: None,
            state_clamp: None,
        }
    }

    /// Langevin dynamics with noise ε on a potential U in nats, T = 1.
    ///
    /// # Errors
    /// [`CoreError::StepSize`] unless 0 ≤ ε < ∞.
    pub fn on_potential(epsilon: f64) -> Result<Self, CoreError> {
        Ok(Self::new(StepSize::new(epsilon)?, Temperature::ONE))
    }

    /// The training dynamics X ← X − ∇F(X) + εZ, at the net's own temperature T = ε²/2 (or T = 1 when ε = 0).
    #[must_use]
    pub fn learned(step_size: StepSize) -> Self {
        Self {
            step_size,
            drift: 1.0,
            gradient_clip: None,
            state_clamp: None,
        }
    }

    /// Sets every element of ∇F(X) beyond ±c to ±c in the step, in units of F per unit of state and before the
    /// drift's factor (as Du and Mordatch do in the code of arXiv 1903.08689). The magnitude r of a run stays that of
    /// the whole ∇F.
    #[must_use]
    pub fn with_gradient_clip(self, bound: Option<Bound>) -> Self {
        Self {
            gradient_clip: bound,
            ..self
        }
    }

    /// Sets every element of the state beyond ±c to ±c at the end of the step.
    #[must_use]
    pub fn with_state_clamp(self, bound: Option<Bound>) -> Self {
        Self {
            state_clamp: bound,
            ..self
        }
    }

    /// ε, the standard deviation of the noise.
    #[must_use]
    pub fn step_size(&self) -> StepSize {
        self.step_size
    }

    /// The factor of ∇F in a step, ε²/(2T).
    #[must_use]
    pub fn drift(&self) -> f64 {
        self.drift
    }

    /// The bound of the elements of ∇F, if there is one.
    #[must_use]
    pub fn gradient_clip(&self) -> Option<Bound> {
        self.gradient_clip
    }

    /// The bound of the elements of the state, if there is one.
    #[must_use]
    pub fn state_clamp(&self) -> Option<Bound> {
        self.state_clamp
    }

    /// The states one step on. `states`, `gradient` (∇F) and `noise` (Z) have shape `[chains, channels, height,
    /// width]`; without noise (ε = 0) pass `None`.
    #[cfg(feature = "burn")]
    pub fn moved<B: Backend>(
        &self,
        states: Tensor<B, 4>,
        gradient: Tensor<B, 4>,
        noise: Option<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        let gradient = clamped(gradient, self.gradient_clip);
        // The common case costs no multiplication.
        let moved = if self.drift == 1.0 {
            states - gradient
        } else {
            states - gradient * self.drift
        };
        let moved = match noise {
            Some(noise) => moved + noise * self.step_size.get(),
            None => moved,
        };
        clamped(moved, self.state_clamp)
    }
}

#[cfg(feature = "burn")]
impl<B: Backend> Kernel<B> for Ula {
    type State = Tensor<B, 4>;

    fn init(
        &self,
        states: Tensor<B, 4>,
        _energy: &EnergyAt<'_, B>,
        _noise: StepNoise,
    ) -> Result<Tensor<B, 4>, LangevinError> {
        Ok(states)
    }

    fn step(
        &self,
        states: Tensor<B, 4>,
        energy: &EnergyAt<'_, B>,
        noise: StepNoise,
    ) -> Result<(Tensor<B, 4>, StepInfo<B>), LangevinError> {
        let (_, gradient) = energy(states.clone())?;
        let info = StepInfo::of_gradient(gradient.clone());
        let has_noise = self.step_size.get() > 0.0;
        let draws = has_noise.then(|| noise.normals_like(&states));
        Ok((self.moved(states, gradient, draws), info))
    }

    fn states(&self, states: Tensor<B, 4>) -> Tensor<B, 4> {
        states
    }
}

#[cfg(feature = "burn")]
fn clamped<B: Backend>(tensor: Tensor<B, 4>, bound: Option<Bound>) -> Tensor<B, 4> {
    match bound {
        Some(bound) => tensor.clamp(-bound.get(), bound.get()),
        None => tensor,
    }
}
