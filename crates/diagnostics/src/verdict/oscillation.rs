//! Does learning oscillate? The first axis of the paper, from the correlations of `d` and `r`.
//!
//! Weak oscillation: d does not depend on its past. Strong: an expansion is followed by contractions within a few
//! iterations, so that d is negatively autocorrelated at short lags (arXiv 1903.12370, section 3). What the paper reads
//! off its plots is decided here by a test with a known rate of false alarms and a least size of effect.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::check::{check_open_unit, check_same_length, check_series, is_constant};
use crate::correlation::{autocorrelation, cross_correlation, standardise};
use crate::distribution::{one_sided_band, two_sided_band};
use crate::ljung_box::{LjungBox, ljung_box};
use crate::number_format::number;
use crate::split_rhat::normal_scores;
use crate::{DiagnosticsError, Result};

/// Fewest iterations of a window: two lags of four iterations each.
const FEWEST_ITERATIONS: usize = 8;

/// How to test for oscillation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct OscillationOptions {
    /// Lags 1 to this one are tested, but none beyond a quarter of the window; the paper shows 15.
    pub max_lag: usize,
    /// Probability that independent values have any lag beyond its band on the negative side, and again on the positive
    /// side.
    pub false_alarm_rate: f64,
    /// Smallest size of an autocorrelation that counts, however long the window: 0.15 explains 2 % of the variance.
    pub floor: f64,
    /// Widest band at which "weak" may be said. An autocorrelation of twice the band is found with probability 0.999,
    /// so 0.2 means that −0.4 would have been seen; with 15 lags this takes about 260 iterations of even amplitude.
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
    /// Largest lag tested; fewer than asked for in a window of fewer than 4 iterations per lag.
    #[serde(default)]
    pub lags: usize,
    /// The lag at which the autocorrelation of the normal scores of d is the farthest below zero, by its band or the
    /// floor.
    pub most_negative: LagCorrelation,
    /// The same above zero.
    pub most_positive: LagCorrelation,
    /// The most negative autocorrelation of the normal scores of r, by its band. Does not decide.
    pub gradient_most_negative: LagCorrelation,
    /// The cross-correlation of the normal scores of d and r farthest from zero, by its band. Does not decide.
    pub cross_extreme: LagCorrelation,
    /// Whether the normal scores of d depend on their past at all, if their amplitude is even. Does not decide.
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
            "{}: the rank autocorrelation of d is {} at lag {} (noise: ±{}, floor {}); r reaches {} at lag {} (±{}), \
             d and r {} at lag {} (±{}); Ljung–Box p = {}",
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
/// Both series are replaced by the normal scores of their ranks, so that one spike among thousands of values neither
/// makes a swing nor hides one. The autocorrelations ρ_k of the scores x of d are compared with one-sided Šidák bands
/// over the lags, which independent values leave with probability `false_alarm_rate`. Each band is z·√((g_k +
/// 2·Σ_{j<k} ρ_j²)/n):
/// - Bartlett's standard error of ρ_k when only the lags before k are correlated, so that wandering alone does not pass
///   for a swing at some far lag;
/// - with g_k = n·Σ x_t²·x_{t+k}²/(Σ x_t²)², at least 1, in place of 1: independent values whose amplitude changes
///   slowly have this variance (Dalla, Giraitis & Phillips 2022, "Robust tests for white noise and
///   cross-correlation").
///
/// What remains assumed is that d is symmetric about a constant median wherever its amplitude changes, and that the
/// window is long beside the lags.
/// - a ρ_k below both −band and −floor: [`Oscillation::Strong`];
/// - otherwise one above both: [`Oscillation::Wandering`] (a swing with a period of more than about 4 times `max_lag`
///   looks so);
/// - otherwise [`Oscillation::Weak`] if the band is narrow enough, and [`Oscillation::Undecided`] if not.
///
/// Scores are centred although d is drawn uncentred: a mean m beside a spread s lifts every lag by m²/(m² + s²) and
/// would hide a swing. Whether the mean is zero is a question of balance, not of oscillation.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`] for series of different lengths, [`DiagnosticsError::SeriesTooShort`] for fewer
/// than 8 values, [`DiagnosticsError::NotFinite`] for NaN or infinite values, [`DiagnosticsError::NoSpread`] for a
/// constant d and [`DiagnosticsError::Parameter`] for options out of range.
pub fn test_oscillation(
    d: &[f64],
    r: &[f64],
    options: &OscillationOptions,
) -> Result<OscillationTest> {
    check_options(options)?;
    check_same_length("d and r", d.len(), r.len())?;
    check_series("the window of d", d, FEWEST_ITERATIONS)?;
    check_series("the window of r", r, FEWEST_ITERATIONS)?;
    if is_constant(d) {
        return Err(DiagnosticsError::NoSpread {
            what: "the values of d",
        });
    }
    // Correlations at a lag of more than a quarter of a series rest on too few pairs.
    let max_lag = options.max_lag.min(d.len() / 4);
    let (d, r) = (scores(d)?, scores(r)?);
    let of_d = autocorrelation(&d, max_lag)?;
    let of_r = autocorrelation(&r, max_lag)?;
    let width = one_sided_band(options.false_alarm_rate, max_lag);

    let unevenness = unevenness(&d, max_lag);
    let lags = with_bands(&of_d, &unevenness, width, d.len());
    let beyond = |c: &LagCorrelation| c.value / c.band.max(options.floor);
    let most_negative = extreme(&lags, |c| -beyond(c));
    let most_positive = extreme(&lags, beyond);
    let gradient_lags = with_bands(&of_r, &self::unevenness(&r, max_lag), width, r.len());
    // One band stands for all lags, each of which estimates the unevenness anew.
    let mean_unevenness = unevenness.iter().sum::<f64>() / max_lag as f64;
    let plain_band = width * (mean_unevenness / d.len() as f64).sqrt();
    let conclusion = if beyond(&most_negative) < -1.0 {
        Oscillation::Strong
    } else if beyond(&most_positive) > 1.0 {
        Oscillation::Wandering
    } else if plain_band <= options.widest_band {
        Oscillation::Weak
    } else {
        Oscillation::Undecided
    };
    Ok(OscillationTest {
        conclusion,
        iterations: d.len(),
        lags: max_lag,
        most_negative,
        most_positive,
        gradient_most_negative: extreme(&gradient_lags, |c| -c.value / c.band),
        cross_extreme: cross_extreme(&d, &r, [&of_d, &of_r], options.false_alarm_rate)?,
        ljung_box: ljung_box(&d, max_lag)?,
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

/// Normal scores of the ranks, scaled to unit variance; zeros for a constant series.
fn scores(series: &[f64]) -> Result<Vec<f64>> {
    standardise(&normal_scores(series))
}

/// g_k of lags 1 to `max_lag` of a series of unit mean square: above 1 where large values lie near large ones.
fn unevenness(series: &[f64], max_lag: usize) -> Vec<f64> {
    let squares: Vec<f64> = series.iter().map(|x| x * x).collect();
    (1..=max_lag)
        .map(|lag| {
            let products: f64 = squares
                .iter()
                .zip(&squares[lag..])
                .map(|(a, b)| a * b)
                .sum();
            (products / squares.len() as f64).max(1.0)
        })
        .collect()
}

/// Lags 1, 2, … of an autocorrelation with bands of `width` standard errors.
fn with_bands(
    correlations: &[f64],
    unevenness: &[f64],
    width: f64,
    length: usize,
) -> Vec<LagCorrelation> {
    let mut squares = 0.0;
    (1..)
        .zip(correlations[1..].iter().zip(unevenness))
        .map(|(lag, (value, unevenness))| {
            let band = width * ((unevenness + 2.0 * squares) / length as f64).sqrt();
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
    false_alarm_rate: f64,
) -> Result<LagCorrelation> {
    let [of_d, of_r] = autocorrelations;
    let max_lag = of_d.len() - 1;
    let common: f64 = of_d.iter().zip(of_r).skip(1).map(|(a, b)| a * b).sum();
    let variance = (1.0 + 2.0 * common).max(1.0) / d.len() as f64;
    let band = two_sided_band(false_alarm_rate, 2 * max_lag + 1) * variance.sqrt();
    let first = -(max_lag as i64);
    let lags: Vec<LagCorrelation> = (first..)
        .zip(cross_correlation(d, r, max_lag)?)
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
        assert_eq!(
            test_oscillation(&wave[..43], &wave[..43], &options)
                .unwrap()
                .lags,
            10
        );
        assert!(test_oscillation(&wave[..7], &wave[..7], &options).is_err());
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
