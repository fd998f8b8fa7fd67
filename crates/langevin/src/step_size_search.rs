//! A step size by its acceptance rate.

use ebm_core::{NoiseKey, States, StepSize, Temperature};

use crate::{AnyKernel, ChainRun, Chains, LangevinError, Mala};

/// The settings of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct StepSizeSearch {
    /// The acceptance rate to reach. The default, 0.574, is the most efficient one for many independent elements
    /// (Roberts and Rosenthal, "Optimal scaling of discrete approximations to Langevin diffusions", JRSS B 60, 1998).
    pub target: f64,
    /// The tolerance around the target; 0.01 by default. The rate of a pilot run is a multiple of one over the number
    /// of its proposals, and its rate has a standard error of about 0.5/√(chains · steps).
    pub tolerance: f64,
    /// The smallest and the largest ε to try; from 1e-6 to 10 by default.
    pub range: (f64, f64),
    /// Steps of a pilot run; 20 by default.
    pub pilot_steps: u64,
    /// Where the noise of the pilot runs comes from.
    pub noise: NoiseKey,
}

/// The result of a search.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct FoundStepSize {
    /// ε.
    pub step_size: StepSize,
    /// The rate with ε in a last pilot run, from the same states with noise that had no part in the search.
    pub acceptance_rate: f64,
    /// Steps of all pilot runs together, for each chain.
    pub pilot_steps: u64,
}

impl StepSizeSearch {
    /// The defaults with the noise of `noise`.
    #[must_use]
    pub fn new(noise: NoiseKey) -> Self {
        Self {
            target: 0.574,
            tolerance: 0.01,
            range: (1e-6, 10.0),
            pilot_steps: 20,
            noise,
        }
    }

    fn check(&self) -> Result<(), LangevinError> {
        let (low, high) = self.range;
        let problem = if !(self.target > 0.0 && self.target < 1.0) {
            format!(
                "the target rate is {}: must lie between 0 and 1",
                self.target
            )
        } else if !(self.tolerance > 0.0 && self.tolerance < 1.0) {
            format!(
                "the tolerance is {}: must lie between 0 and 1",
                self.tolerance
            )
        } else if !(low > 0.0 && low < high && high.is_finite()) {
            format!(
                "the range of ε is {low} to {high}: must be two finite numbers > 0, the smaller one first"
            )
        } else if self.pilot_steps == 0 {
            "pilot runs have 0 steps: must have at least 1".into()
        } else {
            return Ok(());
        };
        Err(LangevinError::StepSizeSearch(problem))
    }

    fn not_reached(
        &self,
        (closest, acceptance_rate): (f64, f64),
        advice: &'static str,
    ) -> LangevinError {
        LangevinError::AcceptanceNotReached {
            low: self.range.0,
            high: self.range.1,
            target: self.target,
            tolerance: self.tolerance,
            closest,
            acceptance_rate,
            advice,
        }
    }
}

/// Finds the ε at which MALA at temperature T has the acceptance rate that `search` asks for, by bisection of log ε.
///
/// Every pilot run starts from `states`, with the same noise, so that the rate falls with ε and nothing else; the
/// same arguments give the same ε. The rate is that of chains at `states`: run a burn-in first, because chains that
/// still fall in energy have another acceptance rate than later.
///
/// # Errors
/// [`LangevinError::StepSizeSearch`] for impossible settings, [`LangevinError::AcceptanceNotReached`] when the rate
/// does not pass the target within the range or is too coarse to come near it, and the errors of the engine.
pub fn find_step_size(
    chains: &dyn Chains,
    states: &States,
    temperature: Temperature,
    search: &StepSizeSearch,
) -> Result<FoundStepSize, LangevinError> {
    find_step_size_for(chains, states, search, |size| {
        Ok(Mala::new(size, temperature)?.into())
    })
}

/// As [`find_step_size`], for any kernel that proposes; `kernel` makes it for a step size.
///
/// # Errors
/// As [`find_step_size`], and those of `kernel`.
pub fn find_step_size_for(
    chains: &dyn Chains,
    states: &States,
    search: &StepSizeSearch,
    kernel: impl Fn(StepSize) -> Result<AnyKernel, LangevinError>,
) -> Result<FoundStepSize, LangevinError> {
    /// No bracket wider than a f64's range of exponents takes longer to close to a part in a million.
    const MOST_PILOTS: u64 = 40;

    search.check()?;
    let mut pilots = 0;
    let mut rate = |epsilon: f64, first_step| {
        pilots += 1;
        let kernel = kernel(StepSize::new(epsilon)?)?;
        let run = ChainRun::new(kernel, search.pilot_steps)
            .with_first_step(first_step)
            .with_noise(search.noise);
        let outcome = chains.run(states, &run)?;
        Ok::<_, LangevinError>(outcome.acceptance_rate.unwrap_or(0.0))
    };
    let (mut low, mut high) = search.range;
    let lowest = (low, rate(low, 0)?);
    if lowest.1 < search.target - search.tolerance {
        let advice = "allow smaller steps, or check that F and its gradient are finite there";
        return Err(search.not_reached(lowest, advice));
    }
    let highest = (high, rate(high, 0)?);
    if highest.1 > search.target + search.tolerance {
        return Err(search.not_reached(highest, "allow larger steps"));
    }
    let misses = |(_, rate): (f64, f64)| (rate - search.target).abs();
    let mut best = if misses(lowest) < misses(highest) {
        lowest
    } else {
        highest
    };
    for _ in 0..MOST_PILOTS {
        if misses(best) <= search.tolerance {
            let acceptance_rate = rate(best.0, search.pilot_steps)?;
            return Ok(FoundStepSize {
                step_size: StepSize::new(best.0)?,
                acceptance_rate,
                pilot_steps: pilots * search.pilot_steps,
            });
        }
        let middle = (low * high).sqrt();
        let tried = (middle, rate(middle, 0)?);
        if misses(tried) < misses(best) {
            best = tried;
        }
        if tried.1 > search.target {
            low = middle;
        } else {
            high = middle;
        }
    }
    Err(search.not_reached(
        best,
        "run more chains or longer pilots, or allow a larger tolerance",
    ))
}
