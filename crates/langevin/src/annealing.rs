//! Annealed importance sampling: log Z of a learned energy, from below and from above.

use std::cell::RefCell;

use ebm_core::{NoiseKey, States, StepSize, Stream, Temperature};

use crate::gradient_kernel::{HostNoise, Phase, slopes};
use crate::{Chains, GaussianBase, Hmc, LangevinError};

/// The steepness of the schedule of β.
const STEEPNESS: f64 = 4.0;
/// How strongly the logarithm of ε follows the acceptance rate of the pilot run.
const GAIN: f64 = 0.2;

/// A path from a Gaussian to exp(−F/T) in steps of β: U_β = (1 − β)U₀ + βF/T (Neal, "Annealed importance sampling",
/// Statistics and Computing 11, 2001). At each β the chains take one trajectory of [`Hmc`].
///
/// [`Self::forward`] goes from the Gaussian to the energy: its weights w have the mean Z/Z₀, so log of their mean lies
/// below log Z/Z₀ on average. [`Self::reverse`] goes back from states of the density: its weights have the mean Z₀/Z,
/// so minus the log of their mean lies above (bidirectional Monte Carlo: Grosse, Ghahramani and Adams, "Sandwiching the
/// marginal likelihood using bidirectional Monte Carlo", arXiv 1511.02543, 2015). Where the two agree log Z is known.
/// Where the states that the reverse starts from are not samples of exp(−F/T), its side bounds nothing. A disagreement
/// of the sides then shows it; an agreement alone does not prove that the states were samples.
#[derive(Debug, Clone)]
pub struct Annealing {
    base: GaussianBase,
    temperature: Temperature,
    /// From the first after β = 0 to β = 1.
    rungs: Vec<Rung>,
    leapfrogs: u64,
}

/// A place on the path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rung {
    /// β, from 0 for the Gaussian to 1 for the energy.
    pub beta: f64,
    /// ε of the trajectory at this β.
    pub step_size: StepSize,
}

/// The settings of a path.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AnnealingOptions {
    /// The number of steps of β; 1,000 by default. The gap between the two sides falls as one over it.
    pub rungs: usize,
    /// Leapfrog steps of a trajectory; 5 by default.
    pub leapfrogs: u64,
    /// The acceptance rate to which ε is tuned at each β; 0.65 by default, which is the most efficient one for many
    /// independent elements (Beskos et al., "Optimal tuning of the hybrid Monte Carlo algorithm", Bernoulli 19, 2013).
    pub acceptance_rate: f64,
    /// Chains of the pilot run that tunes ε; 20 by default.
    pub pilot_chains: usize,
    /// The seed of all noise.
    pub seed: u64,
}

impl Default for AnnealingOptions {
    fn default() -> Self {
        Self {
            rungs: 1_000,
            leapfrogs: 5,
            acceptance_rate: 0.65,
            pilot_chains: 20,
            seed: 1,
        }
    }
}

/// Weights of annealed chains.
#[derive(Debug, Clone, PartialEq)]
pub struct Annealed {
    /// Where the chains ended.
    pub states: States,
    /// log w of each chain, in nats: forward estimates of log Z/Z₀, reverse ones of log Z₀/Z.
    pub log_weights: Vec<f64>,
    /// The share of trajectories that were accepted.
    pub acceptance_rate: f64,
}

/// log of a mean of weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LogMean {
    /// log of the mean weight, in nats.
    pub value: f64,
    /// Its standard error over chains, in nats, by the delta method; too small where a few chains have nearly all of
    /// the weight.
    pub standard_error: f64,
    /// (Σw)²/Σw², how many chains of equal weight would be worth as much.
    pub effective_chains: f64,
}

