//! K-means on points whose groups are known, or can be worked out.
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::{
    DiagnosticsError, FeatureMatrix, KMeans, KMeansOptions, adjusted_rand_index, k_means,
};
use proptest::prelude::*;

fn of(values: &[f64], dimension: usize, groups: usize, options: &KMeansOptions) -> KMeans {
    k_means(
        &FeatureMatrix::new(values, dimension).unwrap(),
        groups,
        options,
    )
    .unwrap()
}

#[test]
fn two_pairs_on_a_line_count_by_hand() {
    let found = of(&[0.0, 1.0, 10.0, 12.0], 1, 2, &KMeansOptions::default());
    let first = found.groups[0];
    assert_eq!(found.groups, [first, first, 1 - first, 1 - first]);
    assert_eq!(found.centres[first], 0.5);
    assert_eq!(found.centres[1 - first], 11.0);
    assert_eq!(found.inertia, 0.25 + 0.25 + 1.0 + 1.0);
    assert!(found.converged);
    let one = of(&[0.0, 1.0, 10.0, 12.0], 1, 1, &KMeansOptions::default());
    // About the mean 5.75.
    assert_eq!(one.inertia, 33.0625 + 22.5625 + 18.0625 + 39.0625);
    let each = of(&[0.0, 1.0, 10.0, 12.0], 1, 4, &KMeansOptions::default());
    assert_eq!(each.inertia, 0.0);
}

#[test]
fn separated_clusters_are_found_in_single_precision_too() {
    // Nine clusters of 20 states each, of radius 1 around corners 20 apart, in 5 dimensions.
    let rows: Vec<f32> = (0..180)
        .flat_map(|row| {
            let cluster = row % 9;
            (0..5).map(move |feature| {
                let corner = 20 * [cluster % 3, cluster / 3, 0, 1, cluster][feature];
                corner as f32 + ((row * 7 + feature * 13) as f32).sin() / 3.0
            })
        })
        .collect();
    let rows = FeatureMatrix::new(&rows, 5).unwrap();
    let found = k_means(&rows, 9, &KMeansOptions::default()).unwrap();
    let truth: Vec<usize> = (0..180).map(|row| row % 9).collect();
    assert_eq!(adjusted_rand_index(&found.groups, &truth).unwrap(), 1.0);
    assert!(found.inertia <= 180.0 * 5.0 / 9.0);
}

#[test]
fn inertia_never_rises_with_iterations_or_restarts() {
    // Points along a spiral, where searches end in many local minima.
    let rows: Vec<f64> = (0..400)
        .flat_map(|t| {
            let (sin, cos) = (f64::from(t) / 17.0).sin_cos();
            [f64::from(t) * cos, f64::from(t) * sin]
        })
        .collect();
    let inertia = |restarts, max_iterations| {
        let options = KMeansOptions {
            restarts,
            max_iterations,
            seed: 4,
        };
        of(&rows, 2, 12, &options).inertia
    };
    let along: Vec<f64> = (1..=25).map(|steps| inertia(1, steps)).collect();
    assert!(along.windows(2).all(|pair| pair[1] <= pair[0]), "{along:?}");
    assert!(along[24] < 0.95 * along[0], "{along:?}");
    let restarts: Vec<f64> = (1..=12).map(|restarts| inertia(restarts, 300)).collect();
    assert!(
        restarts.windows(2).all(|pair| pair[1] <= pair[0]),
        "{restarts:?}"
    );
    assert!(restarts[11] < restarts[0], "{restarts:?}");
    assert_eq!(inertia(3, 300).to_bits(), inertia(3, 300).to_bits());
}

