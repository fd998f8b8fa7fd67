//! The expected cost of a map: steps from the settings, seconds from a short measurement on this machine.

use std::time::{Duration, Instant};

use ebm_core::States;
use ebm_landscape::{Attempt, BarrierSearch, Diffusion, Surface};

use super::MapSettings;
use super::strength::{PAIRS, STRENGTHS};
use crate::ExperimentError;
use crate::words::{duration, rounded};

const MEASURE: Duration = Duration::from_millis(1500);

/// Steps of the measurement at most.
const STEPS: u64 = 200;

/// The measurement uses a resolution at which no chain arrives, and a pull so weak that it does not shorten the
/// steps.
const NOWHERE: f64 = 1e-12;
const NO_PULL: f64 = 1e-13;

/// The number of basins is not known before, so the cost is given for this number.
const BASINS: usize = 10;

/// The cost of a map.
pub(crate) struct Cost<'a> {
    settings: &'a MapSettings,
    /// Seconds of a step of one attracted chain.
    seconds: f64,
}

impl<'a> Cost<'a> {
    /// Draws the chains `states` toward each other for a while.
    ///
    /// # Errors
    /// The engine's.
    pub(crate) fn measure(
        surface: &Surface<'_>,
        settings: &'a MapSettings,
        states: &States,
    ) -> Result<Self, ExperimentError> {
        let count = settings.all_chains();
        let diffusion = Diffusion {
            patience: STEPS,
            most_steps: STEPS,
            trials: 1,
            ..settings.diffusion(NOWHERE, 0)?
        };
        let toward_next = |from: usize| Attempt {
            from,
            to: (from + 1) % count,
        };
        let attempts: Vec<Attempt> = (0..count.min(settings.batch)).map(toward_next).collect();
        let begun = Instant::now();
        let mut steps = 0;
        let ended = diffusion.run(surface, states, &attempts, NO_PULL, 0, &mut |walked| {
            steps += walked;
            begun.elapsed() < MEASURE
        });
        match ended.map_err(ExperimentError::from) {
            Err(ExperimentError::Stopped) | Ok(_) => {}
            Err(error) => return Err(error),
        }
        Ok(Self {
            settings,
            seconds: begun.elapsed().as_secs_f64() / steps.max(1) as f64,
        })
    }

    /// The estimate in words.
    pub(crate) fn describe(&self) -> String {
        let settings = self.settings;
        let minima = settings.all_chains();
        let gathering = minima as f64 * settings.gather_steps as f64;
        let mut text = format!(
            "Measured here: {} chain steps/s\n\
             Gathering: {minima} chains × {} Langevin steps = {} chain steps, about {}",
            rounded(1.0 / self.seconds),
            settings.gather_steps,
            rounded(gathering),
            duration(gathering * self.seconds),
        );
        let paths = |pairs: usize| 2 * u64::from(settings.trials) * pairs as u64;
        if settings.alpha.is_none() {
            let pairs = PAIRS[usize::from(!settings.is_digits)].min(minima * (minima - 1) / 2);
            text += &format!(
                "\nSweep over α: up to {pairs} pairs under 1 to {STRENGTHS} strengths, {}",
                self.range(paths(pairs), paths(pairs) * STRENGTHS as u64)
            );
        }
        let groupings = settings.groupings + settings.multiples.len();
        let tried = paths(minima) * (groupings * BASINS) as u64;
        let shown = BASINS.min(settings.graph_basins);
        let pairs = paths(shown * (shown - 1) / 2);
        let pulls = u64::from(BarrierSearch::default().most_pulls);
        text + &format!(
            "\nHow many basins there are is not known before. Ten would take:\n  {} {}, {}\n  barriers between them, \
             {}",
            groupings,
            if groupings == 1 {
                "grouping"
            } else {
                "groupings"
            },
            self.range(tried, tried),
            self.range(pairs, pairs * pulls),
        )
    }

    /// The range is from paths that all give up after M steps to paths that go on to the last step. Paths that arrive
    /// sooner take fewer steps.
    fn range(&self, fewest: u64, most: u64) -> String {
        let low = (fewest * self.settings.patience.min(self.settings.most_steps)) as f64;
        let high = (most * self.settings.most_steps) as f64;
        format!(
            "{} to {} chain steps, {} to {}",
            rounded(low),
            rounded(high),
            duration(low * self.seconds),
            duration(high * self.seconds)
        )
    }
}
