//! Does learning oscillate? The first axis of the paper, from the correlations of `d` and `r`.
//!
//! Weak oscillation: d does not depend on its past. Strong: an expansion is followed by contractions within a few
//! iterations, so that d is negatively autocorrelated at short lags (arXiv 1903.12370, section 3). What the paper reads
//! off its plots is decided here by a test with a known rate of false alarms and a least size of effect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::{check_open_unit, check_series, is_constant};
use crate::correlation::{autocorrelation, cross_correlation, standardise};
use crate::distribution::{one_sided_band, two_sided_band};
use crate::ljung_box::{LjungBox, ljung_box};
use crate::number_format::number;
use crate::{DiagnosticsError, Result};

/// How to test for oscillation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OscillationOptions {
    /// Lags 1 to this one are tested; the paper shows 15.
    pub max_lag: usize,
    /// Probability that white noise has any lag beyond its band on the negative side, and again on the positive side.
    pub false_alarm_rate: f64,
    /// Smallest size of an autocorrelation that counts, however long the window: 0.15 explains 2 % of the variance.
    pub floor: f64,
    /// Widest band at which "weak" may be said. An autocorrelation of twice the band is found with probability 0.999,
    /// so 0.2 means that −0.4 would have been seen; with 15 lags this takes about 260 iterations.
    pub widest_band: f64,
}

impl Default for OscillationOptions {
    fn default() -> Self {
        Self {
            max_lag: 15,
            false_alarm_rate: 0.01,
            floor: 0.15,
            widest_band: 0.2,
        }
    }
}

/// How d depends on its past.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Oscillation {
    /// No lag of d is correlated by more than noise or the floor, in a window that would have shown it.
    Weak,
    /// A lag of d has a negative autocorrelation beyond its band and the floor.
    Strong,
    /// Only positive autocorrelation passes the band and the floor: d drifts or wanders and does not swing back.
    Wandering,
    /// Nothing stands out, but the window is too short to call that weak.
    Undecided,
}

impl fmt::Display for Oscillation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Weak => "weak oscillation",
            Self::Strong => "strong oscillation",
            Self::Wandering => "correlated, not oscillating",
            Self::Undecided => "oscillation undecided",
        })
    }
}

/// A correlation at a lag with the band that noise stays within.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LagCorrelation {
    /// The lag, in iterations. In a cross-correlation of d and r, d comes first at a positive lag.
    pub lag: i64,
    /// The correlation.
    pub value: f64,
    /// Half width of the band, corrected for the number of lags searched.
    pub band: f64,
}

impl LagCorrelation {
    /// Whether the correlation lies beyond its band.
    #[must_use]
    pub fn is_beyond(&self) -> bool {
        self.value.abs() > self.band
    }
}

/// Outcome of the test for oscillation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OscillationTest {
    /// What the test decides.
    pub conclusion: Oscillation,
    /// Number of iterations in the window.
    pub iterations: usize,
    /// The lag at which the autocorrelation of the centred d is the farthest below zero, by its band or the floor.
    pub most_negative: LagCorrelation,
    /// The same above zero.
    pub most_positive: LagCorrelation,
    /// The most negative autocorrelation of r, by its band. Does not decide.
    pub gradient_most_negative: LagCorrelation,
    /// The cross-correlation of d and r farthest from zero, by its band. Does not decide.
    pub cross_extreme: LagCorrelation,
    /// Whether the centred d depends on its past at all. Does not decide.
    pub ljung_box: LjungBox,
    /// The options of the test.
    pub options: OscillationOptions,
}

impl fmt::Display for OscillationTest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told = if self.conclusion == Oscillation::Wandering {
            self.most_positive
        } else {
            self.most_negative
        };
        write!(
            f,
            "{}: the autocorrelation of d is {} at lag {} (noise: ±{}, floor {}); r reaches {} at lag {} (±{}), d and \
             r {} at lag {} (±{}); Ljung–Box p = {}",
            self.conclusion,
            number(told.value),
            told.lag,
            number(told.band),
            number(self.options.floor),
            number(self.gradient_most_negative.value),
            self.gradient_most_negative.lag,
            number(self.gradient_most_negative.band),
            number(self.cross_extreme.value),
            self.cross_extreme.lag,
            number(self.cross_extreme.band),
            number(self.ljung_box.p_value),
        )
    }
}

