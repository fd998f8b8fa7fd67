//! Effective sample sizes and standard errors of means: how many independent draws are dependent draws worth?

use serde::{Deserialize, Serialize};

use crate::Result;
use crate::chains::{mean_and_variance, split};
use crate::check::{check_series, is_constant};
use crate::split_rhat::normal_scores;

/// The mean of autocorrelated values with its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MeanEstimate {
    /// The mean of all values.
    pub mean: f64,
    /// Monte-Carlo standard error of the mean: standard deviation (divisor n − 1) over √`effective_size`.
    pub standard_error: f64,
    /// Number of independent values with the same standard error. It exceeds the number of values when neighbours
    /// have opposite signs, but never n·log₁₀ n.
    pub effective_size: f64,
}

/// Bulk effective sample size of `chains`, each `[draws]` long: that of the mean of the rank-normalised draws, from
/// the split chains. It says how well the location of a distribution is known, even if the distribution has no
/// variance.
///
/// Autocorrelations are combined over the chains and summed by Geyer's initial monotone sequence (Vehtari et al. 2021,
/// equations 10 to 13 and section 4.1).
///
/// # Errors
/// As [`split_rhat`](crate::split_rhat).
pub fn bulk_effective_size<C: AsRef<[f64]>>(chains: &[C]) -> Result<f64> {
    let halves = split(chains)?;
    let scores = normal_scores(&halves.concat());
    let halves: Vec<&[f64]> = scores.chunks_exact(halves[0].len()).collect();
    Ok(effective_size(&halves))
}

/// Tail effective sample size of `chains`: the smaller one of the shares of draws below the 5 % and the 95 % quantile
/// (Vehtari et al. 2021, section 4.3).
///
/// # Errors
/// As [`split_rhat`](crate::split_rhat).
pub fn tail_effective_size<C: AsRef<[f64]>>(chains: &[C]) -> Result<f64> {
    let halves = split(chains)?;
    let mut sorted: Vec<f64> = chains
        .iter()
        .flat_map(|chain| chain.as_ref())
        .copied()
        .collect();
    sorted.sort_by(f64::total_cmp);
    let below = |probability: f64| {
        let limit = quantile(&sorted, probability);
        let indicators: Vec<f64> = halves
            .iter()
            .flat_map(|half| *half)
            .map(|x| f64::from(u8::from(*x <= limit)))
            .collect();
        let halves: Vec<&[f64]> = indicators.chunks_exact(halves[0].len()).collect();
        effective_size(&halves)
    };
    Ok(below(0.05).min(below(0.95)))
}

/// Mean of all draws of `chains` with its Monte-Carlo standard error, from the split chains without ranks.
///
/// # Errors
/// As [`split_rhat`](crate::split_rhat).
pub fn chain_mean<C: AsRef<[f64]>>(chains: &[C]) -> Result<MeanEstimate> {
    let halves = split(chains)?;
    let all: Vec<f64> = chains
        .iter()
        .flat_map(|chain| chain.as_ref())
        .copied()
        .collect();
    Ok(estimate(&all, effective_size(&halves)))
}

/// Mean of one series with a standard error that allows for its autocorrelation, by Geyer's initial monotone sequence.
/// The series is not split: use it where the mean may not drift.
///
/// A constant series has standard error 0.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`](crate::DiagnosticsError::SeriesTooShort) for fewer than 4 values and
/// [`DiagnosticsError::NotFinite`](crate::DiagnosticsError::NotFinite) for NaN or infinite ones.
pub fn series_mean(series: &[f64]) -> Result<MeanEstimate> {
    check_series("the series", series, 4)?;
    Ok(estimate(series, effective_size(&[series])))
}

fn estimate(values: &[f64], effective_size: f64) -> MeanEstimate {
    let (mean, _) = mean_and_variance(values);
    let (largest, scaled) = scaled(values);
    let (_, variance) = mean_and_variance(&scaled);
    MeanEstimate {
        mean,
        standard_error: (variance / effective_size).sqrt() * largest,
        effective_size,
    }
}

/// Effective sample size of chains of one length of at least 2; the number of draws when all are the same.
pub(crate) fn effective_size(chains: &[&[f64]]) -> f64 {
    let total = (chains.len() * chains[0].len()) as f64;
    if chains
        .iter()
        .all(|chain| is_constant(chain) && chain[0] == chains[0][0])
    {
        return total;
    }
    // Sampling with alternating signs beats independence, but not without limit.
    total / autocorrelation_time(chains).max(1.0 / total.log10())
}

/// The largest magnitude, 1 if all are 0, and the values divided by it: values near 1 have squares that neither
/// overflow nor vanish.
fn scaled(values: &[f64]) -> (f64, Vec<f64>) {
    let largest = values.iter().fold(0.0, |m: f64, x| m.max(x.abs()));
    if largest == 0.0 {
        return (1.0, values.to_vec());
    }
    (largest, values.iter().map(|x| x / largest).collect())
}

