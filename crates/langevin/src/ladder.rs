//! The temperatures of parallel tempering.

use ebm_core::{NoiseKey, States, Temperature};

use crate::tempering::{copies, exchange_probability};
use crate::{AnyKernel, ChainRun, Chains, LangevinError, Tempering};

/// Temperatures from the coldest, whose density is wanted, to the hottest, whose chains cross between modes.
#[derive(Debug, Clone, PartialEq)]
pub struct Ladder(Vec<Temperature>);

/// The settings of [`Ladder::tuned`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LadderSearch {
    /// How many temperatures, the coldest one included.
    pub rungs: usize,
    /// The share of exchanges between neighbours that shall be made. A given number of rungs reaches higher temperatures
    /// with a smaller share, and states travel faster between them with a larger one. The default, 0.23, is the best where
    /// pairs are drawn at random and the heat capacity is constant (Kone and Kofke, "Selection of temperature intervals for
    /// parallel-tempering simulations", Journal of Chemical Physics 122, 2005). Where pairs take turns, as here, about a
    /// half is the best for a hottest temperature that is given (Syed et al., JRSS B 84, 2022).
    pub swap_rate: f64,
    /// Steps between two exchanges; 10 by default.
    pub swap_every: u64,
    /// How often the ladder is changed; 100 by default, each time after `swap_every` steps.
    pub rounds: u32,
    /// Where the noise of the search comes from.
    pub noise: NoiseKey,
}

impl LadderSearch {
    /// The defaults with so many temperatures and the noise of `noise`.
    #[must_use]
    pub fn new(rungs: usize, noise: NoiseKey) -> Self {
        Self {
            rungs,
            swap_rate: 0.23,
            swap_every: 10,
            rounds: 100,
            noise,
        }
    }

    fn check(&self) -> Result<(), LangevinError> {
        let problem = if self.rungs == 0 {
            "it has 0 rungs: must have at least 1".to_owned()
        } else if !(self.swap_rate > 0.0 && self.swap_rate < 1.0) {
            let rate = self.swap_rate;
            format!("the wanted share of exchanges is {rate}: must lie between 0 and 1")
        } else if self.swap_every == 0 {
            "0 steps lie between two exchanges: must be at least 1".to_owned()
        } else {
            return Ok(());
        };
        Err(LangevinError::Ladder(problem))
    }
}

impl Ladder {
    /// These temperatures, which have to rise.
    ///
    /// # Errors
    /// [`LangevinError::Ladder`] if there are none, or one is not above the one before.
    pub fn new(temperatures: Vec<Temperature>) -> Result<Self, LangevinError> {
        if temperatures.is_empty() {
            return Err(LangevinError::Ladder("it has no temperatures".into()));
        }
        let falls = temperatures
            .windows(2)
            .find(|pair| pair[1].get() <= pair[0].get());
        if let Some([below, above]) = falls {
            let (below, above) = (below.get(), above.get());
            let problem = format!("{above} follows {below}: temperatures must rise");
            return Err(LangevinError::Ladder(problem));
        }
        Ok(Self(temperatures))
    }

    /// Temperatures that rise by a constant factor.
    ///
    /// # Errors
    /// [`LangevinError::Ladder`] for no rungs, for one rung from two temperatures, or where `hottest` is below `coldest`.
    pub fn geometric(
        coldest: Temperature,
        hottest: Temperature,
        rungs: usize,
    ) -> Result<Self, LangevinError> {
        if rungs < 2 && coldest != hottest {
            let problem = format!("{rungs} rungs cannot reach from one temperature to another");
            return Err(LangevinError::Ladder(problem));
        }
        let ratio = hottest.get() / coldest.get();
        let rung = |number: usize| match number {
            0 => Ok(coldest),
            last if last + 1 == rungs => Ok(hottest),
            number => {
                let share = number as f64 / (rungs - 1) as f64;
                Temperature::new(coldest.get() * ratio.powf(share))
            }
        };
        Self::new((0..rungs).map(rung).collect::<Result<_, _>>()?)
    }

