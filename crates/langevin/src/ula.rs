//! The unadjusted Langevin algorithm.

use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{StepSize, Temperature};

/// Unadjusted Langevin dynamics on U = F/T: X ← X − (ε²/2T)∇F(X) + εZ, Z ~ N(0, I)
/// (arXiv 1903.12370, equation 5).
///
/// A net that is trained with noise ε defines its own temperature T = ε²/2, with which the step is
/// X ← X − ∇F(X) + εZ: [`Ula::learned`]. For potentials in nats, such as the analytic ones, T = 1: [`Ula::new`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ula {
    step_size: StepSize,
    drift: f64,
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
        Self { step_size, drift }
    }

    /// The training dynamics X ← X − ∇F(X) + εZ, at the net's own temperature T = ε²/2 (or T = 1 when ε = 0).
    #[must_use]
    pub fn learned(step_size: StepSize) -> Self {
        Self {
            step_size,
            drift: 1.0,
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

    /// One step. `states`, `gradient` (∇F) and `noise` (Z) have shape `[chains, channels, height, width]`;
    /// without noise (ε = 0) pass `None`.
    pub fn step<B: Backend>(
        &self,
        states: Tensor<B, 4>,
        gradient: Tensor<B, 4>,
        noise: Option<Tensor<B, 4>>,
    ) -> Tensor<B, 4> {
        // The common case costs no multiplication.
        let moved = if self.drift == 1.0 {
            states - gradient
        } else {
            states - gradient * self.drift
        };
        match noise {
            Some(noise) => moved + noise * self.step_size.get(),
            None => moved,
        }
    }
}