#[test]
fn what_has_no_groups_is_refused() {
    let values = [0.0, 1.0, 1.0, 0.0];
    let rows = FeatureMatrix::new(&values, 1).unwrap();
    let options = KMeansOptions::default();
    let error = k_means(&rows, 3, &options).unwrap_err().to_string();
    assert!(error.contains("3 for 2 different rows"), "{error}");
    assert!(k_means(&rows, 0, &options).is_err());
    for options in [
        KMeansOptions {
            restarts: 0,
            ..options
        },
        KMeansOptions {
            max_iterations: 0,
            ..options
        },
    ] {
        assert!(k_means(&rows, 2, &options).is_err());
    }
    for far in [1e200, 1e154, f64::MAX] {
        let values = [0.0, far, -far, far / 2.0];
        let rows = FeatureMatrix::new(&values, 1).unwrap();
        assert!(matches!(
            k_means(&rows, 1, &options),
            Err(DiagnosticsError::NotFinite { .. })
        ));
    }
}

fn squared_distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// Least inertia over all ways to split points on a line: the groups of the best one are intervals.
fn least_inertia(sorted: &[f64], groups: usize) -> f64 {
    let around_mean = |points: &[f64]| -> f64 {
        let mean = points.iter().sum::<f64>() / points.len() as f64;
        points.iter().map(|x| (x - mean).powi(2)).sum()
    };
    if groups == 1 {
        return around_mean(sorted);
    }
    (groups - 1..sorted.len())
        .map(|cut| around_mean(&sorted[cut..]) + least_inertia(&sorted[..cut], groups - 1))
        .fold(f64::INFINITY, f64::min)
}

#[test]
fn points_on_a_line_are_split_as_well_as_can_be() {
    for set in 0..20 {
        let mut values: Vec<f64> = (0..12)
            .map(|t| 10.0 * f64::from(17 * set + t * t + 1).sin())
            .collect();
        for groups in 2..=4 {
            let found = of(&values, 1, groups, &KMeansOptions::default()).inertia;
            values.sort_by(f64::total_cmp);
            let least = least_inertia(&values, groups);
            assert!(
                (found - least).abs() < 1e-9,
                "set {set}, {groups} groups: {found} is not {least}"
            );
        }
    }
}

proptest! {
    #[test]
    fn rows_lie_with_the_nearest_centre_and_centres_in_the_middle(
        values in prop::collection::vec(-5_i32..5, 20..120),
        groups in 1_usize..4,
        seed in any::<u64>(),
    ) {
        // Whole numbers have many ties and equal rows; the last four differ for sure.
        let mut values: Vec<f64> = values.iter().map(|x| f64::from(*x)).collect();
        values.truncate(values.len() / 2 * 2);
        values.extend([7.0, 7.0, 8.0, 7.0, 7.0, 8.0, 9.0, 9.0]);
        let found = of(&values, 2, groups, &KMeansOptions { seed, ..KMeansOptions::default() });
        prop_assert!(found.converged);
        let rows: Vec<&[f64]> = values.chunks(2).collect();
        let centres: Vec<&[f64]> = found.centres.chunks(2).collect();
        prop_assert_eq!(centres.len(), groups);
        let mut inertia = 0.0;
        for (row, group) in rows.iter().zip(&found.groups) {
            let distance = squared_distance(row, centres[*group]);
            inertia += distance;
            for centre in &centres {
                prop_assert!(distance <= squared_distance(row, centre));
            }
        }
        prop_assert!((inertia - found.inertia).abs() <= 1e-9 * inertia);
        for (group, centre) in centres.iter().enumerate() {
            let own: Vec<&[f64]> = rows
                .iter()
                .zip(&found.groups)
                .filter(|(_, g)| **g == group)
                .map(|(row, _)| *row)
                .collect();
            prop_assert!(!own.is_empty());
            for axis in 0..2 {
                let mean = own.iter().map(|row| row[axis]).sum::<f64>() / own.len() as f64;
                prop_assert!((mean - centre[axis]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn nothing_splits_better_than_the_best(
        mut values in prop::collection::vec(-100.0_f64..100.0, 6..11),
        groups in 2_usize..4,
    ) {
        let found = of(&values, 1, groups, &KMeansOptions::default()).inertia;
        values.sort_by(f64::total_cmp);
        let least = least_inertia(&values, groups);
        prop_assert!(found >= least - 1e-9 * least.max(1.0), "{} below {}", found, least);
    }
}