/// Tests d (in any unit) for oscillation over one window, with r of the same iterations beside it.
///
/// The autocorrelations ρ_k of the centred d are compared with one-sided Šidák bands over the lags, which white noise
/// leaves with probability `false_alarm_rate`. Each band is z·√((1 + 2·Σ_{j<k} ρ_j²)/n), Bartlett's standard error of
/// ρ_k when only the lags before k are correlated, so that wandering alone does not pass for a swing at some far lag.
/// - a ρ_k below both −band and −floor: [`Oscillation::Strong`];
/// - otherwise one above both: [`Oscillation::Wandering`] (a swing with a period of more than twice `max_lag` looks so);
/// - otherwise [`Oscillation::Weak`] if the band is narrow enough, and [`Oscillation::Undecided`] if not.
///
/// d is centred although it is drawn uncentred: a mean m beside a spread s lifts every lag by m²/(m² + s²) and would
/// hide a swing. Whether the mean is zero is a question of balance, not of oscillation.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`] for series of different lengths, [`DiagnosticsError::SeriesTooShort`] for fewer
/// than 4 values per lag, [`DiagnosticsError::NotFinite`] for NaN or infinite values, [`DiagnosticsError::NoSpread`]
/// for a constant d and [`DiagnosticsError::Parameter`] for options out of range.
pub fn test_oscillation(
    d: &[f64],
    r: &[f64],
    options: &OscillationOptions,
) -> Result<OscillationTest> {
    check_options(options)?;
    if d.len() != r.len() {
        return Err(DiagnosticsError::LengthsDiffer {
            what: "d and r",
            left: d.len(),
            right: r.len(),
        });
    }
    // Correlations at a lag of more than a quarter of a series rest on too few pairs.
    let needed = options.max_lag.saturating_mul(4);
    check_series("the window of d", d, needed)?;
    check_series("the window of r", r, needed)?;
    if is_constant(d) {
        return Err(DiagnosticsError::NoSpread {
            what: "the values of d",
        });
    }
    let (d, r) = (standardise(d)?, standardise(r)?);
    let of_d = autocorrelation(&d, options.max_lag)?;
    let of_r = autocorrelation(&r, options.max_lag)?;
    let width = one_sided_band(options.false_alarm_rate, options.max_lag);

    let lags = with_bands(&of_d, width, d.len());
    let beyond = |c: &LagCorrelation| c.value / c.band.max(options.floor);
    let most_negative = extreme(&lags, |c| -beyond(c));
    let most_positive = extreme(&lags, beyond);
    let gradient_lags = with_bands(&of_r, width, r.len());
    let conclusion = if beyond(&most_negative) < -1.0 {
        Oscillation::Strong
    } else if beyond(&most_positive) > 1.0 {
        Oscillation::Wandering
    } else if width / (d.len() as f64).sqrt() <= options.widest_band {
        Oscillation::Weak
    } else {
        Oscillation::Undecided
    };
    Ok(OscillationTest {
        conclusion,
        iterations: d.len(),
        most_negative,
        most_positive,
        gradient_most_negative: extreme(&gradient_lags, |c| -c.value / c.band),
        cross_extreme: cross_extreme(&d, &r, [&of_d, &of_r], options)?,
        ljung_box: ljung_box(&d, options.max_lag)?,
        options: *options,
    })
}

fn check_options(options: &OscillationOptions) -> Result<()> {
    check_open_unit("false_alarm_rate", options.false_alarm_rate)?;
    if options.max_lag == 0 {
        return Err(DiagnosticsError::Parameter {
            name: "max_lag",
            value: options.max_lag.to_string(),
            requirement: "the test needs at least one lag",
        });
    }
    for (name, value) in [
        ("floor", options.floor),
        ("widest_band", options.widest_band),
    ] {
        if !(0.0..=1.0).contains(&value) {
            return Err(DiagnosticsError::Parameter {
                name,
                value: value.to_string(),
                requirement: "correlations lie between 0 and 1",
            });
        }
    }
    Ok(())
}

