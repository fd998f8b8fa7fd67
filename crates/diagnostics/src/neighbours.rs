//! Sample quality by nearest neighbours: density and coverage, precision and recall.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::check::check_series;
use crate::features::{FeatureMatrix, check_pair, squared_distance};
use crate::{DiagnosticsError, Result};

/// The measures of how two sets of samples lie in each other's neighbourhoods.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NeighbourQuality {
    /// Share of generated samples within the k-th neighbour's distance of any real sample: are they realistic?
    pub precision: f64,
    /// Share of real samples within that distance of any generated sample: is everything generated?
    pub recall: f64,
    /// Mean number of real neighbourhoods that a generated sample lies in, over k. 1 in expectation when the sets
    /// come from one distribution, and more for samples in the densest places. Unlike precision, it is not misled by
    /// one outlier.
    pub density: f64,
    /// Share of real neighbourhoods with a generated sample inside: is everything generated? Unlike recall, it is not
    /// misled by generated outliers.
    pub coverage: f64,
    /// k, the neighbour whose distance is the radius of a neighbourhood.
    pub neighbours: usize,
    /// Number of real and of generated samples.
    pub samples: [usize; 2],
}

/// The usual k.
pub const DEFAULT_NEIGHBOURS: usize = 5;

/// Density and coverage (Naeem, Oh, Uh, Choi and Yoo, "Reliable fidelity and diversity metrics for generative models",
/// 2020, equations 3 and 4), precision and recall (Kynkäänniemi et al., "Improved precision and recall metric", 2019),
/// with neighbourhoods as open balls that reach to the `neighbours`-th nearest other sample of the same set.
///
/// All distances are computed exactly, in time (n + m)²·dimension for n and m samples.
///
/// # Errors
/// [`DiagnosticsError::Parameter`] for no neighbour, [`DiagnosticsError::LengthsDiffer`] for features of different
/// dimensions and [`DiagnosticsError::SeriesTooShort`] for a set without that many other samples.
pub fn neighbour_quality<T: Copy + Into<f64> + Sync>(
    real: &FeatureMatrix<'_, T>,
    fake: &FeatureMatrix<'_, T>,
    neighbours: usize,
) -> Result<NeighbourQuality> {
    if neighbours == 0 {
        return Err(DiagnosticsError::Parameter {
            name: "neighbours",
            value: neighbours.to_string(),
            requirement: "a neighbourhood reaches to at least the first neighbour",
        });
    }
    check_pair(real, fake, neighbours.saturating_add(1))?;
    let real_radii = radii(real, neighbours)?;
    let fake_radii = radii(fake, neighbours)?;
    // One pass over the rows of real samples: hits of generated samples, and whether the real one is hit and hits.
    let (hits, covered, recalled) = (0..real.samples())
        .into_par_iter()
        .fold(
            || (vec![0_u32; fake.samples()], 0_usize, 0_usize),
            |(mut hits, covered, recalled), sample| {
                let (mut is_covered, mut is_recalled) = (false, false);
                for (other, hit) in hits.iter_mut().enumerate() {
                    let distance = squared_distance(real.row(sample), fake.row(other));
                    if distance < real_radii[sample] {
                        *hit += 1;
                        is_covered = true;
                    }
                    is_recalled |= distance < fake_radii[other];
                }
                (
                    hits,
                    covered + usize::from(is_covered),
                    recalled + usize::from(is_recalled),
                )
            },
        )
        .reduce(
            || (vec![0; fake.samples()], 0, 0),
            |(mut hits, covered, recalled), (more, c, r)| {
                hits.iter_mut()
                    .zip(more)
                    .for_each(|(hit, more)| *hit += more);
                (hits, covered + c, recalled + r)
            },
        );
    let (n, m) = (real.samples() as f64, fake.samples() as f64);
    let total: f64 = hits.iter().map(|hit| f64::from(*hit)).sum();
    Ok(NeighbourQuality {
        precision: hits.iter().filter(|hit| **hit > 0).count() as f64 / m,
        recall: recalled as f64 / n,
        density: total / (neighbours as f64 * m),
        coverage: covered as f64 / n,
        neighbours,
        samples: [real.samples(), fake.samples()],
    })
}

/// Squared distance of every sample to its `neighbours`-th nearest other one.
///
/// # Errors
/// [`DiagnosticsError::NotFinite`] where one overflows: no distance would be below it or above it.
fn radii<T: Copy + Into<f64> + Sync>(
    set: &FeatureMatrix<'_, T>,
    neighbours: usize,
) -> Result<Vec<f64>> {
    let radii: Vec<f64> = (0..set.samples())
        .into_par_iter()
        .map(|sample| {
            let mut distances: Vec<f64> = (0..set.samples())
                .filter(|other| *other != sample)
                .map(|other| squared_distance(set.row(sample), set.row(other)))
                .collect();
            *distances
                .select_nth_unstable_by(neighbours - 1, f64::total_cmp)
                .1
        })
        .collect();
    check_series("the squared distance of a sample to a neighbour", &radii, 1)?;
    Ok(radii)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn points_on_a_line_count_by_hand() {
        // Radii with one neighbour: 1, 1 and 9 around 0, 1 and 10.
        let real = FeatureMatrix::new(&[0.0, 1.0, 10.0], 1).unwrap();
        let fake = FeatureMatrix::new(&[0.5, 0.6, 30.0], 1).unwrap();
        let quality = neighbour_quality(&real, &fake, 1).unwrap();
        // 0.5 and 0.6 lie near 0 and 1, not within 9 of 10; 30 lies nowhere.
        assert!((quality.precision - 2.0 / 3.0).abs() < 1e-12);
        assert!((quality.density - 4.0 / 3.0).abs() < 1e-12);
        assert!((quality.coverage - 2.0 / 3.0).abs() < 1e-12);
        // The outlier at 30 reaches back to 0.6, exclusively, so it recalls 1 and 10.
        assert!((quality.recall - 2.0 / 3.0).abs() < 1e-12, "{quality:?}");
    }

    #[test]
    fn unusable_sets_are_errors() {
        let set = FeatureMatrix::new(&[0.0_f32, 1.0, 10.0], 1).unwrap();
        let other = FeatureMatrix::new(&[0.0_f32, 1.0, 10.0], 3).unwrap();
        assert!(neighbour_quality(&set, &set, 2).is_ok());
        assert!(neighbour_quality(&set, &set, 3).is_err());
        assert!(neighbour_quality(&set, &set, 0).is_err());
        assert!(neighbour_quality(&set, &set, usize::MAX).is_err());
        assert!(neighbour_quality(&set, &other, 1).is_err());
        let far = FeatureMatrix::new(&[0.0, 1e200, -1e200], 1).unwrap();
        assert!(neighbour_quality(&far, &far, 1).is_err());
    }
}
