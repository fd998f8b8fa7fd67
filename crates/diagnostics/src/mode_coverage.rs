//! Which modes of a toy density samples reach.

use serde::{Deserialize, Serialize};

use crate::check::{check_positive, check_same_length, check_samples};
use crate::{DiagnosticsError, Result};

/// The definition of a mode, and of a sample that reaches it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CoverageOptions {
    /// Standard deviation of a mode: per coordinate for points, along the radius for rings.
    pub standard_deviation: f64,
    /// A sample belongs to its nearest mode when it lies within this number of standard deviations of it. Three
    /// standard deviations hold 98.9 % of a Gaussian mode and 99.7 % of a ring.
    pub reach: f64,
    /// A mode is covered when its share of the samples is at least this fraction of its true weight.
    pub least_share: f64,
    /// True weights of the modes, which need not add up to 1; equal when empty.
    pub true_weights: Vec<f64>,
}

impl Default for CoverageOptions {
    fn default() -> Self {
        Self {
            standard_deviation: 0.15,
            reach: 3.0,
            least_share: 0.1,
            true_weights: Vec::new(),
        }
    }
}

/// How samples are spread over the modes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ModeCoverage {
    /// Share of all samples in each mode.
    pub shares: Vec<f64>,
    /// Number of covered modes.
    pub covered: usize,
    /// Share of samples outside all modes.
    pub outside: f64,
    /// Total variation between the weights of the modes among the samples that are in one and the true weights, in
    /// [0, 1]; 1 when no sample is in a mode.
    pub total_variation: f64,
}

/// Coverage of modes at `centres` by two-dimensional `samples`, such as the eight Gaussians of a toy run.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] for no sample or no mode, [`DiagnosticsError::NotFinite`] for NaN or infinite
/// coordinates, [`DiagnosticsError::LengthsDiffer`] unless there are as many true weights as modes, or none, and
/// [`DiagnosticsError::Parameter`] for options out of range.
pub fn mode_coverage(
    samples: &[[f64; 2]],
    centres: &[[f64; 2]],
    options: &CoverageOptions,
) -> Result<ModeCoverage> {
    if let Some(index) = centres
        .iter()
        .position(|[x, y]| !(x.is_finite() && y.is_finite()))
    {
        return Err(DiagnosticsError::NotFinite {
            what: "the centre of a mode",
            index,
        });
    }
    coverage(samples, centres.len(), options, |sample, mode| {
        (sample[0] - centres[mode][0]).hypot(sample[1] - centres[mode][1])
    })
}

/// Coverage of rings about the origin, told apart by the radius of a sample.
///
/// # Errors
/// As [`mode_coverage`]; a negative radius is a [`DiagnosticsError::Parameter`].
pub fn ring_coverage(
    samples: &[[f64; 2]],
    radii: &[f64],
    options: &CoverageOptions,
) -> Result<ModeCoverage> {
    if let Some(radius) = radii.iter().find(|r| !(r.is_finite() && **r >= 0.0)) {
        return Err(DiagnosticsError::Parameter {
            name: "radius",
            value: radius.to_string(),
            requirement: "the radius of a ring has to be finite and not negative",
        });
    }
    coverage(samples, radii.len(), options, |sample, ring| {
        (sample[0].hypot(sample[1]) - radii[ring]).abs()
    })
}

fn coverage(
    samples: &[[f64; 2]],
    modes: usize,
    options: &CoverageOptions,
    distance: impl Fn(&[f64; 2], usize) -> f64,
) -> Result<ModeCoverage> {
    check_samples(samples, 1)?;
    if modes == 0 {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the list of modes",
            length: modes,
            needed: 1,
        });
    }
    let weights = true_weights(modes, options)?;
    let limit = options.reach * options.standard_deviation;
    let mut counts = vec![0_usize; modes];
    for sample in samples {
        let (mut nearest, mut least) = (0, f64::INFINITY);
        for mode in 0..modes {
            let distance = distance(sample, mode);
            if distance < least {
                (nearest, least) = (mode, distance);
            }
        }
        if least <= limit {
            counts[nearest] += 1;
        }
    }
    let inside: usize = counts.iter().sum();
    let share = |count: usize, of: usize| count as f64 / of as f64;
    let total_variation = if inside == 0 {
        1.0
    } else {
        0.5 * counts
            .iter()
            .zip(&weights)
            .map(|(count, weight)| (share(*count, inside) - weight).abs())
            .sum::<f64>()
    };
    let shares: Vec<f64> = counts
        .iter()
        .map(|count| share(*count, samples.len()))
        .collect();
    Ok(ModeCoverage {
        covered: shares
            .iter()
            .zip(&weights)
            .filter(|(share, weight)| **share > 0.0 && **share >= options.least_share * **weight)
            .count(),
        shares,
        outside: share(samples.len() - inside, samples.len()),
        total_variation,
    })
}

