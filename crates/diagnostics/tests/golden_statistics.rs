//! Statistics of chains, series and samples against ArviZ, statsmodels, SciPy and NumPy (see
//! `golden/make_statistics_golden.py`).
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::{bulk_effective_size, chain_mean, split_rhat, tail_effective_size};
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
    let cases: Vec<Chains> = serde_json::from_str(include_str!("golden/chains.json")).unwrap();
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
