//! Is a series white noise? The portmanteau test of Ljung and Box.

use serde::{Deserialize, Serialize};

use crate::check::{check_series, is_constant};
use crate::correlation::{autocorrelation, standardise};
use crate::distribution::chi_square_tail;
use crate::{DiagnosticsError, Result};

/// Outcome of a Ljung–Box test.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LjungBox {
    /// Q = n·(n + 2)·Σ ρ_k²/(n − k) over lags 1 to `lags`.
    pub statistic: f64,
    /// Number of lags, which are the degrees of freedom of Q's χ² distribution under white noise.
    pub lags: usize,
    /// Probability of so large a Q under white noise. Small: the series depends on its past, in whichever direction.
    pub p_value: f64,
}

/// The Ljung–Box test of the centred `series` over lags 1 to `lags` (Ljung and Box, "On a measure of lack of fit in
/// time series models", Biometrika 65, 1978).
///
/// # Errors
/// [`DiagnosticsError::Parameter`] for no lag, [`DiagnosticsError::SeriesTooShort`] unless the series is longer than
/// `lags`, [`DiagnosticsError::NotFinite`] for NaN or infinite values and [`DiagnosticsError::NoSpread`] for a constant
/// series.
pub fn ljung_box(series: &[f64], lags: usize) -> Result<LjungBox> {
    if lags == 0 {
        return Err(DiagnosticsError::Parameter {
            name: "lags",
            value: lags.to_string(),
            requirement: "the test needs at least one lag",
        });
    }
    check_series("the series", series, lags.saturating_add(1))?;
    if is_constant(series) {
        return Err(DiagnosticsError::NoSpread {
            what: "the values of the series",
        });
    }
    let n = series.len() as f64;
    let sum: f64 = autocorrelation(&standardise(series)?, lags)?
        .iter()
        .enumerate()
        .skip(1)
        .map(|(lag, value)| value * value / (n - lag as f64))
        .sum();
    let statistic = n * (n + 2.0) * sum;
    Ok(LjungBox {
        statistic,
        lags,
        p_value: chi_square_tail(statistic, lags as f64),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unusable_series_are_errors() {
        assert!(ljung_box(&[1.0, 2.0, 3.0], 0).is_err());
        assert!(ljung_box(&[1.0, 2.0, 3.0], 3).is_err());
        assert!(ljung_box(&[1.0; 9], 3).is_err());
        assert!(ljung_box(&[1.0, f64::NAN, 3.0], 1).is_err());
        assert!(ljung_box(&[1.0, 2.0, 3.0], usize::MAX).is_err());
    }
}