/// The true weights, adding up to 1.
fn true_weights(modes: usize, options: &CoverageOptions) -> Result<Vec<f64>> {
    check_positive("standard_deviation", options.standard_deviation)?;
    check_positive("reach", options.reach)?;
    check_positive("least_share", options.least_share)?;
    if options.true_weights.is_empty() {
        return Ok(vec![1.0 / modes as f64; modes]);
    }
    let what = "the true weights and the modes";
    check_same_length(what, options.true_weights.len(), modes)?;
    let total: f64 = options.true_weights.iter().sum();
    if !(options.true_weights.iter().all(|w| *w >= 0.0) && total > 0.0 && total.is_finite()) {
        return Err(DiagnosticsError::Parameter {
            name: "true_weights",
            value: format!("{:?}", options.true_weights),
            requirement: "weights may not be negative and need a positive, finite sum",
        });
    }
    Ok(options.true_weights.iter().map(|w| w / total).collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const CENTRES: [[f64; 2]; 4] = [[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0], [0.0, -1.0]];

    #[test]
    fn samples_count_for_their_nearest_mode() {
        let samples = [[1.1, 0.0], [1.0, 0.4], [0.9, 0.0], [0.0, 1.2], [0.0, 0.0]];
        let coverage = mode_coverage(&samples, &CENTRES, &CoverageOptions::default()).unwrap();
        assert_eq!(coverage.shares, [0.6, 0.2, 0.0, 0.0]);
        assert_eq!((coverage.covered, coverage.outside), (2, 0.2));
        // Weights 3/4 and 1/4 against four quarters.
        assert!((coverage.total_variation - 0.5).abs() < 1e-12);
        let matching = CoverageOptions {
            true_weights: vec![6.0, 2.0, 0.0, 0.0],
            ..CoverageOptions::default()
        };
        let coverage = mode_coverage(&samples, &CENTRES, &matching).unwrap();
        assert_eq!((coverage.covered, coverage.total_variation), (2, 0.0));
    }

    #[test]
    fn rings_are_told_apart_by_radius() {
        let samples = [[0.0, -1.1], [2.0, 0.0], [-1.2, 1.6], [9.0, 0.0]];
        let coverage =
            ring_coverage(&samples, &[1.0, 2.0, 3.0, 4.0], &CoverageOptions::default()).unwrap();
        assert_eq!(coverage.shares, [0.25, 0.5, 0.0, 0.0]);
        let nowhere = ring_coverage(&samples[3..], &[1.0], &CoverageOptions::default()).unwrap();
        assert_eq!((nowhere.outside, nowhere.total_variation), (1.0, 1.0));
    }

    #[test]
    fn unusable_input_is_an_error() {
        let options = CoverageOptions::default();
        assert!(mode_coverage(&[], &CENTRES, &options).is_err());
        assert!(mode_coverage(&CENTRES, &[], &options).is_err());
        assert!(mode_coverage(&[[f64::NAN, 0.0]], &CENTRES, &options).is_err());
        assert!(mode_coverage(&CENTRES, &[[0.0, f64::INFINITY]], &options).is_err());
        assert!(ring_coverage(&CENTRES, &[-1.0], &options).is_err());
        for weights in [vec![1.0; 3], vec![-1.0; 4], vec![0.0; 4], vec![f64::NAN; 4]] {
            let bad = CoverageOptions {
                true_weights: weights,
                ..options.clone()
            };
            assert!(mode_coverage(&CENTRES, &CENTRES, &bad).is_err());
        }
        let flat = CoverageOptions {
            standard_deviation: 0.0,
            ..options
        };
        assert!(mode_coverage(&CENTRES, &CENTRES, &flat).is_err());
    }

    proptest! {
        #[test]
        fn shares_add_up_and_the_distance_is_bounded(
            samples in prop::collection::vec((-2.0_f64..2.0, -2.0_f64..2.0), 1..50),
        ) {
            let samples: Vec<[f64; 2]> = samples.into_iter().map(|(x, y)| [x, y]).collect();
            let coverage = mode_coverage(&samples, &CENTRES, &CoverageOptions::default()).unwrap();
            let total = coverage.shares.iter().sum::<f64>() + coverage.outside;
            prop_assert!((total - 1.0).abs() < 1e-12);
            prop_assert!((0.0..=1.0).contains(&coverage.total_variation));
        }
    }
}
