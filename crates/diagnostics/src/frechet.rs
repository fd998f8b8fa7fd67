//! The Fréchet distance between Gaussians fitted to two sets of features.

use nalgebra::DMatrix;
use serde::{Deserialize, Serialize};

use crate::features::{FeatureMatrix, check_pair};
use crate::{DiagnosticsError, Result};

/// Iterations of the singular value decomposition, per row, before it counts as failed; a few are usual.
const MOST_ITERATIONS: usize = 100;

/// A Fréchet distance with its parts. "FID" when the features come from the Inception network.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FrechetDistance {
    /// ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2·(Σ₁Σ₂)^½): a squared distance, in squared units of the features.
    pub value: f64,
    /// The part of the means.
    pub mean_part: f64,
    /// The part of the covariances.
    pub covariance_part: f64,
    /// Number of samples of both sets. Few samples bias the distance upwards, so compare distances at equal numbers.
    pub samples: [usize; 2],
    /// Number of features.
    pub dimension: usize,
    /// Whether a set has too few samples for a covariance of full rank: not more than there are features. The value is
    /// then exact for the fitted Gaussians, which are flat, and its bias is large.
    pub rank_deficient: bool,
}

/// The squared Fréchet (2-Wasserstein) distance between Gaussians fitted to two sets of features, with covariances of
/// divisor n − 1 (Heusel, Ramsauer, Unterthiner, Nessler and Hochreiter, "GANs trained by a two time-scale update rule
/// converge to a local Nash equilibrium", 2017, equation 6).
///
/// The trace of (Σ₁Σ₂)^½ is the sum of the singular values of R₁R₂ᵀ, where Σᵢ = RᵢᵀRᵢ and Rᵢ is the triangular factor
/// of the centred features. No covariance is formed, squared or inverted, so singular ones lose no digits. Features of
/// 2,048 dimensions take some seconds for the singular values, and about 4·n·dimension² operations for n samples.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`] for features of different dimensions, [`DiagnosticsError::SeriesTooShort`] for
/// fewer than 2 samples in a set and [`DiagnosticsError::NotFinite`] when the features are so large that squares
/// overflow.
pub fn frechet_distance<T: Copy + Into<f64> + Sync>(
    real: &FeatureMatrix<'_, T>,
    fake: &FeatureMatrix<'_, T>,
) -> Result<FrechetDistance> {
    check_pair(real, fake, 2)?;
    let (means, factors): (Vec<Vec<f64>>, Vec<DMatrix<f64>>) = {
        let (a, b) = rayon::join(|| centred_factor(real), || centred_factor(fake));
        [a, b].into_iter().unzip()
    };
    let mean_part: f64 = means[0]
        .iter()
        .zip(&means[1])
        .map(|(a, b)| (a - b).powi(2))
        .sum();
    let overflow = DiagnosticsError::NotFinite {
        what: "the Fréchet distance",
        index: 0,
    };
    let product = &factors[0] * factors[1].transpose();
    if !product.iter().all(|x| x.is_finite()) {
        return Err(overflow);
    }
    let most = MOST_ITERATIONS * product.nrows().max(product.ncols());
    let common: f64 = nalgebra::linalg::SVD::try_new(product, false, false, f64::EPSILON, most)
        .ok_or_else(|| DiagnosticsError::Parameter {
            name: "features",
            value: "a covariance without singular values".to_owned(),
            requirement: "the decomposition has to end; look for features of extreme size",
        })?
        .singular_values
        .sum();
    let traces: f64 = factors.iter().map(DMatrix::norm_squared).sum();
    // A distance of zero can come out a rounding error below.
    let covariance_part = (traces - 2.0 * common).max(0.0);
    let value = mean_part + covariance_part;
    if !value.is_finite() {
        return Err(overflow);
    }
    let samples = [real.samples(), fake.samples()];
    Ok(FrechetDistance {
        value,
        mean_part,
        covariance_part,
        samples,
        dimension: real.dimension(),
        rank_deficient: samples.iter().any(|n| *n <= real.dimension()),
    })
}

