//! Parallel tempering: chains at several temperatures that exchange their states.

use ebm_core::{States, Temperature};
use serde::{Deserialize, Serialize};

use crate::{AnyKernel, ChainOutcome, ChainRun, Chains, Ladder, LangevinError};

/// Replica exchange: every chain has one replica for each temperature of a [`Ladder`]. All replicas take steps of a kernel
/// for their temperature, and every so many steps neighbours exchange their states with the probability
/// min(1, exp((1/T − 1/T')(F − F'))), which leaves the product of the densities exp(−F/T) invariant (Geyer, "Markov chain
/// Monte Carlo maximum likelihood", Computing Science and Statistics 23, 1991; Hukushima and Nemoto, "Exchange Monte Carlo
/// method and application to spin glass simulations", Journal of the Physical Society of Japan 65, 1996). Even and odd pairs
/// of neighbours take turns, so that states travel (Syed et al., "Non-reversible parallel tempering", JRSS B 84, 2022).
///
/// The states of a run are `[rungs × chains]`: all chains at the coldest temperature first, then those at the next one. The
/// statistics of a run are those of the coldest, except for F, which is given of all. The density of the coldest is exact if
/// the kernels of all rungs are, as MALA and HMC; the bias of ULA or of underdamped Langevin at a hot rung comes down the
/// ladder. A step costs as many gradients as there are rungs, and kernels that keep a gradient for the next step take it
/// again after each exchange.
///
/// Exchanges fall at multiples of the steps between them in the noise stream, so that a run that is cut into pieces walks the
/// same path if its kernels do. Since pairs take turns, a pair exchanges at every second of these. Kernels with momenta draw
/// them anew after each exchange.
#[derive(Debug, Clone, PartialEq)]
pub struct Tempering {
    ladder: Ladder,
    kernels: Vec<AnyKernel>,
    swap_every: u64,
}

/// How often two neighbouring rungs tried to exchange the states of a chain, and how often they did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swaps {
    /// Exchanges tried.
    pub tried: u64,
    /// Exchanges made.
    pub made: u64,
}

impl Swaps {
    /// The share that was made; none before the first.
    #[must_use]
    pub fn rate(self) -> Option<f64> {
        (self.tried > 0).then(|| self.made as f64 / self.tried as f64)
    }

    /// Adds those of a later piece, pair by pair, to `sums`.
    pub fn accumulate(sums: &mut Vec<Self>, more: &[Self]) {
        sums.resize(sums.len().max(more.len()), Self::default());
        for (sum, more) in sums.iter_mut().zip(more) {
            sum.tried += more.tried;
            sum.made += more.made;
        }
    }
}

impl Tempering {
    /// Replicas on a ladder, which exchange states after every `swap_every` steps. `kernel` makes the kernel of a
    /// temperature; an ε in proportion to √T keeps the drift of Langevin steps.
    ///
    /// # Errors
    /// [`LangevinError::Ladder`] where `swap_every` is 0, or a kernel has a ladder of its own; those of `kernel`.
    pub fn new(
        ladder: &Ladder,
        swap_every: u64,
        kernel: impl Fn(Temperature) -> Result<AnyKernel, LangevinError>,
    ) -> Result<Self, LangevinError> {
        if swap_every == 0 {
            let problem = "0 steps lie between two exchanges: must be at least 1";
            return Err(LangevinError::Ladder(problem.into()));
        }
        let temperatures = ladder.temperatures().iter();
        let kernels: Vec<_> = temperatures.map(|t| kernel(*t)).collect::<Result<_, _>>()?;
        if kernels.iter().any(|k| matches!(k, AnyKernel::Tempering(_))) {
            let problem = "a rung cannot have a ladder of its own";
            return Err(LangevinError::Ladder(problem.into()));
        }
        Ok(Self {
            ladder: ladder.clone(),
            kernels,
            swap_every,
        })
    }

    /// The temperatures.
    #[must_use]
    pub fn ladder(&self) -> &Ladder {
        &self.ladder
    }

    /// One copy of `states` for each rung, the start of a run.
    ///
    /// # Errors
    /// [`LangevinError::Ladder`] where memory cannot hold them.
    pub fn replicas(&self, states: &States) -> Result<States, LangevinError> {
        copies(states, self.ladder.rungs())
    }

