//! One of the numbers that decide on convergence, of any kind, and its description in words.

use std::fmt;

use super::chain_group::{ChainOrigin, ENERGY};
use super::comparison::{Change, Distance};
use super::convergence::{ConvergenceOptions, ConvergenceTest};
use super::estimate::{Estimate, Place};
use super::spread_change::SpreadChange;
use crate::number_format::{number, thousands};

/// A change, a change of spread or a distance.
#[derive(Clone, Copy)]
pub(crate) enum Compared<'a> {
    Change(&'a Change),
    Spread(&'a SpreadChange),
    Distance(&'a Distance),
}

impl<'a> Compared<'a> {
    /// All comparisons of a test.
    pub(crate) fn all(test: &'a ConvergenceTest) -> impl Iterator<Item = Self> {
        let changes = test.changes.iter().map(Self::Change);
        let spreads = test.spread_changes.iter().map(Self::Spread);
        let distances = test.distances.iter().map(Self::Distance);
        changes.chain(spreads).chain(distances)
    }

    pub(crate) fn estimate(self) -> Estimate {
        match self {
            Self::Change(change) => change.spreads,
            Self::Spread(change) => change.log_ratio,
            Self::Distance(distance) => distance.spreads,
        }
    }

    fn tolerance(self, options: &ConvergenceOptions) -> f64 {
        match self {
            Self::Change(_) | Self::Distance(_) => options.tolerance,
            Self::Spread(_) => options.spread_tolerance.ln(),
        }
    }

    /// The tolerance in words.
    pub(crate) fn limit(self, options: &ConvergenceOptions) -> String {
        match self {
            Self::Change(_) | Self::Distance(_) => in_spreads(options.tolerance),
            Self::Spread(_) => format!("a factor of {}", number(options.spread_tolerance)),
        }
    }

    pub(crate) fn place(self, options: &ConvergenceOptions) -> Place {
        self.estimate().place(self.tolerance(options))
    }

    /// Size in tolerances.
    pub(crate) fn size(self, options: &ConvergenceOptions) -> f64 {
        self.estimate().value.abs() / self.tolerance(options)
    }

    /// The farther end of the interval, in tolerances.
    pub(crate) fn reach(self, options: &ConvergenceOptions) -> f64 {
        let estimate = self.estimate();
        estimate.low.abs().max(estimate.high.abs()) / self.tolerance(options)
    }

    pub(crate) fn is_energy_change(self) -> bool {
        matches!(self, Self::Change(change) if change.summary == ENERGY)
    }
}

impl fmt::Display for Compared<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Change(change) => change.fmt(f),
            Self::Spread(change) => change.fmt(f),
            Self::Distance(distance) => distance.fmt(f),
        }
    }
}

/// A number of spreads, which may be one.
pub(crate) fn in_spreads(value: f64) -> String {
    let plural = if value == 1.0 { "" } else { "s" };
    format!("{} spread{plural}", number(value))
}

/// The start of a sentence about continued chains.
fn continued(start: ChainOrigin, multiple: u64) -> String {
    let chains = match start {
        ChainOrigin::Noise => "chains".to_owned(),
        start => format!("chains from {}", start.name()),
    };
    format!(
        "{chains} continued to {} times the training length",
        thousands(multiple)
    )
}

/// The interval of the size of a number, without its sign: "12.1 to 50.5".
fn size_range(estimate: &Estimate) -> String {
    let (low, high) = if estimate.value < 0.0 {
        (-estimate.high, -estimate.low)
    } else {
        (estimate.low, estimate.high)
    };
    format!("{} to {}", number(low), number(high))
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verb = match (self.summary == ENERGY, self.spreads.value < 0.0) {
            (true, true) => "sink".to_owned(),
            (true, false) => "rise".to_owned(),
            (false, true) => format!("lower their {}", self.summary),
            (false, false) => format!("raise their {}", self.summary),
        };
        let continued = continued(self.start, self.multiple);
        if self.spread == 0.0 && self.spreads.value != 0.0 {
            return write!(
                f,
                "{continued} {verb} from {} to {}, all of them alike",
                number(self.mean_before),
                number(self.mean_after)
            );
        }
        write!(
            f,
            "{continued} {verb} by {} ({}) spreads",
            number(self.spreads.value.abs()),
            size_range(&self.spreads)
        )
    }
}

impl fmt::Display for SpreadChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} change the spread of their {} from {} to {}",
            continued(self.start, self.multiple),
            self.summary,
            number(self.spread_before),
            number(self.spread_after)
        )?;
        let ratio = &self.log_ratio;
        if ratio.low == -Estimate::UNBOUNDED || ratio.high == Estimate::UNBOUNDED {
            return Ok(());
        }
        write!(
            f,
            ", {}-fold ({} to {})",
            number(ratio.value.exp()),
            number(ratio.low.exp()),
            number(ratio.high.exp())
        )
    }
}

impl fmt::Display for Distance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "after {} times the training length the {} of chains from {} and from {} still lies ",
            thousands(self.multiple),
            self.summary,
            self.starts[0].name(),
            self.starts[1].name(),
        )?;
        if self.spread == 0.0 && self.spreads.value != 0.0 {
            return write!(
                f,
                "at {} and {}, without any spread",
                number(self.means[0]),
                number(self.means[1])
            );
        }
        write!(
            f,
            "{} ({}) spreads apart",
            number(self.spreads.value.abs()),
            size_range(&self.spreads)
        )
    }
}
