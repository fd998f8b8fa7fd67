//! Are short-run samples near the steady state? The second axis of the paper, decided by long chains.
//!
//! The samples of a convergent model stay what they are when their chains are continued far beyond the training length,
//! and chains from noise and from data meet; those of a non-convergent one sink to states of far lower energy (arXiv
//! 1903.12370, section 3). Both are claims about a change, so both are tested: a change is shown to be negligible, or
//! shown not to be, or neither.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::chain_group::{ChainGroup, ChainStart, ENERGY};
use super::comparison::{Change, Distance, between_groups, within_group};
use super::estimate::{Estimate, Place};
use super::mixing::{Mixing, mixing};
use crate::check::{check_open_unit, check_positive};
use crate::number_format::{number, thousands};
use crate::{DiagnosticsError, Result};

/// How to judge convergence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ConvergenceOptions {
    /// L, the number of Langevin steps of a training run.
    pub training_steps: u64,
    /// Multiples of L at which the continued chains are compared with those at L, rising.
    pub multiples: Vec<u64>,
    /// Largest change that still counts as none, in spreads of the chains at L. Two normal distributions one spread
    /// apart share 62 % of their mass.
    pub tolerance: f64,
    /// Probability that any of the intervals misses its true number.
    pub error_rate: f64,
}

impl Default for ConvergenceOptions {
    fn default() -> Self {
        Self {
            training_steps: 100,
            multiples: vec![10, 100],
            tolerance: 1.0,
            error_rate: 0.05,
        }
    }
}

/// Whether the model's short-run samples are near its steady state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Convergence {
    /// Every change and distance is shown to be within the tolerance.
    Convergent,
    /// At least one is shown to be beyond it.
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
    /// How sure: the highest confidence of the simultaneous intervals at which the conclusion would still stand. When
    /// undecided, the highest at which there would have been one. Between 0 and 1.
    pub confidence: f64,
    /// Change of each summary of each group from L to each multiple.
    pub changes: Vec<Change>,
    /// Distance of each pair of groups at the largest multiple, for the summaries that both have.
    pub distances: Vec<Distance>,
    /// How the chains of each group mix. Does not decide: chains that stay near different modes have a large R̂ also
    /// when nothing drifts.
    pub mixing: Vec<Mixing>,
    /// The options of the test.
    pub options: ConvergenceOptions,
}

/// Judges convergence from groups of chains, each recorded at L and at all multiples of L.
///
/// Compared are, in units of the spread over chains:
/// - each summary of each group at each multiple of L with the same chains at L;
/// - each summary of each pair of groups at the largest multiple.
///
/// The two-sided Student intervals of all K comparisons hold together at `error_rate` (Bonferroni: each at
/// `error_rate`/K), and the error of the spread itself is part of them. [`Convergence::Convergent`] needs every
/// interval wholly within ±`tolerance`, [`Convergence::NotConvergent`] one wholly beyond; each is wrong with
/// probability `error_rate` at most. The rest is [`Convergence::Undecided`].
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] for no group, [`DiagnosticsError::MissingRecord`] for a group without one of
/// the steps, [`DiagnosticsError::NoSpread`] for a summary that is the same in all chains at both steps but not the
/// same at one as at the other, [`DiagnosticsError::Parameter`] for options out of range or two groups of one start,
/// and those of [`ChainGroup::check`].
pub fn test_convergence(
    groups: &[ChainGroup],
    options: &ConvergenceOptions,
) -> Result<ConvergenceTest> {
    let last = check_input(groups, options)?;
    let comparisons = comparison_count(groups, options.multiples.len());
    let rate = options.error_rate / comparisons as f64;
    let (mut changes, mut distances) = (Vec::new(), Vec::new());
    for (position, group) in groups.iter().enumerate() {
        for multiple in &options.multiples {
            changes.extend(within_group(
                group,
                options.training_steps,
                *multiple,
                rate,
            )?);
        }
        for other in &groups[position + 1..] {
            distances.extend(between_groups(
                [group, other],
                options.training_steps,
                last,
                rate,
            )?);
        }
    }
    let estimates: Vec<Estimate> = changes
        .iter()
        .map(|change| change.spreads)
        .chain(distances.iter().map(|distance| distance.spreads))
        .collect();
    let (conclusion, confidence) = conclude(&estimates, options.tolerance);
    Ok(ConvergenceTest {
        conclusion,
        confidence,
        changes,
        distances,
        mixing: groups.iter().flat_map(mixing).collect(),
        options: options.clone(),
    })
}

