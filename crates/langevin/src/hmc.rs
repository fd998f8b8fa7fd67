//! Hamiltonian Monte Carlo.

use ebm_core::{StepSize, Temperature};

use crate::gradient_kernel::{HostEnergy, HostNoise, Phase};
use crate::{AnyKernel, GradientKernel, LangevinError};

/// Hamiltonian Monte Carlo on U = F/T for a mass of 1: a new velocity V ~ N(0, I), a fixed number of leapfrog steps of
/// ε, and a Metropolis decision on the change of U + ‖V‖²/2, which leaves exp(−F/T) exactly invariant (Duane, Kennedy,
/// Pendleton and Roweth, "Hybrid Monte Carlo", Physics Letters B 195, 1987). With one leapfrog step it is
/// [`crate::Mala`].
///
/// A step of the kernel is a whole trajectory and asks for as many gradients as it has leapfrog steps. Trajectories of
/// half a period of a mode come back to where they mirror the start: vary the number if chains mix badly.
///
/// # Precision
/// Velocities and H are kept in f64 and states rounded to f32 at each leapfrog step. What [`crate::Mala`] says of errors
/// of F holds here too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hmc {
    step_size: StepSize,
    leapfrogs: u64,
    temperature: Temperature,
}

impl Hmc {
    /// Trajectories of `leapfrogs` steps of ε for the density exp(−F/T).
    ///
    /// # Errors
    /// [`LangevinError::NoStepSize`] for ε = 0, [`LangevinError::Leapfrogs`] for no leapfrog steps.
    pub fn new(
        step_size: StepSize,
        leapfrogs: u64,
        temperature: Temperature,
    ) -> Result<Self, LangevinError> {
        if step_size.get() == 0.0 {
            return Err(LangevinError::NoStepSize("HMC"));
        }
        if leapfrogs == 0 {
            return Err(LangevinError::Leapfrogs);
        }
        Ok(Self {
            step_size,
            leapfrogs,
            temperature,
        })
    }

    /// ε.
    #[must_use]
    pub fn step_size(&self) -> StepSize {
        self.step_size
    }

    /// Leapfrog steps of a trajectory.
    #[must_use]
    pub fn leapfrogs(&self) -> u64 {
        self.leapfrogs
    }

    /// `count` leapfrog steps of the phase as it is. A negative ε goes back the way it came.
    ///
    /// # Errors
    /// Those of `energy`.
    pub fn leap(
        &self,
        mut phase: Phase,
        energy: &HostEnergy<'_>,
        epsilon: f64,
        count: u64,
    ) -> Result<Phase, LangevinError> {
        let half_kick = 0.5 * epsilon / self.temperature.get();
        for _ in 0..count {
            phase.kick(half_kick);
            phase.states = phase.drifted(epsilon)?;
            (phase.energies, phase.gradient) = energy(&phase.states)?;
            phase.kick(half_kick);
        }
        Ok(phase)
    }

    /// H = F/T + ‖V‖²/2 of a chain, in nats.
    #[must_use]
    pub fn hamiltonian(&self, phase: &Phase, chain: usize) -> f64 {
        let velocities = phase.velocities[phase.elements(chain)].iter();
        let kinetic: f64 = velocities.map(|velocity| velocity * velocity).sum();
        phase.energies[chain] / self.temperature.get() + 0.5 * kinetic
    }

    /// One step, and which chains took their proposals. A proposal whose H is not a number is rejected.
    ///
    /// # Errors
    /// Those of `energy`.
    pub(crate) fn step(
        &self,
        mut here: Phase,
        energy: &HostEnergy<'_>,
        noise: HostNoise,
    ) -> Result<(Phase, Vec<bool>), LangevinError> {
        let count = here.energies.len();
        let shape = here.states.shape();
        here.velocities = noise.normals(count, shape.size());
        let there = self.leap(here.clone(), energy, self.step_size.get(), self.leapfrogs)?;
        let accepts = |chain| {
            let change = self.hamiltonian(&there, chain) - self.hamiltonian(&here, chain);
            // False for NaN.
            change <= 0.0 || noise.decision(chain).ln() <= -change
        };
        let accepted: Vec<bool> = (0..count).map(accepts).collect();
        here.take(&there, &accepted);
        Ok((here, accepted))
    }
}

impl From<Hmc> for AnyKernel {
    fn from(kernel: Hmc) -> Self {
        Self::Gradient(GradientKernel::Hmc(kernel))
    }
}
