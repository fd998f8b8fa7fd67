//! Is learning stable, and do expansion and contraction balance? The other half of the first axis.
//!
//! In a stable run d ends symmetric about zero and r settles (arXiv 1903.12370, section 3). Each of these statements
//! becomes a number with an interval, and the intervals hold together at one error rate.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::estimate::{Estimate, Place};
use super::halves::{Comparison, Halves, share_below_zero};
use crate::check::{check_open_unit, check_positive, check_same_length, is_constant};
use crate::number_format::number;
use crate::{DiagnosticsError, MeanEstimate, Result, series_mean};

/// Number of intervals that decide together: drift of d, growth of d, share of expansions, drift of r.
const INTERVALS: f64 = 4.0;

/// Fewest iterations of a window: two halves with a drift and a spread each.
const FEWEST_ITERATIONS: usize = 40;

/// The least number of effective values in each half for which a drift or a growth may be called small. With fewer
/// the standard errors themselves are too uncertain.
const FEWEST_EFFECTIVE: f64 = 20.0;

/// How to test for stability.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StabilityOptions {
    /// Probability that any of the intervals misses its true number.
    pub error_rate: f64,
    /// Largest drift of the mean of d between the halves of the window, in standard deviations of d.
    pub drift_tolerance: f64,
    /// Largest growth of the root mean square of d from the first to the second half, as a factor.
    pub growth_tolerance: f64,
    /// Largest drift of the mean of r between the halves, as a fraction of r.
    pub gradient_tolerance: f64,
    /// Share of expanding (or of contracting) iterations from which learning is one-sided.
    pub one_sided_share: f64,
    /// Farthest share of expansions from one half that still counts as balance.
    pub balance_tolerance: f64,
    /// Largest |d| allowed in the window, in the unit of d, where a bound is known.
    pub largest_energy_difference: Option<f64>,
}

impl Default for StabilityOptions {
    fn default() -> Self {
        Self {
            error_rate: 0.01,
            drift_tolerance: 0.5,
            growth_tolerance: 2.0,
            gradient_tolerance: 0.1,
            one_sided_share: 0.9,
            balance_tolerance: 0.2,
            largest_energy_difference: None,
        }
    }
}

/// Whether learning has settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Stability {
    /// Every interval lies within its tolerance, with at least 20 effective values in each half behind it.
    Stable,
    /// At least one lies wholly beyond, or a value is not finite or beyond its bound.
    Unstable,
    /// Neither; a longer window would tell.
    Undecided,
}

impl fmt::Display for Stability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stable => "stable",
            Self::Unstable => "unstable",
            Self::Undecided => "not shown to be stable",
        })
    }
}

/// One way in which learning is not stable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instability {
    /// d or r is NaN or infinite somewhere in the window.
    NotFinite,
    /// |d| exceeds the largest allowed value.
    BeyondBound,
    /// The mean of d drifts.
    Drift,
    /// The size of d grows.
    Growth,
    /// Nearly every update expands, or nearly every one contracts.
    OneSided,
    /// The mean of r drifts.
    GradientDrift,
}

impl fmt::Display for Instability {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFinite => "d or r is not finite",
            Self::BeyondBound => "d passes its bound",
            Self::Drift => "the mean of d drifts",
            Self::Growth => "d grows",
            Self::OneSided => "nearly all updates go one way",
            Self::GradientDrift => "r drifts",
        })
    }
}

/// Which updates prevail.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// The share of expansions lies near one half.
    Balanced,
    /// Expansions (d < 0) prevail.
    Expanding,
    /// Contractions (d > 0) prevail.
    Contracting,
    /// The interval of the share reaches across the tolerance.
    Undecided,
}

/// The numbers behind a [`StabilityTest`]. Intervals hold together at the error rate of the test.
///
/// The intervals of drifts and growth leave out the trends within the halves if they then lie beyond their tolerance,
/// and include them otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct StabilityMeasures {
    /// Mean of d over the window, with its standard error, in the unit of d.
    pub mean_energy_difference: MeanEstimate,
    /// Mean of d in the second half less that in the first, in standard deviations of d over the window.
    pub drift: Estimate,
    /// log of the root mean square of d in the second half over that in the first; [`Estimate::UNBOUNDED`] in size
    /// where d is zero throughout one of them.
    pub log_growth: Estimate,
    /// Share of iterations with d < 0, whose update expands the energy gap (Wilson's interval).
    pub expanding_share: Estimate,
    /// Which updates prevail.
    pub balance: Balance,
    /// Mean of r in the second half less that in the first, as a fraction of its mean over the window.
    pub gradient_drift: Estimate,
}

