//! The pairs of minima that a sweep over α tries, and the α that follows from it.

use ebm_landscape::{Experiments, StrengthSweep};
use serde::Serialize;

use super::state::{Found, Sweep};
use super::{MapSettings, State};
use crate::ExperimentError;
use crate::diagnosis::short;
use crate::evaluation::EvaluationStart;

/// Strengths of a sweep.
pub(super) const STRENGTHS: usize = 20;

/// The largest numbers of pairs in a sweep: of minima known to be different, and of any minima.
pub(super) const PAIRS: [usize; 2] = [100, 200];

/// The share of pairs known to be different that may come together.
pub(super) const MAY_COME_TOGETHER: f64 = 0.05;

/// The share of all pairs that may come together within a plateau, such as pairs at the rim of a basin.
const MAY_JOIN: f64 = 0.02;

/// The least probability at which a digit counts as known.
const KNOWN: f64 = 0.9;

/// The least number of pairs known to be different for which a share of them means anything.
const FEWEST_KNOWN: usize = 20;

/// Pairs are drawn from at most this number of minima, because the number of pairs grows with its square.
const MOST_DRAWN_FROM: usize = 1_000;

/// How α was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Choice {
    /// It was given.
    Given,
    /// The strongest pull that keeps pairs apart that are known to be different.
    JustApart,
    /// The middle of the widest range of pulls in which hardly any pair comes together.
    WidestPlateau,
}

impl Choice {
    pub(super) fn of(state: &State) -> Self {
        match &state.sweep {
            _ if state.settings.alpha.is_some() => Self::Given,
            Some(sweep) if sweep.are_different => Self::JustApart,
            _ => Self::WidestPlateau,
        }
    }

    pub(super) fn in_words(self) -> &'static str {
        match self {
            Self::Given => "as asked for",
            Self::JustApart => {
                "the strongest pull with which at most 5 % of the pairs of minima that are read as different digits \
                 come together"
            }
            Self::WidestPlateau => {
                "the middle of the widest range of pulls in which at most 2 % of the pairs of minima come together, \
                 while more do below it and more stay apart above it"
            }
        }
    }
}

impl Sweep {
    /// A sweep over all of `found`, before its first experiment.
    ///
    /// The range of pulls follows the slopes that chains meet: r, the mean ‖∇F‖₂ at the temperature of learning, is
    /// the slope that a pull αTτ of the same size just overcomes, and the colder chains of a sweep meet less steep
    /// slopes. A pull of 2r thus leads straight over nearly every barrier, and a pull of r/50 over almost none.
    ///
    /// # Errors
    /// [`ExperimentError::Map`] where the energy is flat, [`ExperimentError::Landscape`] for an impossible range.
    pub(super) fn new(settings: &MapSettings, found: &Found) -> Result<Self, ExperimentError> {
        let [low, high] = match settings.alpha_range {
            Some(range) => range,
            None => {
                let alpha = found.slope / settings.pull_of_one()?;
                [alpha / 50.0, alpha * 2.0]
            }
        };
        if !(low.is_finite() && high.is_finite() && low > 0.0) {
            return Err(ExperimentError::Map(format!(
                "the mean slope of the energy is {}, from which no range of α follows; give a range of α",
                found.slope
            )));
        }
        let known = known_pairs(settings, found);
        let are_different = known.len() >= FEWEST_KNOWN;
        let pairs = if are_different {
            known
        } else {
            any_pairs(settings, found)
        };
        let ladder = StrengthSweep::ladder(low, high, STRENGTHS);
        Ok(Self {
            are_different,
            search: StrengthSweep::new(ladder, &pairs)?,
        })
    }

    /// Percent of the pairs that are together at α.
    pub(super) fn together(&self, alpha: f64) -> f64 {
        100.0 * self.search.together(alpha, |_| true).unwrap_or(0.0)
    }

    /// α, when the sweep has ended.
    ///
    /// # Errors
    /// [`ExperimentError::Map`] when the range of α does not hold the transition.
    pub(super) fn choose(&self, temperature_factor: f64) -> Result<f64, ExperimentError> {
        let tried = self.search.tried();
        let (low, high) = match tried {
            [low, .., high] => (*low, *high),
            [only] => (*only, *only),
            [] => (0.0, 0.0),
        };
        let [at_low, at_high] = [low, high].map(|alpha| self.together(alpha));
        let limit = 100.0 * MAY_COME_TOGETHER;
        let chosen = if self.are_different {
            let chosen = self.search.just_apart(|_| true, MAY_COME_TOGETHER);
            // If all pairs stay apart to the end of the range, the transition lies beyond it.
            chosen.filter(|_| at_high > limit)
        } else {
            self.search.widest_plateau(MAY_JOIN)
        };
        chosen.ok_or_else(|| {
            let pairs = if self.are_different {
                "the pairs read as different digits"
            } else {
                "the pairs"
            };
            let advice = if self.are_different && at_high <= limit {
                "even the strongest keeps them apart: give a range with a higher end"
            } else if self.are_different {
                "even the weakest brings more together than it should: give a range with a lower end"
            } else {
                "no range of pulls lies between pairs that come together and pairs that do not: look at a few pulls \
                 in that range, or give a wider range or other starts"
            };
            ExperimentError::Map(format!(
                "no strength of the pull divides the minima into basins: α = {} brings {at_low:.0} % of {pairs} \
                 together and α = {} brings {at_high:.0} %; {advice}, or choose α yourself; a map can be resumed \
                 with either. plots/sweep.svg shows the sweep, at the temperature factor {temperature_factor}",
                short(low),
                short(high),
            ))
        })
    }
}

