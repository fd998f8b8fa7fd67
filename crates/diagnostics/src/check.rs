//! Checks of input series that several statistics share.

use crate::{DiagnosticsError, Result};

/// Checks that a series, called `what` in the message, has at least `needed` values and that all are finite.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] and [`DiagnosticsError::NotFinite`].
pub fn check_series(what: &'static str, series: &[f64], needed: usize) -> Result<()> {
    if series.len() < needed {
        return Err(DiagnosticsError::SeriesTooShort {
            what,
            length: series.len(),
            needed,
        });
    }
    match series.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(index) => Err(DiagnosticsError::NotFinite { what, index }),
    }
}

/// Errors unless two series have the same length.
pub(crate) fn check_same_length(what: &'static str, left: usize, right: usize) -> Result<()> {
    if left == right {
        return Ok(());
    }
    Err(DiagnosticsError::LengthsDiffer { what, left, right })
}

/// Errors unless there are at least `needed` samples and all coordinates are finite.
pub(crate) fn check_samples(samples: &[[f64; 2]], needed: usize) -> Result<()> {
    let what = "the set of samples";
    if samples.len() < needed {
        return Err(DiagnosticsError::SeriesTooShort {
            what,
            length: samples.len(),
            needed,
        });
    }
    match samples
        .iter()
        .position(|[x, y]| !(x.is_finite() && y.is_finite()))
    {
        None => Ok(()),
        Some(index) => Err(DiagnosticsError::NotFinite { what, index }),
    }
}

/// Errors unless `value` is a probability strictly between 0 and 1.
pub(crate) fn check_open_unit(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(DiagnosticsError::Parameter {
        name,
        value: value.to_string(),
        requirement: "a rate or a confidence lies strictly between 0 and 1",
    })
}

/// Errors unless `value` is positive and finite.
pub(crate) fn check_positive(name: &'static str, value: f64) -> Result<()> {
    if value > 0.0 && value.is_finite() {
        return Ok(());
    }
    Err(DiagnosticsError::Parameter {
        name,
        value: value.to_string(),
        requirement: "it has to be positive and finite",
    })
}

/// Whether all values are the same; compared exactly, because the rounding of a mean must not turn a constant into
/// noise.
pub(crate) fn is_constant(series: &[f64]) -> bool {
    series.iter().all(|x| *x == series[0])
}
