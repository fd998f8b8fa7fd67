//! Correlations and kernel densities against NumPy and SciPy (see `golden/make_golden.py`) and
//! against closed forms.
#![allow(clippy::unwrap_used)]

use ebm_diagnostics::{
    autocorrelation, cross_correlation, kernel_density, partial_autocorrelation, scott_factor,
    standardise, unit_mean_square,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Correlation {
    max_lag: usize,
    d: Vec<f64>,
    r: Vec<f64>,
    d_unit_mean_square: Vec<f64>,
    r_standardised: Vec<f64>,
    autocorrelation_d: Vec<f64>,
    autocorrelation_r: Vec<f64>,
    partial_autocorrelation_r: Vec<f64>,
    cross_correlation_d_r: Vec<f64>,
}

#[derive(Deserialize)]
struct KernelDensity {
    samples: Vec<[f64; 2]>,
    bandwidth_factor: f64,
    resolution: usize,
    half_width: f64,
    log_density: Vec<f64>,
}

#[track_caller]
fn assert_close(got: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(got.len(), expected.len());
    for (index, (got, expected)) in got.iter().zip(expected).enumerate() {
        assert!(
            (got - expected).abs() <= tolerance,
            "index {index}: got {got}, expected {expected}"
        );
    }
}

/// A linear congruential generator's uniforms summed to an approximate normal: no dependency, and
/// the same series everywhere.
fn noise(length: usize) -> Vec<f64> {
    let mut state = 42_u64;
    let mut uniform = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1_u64 << 53) as f64
    };
    (0..length)
        .map(|_| (0..12).map(|_| uniform()).sum::<f64>() - 6.0)
        .collect()
}

#[test]
fn correlations_match_numpy() {
    let golden: Correlation =
        serde_json::from_str(include_str!("../golden/correlation.json")).unwrap();
    let d = unit_mean_square(&golden.d).unwrap();
    let r = standardise(&golden.r).unwrap();
    assert_close(&d, &golden.d_unit_mean_square, 1e-12);
    assert_close(&r, &golden.r_standardised, 1e-12);
    let lags = golden.max_lag;
    assert_close(
        &autocorrelation(&d, lags).unwrap(),
        &golden.autocorrelation_d,
        1e-12,
    );
    assert_close(
        &autocorrelation(&r, lags).unwrap(),
        &golden.autocorrelation_r,
        1e-12,
    );
    assert_close(
        &partial_autocorrelation(&r, lags).unwrap(),
        &golden.partial_autocorrelation_r,
        1e-11,
    );
    assert_close(
        &cross_correlation(&d, &r, lags).unwrap(),
        &golden.cross_correlation_d_r,
        1e-12,
    );
}

#[test]
fn first_order_autoregression_matches_its_closed_form() {
    let coefficient = 0.7;
    let series: Vec<f64> = noise(200_000)
        .into_iter()
        .scan(0.0, |state, shock| {
            *state = coefficient * *state + shock;
            Some(*state)
        })
        .collect();
    let centred = standardise(&series).unwrap();
    let expected: Vec<f64> = (0..=5).map(|lag| coefficient.powi(lag)).collect();
    assert_close(&autocorrelation(&centred, 5).unwrap(), &expected, 0.01);
    assert_close(
        &partial_autocorrelation(&centred, 5).unwrap(),
        &[1.0, coefficient, 0.0, 0.0, 0.0, 0.0],
        0.01,
    );
}

#[test]
fn kernel_density_matches_scipy() {
    let golden: KernelDensity =
        serde_json::from_str(include_str!("../golden/kernel_density.json")).unwrap();
    let grid = kernel_density(
        &golden.samples,
        golden.bandwidth_factor,
        golden.resolution,
        golden.half_width,
    )
    .unwrap();
    // Down to 1e-12 of the peak; lower values differ by the kernel's cut-off at 8 sigma.
    let peak = golden.log_density.iter().fold(f64::MIN, |m, v| m.max(*v));
    for (got, expected) in grid.log_values().iter().zip(&golden.log_density) {
        if *expected > peak - 20.0 {
            assert!(
                (got - expected).abs() < 1e-5,
                "got {got}, expected {expected}"
            );
        } else {
            assert!(*got < peak - 19.0, "got {got}, expected {expected}");
        }
    }
}

#[test]
fn ten_thousand_samples_on_a_fine_grid_are_quick() {
    let samples: Vec<[f64; 2]> = noise(20_000)
        .chunks_exact(2)
        .map(|pair| [pair[0], pair[1]])
        .collect();
    let start = std::time::Instant::now();
    kernel_density(&samples, scott_factor(samples.len()), 200, 4.0).unwrap();
    let seconds = start.elapsed().as_secs_f64();
    println!("10,000 samples on 200 × 200 cells: {seconds:.2} s");
    // Wide, for loaded machines; about a second on two free cores.
    assert!(seconds < 20.0, "took {seconds:.1} s");
}
