//! Agreement of partitions and k-means against scikit-learn (see `golden/make_clustering_golden.py`).
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::{
    FeatureMatrix, KMeansOptions, adjusted_rand_index, k_means, normalised_mutual_information,
    purity,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    partitions: Vec<Partitions>,
    k_means: Vec<Clusters>,
}

#[derive(Deserialize)]
struct Partitions {
    name: String,
    a: Vec<usize>,
    b: Vec<usize>,
    purity: f64,
    adjusted_rand_index: f64,
    normalised_mutual_information: f64,
}

#[derive(Deserialize)]
struct Clusters {
    name: String,
    dimension: usize,
    rows: Vec<f64>,
    number: usize,
    groups: Vec<usize>,
    inertia: f64,
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("../golden/clustering.json")).unwrap()
}

#[test]
fn agreement_of_partitions_matches_scikit_learn() {
    let cases = golden().partitions;
    assert_eq!(cases.len(), 9);
    for case in cases {
        for (what, got, expected) in [
            ("purity", purity(&case.a, &case.b), case.purity),
            (
                "Rand index",
                adjusted_rand_index(&case.a, &case.b),
                case.adjusted_rand_index,
            ),
            (
                "mutual information",
                normalised_mutual_information(&case.a, &case.b),
                case.normalised_mutual_information,
            ),
        ] {
            let got = got.unwrap();
            assert!(
                (got - expected).abs() < 1e-12,
                "{}, {what}: got {got}, expected {expected}",
                case.name
            );
        }
    }
}

#[test]
fn k_means_finds_the_optimum_that_scikit_learn_finds() {
    let cases = golden().k_means;
    assert_eq!(cases.len(), 2);
    for case in cases {
        let rows = FeatureMatrix::new(&case.rows, case.dimension).unwrap();
        let options = KMeansOptions {
            restarts: 50,
            ..KMeansOptions::default()
        };
        let found = k_means(&rows, case.number, &options).unwrap();
        assert!(
            (found.inertia / case.inertia - 1.0).abs() < 1e-10,
            "{}: got {}, expected {}",
            case.name,
            found.inertia,
            case.inertia
        );
        // The same rows together; their numbers are arbitrary.
        let agreement = adjusted_rand_index(&found.groups, &case.groups).unwrap();
        assert_eq!(agreement, 1.0, "{}", case.name);
    }
}