/// Mean, and R with RᵀR the covariance; R has as many rows as there are samples or features, whichever is fewer.
///
/// The rows are taken in blocks below the R of those before, so that no second copy of all features is needed.
fn centred_factor<T: Copy + Into<f64> + Sync>(
    set: &FeatureMatrix<'_, T>,
) -> (Vec<f64>, DMatrix<f64>) {
    let (samples, dimension) = (set.samples(), set.dimension());
    let mean = set.mean();
    let scale = 1.0 / ((samples - 1) as f64).sqrt();
    let mut factor = DMatrix::<f64>::zeros(0, dimension);
    let block = 4 * dimension;
    let mut first = 0;
    while first < samples {
        let rows = block.min(samples - first);
        let above = factor.nrows();
        let stacked = DMatrix::from_fn(above + rows, dimension, |row, column| {
            if row < above {
                factor[(row, column)]
            } else {
                let value: f64 = set.row(first + row - above)[column].into();
                (value - mean[column]) * scale
            }
        });
        factor = if stacked.nrows() > dimension {
            stacked.qr().unpack_r()
        } else {
            stacked
        };
        first += rows;
    }
    (mean, factor)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn between(a: &[f64], b: &[f64], dimension: usize) -> FrechetDistance {
        frechet_distance(
            &FeatureMatrix::new(a, dimension).unwrap(),
            &FeatureMatrix::new(b, dimension).unwrap(),
        )
        .unwrap()
    }

    /// Σ of the variances (divisor n − 1) of the features.
    fn total_variance(values: &[f64], dimension: usize) -> f64 {
        let set = FeatureMatrix::new(values, dimension).unwrap();
        let mean = set.mean();
        let squares: f64 = (0..set.samples())
            .flat_map(|sample| set.row(sample).iter().zip(&mean))
            .map(|(x, m)| (x - m).powi(2))
            .sum();
        squares / (set.samples() - 1) as f64
    }

    /// x → s·x + c moves a set by (1 − s)²·tr Σ + ‖mean moved‖², whatever the rank of Σ.
    #[track_caller]
    fn check_scaling(values: &[f64], dimension: usize, s: f64, c: f64) {
        let moved: Vec<f64> = values.iter().map(|x| s * x + c).collect();
        let got = between(values, &moved, dimension);
        let variance = total_variance(values, dimension);
        let expected = (1.0 - s).powi(2) * variance;
        assert!(
            (got.covariance_part - expected).abs() < 1e-11 * (1.0 + variance) * (1.0 + s * s),
            "{got:?}, expected {expected}"
        );
        let itself = between(values, values, dimension);
        assert_eq!(itself.mean_part, 0.0);
        assert!(itself.value < 1e-12 * (1.0 + variance), "{itself:?}");
    }

    #[test]
    fn singular_covariances_lose_no_digits() {
        let wave = |k: usize| (k as f64 * 1.7).sin() + 0.3 * (k as f64 * 0.37).cos();
        // Sixteen features from two: rank 2 but for the rounding.
        let flat: Vec<f64> = (0..200)
            .flat_map(|sample| {
                let (x, y) = (wave(sample), wave(7 * sample + 3));
                (0..16).map(move |k| x * wave(k + 50) + y * wave(3 * k + 1))
            })
            .collect();
        check_scaling(&flat, 16, 1.5, 0.2);
        // Fewer samples than features.
        let few: Vec<f64> = (0..5 * 40).map(wave).collect();
        check_scaling(&few, 40, 0.5, -1.0);
        assert!(between(&few, &few, 40).rank_deficient);
        // Variances over sixteen orders of magnitude.
        let steep: Vec<f64> = (0..300 * 9)
            .map(|k| wave(k) * 10_f64.powi(-((k % 9) as i32)))
            .collect();
        check_scaling(&steep, 9, 2.0, 0.0);
        // All samples the same: a point.
        check_scaling(&[0.3; 40], 4, 2.0, 1.0);
    }

    #[test]
    fn unusable_features_are_errors() {
        assert!(FeatureMatrix::new(&[1.0, 2.0, 3.0], 2).is_err());
        assert!(FeatureMatrix::new(&[1.0, 2.0], 0).is_err());
        assert!(FeatureMatrix::<f64>::new(&[], 2).is_err());
        assert!(FeatureMatrix::new(&[1.0_f32, f32::NAN], 1).is_err());
        let one = FeatureMatrix::new(&[1.0, 2.0], 2).unwrap();
        let two = FeatureMatrix::new(&[1.0, 2.0, 3.0, 5.0], 2).unwrap();
        let narrow = FeatureMatrix::new(&[1.0, 2.0, 3.0, 5.0], 1).unwrap();
        assert!(frechet_distance(&one, &two).is_err());
        assert!(frechet_distance(&narrow, &two).is_err());
        let huge = FeatureMatrix::new(&[1e200, -1e200, 1e200, 1e199], 2).unwrap();
        assert!(frechet_distance(&huge, &two).is_err());
    }

    proptest! {
        #[test]
        fn distances_are_symmetric_and_those_of_copies_vanish(
            a in prop::collection::vec(-3.0_f64..3.0, 12..60),
            b in prop::collection::vec(-3.0_f64..3.0, 12..60),
        ) {
            let whole = |x: &[f64]| x[..x.len() / 3 * 3].to_vec();
            let (a, b) = (whole(&a), whole(&b));
            let (forth, back) = (between(&a, &b, 3), between(&b, &a, 3));
            prop_assert!((forth.value - back.value).abs() < 1e-10);
            prop_assert!(forth.value >= 0.0);
            let twice: Vec<f64> = a.chunks(3).rev().flatten().copied().collect();
            prop_assert!(between(&a, &twice, 3).value < 1e-10);
        }
    }
}
