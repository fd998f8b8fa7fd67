//! Are short-run samples near the steady state? The second axis of the paper, decided by long chains.
//!
//! The samples of a convergent model do not change when their chains are continued far beyond the training length,
//! and chains from noise and from data meet; those of a non-convergent one sink to states of far lower energy (arXiv
//! 1903.12370, section 3). Both are claims about a change, so both are tested: a change is shown to be negligible, or
//! shown not to be, or neither.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::chain_group::{ChainGroup, ChainOrigin, FEWEST_CHAINS};
use super::compared::{Compared, in_spreads};
use super::comparison::{Change, Distance, between_groups, within_group};
use super::estimate::Place;
use super::mixing::{Mixing, mixing};
use super::not_finite::{NotFiniteChains, finite_chains};
use super::pairs::Pairs;
use super::spread_change::{SpreadChange, spread_changes};
use super::sureness::Sureness;
use crate::check::{check_open_unit, check_positive};
use crate::number_format::number;
use crate::{DiagnosticsError, Result};

/// How to judge convergence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ConvergenceOptions {
    /// L, the number of Langevin steps of a training run.
    pub training_steps: u64,
    /// Multiples of L at which the continued chains are compared with those at L, rising.
    pub multiples: Vec<u64>,
    /// Largest change that still counts as none, in spreads of the chains at L. Two normal distributions one spread
    /// apart share 62 % of their mass.
    pub tolerance: f64,
    /// Largest growth or shrinkage of the spread of a summary over the chains that still counts as none, as a factor.
    pub spread_tolerance: f64,
    /// Probability that any of the intervals misses its true number.
    pub error_rate: f64,
    /// Starts whose chains at L are no training samples: chains from noise, if the model was trained with persistent
    /// chains, which are far older than L. At L they may still be in their burn-in, so their change from L says
    /// nothing. Only their distance from the other groups at the largest multiple counts. They need no record at L.
    pub origins_in_burn_in: Vec<ChainOrigin>,
}

impl Default for ConvergenceOptions {
    fn default() -> Self {
        Self {
            training_steps: 100,
            multiples: vec![10, 100],
            tolerance: 1.0,
            spread_tolerance: 2.0,
            error_rate: 0.05,
            origins_in_burn_in: Vec::new(),
        }
    }
}

/// Whether the model's short-run samples are near its steady state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convergence {
    /// Every change, change of spread and distance is shown to be within its tolerance.
    Convergent,
    /// At least one is shown to be beyond it, or a chain does not stay finite.
    NotConvergent,
    /// Neither; more chains would tell.
    Undecided,
}

impl fmt::Display for Convergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Convergent => "convergent",
            Self::NotConvergent => "not convergent",
            Self::Undecided => "convergence undecided",
        })
    }
}

/// Outcome of the judgement. Intervals hold together at the error rate of the options.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvergenceTest {
    /// What the test decides.
    pub conclusion: Convergence,
    /// How sure: about the highest confidence of the simultaneous intervals at which the conclusion would still
    /// stand. When undecided, the highest at which there would have been one. Between 0 and 1; 1 when a chain does
    /// not stay finite.
    pub confidence: f64,
    /// Change of each summary of each group from L to each multiple.
    pub changes: Vec<Change>,
    /// Change of the spread of each summary of each group from L to each multiple.
    #[serde(default)]
    pub spread_changes: Vec<SpreadChange>,
    /// Distance of each pair of groups at the largest multiple, for the summaries that both have.
    pub distances: Vec<Distance>,
    /// How the chains of each group mix. This does not decide: chains that stay near different modes have a large R̂
    /// even when nothing drifts.
    pub mixing: Vec<Mixing>,
    /// The groups with chains that do not stay finite. Such chains alone decide the outcome, and all other numbers
    /// leave them out.
    #[serde(default)]
    pub not_finite: Vec<NotFiniteChains>,
    /// The options of the test.
    pub options: ConvergenceOptions,
}

