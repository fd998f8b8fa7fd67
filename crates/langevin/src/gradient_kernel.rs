//! Kernels that need nothing of an engine but F and ∇F: the rest of a step is arithmetic on the host, small beside the
//! gradient of a net. Any engine that computes ∇F for the host runs them: the tensor engine and that for CPUs.

use ebm_core::{NoiseKey, States};

use crate::{ChainOutcome, ChainRun, Chains, Hmc, LangevinError, Preconditioned, Underdamped};

/// F, one number for each chain, and ∇F, of the shape of the states.
pub type Slopes = (Vec<f64>, Vec<f64>);

/// F and ∇F of states, by whatever computes them.
pub type HostEnergy<'a> = dyn Fn(&States) -> Result<Slopes, LangevinError> + 'a;

/// A kernel that asks for F and ∇F alone.
#[derive(Debug, Clone, PartialEq)]
pub enum GradientKernel {
    /// Langevin dynamics with momenta.
    Underdamped(Underdamped),
    /// Hamiltonian Monte Carlo.
    Hmc(Hmc),
    /// ULA or MALA with a length for each element.
    Preconditioned(Preconditioned),
}

/// Chains with F, ∇F and their velocities.
#[derive(Debug, Clone, PartialEq)]
pub struct Phase {
    /// `[chains, ...]`.
    pub states: States,
    /// F of each chain.
    pub energies: Vec<f64>,
    /// ∇F, of the shape of the states.
    pub gradient: Vec<f64>,
    /// Of the shape of the states, in units of state per unit of time, for a mass of 1.
    pub velocities: Vec<f64>,
}

/// The random numbers of one step of a batch of chains.
#[derive(Debug, Clone, Copy)]
pub struct HostNoise {
    /// The family of numbers.
    pub key: NoiseKey,
    /// The number of the step.
    pub step: u64,
}

impl HostNoise {
    /// Z ~ N(0, I) for `count` chains of `length` elements.
    pub(crate) fn normals(&self, count: usize, length: usize) -> Vec<f64> {
        let mut values = vec![0.0f32; count * length];
        self.key.normals(self.step, 0, length, &mut values);
        values.into_iter().map(f64::from).collect()
    }

    /// A number uniform in (0, 1) that decides about a chain as a whole.
    pub(crate) fn decision(&self, chain: usize) -> f64 {
        let [decision] = self.key.decisions(self.step, chain as u32);
        decision
    }
}

impl Phase {
    /// Chains at `states` at rest.
    ///
    /// # Errors
    /// Those of `energy`.
    pub fn at_rest(states: States, energy: &HostEnergy<'_>) -> Result<Self, LangevinError> {
        let (energies, gradient) = energy(&states)?;
        Ok(Self {
            velocities: vec![0.0; gradient.len()],
            states,
            energies,
            gradient,
        })
    }

    /// The elements of a chain.
    pub(crate) fn elements(&self, chain: usize) -> std::ops::Range<usize> {
        let length = self.gradient.len() / self.energies.len().max(1);
        chain * length..(chain + 1) * length
    }

    /// Takes states, F and ∇F of those chains from `there` that accepted.
    pub(crate) fn take(&mut self, there: &Self, accepted: &[bool]) {
        let chains = accepted
            .iter()
            .enumerate()
            .filter(|(_, accepted)| **accepted);
        for (chain, _) in chains {
            let elements = self.elements(chain);
            let states = &there.states.values()[elements.clone()];
            self.states.values_mut()[elements.clone()].copy_from_slice(states);
            self.gradient[elements.clone()].copy_from_slice(&there.gradient[elements]);
            self.energies[chain] = there.energies[chain];
        }
    }

    /// Σ over the chains of ‖∇F‖₂.
    fn norm_sum(&self) -> f64 {
        let norm = |chain| {
            let slopes = self.gradient[self.elements(chain)].iter();
            slopes.map(|slope| slope * slope).sum::<f64>().sqrt()
        };
        (0..self.energies.len()).map(norm).sum()
    }

    /// Kicks the velocities by −`factor`·∇F.
    pub(crate) fn kick(&mut self, factor: f64) {
        for (velocity, slope) in self.velocities.iter_mut().zip(&self.gradient) {
            *velocity -= factor * slope;
        }
    }

