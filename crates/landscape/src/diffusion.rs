//! Attraction–diffusion between pairs of states, many at once.

use std::collections::VecDeque;

use ebm_core::{NoiseKey, States, StepSize, Temperature};
use ebm_langevin::{
    ArrivalRule, Attraction, AttractionPath, AttractionRun, LangevinError, PathEnd,
};
use serde::{Deserialize, Serialize};

use crate::{LandscapeError, Surface};

/// The settings of chains that diffuse toward a target: Langevin dynamics on U(X)/τ + α‖X − X*‖₂ (Hill, Nijkamp and
/// Zhu, arXiv 1803.01043, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Diffusion {
    /// ε > 0. Where the pull alone would make a step longer than δ/2, that is for α > δ/ε², steps are shortened
    /// accordingly: longer steps would jump over saddles and over the target.
    pub step_size: StepSize,
    /// τ, in which U is measured: 1 has the fluctuations of the model itself, less has fewer. The drift ε²/2τT grows
    /// as τ falls, so ε should fall with √τ.
    pub temperature_factor: f64,
    /// δ, in units of the states: a chain has arrived when ‖X − X*‖₂ ≤ δ. In d dimensions a chain at its target keeps
    /// a distance of about (d − 1)/α where U is flat, so δ must not be smaller.
    pub resolution: f64,
    /// M: a chain gives up after this number of steps that brought it no nearer to its target.
    pub patience: u64,
    /// The largest number of steps of a path.
    pub most_steps: u64,
    /// The number of tries in each direction of a pair.
    pub trials: u32,
    /// The largest number of chains that run at once. The numbers that a chain draws depend on its place among those
    /// that run, so another batch size is another experiment, as another seed is.
    pub batch: usize,
    /// The seed of all noise. Experiments of one kind share their noise under one seed; independent repetitions need
    /// another.
    pub seed: u64,
}

/// One path to try: the numbers of two states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// Where it begins.
    pub from: usize,
    /// The state it is drawn to.
    pub to: usize,
}

/// The outcome of an attempt to cross from one state to another.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Crossing {
    /// The highest U on the path in nats, if the chain arrived.
    pub barrier: Option<f64>,
    /// The smallest distance to the target.
    pub nearest: f64,
    /// Steps.
    pub steps: u64,
}

/// A chain at work on an attempt.
struct Walker {
    attempt: usize,
    path: AttractionPath,
}

impl Diffusion {
    /// Checks the settings.
    ///
    /// # Errors
    /// [`LandscapeError::Setting`].
    pub fn check(&self) -> Result<(), LandscapeError> {
        LandscapeError::unless_positive("the step size ε", self.step_size.get())?;
        LandscapeError::unless_positive("the temperature factor", self.temperature_factor)?;
        LandscapeError::unless_positive("the resolution δ", self.resolution)?;
        let at_least_one = |name, value: u64| {
            if value > 0 {
                Ok(())
            } else {
                Err(LandscapeError::setting(name, value, "must be at least 1"))
            }
        };
        at_least_one("the patience M", self.patience)?;
        at_least_one("the limit of steps", self.most_steps)?;
        at_least_one("the number of trials", u64::from(self.trials))?;
        at_least_one("the batch", self.batch as u64)
    }

    /// All attempts in both directions of `pair`.
    #[must_use]
    pub fn attempts(&self, pair: (usize, usize)) -> Vec<Attempt> {
        let (a, b) = pair;
        let both = [Attempt { from: a, to: b }, Attempt { from: b, to: a }];
        both.repeat(self.trials as usize)
    }