/// Judges convergence from groups of chains, each recorded at L and at all multiples of L.
///
/// Compared are:
/// - the mean over chains of each summary of each group at each multiple of L with that of the same chains at L, in
///   units of the spread over chains at L;
/// - their spreads, by the log of the ratio, because a mean shows neither a few chains that leave nor a collapse;
/// - the means of each summary of each pair of groups at the largest multiple, in units of the common spread.
///
/// Nothing else is compared: distributions with the same mean and spread count as the same, so give the summaries
/// that matter.
///
/// The two-sided intervals of all K comparisons hold together at about `error_rate` (Bonferroni: each at
/// `error_rate`/K), and the error of the spread itself is part of them. [`Convergence::Convergent`] needs every
/// interval wholly within its tolerance, [`Convergence::NotConvergent`] one wholly beyond; each is wrong with a
/// probability of at most about `error_rate`, since the intervals assume that means of chains are normal. All other
/// cases are [`Convergence::Undecided`].
///
/// A NaN or an infinity in a chain is an outcome and not an error: [`Convergence::NotConvergent`].
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] for no group, [`DiagnosticsError::MissingRecord`] for a group without one of
/// the steps, [`DiagnosticsError::NotFinite`] for values so large that their spread overflows,
/// [`DiagnosticsError::Parameter`] for options out of range or two groups of one start, and those of
/// [`ChainGroup::check`].
pub fn test_convergence(
    groups: &[ChainGroup],
    options: &ConvergenceOptions,
) -> Result<ConvergenceTest> {
    let last = check_input(groups, options)?;
    let mut not_finite = Vec::new();
    let mut finite = Vec::new();
    for group in groups {
        let (rest, count) = finite_chains(group);
        if count > 0 {
            not_finite.push(NotFiniteChains {
                start: group.start,
                not_finite: count,
                chains: group.chains,
            });
        }
        if rest.chains >= FEWEST_CHAINS {
            finite.push(rest);
        }
    }
    let pairs = Pairs::of(&finite, options);
    let comparisons = pairs.count(options.multiples.len());
    let rate = options.error_rate / comparisons.max(1) as f64;
    let mut test = ConvergenceTest {
        conclusion: Convergence::Undecided,
        confidence: 0.0,
        changes: Vec::new(),
        spread_changes: Vec::new(),
        distances: Vec::new(),
        mixing: finite.iter().flat_map(|group| mixing(group)).collect(),
        not_finite,
        options: options.clone(),
    };
    let mut sureness = Sureness::new(options);
    for (group, multiple) in pairs.within(&options.multiples) {
        for (change, standardised) in within_group(group, options.training_steps, multiple, rate)? {
            sureness.add_standardised(&change.spreads, &standardised);
            test.changes.push(change);
        }
        for change in spread_changes(group, options.training_steps, multiple, rate)? {
            sureness.add_log_ratio(&change.log_ratio);
            test.spread_changes.push(change);
        }
    }
    for pair in pairs.between {
        for (distance, standardised) in between_groups(pair, options.training_steps, last, rate)? {
            sureness.add_standardised(&distance.spreads, &standardised);
            test.distances.push(distance);
        }
    }
    (test.conclusion, test.confidence) = test.conclude(&sureness, comparisons);
    Ok(test)
}

/// Checks groups and options; returns the largest multiple.
fn check_input(groups: &[ChainGroup], options: &ConvergenceOptions) -> Result<u64> {
    check_open_unit("error_rate", options.error_rate)?;
    check_positive("tolerance", options.tolerance)?;
    check_positive("spread_tolerance − 1", options.spread_tolerance - 1.0)?;
    if options.training_steps == 0 {
        return Err(DiagnosticsError::Parameter {
            name: "training_steps",
            value: options.training_steps.to_string(),
            requirement: "a training run has at least one Langevin step",
        });
    }
    let rising = options.multiples.windows(2).all(|pair| pair[0] < pair[1]);
    let (Some(first), Some(last)) = (options.multiples.first(), options.multiples.last()) else {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the list of multiples",
            length: 0,
            needed: 1,
        });
    };
    if *first < 2 || !rising {
        return Err(DiagnosticsError::Parameter {
            name: "multiples",
            value: format!("{:?}", options.multiples),
            requirement: "they have to rise and start at 2 or more",
        });
    }
    if groups.is_empty() {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the list of groups of chains",
            length: 0,
            needed: 1,
        });
    }
    for (position, group) in groups.iter().enumerate() {
        group.check()?;
        if groups[..position].iter().any(|g| g.start == group.start) {
            return Err(DiagnosticsError::Parameter {
                name: "start of a group",
                value: format!("{} twice", group.start.name()),
                requirement: "give one group of chains for each start",
            });
        }
    }
    Ok(*last)
}