    /// A ladder from `coldest` whose neighbours exchange the wanted share of their states, by stochastic approximation
    /// while chains run from `states` at each temperature (Miasojedow, Moulines and Vihola, "An adaptive parallel
    /// tempering algorithm", Journal of Computational and Graphical Statistics 22, 2013). How hot the ladder becomes
    /// follows from the number of rungs. Returns the replicas as well, `[rungs × chains]`, the coldest first.
    ///
    /// `kernel` makes the kernel of a temperature.
    ///
    /// # Errors
    /// [`LangevinError::Ladder`] for impossible settings, and where energies are not finite; those of `kernel` and of
    /// [`Chains::run`].
    pub fn tuned(
        chains: &dyn Chains,
        states: &States,
        coldest: Temperature,
        search: &LadderSearch,
        kernel: impl Fn(Temperature) -> Result<AnyKernel, LangevinError>,
    ) -> Result<(Self, States), LangevinError> {
        search.check()?;
        if states.is_empty() {
            let problem = "its search has no chains: must have at least 1";
            return Err(LangevinError::Ladder(problem.into()));
        }
        let mut replicas = copies(states, search.rungs)?;
        if search.rungs == 1 {
            return Ok((Self::new(vec![coldest])?, replicas));
        }
        // Where U has the spread σ a step of 1.5/σ exchanges about a third.
        let potentials = chains.energies(states)?;
        let potentials = potentials.iter().map(|f| f64::from(*f) / coldest.get());
        let first = (1.5 / spread(&potentials.collect::<Vec<_>>())).clamp(0.01, 1.0);
        let mut log_gaps = vec![first.ln(); search.rungs - 1];
        let mut ladder = Self::spaced(coldest, &log_gaps)?;
        for round in 0..search.rounds {
            let tempering = Tempering::new(&ladder, search.swap_every, &kernel)?;
            let run = ChainRun::new(tempering, search.swap_every)
                .with_first_step(u64::from(round) * search.swap_every)
                .with_noise(search.noise)
                .with_final_energies();
            let outcome = chains.run(&replicas, &run)?;
            replicas = outcome.states;
            let energies = outcome.energies.unwrap_or_default();
            if energies.iter().any(|energy| !energy.is_finite()) {
                let problem = "energies are not finite on the way; take a smaller step size";
                return Err(LangevinError::Ladder(problem.into()));
            }
            // The rate falls with the logarithm of a gap by about 1/2 near a quarter.
            let gain = 2.0 / f64::from(round + 1).powf(0.6);
            let of_rungs: Vec<_> = energies.chunks_exact(states.len()).collect();
            for (place, log_gap) in log_gaps.iter_mut().enumerate() {
                let [cold, hot] = [place, place + 1].map(|rung| ladder.0[rung]);
                let pairs = of_rungs[place].iter().zip(of_rungs[place + 1]);
                let probabilities = pairs.map(|(f_cold, f_hot)| {
                    exchange_probability([cold, hot], [f64::from(*f_cold), f64::from(*f_hot)])
                });
                let rate = probabilities.sum::<f64>() / states.len() as f64;
                *log_gap = (*log_gap + gain * (rate - search.swap_rate)).clamp(-9.0, 1.0);
            }
            ladder = Self::spaced(coldest, &log_gaps)?;
        }
        Ok((ladder, replicas))
    }

    /// The temperatures, the coldest first.
    #[must_use]
    pub fn temperatures(&self) -> &[Temperature] {
        &self.0
    }

    /// How many temperatures.
    #[must_use]
    pub fn rungs(&self) -> usize {
        self.0.len()
    }

    /// From `coldest` up, with the logarithms of log Tₖ₊₁/Tₖ.
    fn spaced(coldest: Temperature, log_gaps: &[f64]) -> Result<Self, LangevinError> {
        let mut temperatures = vec![coldest];
        let mut log = coldest.get().ln();
        for log_gap in log_gaps {
            log += log_gap.exp();
            temperatures.push(Temperature::new(log.exp())?);
        }
        Self::new(temperatures)
    }
}

/// The standard deviation; 1 where it is not a number above 0.
fn spread(values: &[f64]) -> f64 {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let spread = (squares / (count - 1.0)).sqrt();
    if spread > 0.0 && spread.is_finite() {
        spread
    } else {
        1.0
    }
}
