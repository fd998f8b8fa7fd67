//! Kernels with momenta against closed forms and known distributions.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use ebm_core::{NoiseKey, StepSize, Stream, Temperature};
use ebm_langevin::*;

use crate::mala::{
    Harmonic, Mixture, gaussian, kolmogorov, normal_cumulative, run_of, variance, walk,
};

fn underdamped(epsilon: f64, friction: f64, temperature: f64) -> Underdamped {
    let temperature = Temperature::new(temperature).unwrap();
    Underdamped::new(StepSize::new(epsilon).unwrap(), friction, temperature).unwrap()
}

fn hmc(epsilon: f64, leapfrogs: u64) -> Hmc {
    Hmc::new(StepSize::new(epsilon).unwrap(), leapfrogs, Temperature::ONE).unwrap()
}

/// F = x⁴/4 + x²/2 on the line, exactly.
fn quartic(states: &States) -> Result<Slopes, LangevinError> {
    let each = |of: fn(f64) -> f64| states.values().iter().map(|x| of(f64::from(*x))).collect();
    Ok((
        each(|x| x.powi(4) / 4.0 + x * x / 2.0),
        each(|x| x.powi(3) + x),
    ))
}

/// Two steps in f64 from the formulas of BAOAB, for F = |x|²/2 at T = 0.5.
#[test]
fn a_step_of_underdamped_langevin_is_the_formula() {
    let (epsilon, friction, temperature) = (0.6, 1.3, 0.5);
    let kernel = GradientKernel::Underdamped(underdamped(epsilon, friction, temperature));
    let key = NoiseKey::new(20, Stream::Langevin, 3);
    let energy = |states: &States| {
        let x = || states.values().iter().map(|x| f64::from(*x));
        Ok((x().map(|x| x * x / 2.0).collect(), x().collect()))
    };
    let start = States::new(1, vec![0.8, -0.3]).unwrap();
    let noise = |step| HostNoise { key, step };
    let mut phase = kernel.init(start.clone(), &energy, noise(0)).unwrap();
    let (mut x, mut v): (Vec<f64>, Vec<f64>) = (
        start.values().iter().map(|x| f64::from(*x)).collect(),
        phase.velocities.clone(),
    );
    assert!(v.iter().all(|v| v.abs() > 1e-6));
    for step in 0..2 {
        phase = kernel.step(phase, &energy, noise(step)).unwrap().0;
        let mut draws = vec![0.0; 2];
        key.normals(step, 0, 1, &mut draws);
        for chain in 0..2 {
            v[chain] -= epsilon / 2.0 * x[chain] / temperature;
            x[chain] += epsilon / 2.0 * v[chain];
            let kept = (-friction * epsilon).exp();
            v[chain] = kept * v[chain] + (1.0 - kept * kept).sqrt() * f64::from(draws[chain]);
            x[chain] += epsilon / 2.0 * v[chain];
            v[chain] -= epsilon / 2.0 * x[chain] / temperature;
            assert!((f64::from(phase.states.values()[chain]) - x[chain]).abs() < 1e-6);
            assert!((phase.velocities[chain] - v[chain]).abs() < 1e-6);
        }
    }
}

/// The leapfrog goes back the way it came, and its error in H falls with the square of ε: by 4.0 ± 0.2 where ε halves.
#[test]
fn the_leapfrog_is_reversible_and_of_second_order() {
    let kernel = hmc(0.1, 1);
    let start = States::new(1, vec![0.7, -1.1, 0.2]).unwrap();
    let mut phase = Phase::at_rest(start.clone(), &quartic).unwrap();
    phase.velocities = vec![0.9, -0.4, 1.3];
    let there = kernel.leap(phase.clone(), &quartic, 0.1, 25).unwrap();
    assert!(there.states != start);
    let back = kernel.leap(there, &quartic, -0.1, 25).unwrap();
    for (back, start) in back.states.values().iter().zip(start.values()) {
        assert!((back - start).abs() < 1e-5);
    }
    let error = |epsilon: f64, count| {
        let there = kernel
            .leap(phase.clone(), &quartic, epsilon, count)
            .unwrap();
        kernel.hamiltonian(&there, 1) - kernel.hamiltonian(&phase, 1)
    };
    let ratio = error(0.1, 4) / error(0.05, 8);
    assert!((ratio - 4.0).abs() < 0.2, "{ratio}");
}