/// τ = 1 + 2·Σ ρ_t over the chains together.
fn autocorrelation_time(chains: &[&[f64]]) -> f64 {
    let draws = chains[0].len();
    let n = draws as f64;
    let (_, all) = scaled(&chains.concat());
    let chains: Vec<&[f64]> = all.chunks_exact(draws).collect();
    let centred: Vec<Vec<f64>> = chains
        .iter()
        .map(|chain| {
            let (mean, _) = mean_and_variance(chain);
            chain.iter().map(|x| x - mean).collect()
        })
        .collect();
    // Divisor n at every lag, and lags only as far as they are asked for: the sum below ends early.
    let autocovariance = |lag: usize| {
        centred
            .iter()
            .map(|c| c.iter().zip(&c[lag..]).map(|(a, b)| a * b).sum::<f64>() / n)
            .sum::<f64>()
            / centred.len() as f64
    };
    let biased = autocovariance(0);
    let within = biased * n / (n - 1.0);
    let means: Vec<f64> = chains.iter().map(|c| mean_and_variance(c).0).collect();
    let between = if means.len() > 1 {
        mean_and_variance(&means).1
    } else {
        0.0
    };
    let variance = biased + between;
    let correlation = |lag: usize| 1.0 - (within - autocovariance(lag)) / variance;

    // For a reversible chain the sums of neighbouring even and odd lags are positive and fall (Geyer 1992). They are
    // added until one is not positive, which also keeps out the noise of far lags.
    let mut pairs = vec![[1.0, correlation(1)]];
    let mut last = pairs[0];
    let mut lag = 1;
    while lag + 3 < draws && last[0] + last[1] > 0.0 {
        last = [correlation(lag + 1), correlation(lag + 2)];
        pairs.push(last);
        lag += 2;
    }
    // In the pair that ends the sequence only the even lag counts, and only once. This lowers the bias for
    // alternating signs.
    pairs.pop();
    let end = if last[0] + last[1] < 0.0 {
        last[0].max(0.0)
    } else {
        last[0]
    };
    let mut sum = 0.0;
    let mut lowest = f64::INFINITY;
    for [even, odd] in pairs {
        lowest = lowest.min(even + odd);
        sum += lowest;
    }
    2.0 * sum + end - 1.0
}

/// Quantile by linear interpolation between the order statistics (R's type 7) of a series in rising order; NaN of none.
#[must_use]
pub fn quantile(sorted: &[f64], probability: f64) -> f64 {
    if sorted.is_empty() {
        return f64::NAN;
    }
    let place = probability.clamp(0.0, 1.0) * (sorted.len() - 1) as f64;
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    let share = place - below as f64;
    sorted[below] * (1.0 - share) + sorted[above] * share
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn quantiles_interpolate() {
        let sorted = [0.0, 1.0, 2.0, 4.0];
        for (probability, expected) in [(0.0, 0.0), (0.5, 1.5), (1.0, 4.0), (0.9, 3.4)] {
            assert!((quantile(&sorted, probability) - expected).abs() < 1e-12);
        }
    }

    #[test]
    fn huge_and_tiny_values_do_not_overflow() {
        let wave: Vec<f64> = (0..50).map(|t| f64::from(t * t % 17) - 8.0).collect();
        let expected = series_mean(&wave).unwrap();
        for scale in [1e300, 1e-300] {
            let scaled: Vec<f64> = wave.iter().map(|x| x * scale).collect();
            let estimate = series_mean(&scaled).unwrap();
            let ratio = estimate.standard_error / scale / expected.standard_error;
            assert!((ratio - 1.0).abs() < 1e-9, "{ratio}");
            assert!((estimate.effective_size / expected.effective_size - 1.0).abs() < 1e-9);
        }
    }

    #[test]
    fn constant_series_have_no_error_and_unusable_ones_are_errors() {
        let estimate = series_mean(&[2.5; 10]).unwrap();
        assert_eq!((estimate.mean, estimate.standard_error), (2.5, 0.0));
        assert!(series_mean(&[1.0, 2.0, 3.0]).is_err());
        assert!(series_mean(&[1.0, 2.0, 3.0, f64::INFINITY]).is_err());
        assert!(chain_mean(&[[1.0; 6]]).is_err());
        assert!(bulk_effective_size::<Vec<f64>>(&[]).is_err());
        assert!(tail_effective_size(&[[1.0, 2.0, f64::NAN, 0.0]]).is_err());
    }

    proptest! {
        #[test]
        fn sizes_are_positive_and_bounded(
            chains in prop::collection::vec(prop::collection::vec(-5.0_f64..5.0, 12), 1..4),
        ) {
            let total = (12 * chains.len()) as f64;
            for size in [bulk_effective_size(&chains).unwrap(), tail_effective_size(&chains).unwrap()] {
                prop_assert!(size > 0.0 && size <= total * total.log10() + 1e-9, "{size}");
            }
            prop_assert!(chain_mean(&chains).unwrap().standard_error > 0.0);
        }
    }
}
