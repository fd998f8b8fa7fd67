//! Correlations of the diagnostic series over time.
//!
//! The paper relates `d` and `r` through their cross-correlation and autocorrelations over the
//! latest iterations (arXiv 1903.12370, section 3). Nothing here centres a series on its own: `d`
//! oscillates about zero and is compared with zero, so it is only scaled ([`unit_mean_square`]),
//! while `r` is centred and scaled ([`standardise`]). All sums over lagged products are divided by
//! the length n of the series, not by the n − k overlapping pairs; this keeps every value within
//! [−1, 1].

use crate::Result;
use crate::check::{check_same_length, check_series, is_constant};

/// Scales a series to unit mean square, without centring it; used for `d`.
///
/// A series of zeros stays zero.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`](crate::DiagnosticsError::SeriesTooShort) for an empty series and
/// [`DiagnosticsError::NotFinite`](crate::DiagnosticsError::NotFinite) for NaN or infinite values.
pub fn unit_mean_square(series: &[f64]) -> Result<Vec<f64>> {
    check_series("the series", series, 1)?;
    // Dividing by the largest magnitude first keeps the squares from overflowing.
    let largest = series.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 {
        return Ok(vec![0.0; series.len()]);
    }
    let scaled: Vec<f64> = series.iter().map(|x| x / largest).collect();
    let root = (scaled.iter().map(|x| x * x).sum::<f64>() / scaled.len() as f64).sqrt();
    Ok(scaled.iter().map(|x| x / root).collect())
}

/// Centres a series and scales it to unit variance (divisor n); used for `r`.
///
/// A constant series becomes zero.
///
/// # Errors
/// As [`unit_mean_square`].
pub fn standardise(series: &[f64]) -> Result<Vec<f64>> {
    check_series("the series", series, 1)?;
    if is_constant(series) {
        return Ok(vec![0.0; series.len()]);
    }
    let largest = series.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    let scaled: Vec<f64> = series.iter().map(|x| x / largest).collect();
    let mean = scaled.iter().sum::<f64>() / scaled.len() as f64;
    unit_mean_square(&scaled.iter().map(|x| x - mean).collect::<Vec<_>>())
}

/// Autocorrelation at lags 0..=`max_lag`: mean of `x_t·x_{t+k}` over the mean of `x_t²`.
///
/// The series is not centred; give [`standardise`]d values for the usual autocorrelation. The
/// value at lag 0 is 1. A series of zeros has zeros at every lag, lag 0 included.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`](crate::DiagnosticsError::SeriesTooShort) unless the series is longer than
/// `max_lag`, and [`DiagnosticsError::NotFinite`](crate::DiagnosticsError::NotFinite) for NaN or infinite values.
pub fn autocorrelation(series: &[f64], max_lag: usize) -> Result<Vec<f64>> {
    check_series("the series", series, max_lag.saturating_add(1))?;
    let scaled = unit_mean_square(series)?;
    let at_zero = lagged_mean(&scaled, &scaled, 0);
    if at_zero == 0.0 {
        return Ok(vec![0.0; max_lag + 1]);
    }
    Ok((0..=max_lag)
        .map(|lag| (lagged_mean(&scaled, &scaled, lag) / at_zero).clamp(-1.0, 1.0))
        .collect())
}

/// Cross-correlation at lags −`max_lag`..=`max_lag`; lag k is at index `max_lag + k`.
///
/// The value at lag k is the mean of `x_t·y_{t+k}`, both scaled to unit mean square: at a positive
/// lag `x` comes first. (NumPy's `correlate(x, y)` counts lags the other way round, and so do the
/// plots made with it.) The series are not centred. When one of them is all zeros, so is the
/// result.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`](crate::DiagnosticsError::LengthsDiffer) for series of different lengths;
/// otherwise as [`autocorrelation`].
pub fn cross_correlation(x: &[f64], y: &[f64], max_lag: usize) -> Result<Vec<f64>> {
    let what = "the two series of a cross-correlation";
    check_same_length(what, x.len(), y.len())?;
    check_series("the series", x, max_lag.saturating_add(1))?;
    check_series("the series", y, 1)?;
    let (x, y) = (unit_mean_square(x)?, unit_mean_square(y)?);
    let before = (1..=max_lag).rev().map(|lag| lagged_mean(&y, &x, lag));
    let after = (0..=max_lag).map(|lag| lagged_mean(&x, &y, lag));
    Ok(before
        .chain(after)
        .map(|value| value.clamp(-1.0, 1.0))
        .collect())
}

