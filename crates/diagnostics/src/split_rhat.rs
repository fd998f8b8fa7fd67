//! The rank-normalised split R̂: do chains from different starts agree?

use crate::Result;
use crate::chains::{mean_and_variance, split};
use crate::distribution::normal_quantile;
use crate::effective_size::quantile;

/// The rank-normalised, folded split R̂ of `chains`, each `[draws]` long: how much wider all draws together spread than
/// the draws of a half chain. 1 for chains that agree; Vehtari et al. ask for less than 1.01.
///
/// The larger of two values: R̂ of the normal scores of the ranks, which sees different locations, and of the same
/// after folding at the median, which sees different spreads (Vehtari, Gelman, Simpson, Carpenter and Bürkner,
/// "Rank-normalization, folding, and localization", Bayesian Analysis 16, 2021, equations 3, 4 and 14). Ranks make it
/// indifferent to heavy tails and to any rising transformation of the draws. It is infinite when each half chain
/// stands still at a value of its own.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`](crate::DiagnosticsError::SeriesTooShort) for no chain or fewer than 4 draws,
/// [`DiagnosticsError::LengthsDiffer`](crate::DiagnosticsError::LengthsDiffer) for chains of different lengths,
/// [`DiagnosticsError::NotFinite`](crate::DiagnosticsError::NotFinite) for NaN or infinite draws and
/// [`DiagnosticsError::NoSpread`](crate::DiagnosticsError::NoSpread) when all draws are the same.
pub fn split_rhat<C: AsRef<[f64]>>(chains: &[C]) -> Result<f64> {
    let halves = split(chains)?;
    let draws = halves[0].len();
    let values: Vec<f64> = halves.concat();
    let mut sorted = values.clone();
    sorted.sort_by(f64::total_cmp);
    let centre = quantile(&sorted, 0.5);
    let folded: Vec<f64> = values.iter().map(|x| (x - centre).abs()).collect();
    let bulk = potential_scale_reduction(&normal_scores(&values), draws);
    let tail = potential_scale_reduction(&normal_scores(&folded), draws);
    // Folding can leave a constant, whose R̂ is not a number: then only the location counts, and the other way round.
    Ok(bulk.max(tail))
}

/// Normal scores of the ranks: Φ⁻¹((rank − 3/8) / (n + 1/4)); equal values share the mean of their ranks.
pub(crate) fn normal_scores(values: &[f64]) -> Vec<f64> {
    let n = values.len();
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut scores = vec![0.0; n];
    let mut first = 0;
    while first < n {
        let value = values[order[first]];
        let tied = order[first..].partition_point(|i| values[*i] <= value);
        // Ranks count from 1: the mean of first + 1, …, first + tied.
        let rank = first as f64 + (tied as f64 + 1.0) / 2.0;
        let score = normal_quantile((rank - 0.375) / (n as f64 + 0.25));
        for position in &order[first..first + tied] {
            scores[*position] = score;
        }
        first += tied;
    }
    scores
}

/// √((W·(n − 1)/n + B/n) / W) with the mean variance W within the chains of n `draws` and B/n the variance of
/// their means.
fn potential_scale_reduction(values: &[f64], draws: usize) -> f64 {
    let (means, variances): (Vec<f64>, Vec<f64>) =
        values.chunks_exact(draws).map(mean_and_variance).unzip();
    let n = draws as f64;
    let within = variances.iter().sum::<f64>() / variances.len() as f64;
    let (_, between) = mean_and_variance(&means);
    ((n - 1.0) / n + between / within).sqrt()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ties_share_a_score_and_scores_are_antisymmetric() {
        let scores = normal_scores(&[3.0, 1.0, 3.0, 5.0]);
        assert_eq!(scores[0], scores[2]);
        assert!((scores[1] + scores[3]).abs() < 1e-12);
        assert!(scores[0].abs() < 1e-12);
    }

    #[test]
    fn chains_that_stand_apart_do_not_agree() {
        let still = [[0.0; 6], [1.0; 6]];
        assert_eq!(split_rhat(&still).unwrap(), f64::INFINITY);
        let apart = [
            [0.0, 0.1, 0.0, 0.1, 0.0, 0.1],
            [9.0, 9.1, 9.0, 9.1, 9.0, 9.1],
        ];
        // Ranks bound R̂ for so few draws.
        assert!(split_rhat(&apart).unwrap() > 1.5);
    }

    #[test]
    fn unusable_chains_are_errors() {
        assert!(split_rhat::<Vec<f64>>(&[]).is_err());
        assert!(split_rhat(&[[1.0, 2.0, 3.0]]).is_err());
        assert!(split_rhat(&[[1.0; 8]]).is_err());
        assert!(split_rhat(&[[1.0, 2.0, f64::NAN, 3.0]]).is_err());
        assert!(split_rhat(&[vec![1.0, 2.0, 3.0, 4.0], vec![1.0; 5]]).is_err());
    }

    proptest! {
        #[test]
        fn the_scale_of_the_draws_does_not_matter(
            chains in prop::collection::vec(prop::collection::vec(-5.0_f64..5.0, 8), 2..5),
        ) {
            let scaled: Vec<Vec<f64>> = chains.iter().map(|c| c.iter().map(|x| 4.0 * x).collect()).collect();
            let (a, b) = (split_rhat(&chains).unwrap(), split_rhat(&scaled).unwrap());
            prop_assert_eq!(a, b);
            prop_assert!(a > 0.7);
        }
    }
}
