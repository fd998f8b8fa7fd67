//! log Z by annealing against closed forms.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, NoiseKey, Stream, Temperature};
use ebm_langevin::*;

use crate::mala::{Mixture, row_sums};

const OPTIONS: AnnealingOptions = AnnealingOptions {
    rungs: 300,
    leapfrogs: 3,
    acceptance_rate: 0.65,
    pilot_chains: 50,
    seed: 4,
};

/// F = |x − 1|²/8 at T = 0.25, so U is that of a normal with the standard deviation 1: log Z = n/2 · log 2π.
struct Shifted;

impl<B: Backend> Energy<B> for Shifted {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        row_sums((states - 1.0).powi_scalar(2)) / 8.0
    }
}

/// Two wells of standard deviation 0.3 at ±2, which hold 0.9 and 0.1 of the mass: log Z = log √2π.
struct Wells;

impl Wells {
    const LEFT: f64 = 0.9;
}

impl<B: Backend> Energy<B> for Wells {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let x = states.flatten::<1>(0, 3);
        let [left, right] =
            [(Self::LEFT, -2.0), (1.0 - Self::LEFT, 2.0)].map(|(weight, centre)| {
                let square = ((x.clone() - centre) / 0.3).powi_scalar(2);
                (square / -2.0).exp() * (weight / 0.3)
            });
        // Far away both underflow.
        -(left + right + 1e-30).log()
    }
}

fn bind(
    energy: impl Energy<Autodiff<Flex>> + Send + Sync + 'static,
    size: usize,
) -> Box<dyn Chains> {
    let engine = TensorEngine::default();
    Box::new(engine.bind::<Autodiff<Flex>, _>(energy, size, &Default::default()))
}

/// log Z from the weights of both sides.
fn sides(chains: &dyn Chains, base: GaussianBase, temperature: f64, exact: States) -> [LogMean; 2] {
    let temperature = Temperature::new(temperature).unwrap();
    let path = Annealing::tuned(chains, base, temperature, &OPTIONS).unwrap();
    assert_eq!(path.rungs().last().unwrap().beta, 1.0);
    assert!(path.rungs().is_sorted_by_key(|rung| rung.beta));
    let count = exact.len();
    let up = path.forward(chains, count, 9).unwrap();
    let down = path.reverse(chains, exact, 10).unwrap();
    for annealed in [&up, &down] {
        let rate = annealed.acceptance_rate;
        assert!((0.4..0.95).contains(&rate), "{rate}");
    }
    let base = path.base_log_partition();
    let up = LogMean::of(&up.log_weights).unwrap();
    let down = LogMean::of(&down.log_weights).unwrap();
    [
        LogMean {
            value: up.value + base,
            ..up
        },
        LogMean {
            value: base - down.value,
            ..down
        },
    ]
}

/// Both sides lie within 4.5 standard errors of the exact log Z, which are small; over seeds that fails once in 10⁵ for
/// each of the four numbers here and in the next test.
#[test]
fn both_sides_have_the_log_z_of_a_normal() {
    let size = 6;
    let chains = bind(Shifted, size);
    let mut exact = vec![0.0; 400 * size];
    NoiseKey::new(3, Stream::ChainStart, 0).normals(0, 0, size, &mut exact);
    let exact = exact.into_iter().map(|z| 1.0 + z).collect();
    let exact = States::new(size, exact).unwrap();
    let base = GaussianBase::new(size, vec![0.0; size], vec![1.5; size]).unwrap();
    let log_z = size as f64 / 2.0 * std::f64::consts::TAU.ln();
    for side in sides(&*chains, base, 0.25, exact) {
        assert!(side.standard_error < 0.02, "{side:?}");
        let off = (side.value - log_z).abs();
        assert!(off < 4.5 * side.standard_error, "{side:?}, {log_z}");
    }
}

#[test]
fn both_sides_have_the_log_z_of_a_mixture() {
    let chains = bind(Mixture, 1);
    let exact = States::new(1, Mixture::draw(1_000)).unwrap();
    let base = GaussianBase::fitted(&exact, 0.01).unwrap();
    let log_z = 0.5 * std::f64::consts::TAU.ln();
    for side in sides(&*chains, base, 1.0, exact) {
        assert!(side.standard_error < 0.02, "{side:?}");
        let off = (side.value - log_z).abs();
        assert!(off < 4.5 * side.standard_error, "{side:?}, {log_z}");
    }
}