/// Partial autocorrelation at lags 0..=`max_lag` (lag 0 is 1) by the Durbin–Levinson recursion on
/// [`autocorrelation`].
///
/// The value at lag k is the last coefficient of the best linear prediction from the k latest
/// values. Lags beyond an exactly predictable one are 0; a series of zeros has zeros throughout.
///
/// # Errors
/// As [`autocorrelation`].
pub fn partial_autocorrelation(series: &[f64], max_lag: usize) -> Result<Vec<f64>> {
    let correlations = autocorrelation(series, max_lag)?;
    let mut partial = vec![0.0; max_lag + 1];
    partial[0] = correlations[0];
    let mut coefficients: Vec<f64> = Vec::with_capacity(max_lag);
    let mut unexplained = correlations[0];
    for lag in 1..=max_lag {
        if unexplained <= f64::EPSILON {
            break;
        }
        let predicted: f64 = coefficients
            .iter()
            .zip(correlations[1..lag].iter().rev())
            .map(|(coefficient, correlation)| coefficient * correlation)
            .sum();
        let reflection = ((correlations[lag] - predicted) / unexplained).clamp(-1.0, 1.0);
        let reversed: Vec<f64> = coefficients.iter().rev().copied().collect();
        for (coefficient, mirror) in coefficients.iter_mut().zip(reversed) {
            *coefficient -= reflection * mirror;
        }
        coefficients.push(reflection);
        unexplained *= 1.0 - reflection * reflection;
        partial[lag] = reflection;
    }
    Ok(partial)
}

/// Half width of the 95 % band within which correlations of white noise of `length` values lie:
/// 1.96/√length (infinite for length 0).
#[must_use]
pub fn white_noise_band(length: usize) -> f64 {
    1.96 / (length as f64).sqrt()
}

/// (1/n) Σ_t a_t·b_{t+lag}, with lag ≤ n.
fn lagged_mean(a: &[f64], b: &[f64], lag: usize) -> f64 {
    a.iter().zip(&b[lag..]).map(|(a, b)| a * b).sum::<f64>() / a.len() as f64
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::DiagnosticsError;
    use proptest::prelude::*;

    #[test]
    fn zero_and_constant_series_have_defined_zeros() {
        assert_eq!(unit_mean_square(&[0.0; 3]).unwrap(), [0.0; 3]);
        assert_eq!(standardise(&[0.1; 7]).unwrap(), [0.0; 7]);
        assert_eq!(autocorrelation(&[0.0; 5], 2).unwrap(), [0.0; 3]);
        assert_eq!(partial_autocorrelation(&[0.0; 5], 2).unwrap(), [0.0; 3]);
        assert_eq!(
            cross_correlation(&[0.0; 5], &[1.0; 5], 1).unwrap(),
            [0.0; 3]
        );
    }

    #[test]
    fn unusable_series_are_errors() {
        assert!(unit_mean_square(&[]).is_err());
        assert!(standardise(&[]).is_err());
        assert!(autocorrelation(&[1.0, 2.0], 2).is_err());
        assert!(autocorrelation(&[1.0, 2.0], usize::MAX).is_err());
        assert!(cross_correlation(&[1.0], &[1.0, 2.0], 0).is_err());
        let error = cross_correlation(&[1.0, 2.0], &[1.0, f64::NAN], 0).unwrap_err();
        assert!(matches!(
            error,
            DiagnosticsError::NotFinite { index: 1, .. }
        ));
    }

    #[test]
    fn positive_lag_means_that_the_first_series_leads() {
        let mut x = vec![0.0; 10];
        let mut y = vec![0.0; 10];
        x[3] = 1.0;
        y[5] = 1.0;
        let correlations = cross_correlation(&x, &y, 3).unwrap();
        // Seven lags from −3 to 3: the only product is at lag +2, index 3 + 2.
        assert_eq!(
            correlations
                .iter()
                .position(|c| (*c - 1.0).abs() < 1e-12)
                .unwrap(),
            5
        );
    }

    proptest! {
        #[test]
        fn autocorrelation_is_bounded_and_one_at_lag_zero(
            series in prop::collection::vec(-1e200_f64..1e200, 2..60),
        ) {
            let centred = standardise(&series).unwrap();
            prop_assume!(centred.iter().any(|x| *x != 0.0));
            for series in [&series, &centred] {
                let correlations = autocorrelation(series, series.len() - 1).unwrap();
                prop_assert_eq!(correlations[0], 1.0);
                prop_assert!(correlations.iter().all(|c| c.abs() <= 1.0));
                let partial = partial_autocorrelation(series, series.len() - 1).unwrap();
                prop_assert!(partial.iter().all(|c| c.abs() <= 1.0));
            }
            prop_assert!((centred.iter().map(|x| x * x).sum::<f64>() / centred.len() as f64 - 1.0).abs() < 1e-9);
        }

        #[test]
        fn cross_correlation_mirrors_when_the_series_swap(
            pairs in prop::collection::vec((-1e3_f64..1e3, -1e3_f64..1e3), 4..60),
        ) {
            let (x, y): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let forwards = cross_correlation(&x, &y, 3).unwrap();
            let mut backwards = cross_correlation(&y, &x, 3).unwrap();
            backwards.reverse();
            prop_assert_eq!(&forwards, &backwards);
            prop_assert!(forwards.iter().all(|c| c.abs() <= 1.0));
        }
    }
}