/// Outcome of the test for stability.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StabilityTest {
    /// What the test decides.
    pub conclusion: Stability,
    /// Why learning is unstable; empty unless it is.
    pub reasons: Vec<Instability>,
    /// Number of iterations in the window.
    pub iterations: usize,
    /// Number of iterations whose d or r is not finite.
    pub not_finite: usize,
    /// The numbers; `None` when some iterations are not finite, and in a [`Verdict`](super::Verdict) also when there
    /// are too few of them or d is constant.
    pub measures: Option<StabilityMeasures>,
    /// The options of the test.
    pub options: StabilityOptions,
}

impl StabilityTest {
    /// Of a window that allows no test.
    pub(crate) fn undecided(iterations: usize, options: &StabilityOptions) -> Self {
        Self {
            conclusion: Stability::Undecided,
            reasons: Vec::new(),
            iterations,
            not_finite: 0,
            measures: None,
            options: *options,
        }
    }
}

impl fmt::Display for StabilityTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.conclusion)?;
        for (position, reason) in self.reasons.iter().enumerate() {
            write!(f, "{}{reason}", if position == 0 { ": " } else { ", " })?;
        }
        if let Some(m) = &self.measures {
            write!(
                f,
                "; between the halves of {} iterations d drifts by {} sd and grows {}, r drifts by {} %; {:.0} % \
                 ({:.0} to {:.0} %) of the updates expand",
                self.iterations,
                m.drift,
                growth(m.log_growth.value),
                number(100.0 * m.gradient_drift.value),
                100.0 * m.expanding_share.value,
                100.0 * m.expanding_share.low,
                100.0 * m.expanding_share.high,
            )?;
        }
        Ok(())
    }
}

/// A growth in words, which may be from or to nothing.
fn growth(log_growth: f64) -> String {
    if log_growth == Estimate::UNBOUNDED {
        "infinitely".to_owned()
    } else {
        format!("{}-fold", number(log_growth.exp()))
    }
}

/// Tests whether d and r of one window have settled. A NaN or an infinity is an outcome here, not an error.
///
/// Four intervals, simultaneously valid at `error_rate` (Bonferroni), are compared with their tolerances: the drift
/// of the mean of d and its growth between the halves, the share of expansions and the drift of the mean of r.
/// Learning is stable if all lie within, and unstable if one lies wholly beyond. A series that drifts by less than
/// its tolerance is thus called unstable at most at that rate, and one that drifts by more is called stable at most
/// at that rate. Simulations confirm this for autoregressions of d with coefficients from −0.5 to 0.7 over 1,000
/// iterations.
///
/// Standard errors allow for autocorrelation (Geyer's initial monotone sequence). To show a drift, they leave out the
/// linear trend within each half, so that a drift does not widen its own interval. To show that there is none, they
/// include it, because a window that rises and falls back has equal halves. Below 20 effective values in a half
/// nothing is shown to be small.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`] for series of different lengths, [`DiagnosticsError::SeriesTooShort`] for
/// fewer than 40 iterations, [`DiagnosticsError::NoSpread`] when d is constant, and [`DiagnosticsError::Parameter`]
/// for a negative r or options out of range.
pub fn test_stability(d: &[f64], r: &[f64], options: &StabilityOptions) -> Result<StabilityTest> {
    check_options(options)?;
    check_same_length("d and r", d.len(), r.len())?;
    let not_finite = d
        .iter()
        .zip(r)
        .filter(|(d, r)| !(d.is_finite() && r.is_finite()))
        .count();
    let mut test = StabilityTest {
        conclusion: Stability::Unstable,
        reasons: vec![Instability::NotFinite],
        iterations: d.len(),
        not_finite,
        measures: None,
        options: *options,
    };
    if not_finite > 0 {
        return Ok(test);
    }
    if d.len() < FEWEST_ITERATIONS {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the window of d and r",
            length: d.len(),
            needed: FEWEST_ITERATIONS,
        });
    }
    let (measures, placed) = measure(d, r, options)?;
    test.reasons = placed
        .iter()
        .filter(|(_, place)| *place == Place::Outside)
        .map(|(reason, _)| *reason)
        .collect();
    if options
        .largest_energy_difference
        .is_some_and(|bound| d.iter().any(|d| d.abs() > bound))
    {
        test.reasons.insert(0, Instability::BeyondBound);
    }
    test.conclusion = if !test.reasons.is_empty() {
        Stability::Unstable
    } else if placed.iter().all(|(_, place)| *place == Place::Inside) {
        Stability::Stable
    } else {
        Stability::Undecided
    };
    test.measures = Some(measures);
    Ok(test)
}

