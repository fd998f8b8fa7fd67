//! The kernels by name, for settings.

use std::fmt;

use ebm_core::{StepSize, Temperature};
use serde::{Deserialize, Serialize};

use crate::{AnyKernel, Hmc, LangevinError, Mala, Ula, Underdamped};

/// The name of a kernel. Engines for CPUs run ULA and MALA, those for GPUs ULA; of other kernels they compute the gradients.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KernelName {
    /// Every Langevin step is taken ([`Ula`]).
    #[default]
    Ula,
    /// Langevin steps are proposed, and accepted or not ([`Mala`]).
    Mala,
    /// Langevin steps with momenta, every one taken ([`Underdamped`]).
    Underdamped,
    /// Trajectories of leapfrog steps are proposed, and accepted or not ([`Hmc`]).
    Hmc,
}

/// What only kernels with momenta have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Momentum {
    /// γ of [`Underdamped`]; 1 by default.
    pub friction: f64,
    /// Leapfrog steps of a trajectory of [`Hmc`]; 5 by default.
    pub leapfrogs: u64,
}

impl Default for Momentum {
    fn default() -> Self {
        Self {
            friction: 1.0,
            leapfrogs: 5,
        }
    }
}

impl KernelName {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Ula, Self::Mala, Self::Underdamped, Self::Hmc];

    /// Its name as a setting.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ula => "ula",
            Self::Mala => "mala",
            Self::Underdamped => "underdamped",
            Self::Hmc => "hmc",
        }
    }

    /// Gradients of F that a step asks for. A run asks once more, at its start.
    #[must_use]
    pub fn gradients_per_step(self, momentum: Momentum) -> u64 {
        match self {
            Self::Ula | Self::Mala | Self::Underdamped => 1,
            Self::Hmc => momentum.leapfrogs,
        }
    }

    /// The kernel with steps of a size at a temperature. ULA has no bounds here.
    ///
    /// # Errors
    /// [`LangevinError::NoStepSize`] for a step size of 0, which ULA alone allows; [`LangevinError::Friction`] and
    /// [`LangevinError::Leapfrogs`] where the kernel has such.
    pub fn kernel(
        self,
        size: StepSize,
        temperature: Temperature,
        momentum: Momentum,
    ) -> Result<AnyKernel, LangevinError> {
        Ok(match self {
            Self::Ula => Ula::new(size, temperature).into(),
            Self::Mala => Mala::new(size, temperature)?.into(),
            Self::Underdamped => Underdamped::new(size, momentum.friction, temperature)?.into(),
            Self::Hmc => Hmc::new(size, momentum.leapfrogs, temperature)?.into(),
        })
    }
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ula => "ULA",
            Self::Mala => "MALA",
            Self::Underdamped => "underdamped Langevin",
            Self::Hmc => "HMC",
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::GradientKernel;

    #[test]
    fn every_name_makes_its_own_kernel() {
        let (size, temperature) = (StepSize::new(0.2).unwrap(), Temperature::ONE);
        let momentum = Momentum {
            friction: 2.0,
            leapfrogs: 7,
        };
        for name in KernelName::ALL {
            let kernel = name.kernel(size, temperature, momentum).unwrap();
            let is_own = match (name, &kernel) {
                (KernelName::Ula, AnyKernel::Ula(_)) | (KernelName::Mala, AnyKernel::Mala(_)) => {
                    true
                }
                (KernelName::Underdamped, AnyKernel::Gradient(GradientKernel::Underdamped(it))) => {
                    it.friction() == 2.0 && it.step_size() == size
                }
                (KernelName::Hmc, AnyKernel::Gradient(GradientKernel::Hmc(it))) => {
                    it.leapfrogs() == 7 && it.step_size() == size
                }
                _ => false,
            };
            assert!(is_own, "{name}: {kernel:?}");
            let still = name.kernel(StepSize::ZERO, temperature, momentum);
            assert_eq!(still.is_ok(), *name == KernelName::Ula);
        }
        let gradients = KernelName::ALL
            .iter()
            .map(|name| name.gradients_per_step(momentum));
        assert_eq!(gradients.collect::<Vec<_>>(), [1, 1, 1, 7]);
    }
}