/// Lags 1, 2, … of an autocorrelation with Bartlett's bands of `width` standard errors.
fn with_bands(correlations: &[f64], width: f64, length: usize) -> Vec<LagCorrelation> {
    let mut squares = 0.0;
    (1..)
        .zip(&correlations[1..])
        .map(|(lag, value)| {
            let band = width * ((1.0 + 2.0 * squares) / length as f64).sqrt();
            squares += value * value;
            LagCorrelation {
                lag,
                value: *value,
                band,
            }
        })
        .collect()
}

/// The entry with the largest `score`; the first of equals. There is always a lag.
fn extreme(lags: &[LagCorrelation], score: impl Fn(&LagCorrelation) -> f64) -> LagCorrelation {
    let mut best = lags[0];
    for candidate in &lags[1..] {
        if score(candidate) > score(&best) {
            best = *candidate;
        }
    }
    best
}

/// For two independent series the variance of a cross-correlation is (1 + 2·Σ ρ_d(j)·ρ_r(j))/n (Bartlett 1946); a value
/// below 1/n, from autocorrelations of opposite signs, is not trusted to narrow the band.
fn cross_extreme(
    d: &[f64],
    r: &[f64],
    autocorrelations: [&[f64]; 2],
    options: &OscillationOptions,
) -> Result<LagCorrelation> {
    let [of_d, of_r] = autocorrelations;
    let common: f64 = of_d.iter().zip(of_r).skip(1).map(|(a, b)| a * b).sum();
    let variance = (1.0 + 2.0 * common).max(1.0) / d.len() as f64;
    let band = two_sided_band(options.false_alarm_rate, 2 * options.max_lag + 1) * variance.sqrt();
    let first = -(options.max_lag as i64);
    let lags: Vec<LagCorrelation> = (first..)
        .zip(cross_correlation(d, r, options.max_lag)?)
        .map(|(lag, value)| LagCorrelation { lag, value, band })
        .collect();
    Ok(extreme(&lags, |c| c.value.abs()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn swings_of_any_period_are_strong() {
        let options = OscillationOptions::default();
        for period in [2.0, 3.0, 8.0, 25.0] {
            let d: Vec<f64> = (0..600)
                .map(|t| (std::f64::consts::TAU * f64::from(t) / period + 0.3).sin() + 5.0)
                .collect();
            let test = test_oscillation(&d, &[0.8; 600], &options).unwrap();
            assert_eq!(test.conclusion, Oscillation::Strong, "{period}");
            assert_eq!(test.cross_extreme.value, 0.0);
            assert!(test.ljung_box.p_value < 1e-9);
        }
    }

    #[test]
    fn a_ramp_wanders() {
        let d: Vec<f64> = (0..600).map(f64::from).collect();
        let test = test_oscillation(&d, &d, &OscillationOptions::default()).unwrap();
        assert_eq!(test.conclusion, Oscillation::Wandering);
        assert!(test.to_string().starts_with("correlated, not oscillating"));
    }

    #[test]
    fn unusable_input_is_an_error() {
        let options = OscillationOptions::default();
        let wave: Vec<f64> = (0..100).map(|t| f64::from(t % 7)).collect();
        assert!(test_oscillation(&wave, &wave, &options).is_ok());
        assert!(test_oscillation(&wave[..59], &wave[..59], &options).is_err());
        assert!(test_oscillation(&wave, &wave[1..], &options).is_err());
        assert!(test_oscillation(&[], &[], &options).is_err());
        assert!(matches!(
            test_oscillation(&[0.3; 100], &wave, &options),
            Err(DiagnosticsError::NoSpread { .. })
        ));
        let mut broken = wave.clone();
        broken[4] = f64::NAN;
        assert!(test_oscillation(&broken, &wave, &options).is_err());
        assert!(test_oscillation(&wave, &broken, &options).is_err());
        for bad in [
            OscillationOptions {
                max_lag: 0,
                ..options
            },
            OscillationOptions {
                max_lag: usize::MAX,
                ..options
            },
            OscillationOptions {
                false_alarm_rate: 0.0,
                ..options
            },
            OscillationOptions {
                floor: f64::NAN,
                ..options
            },
        ] {
            assert!(test_oscillation(&wave, &wave, &bad).is_err());
        }
    }
}