impl LogMean {
    /// Of at least two weights, given by their logarithms. There is none of fewer, where a logarithm is NaN or +∞, or
    /// where all are −∞.
    #[must_use]
    pub fn of(log_weights: &[f64]) -> Option<Self> {
        let largest = log_weights
            .iter()
            .copied()
            .fold(f64::NEG_INFINITY, f64::max);
        if log_weights.len() < 2
            || !largest.is_finite()
            || log_weights.iter().any(|weight| weight.is_nan())
        {
            return None;
        }
        let count = log_weights.len() as f64;
        let scaled = || log_weights.iter().map(|weight| (weight - largest).exp());
        let (sum, squares) = scaled().fold((0.0, 0.0), |(sum, squares), weight| {
            (sum + weight, squares + weight * weight)
        });
        let mean = sum / count;
        let variance = (squares / count - mean * mean).max(0.0) / (count - 1.0);
        Some(Self {
            value: largest + mean.ln(),
            standard_error: variance.sqrt() / mean,
            effective_chains: sum * sum / squares,
        })
    }
}

impl Annealing {
    /// A path to exp(−F/T) of the bound energy, with ε tuned at each β by a pilot run of its own noise.
    ///
    /// # Errors
    /// [`LangevinError::Annealing`] for impossible options, and those of [`Chains::energy_gradient`].
    pub fn tuned(
        chains: &dyn Chains,
        base: GaussianBase,
        temperature: Temperature,
        options: &AnnealingOptions,
    ) -> Result<Self, LangevinError> {
        Self::tuned_telling(chains, base, temperature, options, &mut |_| ())
    }

    /// [`Self::tuned`], which tells `told` how many rungs are done.
    ///
    /// # Errors
    /// As [`Self::tuned`].
    pub fn tuned_telling(
        chains: &dyn Chains,
        base: GaussianBase,
        temperature: Temperature,
        options: &AnnealingOptions,
        told: &mut dyn FnMut(usize),
    ) -> Result<Self, LangevinError> {
        options.check()?;
        base.shape().check(chains.shape())?;
        let mut path = Self {
            base,
            temperature,
            rungs: Vec::new(),
            leapfrogs: options.leapfrogs,
        };
        let key = NoiseKey::new(options.seed, Stream::AnnealingPilot, 0);
        let start = path.base.draw(options.pilot_chains, key)?;
        let mut walk = Walk::new(&path, chains, start, 0.0)?;
        // The leapfrog of a Gaussian is stable up to twice its smallest deviation.
        let widths = path.base.deviations();
        let narrowest = widths.iter().copied().fold(f64::INFINITY, f64::min);
        let widest = widths.iter().copied().fold(0.0, f64::max);
        let mut epsilon = narrowest * (widths.len() as f64).powf(-0.25);
        let mut rungs = Vec::with_capacity(options.rungs);
        for number in 1..=options.rungs {
            let rung = Rung {
                beta: schedule(number as f64 / options.rungs as f64),
                step_size: StepSize::new(epsilon)?,
            };
            walk.weigh(rung.beta);
            let accepted = walk.step(
                rung,
                HostNoise {
                    key,
                    step: number as u64,
                },
            )?;
            rungs.push(rung);
            let rate = accepted as f64 / options.pilot_chains as f64;
            epsilon *= (GAIN * (rate - options.acceptance_rate)).exp();
            // Where all or nothing is accepted, it would grow or shrink for ever.
            epsilon = epsilon.clamp(1e-6 * narrowest, 1e3 * widest);
            told(number);
        }
        path.rungs = rungs;
        Ok(path)
    }

    /// The rungs, from the first after β = 0 to β = 1.
    #[must_use]
    pub fn rungs(&self) -> &[Rung] {
        &self.rungs
    }

    /// log Z₀ of the Gaussian, in nats: add it to log Z/Z₀.
    #[must_use]
    pub fn base_log_partition(&self) -> f64 {
        self.base.log_partition()
    }

