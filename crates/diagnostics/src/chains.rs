//! Several chains of draws of one scalar, the input of the statistics of mixing.

use crate::check::is_constant;
use crate::{DiagnosticsError, Result};

/// Fewest draws of a chain that can be split into two halves with a spread each.
const FEWEST_DRAWS: usize = 4;

/// Checks that there are chains of one length, at least 4 finite draws each, that are not all the same value, and
/// splits each into its first and its last half; the middle draw of an odd number is left out.
///
/// Halves of one chain differ when it drifts, so a drift counts like a disagreement of chains (Vehtari et al. 2021,
/// section 2.1).
pub(crate) fn split<C: AsRef<[f64]>>(chains: &[C]) -> Result<Vec<&[f64]>> {
    let first = chains.first().map_or(0, |chain| chain.as_ref().len());
    if first < FEWEST_DRAWS {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the first chain",
            length: first,
            needed: FEWEST_DRAWS,
        });
    }
    let mut halves = Vec::with_capacity(2 * chains.len());
    for chain in chains {
        let chain = chain.as_ref();
        if chain.len() != first {
            return Err(DiagnosticsError::LengthsDiffer {
                what: "the chains",
                left: first,
                right: chain.len(),
            });
        }
        if let Some(index) = chain.iter().position(|x| !x.is_finite()) {
            return Err(DiagnosticsError::NotFinite {
                what: "a chain",
                index,
            });
        }
        halves.push(&chain[..first / 2]);
        halves.push(&chain[first - first / 2..]);
    }
    if halves
        .iter()
        .all(|half| is_constant(half) && half[0] == halves[0][0])
    {
        return Err(DiagnosticsError::NoSpread {
            what: "the draws of the chains",
        });
    }
    Ok(halves)
}

/// Mean and variance (divisor n − 1) of a series of at least 2 values; exact for a constant one.
pub(crate) fn mean_and_variance(series: &[f64]) -> (f64, f64) {
    if is_constant(series) {
        return (series[0], 0.0);
    }
    let n = series.len() as f64;
    let mean = series.iter().map(|x| x / n).sum::<f64>();
    let squares: f64 = series.iter().map(|x| (x - mean).powi(2)).sum();
    (mean, squares / (n - 1.0))
}