    /// Runs replicas, `[rungs × chains]`, as [`Chains::run`] does; engines call it there.
    ///
    /// # Errors
    /// [`LangevinError::Ladder`] if the states are no replicas of this ladder; those of [`Chains::run`].
    pub fn run(
        &self,
        chains: &dyn Chains,
        states: &States,
        run: &ChainRun,
    ) -> Result<ChainOutcome, LangevinError> {
        states.check_shape(chains.shape())?;
        let rungs = self.ladder.rungs();
        if !states.len().is_multiple_of(rungs) {
            let problem = format!(
                "{} states are not as many for each of its {rungs} rungs",
                states.len()
            );
            return Err(LangevinError::Ladder(problem));
        }
        let count = states.len() / rungs;
        let mut replicas = Replicas {
            of_rungs: match count {
                0 => vec![States::none(states.shape()); rungs],
                count => states.pieces(count).collect(),
            },
            energies: Vec::new(),
            swaps: vec![Swaps::default(); rungs - 1],
        };
        let (mut magnitude, mut accepted) = (0.0, None);
        let end = run.first_step.saturating_add(run.steps);
        // An engine need not take an empty batch.
        let mut step = if count == 0 { end } else { run.first_step };
        while step < end {
            let exchange = (step / self.swap_every + 1).saturating_mul(self.swap_every);
            let part = ChainRun {
                steps: exchange.min(end) - step,
                first_step: step,
                // Exchanges need F.
                final_energies: exchange <= end || (run.final_energies && exchange >= end),
                ..run.clone()
            };
            step += part.steps;
            let (r, rate) = replicas.walk(self, chains, &part)?;
            magnitude += r * part.steps as f64;
            if let Some(rate) = rate {
                *accepted.get_or_insert(0.0) += rate * part.steps as f64;
            }
            if step == exchange {
                replicas.exchange(self, run, step);
            }
        }
        let all = States::concat(states.shape(), &replicas.of_rungs)?;
        let energies = match run.final_energies {
            true if run.steps == 0 => Some(chains.energies(&all)?),
            true => Some(replicas.energies.concat()),
            false => None,
        };
        Ok(ChainOutcome {
            gradient_magnitude: run.mean(magnitude, 1),
            acceptance_rate: accepted.map(|sum| run.mean(sum, 1)),
            energies,
            states: all,
            swaps: replicas.swaps,
        })
    }
}

/// The chains of each rung on their way.
struct Replicas {
    of_rungs: Vec<States>,
    energies: Vec<Vec<f32>>,
    swaps: Vec<Swaps>,
}

impl Replicas {
    /// Steps at every temperature; r and the acceptance rate of the coldest.
    fn walk(
        &mut self,
        tempering: &Tempering,
        chains: &dyn Chains,
        part: &ChainRun,
    ) -> Result<(f64, Option<f64>), LangevinError> {
        let mut coldest = (0.0, None);
        self.energies.clear();
        for (rung, kernel) in tempering.kernels.iter().enumerate() {
            let run = ChainRun {
                kernel: kernel.clone(),
                // The coldest has the numbers that it would have alone.
                noise: match rung {
                    0 => part.noise,
                    rung => part.noise.part(rung as u64),
                },
                ..part.clone()
            };
            let outcome = chains.run(&self.of_rungs[rung], &run)?;
            if rung == 0 {
                coldest = (outcome.gradient_magnitude, outcome.acceptance_rate);
            }
            self.energies.push(outcome.energies.unwrap_or_default());
            self.of_rungs[rung] = outcome.states;
        }
        Ok(coldest)
    }

    /// Neighbours exchange states after `step` steps.
    fn exchange(&mut self, tempering: &Tempering, run: &ChainRun, step: u64) {
        let temperatures = tempering.ladder.temperatures();
        let number = step / tempering.swap_every;
        let decisions = run.noise.part(0);
        let size = self.of_rungs[0].shape().size();
        let first = (number % 2) as usize;
        for cold in (first..temperatures.len() - 1).step_by(2) {
            let hot = cold + 1;
            let (below, above) = self.of_rungs.split_at_mut(hot);
            let (below, above) = (below[cold].values_mut(), above[0].values_mut());
            let count = self.energies[cold].len();
            for chain in 0..count {
                let energies = [cold, hot].map(|rung| f64::from(self.energies[rung][chain]));
                let pair = [temperatures[cold], temperatures[hot]];
                let [decision] = decisions.decisions(number, (cold * count + chain) as u32);
                self.swaps[cold].tried += 1;
                // False for NaN.
                if decision < exchange_probability(pair, energies) {
                    self.swaps[cold].made += 1;
                    let elements = chain * size..(chain + 1) * size;
                    below[elements.clone()].swap_with_slice(&mut above[elements]);
                    let (one, other) = (self.energies[cold][chain], self.energies[hot][chain]);
                    (self.energies[cold][chain], self.energies[hot][chain]) = (other, one);
                }
            }
        }
    }
}

/// min(1, exp((1/T − 1/T')(F − F'))) for `[T, T']` and `[F, F']`.
pub(crate) fn exchange_probability(temperatures: [Temperature; 2], energies: [f64; 2]) -> f64 {
    let [inverse, other] = temperatures.map(|temperature| 1.0 / temperature.get());
    let exponent = (inverse - other) * (energies[0] - energies[1]);
    // NaN stays NaN.
    if exponent >= 0.0 { 1.0 } else { exponent.exp() }
}

/// `count` copies of states, one after the other.
pub(crate) fn copies(states: &States, count: usize) -> Result<States, LangevinError> {
    let all = count.checked_mul(states.len());
    let room = all.and_then(|all| States::try_zeros(states.shape(), all));
    let Some(mut all) = room else {
        let problem = format!(
            "memory cannot hold {count} copies of {} states",
            states.len()
        );
        return Err(LangevinError::Ladder(problem));
    };
    if !states.is_empty() {
        for copy in all.values_mut().chunks_exact_mut(states.values().len()) {
            copy.copy_from_slice(states.values());
        }
    }
    Ok(all)
}

impl From<Tempering> for AnyKernel {
    fn from(kernel: Tempering) -> Self {
        Self::Tempering(kernel)
    }
}