/// The numbers, and for each that can make learning unstable, where it lies.
fn measure(
    d: &[f64],
    r: &[f64],
    options: &StabilityOptions,
) -> Result<(StabilityMeasures, [(Instability, Place); 4])> {
    if is_constant(d) {
        return Err(DiagnosticsError::NoSpread {
            what: "the values of d",
        });
    }
    if let Some(r) = r.iter().find(|r| **r < 0.0) {
        return Err(DiagnosticsError::Parameter {
            name: "r",
            value: r.to_string(),
            requirement: "a gradient magnitude is a length and cannot be negative",
        });
    }
    let rate = options.error_rate / INTERVALS;
    // Everything but the mean is a ratio; values near 1 keep the squares from overflowing.
    let (largest_d, d) = scaled(d);
    let (_, r) = scaled(r);
    let mean = series_mean(&d)?;
    let spread = mean.standard_error * mean.effective_size.sqrt();
    let squares: Vec<f64> = d.iter().map(|d| d * d).collect();
    let expanding_share = share_below_zero(&d, rate);
    let mean_r = r.iter().sum::<f64>() / r.len() as f64;
    // A gradient that is zero throughout has settled, although such learning is useless.
    let unit_r = if mean_r > 0.0 { mean_r } else { 1.0 };

    let (drift_place, drift) = Halves::of(&d)
        .difference(spread, rate)
        .judge(FEWEST_EFFECTIVE, |drift| {
            drift.place(options.drift_tolerance)
        });
    let (growth_place, log_growth) = growth_of(&Halves::of(&squares), rate)
        .judge(FEWEST_EFFECTIVE, |growth| {
            growth_place(growth, options.growth_tolerance.ln())
        });
    let (gradient_place, gradient_drift) = Halves::of(&r)
        .difference(unit_r, rate)
        .judge(FEWEST_EFFECTIVE, |drift| {
            drift.place(options.gradient_tolerance)
        });
    let one_sided_place = about_half(&expanding_share).place(options.one_sided_share - 0.5);
    let measures = StabilityMeasures {
        mean_energy_difference: MeanEstimate {
            mean: mean.mean * largest_d,
            standard_error: mean.standard_error * largest_d,
            ..mean
        },
        drift,
        log_growth,
        balance: balance(&expanding_share, options.balance_tolerance),
        expanding_share,
        gradient_drift,
    };
    let placed = [
        (Instability::Drift, drift_place),
        (Instability::Growth, growth_place),
        (Instability::OneSided, one_sided_place),
        (Instability::GradientDrift, gradient_place),
    ];
    Ok((measures, placed))
}

/// Growth between the halves of a window of squares, of which at least one is not zero throughout.
fn growth_of(squares: &Halves, rate: f64) -> Comparison {
    if squares.first.mean == 0.0 {
        Comparison::exact(Estimate::UNBOUNDED)
    } else if squares.last.mean == 0.0 {
        Comparison::exact(-Estimate::UNBOUNDED)
    } else {
        squares.half_log_ratio(rate)
    }
}

/// The largest magnitude, and the series divided by it.
fn scaled(series: &[f64]) -> (f64, Vec<f64>) {
    let largest = series.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 {
        return (1.0, series.to_vec());
    }
    (largest, series.iter().map(|x| x / largest).collect())
}

/// Only growth is unstable; a d that shrinks is settling.
fn growth_place(log_growth: &Estimate, tolerance: f64) -> Place {
    if log_growth.low > tolerance {
        Place::Outside
    } else if log_growth.high <= tolerance {
        Place::Inside
    } else {
        Place::Across
    }
}

fn about_half(share: &Estimate) -> Estimate {
    Estimate {
        value: share.value - 0.5,
        low: share.low - 0.5,
        high: share.high - 0.5,
        ..*share
    }
}

fn balance(share: &Estimate, tolerance: f64) -> Balance {
    let about_half = about_half(share);
    match about_half.place(tolerance) {
        Place::Inside => Balance::Balanced,
        Place::Across => Balance::Undecided,
        Place::Outside if about_half.value > 0.0 => Balance::Expanding,
        Place::Outside => Balance::Contracting,
    }
}

fn check_options(options: &StabilityOptions) -> Result<()> {
    check_open_unit("error_rate", options.error_rate)?;
    check_positive("drift_tolerance", options.drift_tolerance)?;
    check_positive("gradient_tolerance", options.gradient_tolerance)?;
    check_open_unit("balance_tolerance", options.balance_tolerance)?;
    check_positive("growth_tolerance − 1", options.growth_tolerance - 1.0)?;
    check_open_unit("one_sided_share", options.one_sided_share)?;
    check_positive("one_sided_share − ½", options.one_sided_share - 0.5)?;
    if let Some(bound) = options.largest_energy_difference {
        check_positive("largest_energy_difference", bound)?;
    }
    Ok(())
}