    /// The states `time` later at the same velocities.
    ///
    /// # Errors
    /// None that can occur.
    pub(crate) fn drifted(&self, time: f64) -> Result<States, LangevinError> {
        let moved = self.states.values().iter().zip(&self.velocities);
        let moved = moved.map(|(x, velocity)| (f64::from(*x) + time * velocity) as f32);
        Ok(States::new(self.states.shape(), moved.collect())?)
    }
}

impl GradientKernel {
    /// What the chains carry before the first step.
    ///
    /// # Errors
    /// Those of `energy`.
    pub fn init(
        &self,
        states: States,
        energy: &HostEnergy<'_>,
        noise: HostNoise,
    ) -> Result<Phase, LangevinError> {
        let phase = Phase::at_rest(states, energy)?;
        match self {
            Self::Underdamped(kernel) => Ok(kernel.with_velocities(phase, noise)),
            // One draws velocities at every step, the other has none.
            Self::Hmc(_) | Self::Preconditioned(_) => Ok(phase),
        }
    }

    /// One step, and how many chains took the proposal, if the kernel proposes.
    ///
    /// # Errors
    /// Those of `energy`.
    pub fn step(
        &self,
        phase: Phase,
        energy: &HostEnergy<'_>,
        noise: HostNoise,
    ) -> Result<(Phase, Option<u64>), LangevinError> {
        let (phase, accepted) = match self {
            Self::Underdamped(kernel) => (kernel.step(phase, energy, noise)?, None),
            Self::Hmc(kernel) => {
                let (phase, accepted) = kernel.step(phase, energy, noise)?;
                (phase, Some(accepted))
            }
            Self::Preconditioned(kernel) => kernel.step(phase, energy, noise)?,
        };
        let count = |accepted: Vec<bool>| accepted.into_iter().filter(|is| *is).count() as u64;
        Ok((phase, accepted.map(count)))
    }

    /// Runs chains whose F and ∇F come from `chains`, as [`Chains::run`] does; engines call it there.
    ///
    /// # Errors
    /// Those of [`Chains::energy_gradient`].
    pub fn run(
        &self,
        chains: &dyn Chains,
        states: &States,
        run: &ChainRun,
    ) -> Result<ChainOutcome, LangevinError> {
        states.check_shape(chains.shape())?;
        let count = states.len();
        let energy = |states: &States| slopes(chains, states);
        let mut norm_sum = 0.0;
        let mut accepted = None;
        let mut phase = None;
        // An engine need not take an empty batch.
        let steps = if count == 0 { 0 } else { run.steps };
        for step in run.first_step..run.first_step.saturating_add(steps) {
            let noise = HostNoise {
                key: run.noise,
                step,
            };
            let here = match phase.take() {
                Some(phase) => phase,
                None => self.init(states.clone(), &energy, noise)?,
            };
            norm_sum += here.norm_sum();
            let (next, more) = self.step(here, &energy, noise)?;
            if let Some(more) = more {
                *accepted.get_or_insert(0) += more;
            }
            phase = Some(next);
        }
        let (states, energies) = match phase {
            Some(Phase {
                states, energies, ..
            }) => {
                let energies = energies.into_iter().map(|energy| energy as f32).collect();
                (states, run.final_energies.then_some(energies))
            }
            None => {
                let energies = run.final_energies.then(|| chains.energies(states));
                (states.clone(), energies.transpose()?)
            }
        };
        Ok(ChainOutcome {
            energies,
            states,
            gradient_magnitude: run.mean(norm_sum, count),
            acceptance_rate: run.acceptance_rate(accepted, count),
            swaps: Vec::new(),
        })
    }
}

/// F and ∇F as an engine computes them, in f32.
///
/// # Errors
/// Those of [`Chains::energy_gradient`].
pub fn slopes(chains: &dyn Chains, states: &States) -> Result<Slopes, LangevinError> {
    let found = chains.energy_gradient(states)?;
    let wide = |values: &[f32]| values.iter().copied().map(f64::from).collect();
    Ok((wide(&found.energies), wide(found.gradient.values())))
}
