//! Langevin dynamics with momenta.

use ebm_core::{StepSize, Temperature};

use crate::gradient_kernel::{HostEnergy, HostNoise, Phase};
use crate::{AnyKernel, GradientKernel, LangevinError};

/// Underdamped Langevin dynamics on U = F/T for a mass of 1, dX = V dt, dV = −∇U(X) dt − γV dt + √(2γ) dW, in the
/// splitting BAOAB: half a kick, half a drift, friction and noise over the whole step, half a drift, half a kick
/// (Leimkuhler and Matthews, "Rational construction of stochastic numerical methods for molecular sampling", Applied
/// Mathematics Research eXpress, 2013).
///
/// It needs one gradient a step, and no Metropolis decision. The states of a Gaussian have exactly their variance for
/// any stable ε (ε < 2 × its standard deviation), where those of [`crate::Ula`] are too wide; in general the error is
/// of second order in ε, and of fourth where friction is high. A velocity of 1 moves a state by ε in a step, so ε is on
/// the scale of ULA's: for γ → ∞ both move by the same drift ε²/2, and spread as fast.
///
/// The momenta are drawn anew from N(0, I) at the start of every run or piece of one. That is their density but for an
/// error of order ε², so pieces ([`crate::Sampler::with_piece`]) should be long beside the 1/(γε) steps after which
/// momenta are forgotten.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Underdamped {
    step_size: StepSize,
    friction: f64,
    temperature: Temperature,
}

/// Velocities at the start are drawn as at this step, which no run reaches.
const START: u64 = 1 << 63;

impl Underdamped {
    /// Steps of ε for the density exp(−F/T). The friction γ ≥ 0 says how soon momentum is forgotten: after about 1/γ,
    /// during which a velocity of 1 moves a state by as much. One over the standard deviation of the widest mode is a
    /// good first try; without friction nothing is ever forgotten.
    ///
    /// # Errors
    /// [`LangevinError::NoStepSize`] for ε = 0, [`LangevinError::Friction`] for a friction that is negative or not
    /// finite.
    pub fn new(
        step_size: StepSize,
        friction: f64,
        temperature: Temperature,
    ) -> Result<Self, LangevinError> {
        if step_size.get() == 0.0 {
            return Err(LangevinError::NoStepSize("underdamped Langevin"));
        }
        if !(friction >= 0.0 && friction.is_finite()) {
            return Err(LangevinError::Friction(friction));
        }
        Ok(Self {
            step_size,
            friction,
            temperature,
        })
    }

    /// ε.
    #[must_use]
    pub fn step_size(&self) -> StepSize {
        self.step_size
    }

    /// γ.
    #[must_use]
    pub fn friction(&self) -> f64 {
        self.friction
    }

    /// The phase with velocities of their stationary density, N(0, I).
    pub(crate) fn with_velocities(&self, mut phase: Phase, noise: HostNoise) -> Phase {
        let noise = HostNoise {
            step: START + noise.step,
            ..noise
        };
        let count = phase.energies.len();
        phase.velocities = noise.normals(count, phase.states.shape().size());
        phase
    }

    /// One step.
    ///
    /// # Errors
    /// Those of `energy`.
    pub(crate) fn step(
        &self,
        mut phase: Phase,
        energy: &HostEnergy<'_>,
        noise: HostNoise,
    ) -> Result<Phase, LangevinError> {
        let epsilon = self.step_size.get();
        let half_kick = 0.5 * epsilon / self.temperature.get();
        let kept = (-self.friction * epsilon).exp();
        let drawn = (1.0 - kept * kept).sqrt();
        phase.kick(half_kick);
        // Both half drifts in one, so that the state is rounded once.
        let draws = noise.normals(phase.energies.len(), phase.states.shape().size());
        let mut moved = phase.states.values().to_vec();
        let rows = moved.iter_mut().zip(&mut phase.velocities).zip(&draws);
        for ((x, velocity), draw) in rows {
            let before = *velocity;
            *velocity = kept * before + drawn * draw;
            *x = (f64::from(*x) + 0.5 * epsilon * (before + *velocity)) as f32;
        }
        phase.states = ebm_core::States::new(phase.states.shape(), moved)?;
        (phase.energies, phase.gradient) = energy(&phase.states)?;
        phase.kick(half_kick);
        Ok(phase)
    }
}

impl From<Underdamped> for AnyKernel {
    fn from(kernel: Underdamped) -> Self {
        Self::Gradient(GradientKernel::Underdamped(kernel))
    }
}