/// Number of comparisons that [`test_convergence`] will make.
fn comparison_count(groups: &[ChainGroup], multiples: usize) -> usize {
    let within: usize = groups
        .iter()
        .map(|group| multiples * group.summaries().count())
        .sum();
    let mut between = 0;
    for (position, group) in groups.iter().enumerate() {
        for other in &groups[position + 1..] {
            between += group
                .summaries()
                .filter(|(name, _)| other.summaries().any(|(n, _)| n == *name))
                .count();
        }
    }
    within + between
}

fn conclude(estimates: &[Estimate], tolerance: f64) -> (Convergence, f64) {
    let count = estimates.len() as f64;
    let confidence = |rate: f64| 1.0 - (count * rate).min(1.0);
    // All have to be inside, so the least sure one counts; one outside is enough, so the surest does.
    let inside = confidence(
        estimates
            .iter()
            .fold(0.0, |m, e| e.rate_inside(tolerance).max(m)),
    );
    let outside = confidence(
        estimates
            .iter()
            .fold(1.0, |m, e| e.rate_outside(tolerance).min(m)),
    );
    if estimates
        .iter()
        .any(|e| e.place(tolerance) == Place::Outside)
    {
        (Convergence::NotConvergent, outside)
    } else if estimates
        .iter()
        .all(|e| e.place(tolerance) == Place::Inside)
    {
        (Convergence::Convergent, inside)
    } else {
        (Convergence::Undecided, inside.max(outside))
    }
}

/// Checks groups and options; returns the largest multiple.
fn check_input(groups: &[ChainGroup], options: &ConvergenceOptions) -> Result<u64> {
    check_open_unit("error_rate", options.error_rate)?;
    check_positive("tolerance", options.tolerance)?;
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
    /// The change that speaks the clearest: of the energy where that lies beyond the tolerance, else the largest, with
    /// its size and the half width of its interval added.
    fn clearest_change(&self) -> Option<&Change> {
        let reach = |c: &Change| c.spreads.value.abs() + c.spreads.half_width();
        let beyond = |c: &&Change| c.spreads.place(self.options.tolerance) == Place::Outside;
        let largest = |energy: bool| {
            self.changes
                .iter()
                .filter(beyond)
                .filter(|c| (c.summary == ENERGY) == energy)
                .max_by(|a, b| a.spreads.value.abs().total_cmp(&b.spreads.value.abs()))
        };
        match self.conclusion {
            Convergence::NotConvergent => largest(true).or_else(|| largest(false)),
            _ => self
                .changes
                .iter()
                .max_by(|a, b| reach(a).total_cmp(&reach(b))),
        }
    }

    fn farthest_distance(&self) -> Option<&Distance> {
        self.distances
            .iter()
            .max_by(|a, b| a.spreads.value.abs().total_cmp(&b.spreads.value.abs()))
    }
}

impl fmt::Display for ConvergenceTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.conclusion)?;
        let tolerance = number(self.options.tolerance);
        match (self.conclusion, self.clearest_change()) {
            (Convergence::NotConvergent, Some(change)) => write!(f, "{change}")?,
            (Convergence::NotConvergent, None) => {
                if let Some(distance) = self.farthest_distance() {
                    write!(f, "{distance}")?;
                }
            }
            (Convergence::Convergent, Some(change)) => {
                write!(
                    f,
                    "no change and no distance passes {tolerance} spreads; the largest: {change}"
                )?;
            }
            (Convergence::Undecided, Some(change)) => write!(
                f,
                "{change}, which neither stays within nor passes {tolerance} spreads; more chains would tell"
            )?,
            (_, None) => {}
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

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let chains = match self.start {
            ChainStart::Noise => "chains".to_owned(),
            start => format!("chains from {}", start.name()),
        };
        let longer = thousands(self.multiple);
        write!(
            f,
            "{chains} continued to {longer} times the training length "
        )?;
        let size = self.spreads.value.abs();
        let spreads = format!(
            "{} ± {} spreads",
            number(size),
            number(self.spreads.half_width())
        );
        match (self.summary == ENERGY, self.spreads.value < 0.0) {
            (true, true) => write!(f, "sink by {spreads}"),
            (true, false) => write!(f, "rise by {spreads}"),
            (false, true) => write!(f, "lower their {} by {spreads}", self.summary),
            (false, false) => write!(f, "raise their {} by {spreads}", self.summary),
        }
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {} times the training length the {} of chains from {} and from {} still lies {} ± {} spreads apart",
            thousands(self.multiple),
            self.summary,
            self.starts[0].name(),
            self.starts[1].name(),
            number(self.spreads.value.abs()),
            number(self.spreads.half_width()),
        )
    }
}