    /// `count` chains from the Gaussian to the energy.
    ///
    /// # Errors
    /// Those of [`Chains::energy_gradient`].
    pub fn forward(
        &self,
        chains: &dyn Chains,
        count: usize,
        seed: u64,
    ) -> Result<Annealed, LangevinError> {
        self.forward_telling(chains, count, seed, &mut |_| ())
    }

    /// [`Self::forward`], which tells `told` how many rungs are done.
    ///
    /// # Errors
    /// As [`Self::forward`].
    pub fn forward_telling(
        &self,
        chains: &dyn Chains,
        count: usize,
        seed: u64,
        told: &mut dyn FnMut(usize),
    ) -> Result<Annealed, LangevinError> {
        let key = NoiseKey::new(seed, Stream::Annealing, 0);
        let mut walk = Walk::new(self, chains, self.base.draw(count, key)?, 0.0)?;
        for (step, rung) in (1..).zip(&self.rungs) {
            walk.weigh(rung.beta);
            walk.step(*rung, HostNoise { key, step })?;
            told(step as usize);
        }
        Ok(walk.ended())
    }

    /// Chains from `states`, which should be samples of exp(−F/T), back to the Gaussian.
    ///
    /// # Errors
    /// Those of [`Chains::energy_gradient`].
    pub fn reverse(
        &self,
        chains: &dyn Chains,
        states: States,
        seed: u64,
    ) -> Result<Annealed, LangevinError> {
        self.reverse_telling(chains, states, seed, &mut |_| ())
    }

    /// [`Self::reverse`], which tells `told` how many rungs are done.
    ///
    /// # Errors
    /// As [`Self::reverse`].
    pub fn reverse_telling(
        &self,
        chains: &dyn Chains,
        states: States,
        seed: u64,
        told: &mut dyn FnMut(usize),
    ) -> Result<Annealed, LangevinError> {
        let key = NoiseKey::new(seed, Stream::Annealing, 1);
        let mut walk = Walk::new(self, chains, states, 1.0)?;
        let below = std::iter::once(0.0).chain(self.rungs.iter().map(|rung| rung.beta));
        let pairs: Vec<_> = (1..).zip(self.rungs.iter().zip(below)).collect();
        for (done, (step, (rung, below))) in (1..).zip(pairs.into_iter().rev()) {
            walk.step(*rung, HostNoise { key, step })?;
            walk.weigh(below);
            told(done);
        }
        Ok(walk.ended())
    }
}

/// β at a share of the rungs: a sigmoid brought to [0, 1], which goes slowly near both ends, where the path changes
/// most.
fn schedule(share: f64) -> f64 {
    let sigmoid = |x: f64| 1.0 / (1.0 + (-x).exp());
    let (low, high) = (sigmoid(-STEEPNESS), sigmoid(STEEPNESS));
    (sigmoid(STEEPNESS * (2.0 * share - 1.0)) - low) / (high - low)
}

impl AnnealingOptions {
    fn check(&self) -> Result<(), LangevinError> {
        let problem = if self.rungs == 0 {
            "it has 0 rungs: must have at least 1".to_owned()
        } else if self.leapfrogs == 0 {
            "its trajectories have 0 leapfrog steps: must have at least 1".to_owned()
        } else if self.pilot_chains == 0 {
            "its pilot run has 0 chains: must have at least 1".to_owned()
        } else if !(self.acceptance_rate > 0.0 && self.acceptance_rate < 1.0) {
            format!(
                "its acceptance rate is {}: must lie between 0 and 1",
                self.acceptance_rate
            )
        } else {
            return Ok(());
        };
        Err(LangevinError::Annealing(problem))
    }
}

/// The two potentials of chains, in nats, and the gradient of that of the energy.
struct Potentials {
    base: Vec<f64>,
    energy: Vec<f64>,
    energy_gradient: Vec<f64>,
}

/// Chains on their way along the path.
struct Walk<'a> {
    path: &'a Annealing,
    chains: &'a dyn Chains,
    beta: f64,
    states: States,
    at: Potentials,
    log_weights: Vec<f64>,
    accepted: u64,
    proposed: u64,
}