/// Pairs of minima of chains from data that the classifier reads as different digits with confidence.
fn known_pairs(settings: &MapSettings, found: &Found) -> Vec<(usize, usize)> {
    let is_known = |minimum: &usize| {
        let minimum = &found.minima[*minimum];
        let start = settings.origin(minimum.chain).map(|(start, _)| start.start);
        let digit = minimum.digit.filter(|digit| digit.probability >= KNOWN);
        start == Some(EvaluationStart::Data) && digit.is_some()
    };
    let known: Vec<usize> = (0..found.minima.len()).filter(is_known).collect();
    let digit = |minimum: usize| found.minima[minimum].digit.map(|read| read.digit);
    let differ = |a: usize, b: usize| digit(a) != digit(b);
    draw(settings.seed, known, PAIRS[0], differ)
}

fn any_pairs(settings: &MapSettings, found: &Found) -> Vec<(usize, usize)> {
    let all = (0..found.minima.len()).collect();
    draw(settings.seed, all, PAIRS[1], |_, _| true)
}

/// At most `count` different pairs, each the lower minimum first, in an order that depends on the seed only.
fn draw(
    seed: u64,
    from: Vec<usize>,
    count: usize,
    counts: impl Fn(usize, usize) -> bool,
) -> Vec<(usize, usize)> {
    let key = |call| Experiments::Pairs.key(seed, call);
    let mut drawn: Vec<usize> = key(0)
        .choose(MOST_DRAWN_FROM, from.len())
        .into_iter()
        .map(|place| from[place])
        .collect();
    drawn.sort_unstable();
    let mut pairs = Vec::new();
    for (place, a) in drawn.iter().enumerate() {
        let others = drawn[place + 1..].iter().filter(|b| counts(*a, **b));
        pairs.extend(others.map(|b| (*a, *b)));
    }
    let chosen = key(1).choose(count, pairs.len());
    chosen.into_iter().map(|place| pairs[place]).collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn pairs_are_different_fit_and_depend_on_the_seed() {
        let odd = |a: usize, b: usize| (a + b) % 2 == 1;
        let pairs = draw(1, (10..40).collect(), 50, odd);
        assert_eq!(pairs.len(), 50);
        let mut sorted = pairs.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(sorted.len(), 50);
        assert!(
            pairs
                .iter()
                .all(|(a, b)| odd(*a, *b) && *a >= 10 && a < b && *b < 40)
        );
        assert_ne!(pairs, draw(2, (10..40).collect(), 50, odd));
        assert_eq!(draw(1, vec![3, 5, 4], 9, odd).len(), 2);
        assert!(draw(1, vec![7], 9, odd).is_empty());
    }

    fn sweep(are_different: bool, thresholds: &[Option<f64>]) -> Sweep {
        let pair = |threshold: &Option<f64>| json!({"a": 0, "b": 1, "threshold": threshold});
        let pairs: Vec<_> = thresholds.iter().map(pair).collect();
        let search = json!({"strengths": [1.0, 2.0, 4.0, 8.0], "tried": 4, "pairs": pairs});
        Sweep {
            are_different,
            search: serde_json::from_value(search).unwrap(),
        }
    }

    #[test]
    fn a_strength_is_chosen_where_the_transition_is_seen() {
        let chosen = |sweep: &Sweep| sweep.choose(0.1).map_err(|error| error.to_string());
        // One of twenty may come together.
        let mut thresholds = vec![None; 20];
        thresholds[0] = Some(2.0);
        let all_apart = chosen(&sweep(true, &thresholds)).unwrap_err();
        assert!(all_apart.contains("higher end"), "{all_apart}");
        thresholds[1] = Some(8.0);
        assert_eq!(chosen(&sweep(true, &thresholds)), Ok(4.0));
        thresholds[2] = Some(1.0);
        thresholds[3] = Some(1.0);
        let too_many = chosen(&sweep(true, &thresholds)).unwrap_err();
        assert!(too_many.contains("lower end"), "{too_many}");
        // Between those together at 1 and those at 8.
        let between = [Some(1.0), Some(1.0), Some(8.0)];
        assert_eq!(chosen(&sweep(false, &between)), Ok(2.0));
        let none = chosen(&sweep(false, &[None, None])).unwrap_err();
        assert!(none.contains("wider range"), "{none}");
    }
}
