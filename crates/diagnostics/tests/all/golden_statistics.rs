//! Statistics of chains, series and samples against ArviZ, statsmodels, SciPy and NumPy (see
//! `golden/make_statistics_golden.py`).
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::{
    FeatureMatrix, bulk_effective_size, chain_mean, frechet_distance, ljung_box, neighbour_quality,
    partial_autocorrelation, split_rhat, standardise, tail_effective_size,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Chains {
    name: String,
    chains: Vec<Vec<f64>>,
    split_rhat: f64,
    bulk_effective_size: f64,
    tail_effective_size: f64,
    mean_standard_error: f64,
}

#[track_caller]
fn assert_close(what: &str, got: f64, expected: f64, tolerance: f64) {
    assert!(
        (got - expected).abs() <= tolerance * expected.abs().max(1.0),
        "{what}: got {got}, expected {expected}"
    );
}

#[test]
fn chain_statistics_match_arviz() {
    let cases: Vec<Chains> = serde_json::from_str(include_str!("../golden/chains.json")).unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let (name, chains) = (&case.name, &case.chains);
        for (what, got, expected) in [
            ("R̂", split_rhat(chains).unwrap(), case.split_rhat),
            (
                "bulk size",
                bulk_effective_size(chains).unwrap(),
                case.bulk_effective_size,
            ),
            (
                "tail size",
                tail_effective_size(chains).unwrap(),
                case.tail_effective_size,
            ),
            (
                "standard error",
                chain_mean(chains).unwrap().standard_error,
                case.mean_standard_error,
            ),
        ] {
            assert_close(&format!("{name}: {what}"), got, expected, 1e-10);
        }
    }
}

#[derive(Deserialize)]
struct LjungBoxGolden {
    series: Vec<f64>,
    lags: Vec<usize>,
    statistic: Vec<f64>,
    p_value: Vec<f64>,
    partial_autocorrelation: Vec<f64>,
}

#[test]
fn ljung_box_and_partial_autocorrelation_match_statsmodels() {
    let golden: LjungBoxGolden =
        serde_json::from_str(include_str!("../golden/ljung_box.json")).unwrap();
    for (index, lags) in golden.lags.iter().enumerate() {
        let got = ljung_box(&golden.series, *lags).unwrap();
        assert_close("Q", got.statistic, golden.statistic[index], 1e-11);
        // Relative: the probabilities are small.
        assert_close("p", got.p_value / golden.p_value[index], 1.0, 1e-9);
    }
    let centred = standardise(&golden.series).unwrap();
    let partial = partial_autocorrelation(&centred, 15).unwrap();
    assert_eq!(partial.len(), golden.partial_autocorrelation.len());
    for (got, expected) in partial.iter().zip(&golden.partial_autocorrelation) {
        assert_close("partial autocorrelation", *got, *expected, 1e-11);
    }
}

#[derive(Deserialize)]
struct Quality {
    name: String,
    dimension: usize,
    real: Vec<f64>,
    fake: Vec<f64>,
    frechet: f64,
    neighbours: usize,
    precision: f64,
    recall: f64,
    density: f64,
    coverage: f64,
}

#[test]
fn sample_quality_matches_scipy_and_brute_force() {
    let cases: Vec<Quality> = serde_json::from_str(include_str!("../golden/quality.json")).unwrap();
    assert_eq!(cases.len(), 4);
    for case in cases {
        let name = &case.name;
        let real = FeatureMatrix::new(&case.real, case.dimension).unwrap();
        let fake = FeatureMatrix::new(&case.fake, case.dimension).unwrap();
        let distance = frechet_distance(&real, &fake).unwrap();
        assert_close(name, distance.value, case.frechet, 1e-9);
        assert!(!distance.rank_deficient);
        let got = neighbour_quality(&real, &fake, case.neighbours).unwrap();
        for (what, got, expected) in [
            ("precision", got.precision, case.precision),
            ("recall", got.recall, case.recall),
            ("density", got.density, case.density),
            ("coverage", got.coverage, case.coverage),
        ] {
            assert_close(&format!("{name}: {what}"), got, expected, 1e-12);
        }
    }
}

/// The size of Inception features; run with `--ignored` for the time.
#[test]
#[ignore = "takes half a minute"]
fn two_thousand_features_are_manageable() {
    let mut state = 1_u64;
    let mut features = |rows: usize| -> Vec<f32> {
        (0..rows * 2048)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 40) as f32 / (1_u32 << 24) as f32
            })
            .collect()
    };
    let (a, b) = (features(3000), features(3000));
    let start = std::time::Instant::now();
    let a = FeatureMatrix::new(&a, 2048).unwrap();
    let b = FeatureMatrix::new(&b, 2048).unwrap();
    let distance = frechet_distance(&a, &b).unwrap();
    println!("{distance:?} in {:.1} s", start.elapsed().as_secs_f64());
    assert!(frechet_distance(&a, &a).unwrap().value < 1e-9);
    let start = std::time::Instant::now();
    let quality = neighbour_quality(&a, &b, 5).unwrap();
    println!("{quality:?} in {:.1} s", start.elapsed().as_secs_f64());
}