impl ConvergenceTest {
    fn conclude(&self, sureness: &Sureness, comparisons: usize) -> (Convergence, f64) {
        if !self.not_finite.is_empty() {
            return (Convergence::NotConvergent, 1.0);
        }
        if comparisons == 0 {
            return (Convergence::Undecided, 0.0);
        }
        let confidence = |rate: f64| 1.0 - (comparisons as f64 * rate).min(1.0);
        let (inside, outside) = (confidence(sureness.inside), confidence(sureness.outside));
        let mut places = Compared::all(self).map(|compared| compared.place(&self.options));
        if places.any(|place| place == Place::Outside) {
            return (Convergence::NotConvergent, outside);
        }
        let mut places = Compared::all(self).map(|compared| compared.place(&self.options));
        if places.all(|place| place == Place::Inside) {
            return (Convergence::Convergent, inside);
        }
        (Convergence::Undecided, inside.max(outside))
    }

    /// The comparison that decided. If some lie beyond the tolerance, it is the change of the energy or else the
    /// largest of them. Otherwise it is the one whose interval reaches the farthest, among those across the tolerance
    /// if there are any.
    fn clearest(&self) -> Option<Compared<'_>> {
        let options = &self.options;
        let at = |place: Place| Compared::all(self).filter(move |c| c.place(options) == place);
        let size = |a: &Compared<'_>, b: &Compared<'_>| a.size(options).total_cmp(&b.size(options));
        let reach =
            |a: &Compared<'_>, b: &Compared<'_>| a.reach(options).total_cmp(&b.reach(options));
        match self.conclusion {
            Convergence::NotConvergent => at(Place::Outside)
                .filter(|compared| compared.is_energy_change())
                .max_by(size)
                .or_else(|| at(Place::Outside).max_by(size)),
            Convergence::Convergent => at(Place::Inside).max_by(reach),
            Convergence::Undecided => at(Place::Across).max_by(reach),
        }
    }
}

impl fmt::Display for ConvergenceTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.conclusion)?;
        for (position, group) in self.not_finite.iter().enumerate() {
            write!(f, "{}{group}", if position == 0 { ": " } else { ", " })?;
        }
        if !self.not_finite.is_empty() {
            return Ok(());
        }
        let Some(clearest) = self.clearest() else {
            return f.write_str(": nothing to compare, as no group starts from training samples");
        };
        let allowed = format!(
            "{} and no spread changes by more than a factor of {}",
            in_spreads(self.options.tolerance),
            number(self.options.spread_tolerance)
        );
        match self.conclusion {
            Convergence::NotConvergent => write!(f, ": {clearest}")?,
            Convergence::Convergent => write!(
                f,
                ": no change and no distance passes {allowed}; the largest: {clearest}"
            )?,
            Convergence::Undecided => {
                return write!(
                    f,
                    ": {clearest}, which neither stays within nor passes {}; more chains would tell",
                    clearest.limit(&self.options)
                );
            }
        }
        write!(f, " (confidence {})", percent(self.confidence))
    }
}

/// A confidence in percent, never rounded up to certainty.
fn percent(confidence: f64) -> String {
    if confidence > 0.999 {
        "above 99.9 %".to_owned()
    } else {
        format!("{:.1} %", (1000.0 * confidence).floor() / 10.0)
    }
}