    /// Runs all attempts between `states` with the pull α (`strength`, nats of U/τ per unit of distance). The results
    /// are in the order of the attempts. `call` numbers the noise: another call is another experiment.
    ///
    /// `walked` is called with the chain steps of every piece of the work, and stops it by returning `false`.
    ///
    /// # Errors
    /// [`LandscapeError::Setting`], [`LandscapeError::NoSuchState`]; [`LangevinError::Cancelled`] when `walked` says
    /// so; the engine's.
    pub fn run(
        &self,
        surface: &Surface<'_>,
        states: &States,
        attempts: &[Attempt],
        strength: f64,
        call: u64,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<Crossing>, LandscapeError> {
        /// Steps between two checks of which chains have ended.
        const PIECE: u64 = 25;

        self.check()?;
        states.check_shape(surface.shape())?;
        let unit = surface.temperature().get();
        let indices = attempts
            .iter()
            .flat_map(|attempt| [attempt.from, attempt.to]);
        if let Some(index) = indices.into_iter().find(|index| *index >= states.len()) {
            return Err(LandscapeError::NoSuchState {
                index,
                states: states.len(),
            });
        }
        let temperature =
            Temperature::new(unit * self.temperature_factor).map_err(LangevinError::from)?;
        let mut run = AttractionRun {
            kernel: Attraction::new(self.step_under(strength)?, temperature, strength)?,
            rule: ArrivalRule {
                resolution: self.resolution,
                patience: self.patience,
            },
            steps: PIECE,
            first_step: 0,
            noise: NoiseKey::new(self.seed, ebm_core::Stream::Attraction, call),
        };
        let mut crossings = vec![None; attempts.len()];
        let mut waiting: VecDeque<usize> = (0..attempts.len()).collect();
        let mut walkers: Vec<Walker> = Vec::new();
        // The state of each walker.
        let mut at = States::none(surface.shape());
        loop {
            let places = self.batch - walkers.len();
            let mut starts = Vec::new();
            for attempt in waiting.drain(..places.min(waiting.len())) {
                walkers.push(Walker {
                    attempt,
                    path: AttractionPath::default(),
                });
                starts.push(attempts[attempt].from);
            }
            if walkers.is_empty() {
                break;
            }
            at.append(&states.gather(&starts))?;
            let targets: Vec<usize> = walkers
                .iter()
                .map(|walker| attempts[walker.attempt].to)
                .collect();
            let mut paths: Vec<AttractionPath> = walkers.iter().map(|walker| walker.path).collect();
            let targets = states.gather(&targets);
            at = surface.chains().attract(&at, &targets, &mut paths, &run)?;
            run.first_step += PIECE;
            for (walker, path) in walkers.iter_mut().zip(paths) {
                walker.path = path;
            }
            if !walked(PIECE * walkers.len() as u64) {
                return Err(LangevinError::Cancelled.into());
            }
            let mut staying = Vec::with_capacity(walkers.len());
            let mut place = 0..;
            walkers.retain(|walker| {
                let path = &walker.path;
                let is_short = path.steps <= self.most_steps;
                let goes_on = path.end.is_none() && is_short;
                if !goes_on {
                    let has_arrived = path.end == Some(PathEnd::Arrived) && is_short;
                    crossings[walker.attempt] = Some(Crossing {
                        barrier: has_arrived.then(|| f64::from(path.highest_energy) / unit),
                        nearest: f64::from(path.nearest),
                        steps: path.steps,
                    });
                }
                staying.extend(place.next().filter(|_| goes_on));
                goes_on
            });
            at = at.gather(&staying);
        }
        Ok(crossings.into_iter().flatten().collect())
    }

    /// ε with the pull `strength`.
    fn step_under(&self, strength: f64) -> Result<StepSize, LangevinError> {
        let longest = (self.resolution / strength).sqrt();
        Ok(StepSize::new(self.step_size.get().min(longest))?)
    }

    /// The lowest barrier of each pair over both directions and all trials, or none where no chain arrived.
    ///
    /// # Errors
    /// As [`Self::run`].
    pub fn pairs(
        &self,
        surface: &Surface<'_>,
        states: &States,
        pairs: &[(usize, usize)],
        strength: f64,
        call: u64,
        walked: &mut dyn FnMut(u64) -> bool,
    ) -> Result<Vec<Option<f64>>, LandscapeError> {
        self.check()?;
        let attempts: Vec<Attempt> = pairs.iter().flat_map(|pair| self.attempts(*pair)).collect();
        let crossings = self.run(surface, states, &attempts, strength, call, walked)?;
        let of_a_pair = 2 * self.trials as usize;
        let lowest = |crossings: &[Crossing]| {
            let barriers = crossings.iter().filter_map(|crossing| crossing.barrier);
            barriers.min_by(f64::total_cmp)
        };
        Ok(crossings.chunks_exact(of_a_pair).map(lowest).collect())
    }
}