/// States of one well alone are no samples of both. The side that starts from them has the mean weight
/// Z₀/Z_left · P(chains from the Gaussian end there), and not Z₀/Z: the sides disagree, because chains are caught in
/// wells before these have their final masses. All within 4.5 standard errors; P is a share of 1,000 chains.
#[test]
fn states_of_one_mode_make_the_sides_disagree() {
    let chains = bind(Wells, 1);
    let mut left = vec![0.0; 1_000];
    NoiseKey::new(3, Stream::ChainStart, 0).normals(0, 0, 1, &mut left);
    let left = left.into_iter().map(|z| -2.0 + 0.3 * z).collect();
    let left = States::new(1, left).unwrap();
    let base = GaussianBase::new(1, vec![0.0], vec![1.5]).unwrap();
    let log_z = 0.5 * std::f64::consts::TAU.ln();
    let path = Annealing::tuned(&*chains, base, Temperature::ONE, &OPTIONS).unwrap();
    let up = path.forward(&*chains, 1_000, 9).unwrap();
    let down = path.reverse(&*chains, left, 10).unwrap();
    let ended_left = up.states.values().iter().filter(|x| **x < 0.0).count();
    let share = ended_left as f64 / 1_000.0;
    let of_share = ((1.0 - share) / (1_000.0 * share)).sqrt();
    let [up, down] = [up, down].map(|side| LogMean::of(&side.log_weights).unwrap());
    let base = path.base_log_partition();
    let off = (up.value + base - log_z).abs();
    assert!(off < 4.5 * up.standard_error, "{up:?}");
    let expected = log_z + Wells::LEFT.ln() - share.ln();
    let off = (base - down.value - expected).abs();
    assert!(
        off < 4.5 * down.standard_error.hypot(of_share),
        "{down:?}, {expected}"
    );
    // The disagreement is beyond all errors.
    assert!(expected - log_z > 0.15, "{share}");
    assert!(up.standard_error.max(down.standard_error) < 0.03);
}

#[test]
fn the_mean_of_weights_is_taken_in_the_logarithm() {
    let equal = LogMean::of(&[-1_000.0; 5]).unwrap();
    assert_eq!((equal.value, equal.standard_error), (-1_000.0, 0.0));
    assert!((equal.effective_chains - 5.0).abs() < 1e-12);
    // Weights 1 and 3: mean 2, variance of the mean 1, and (1 + 3)²/(1 + 9) chains.
    let two = LogMean::of(&[0.0, 3.0_f64.ln()]).unwrap();
    assert!((two.value - 2.0_f64.ln()).abs() < 1e-12);
    assert!((two.standard_error - 0.5).abs() < 1e-12);
    assert!((two.effective_chains - 1.6).abs() < 1e-12);
    for none in [&[][..], &[0.5], &[f64::NAN, 0.0], &[f64::INFINITY]] {
        assert_eq!(LogMean::of(none), None);
    }
}

#[test]
fn impossible_paths_are_refused() {
    let chains = bind(Shifted, 2);
    let base = || GaussianBase::new(2, vec![0.0; 2], vec![1.0; 2]).unwrap();
    let refused = |options: AnnealingOptions, part: &str| {
        let error = Annealing::tuned(&*chains, base(), Temperature::ONE, &options).unwrap_err();
        assert!(error.to_string().contains(part), "{error}");
    };
    refused(
        AnnealingOptions {
            rungs: 0,
            ..OPTIONS
        },
        "0 rungs",
    );
    refused(
        AnnealingOptions {
            leapfrogs: 0,
            ..OPTIONS
        },
        "0 leapfrog",
    );
    refused(
        AnnealingOptions {
            pilot_chains: 0,
            ..OPTIONS
        },
        "0 chains",
    );
    let impossible = AnnealingOptions {
        acceptance_rate: 1.0,
        ..OPTIONS
    };
    refused(impossible, "between 0 and 1");
    for (means, deviations) in [
        (vec![0.0], vec![1.0; 2]),
        (vec![0.0, f64::NAN], vec![1.0; 2]),
        (vec![0.0; 2], vec![1.0, 0.0]),
    ] {
        assert!(GaussianBase::new(2, means, deviations).is_err());
    }
    assert!(GaussianBase::fitted(&States::none(2), 0.1).is_err());
}