impl<'a> Walk<'a> {
    fn new(
        path: &'a Annealing,
        chains: &'a dyn Chains,
        states: States,
        beta: f64,
    ) -> Result<Self, LangevinError> {
        states.check_shape(path.base.shape())?;
        Ok(Self {
            at: path.potentials(chains, &states)?,
            log_weights: vec![0.0; states.len()],
            accepted: 0,
            proposed: 0,
            path,
            chains,
            beta,
            states,
        })
    }

    /// Goes on to another β where the chains are: w ← w·exp(−(U_β' − U_β)).
    fn weigh(&mut self, beta: f64) {
        let change = beta - self.beta;
        let potentials = self.at.base.iter().zip(&self.at.energy);
        for (weight, (base, energy)) in self.log_weights.iter_mut().zip(potentials) {
            *weight += change * (base - energy);
        }
        self.beta = beta;
    }

    /// A trajectory that leaves exp(−U_β) of the rung invariant; how many chains took it.
    fn step(&mut self, rung: Rung, noise: HostNoise) -> Result<u64, LangevinError> {
        let (path, chains, beta) = (self.path, self.chains, rung.beta);
        // What was computed last belongs to the proposals.
        let last = RefCell::new(None);
        let energy = |states: &States| {
            let at = path.potentials(chains, states)?;
            let mixed = at.mixed(path, states, beta);
            last.replace(Some(at));
            Ok(mixed)
        };
        let (energies, gradient) = self.at.mixed(path, &self.states, beta);
        let phase = Phase {
            velocities: Vec::new(),
            states: std::mem::replace(&mut self.states, States::none(path.base.shape())),
            energies,
            gradient,
        };
        let hmc = Hmc::new(rung.step_size, path.leapfrogs, Temperature::ONE)?;
        let (phase, accepted) = hmc.step(phase, &energy, noise)?;
        let count = accepted.iter().filter(|is| **is).count() as u64;
        if let Some(proposed) = last.into_inner() {
            for (chain, _) in accepted.iter().enumerate().filter(|(_, is)| **is) {
                let elements = phase.elements(chain);
                self.at.base[chain] = proposed.base[chain];
                self.at.energy[chain] = proposed.energy[chain];
                self.at.energy_gradient[elements.clone()]
                    .copy_from_slice(&proposed.energy_gradient[elements]);
            }
        }
        self.states = phase.states;
        self.accepted += count;
        self.proposed += accepted.len() as u64;
        Ok(count)
    }

    fn ended(self) -> Annealed {
        Annealed {
            states: self.states,
            log_weights: self.log_weights,
            acceptance_rate: self.accepted as f64 / (self.proposed as f64).max(1.0),
        }
    }
}

impl Annealing {
    fn potentials(
        &self,
        chains: &dyn Chains,
        states: &States,
    ) -> Result<Potentials, LangevinError> {
        let (mut energy, mut energy_gradient) = if states.is_empty() {
            (Vec::new(), Vec::new())
        } else {
            slopes(chains, states)?
        };
        for value in energy.iter_mut().chain(&mut energy_gradient) {
            *value /= self.temperature.get();
        }
        Ok(Potentials {
            base: self.base.potential(states),
            energy,
            energy_gradient,
        })
    }
}

impl Potentials {
    /// U_β and ∇U_β.
    fn mixed(&self, path: &Annealing, states: &States, beta: f64) -> (Vec<f64>, Vec<f64>) {
        let mix = |base: &[f64], energy: &[f64]| {
            let pairs = base.iter().zip(energy);
            pairs
                .map(|(base, energy)| (1.0 - beta) * base + beta * energy)
                .collect()
        };
        let base_gradient = path.base.gradient(states);
        (
            mix(&self.base, &self.energy),
            mix(&base_gradient, &self.energy_gradient),
        )
    }
}