/// A standard normal with the step ε = 1.2, 40,000 independent chains from twice its width. BAOAB has exactly the
/// variance 1 there, where ULA has 1.5625, and HMC has for any ε; both within 4.5 standard errors of √(2/n) and by
/// Kolmogorov's test at 1e-3. False-alarm rate over seeds 2e-3 in all; the seeds are fixed.
#[test]
fn large_steps_leave_a_normal_as_it_is() {
    let start = gaussian(2.0, 40_000, 1).into_values();
    let error = 4.5 * (2.0f64 / 40_000.0).sqrt();
    for kernel in [
        AnyKernel::from(underdamped(1.2, 1.0, 1.0)),
        hmc(1.2, 2).into(),
    ] {
        let states = walk(&Harmonic, &start, &run_of(kernel.clone(), 60));
        assert!((variance(&states) - 1.0).abs() < error, "{kernel:?}");
        let distance = kolmogorov(&states, normal_cumulative);
        assert!(distance < 1.95, "{kernel:?}: {distance}");
    }
}

/// 30,000 chains reach a mixture from the wrong distribution, by Kolmogorov's test at 1e-3: HMC with a step with which
/// ULA fails it, underdamped Langevin with a small one.
#[test]
fn a_mixture_is_reached_from_elsewhere() {
    let start = gaussian(1.5, 30_000, 1).into_values();
    for (kernel, steps) in [
        (AnyKernel::from(hmc(0.5, 3)), 100),
        (underdamped(0.15, 1.5, 1.0).into(), 300),
    ] {
        let states = walk(&Mixture, &start, &run_of(kernel, steps));
        let distance = kolmogorov(&states, Mixture::cumulative);
        assert!(distance < 1.95, "{distance}");
    }
}

/// One leapfrog step is MALA's proposal with MALA's decision: the same states, but for rounding, from the same noise.
#[test]
fn one_leapfrog_step_is_mala() {
    let start = gaussian(1.0, 500, 1).into_values();
    let mala = Mala::new(StepSize::new(0.9).unwrap(), Temperature::ONE).unwrap();
    let [by_mala, by_hmc] = [AnyKernel::from(mala), hmc(0.9, 1).into()]
        .map(|kernel| walk(&Mixture, &start, &run_of(kernel, 20)));
    let far = by_mala
        .iter()
        .zip(&by_hmc)
        .filter(|(a, b)| (*a - *b).abs() > 1e-3)
        .count();
    // A decision may fall on the other side by rounding, once in a long while.
    assert!(far <= 2, "{far}");
}

/// The rate of acceptance goes to one as ε² goes to zero, r is that of the states, and pieces of HMC are the whole.
#[test]
fn statistics_and_pieces() {
    let start = gaussian(1.0, 200, 4);
    let engine = TensorEngine::default();
    let chains = engine.bind::<Autodiff<Flex>, _>(Harmonic, 4, &Default::default());
    let whole = chains.run(&start, &run_of(hmc(0.3, 2), 6)).unwrap();
    assert!(whole.acceptance_rate > Some(0.97) && whole.acceptance_rate < Some(1.0));
    let first = chains.run(&start, &run_of(hmc(0.3, 2), 4)).unwrap();
    let rest = run_of(hmc(0.3, 2), 2).with_first_step(4);
    let rest = chains.run(&first.states, &rest).unwrap();
    assert_eq!(rest.states, whole.states);
    let one = chains.run(&start, &run_of(underdamped(0.3, 1.0, 1.0), 1));
    let one = one.unwrap();
    let norms = start.iter().map(|state| {
        let squares: f64 = state.iter().map(|x| f64::from(*x).powi(2)).sum();
        squares.sqrt()
    });
    let expected = norms.sum::<f64>() / 200.0;
    assert!((one.gradient_magnitude - expected).abs() < 1e-5);
    assert_eq!(one.acceptance_rate, None);
    let none = States::none(start.shape());
    let of_none = chains.run(&none, &run_of(hmc(0.3, 2), 3)).unwrap();
    assert_eq!(of_none.states, none);
}

#[test]
fn impossible_kernels_are_refused() {
    let still = StepSize::new(0.0).unwrap();
    for error in [
        Hmc::new(still, 3, Temperature::ONE).unwrap_err(),
        Underdamped::new(still, 1.0, Temperature::ONE).unwrap_err(),
    ] {
        assert!(error.to_string().contains("ε > 0"), "{error}");
    }
    let step = StepSize::new(0.1).unwrap();
    let error = Hmc::new(step, 0, Temperature::ONE).unwrap_err();
    assert!(error.to_string().contains("at least 1"), "{error}");
    for friction in [-1.0, f64::NAN, f64::INFINITY] {
        let error = Underdamped::new(step, friction, Temperature::ONE).unwrap_err();
        assert!(error.to_string().contains("friction"), "{error}");
    }
}
