//! Chains against closed forms, across backends and threads, and in pieces.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::AutodiffBackend, backend::Backend};
use burn_ndarray::NdArray;
use ebm_core::{CoreError, Energy, NoiseKey, StateShape, StepSize, Stream, Temperature};
use ebm_langevin::*;

/// F = scale · |x|²/2.
struct Harmonic {
    scale: f64,
}

impl<B: Backend> Energy<B> for Harmonic {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        row_sums(states.powi_scalar(2)) * (self.scale / 2.0)
    }
}

/// A double well in every element and a coupling, so that chains have structure to disagree about.
struct Rugged;

impl<B: Backend> Energy<B> for Rugged {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let wells = (states.clone().powi_scalar(2) - 1.0).powi_scalar(2);
        let waves = (states * 3.0).sin();
        row_sums(wells) * 0.01 + row_sums(waves) * 0.005
    }
}

fn row_sums<B: Backend>(states: Tensor<B, 4>) -> Tensor<B, 1> {
    states.flatten::<2>(1, 3).sum_dim(1).squeeze_dim::<1>(1)
}

fn run_of(kernel: Ula, steps: u64) -> ChainRun {
    ChainRun::new(kernel, steps).with_noise(NoiseKey::new(20, Stream::Langevin, 3))
}

fn run<B: AutodiffBackend, E: Energy<B> + Sync>(
    energy: &E,
    start: &[f32],
    shape: impl Into<StateShape>,
    run: &ChainRun,
) -> (Vec<f32>, f64) {
    let start = States::new(shape, start.to_vec()).unwrap();
    let engine = TensorEngine::default();
    let chains = engine.bind::<B, _>(energy, start.shape(), &Default::default());
    let outcome = chains.run(&start, run).unwrap();
    (outcome.states.into_values(), outcome.gradient_magnitude)
}

fn variance(values: &[f32]) -> f64 {
    values.iter().map(|&x| f64::from(x).powi(2)).sum::<f64>() / values.len() as f64
}

/// ULA on U = x²/(2σ²) is an AR(1) process with coefficient a = 1 − ε²/(2σ²) and stationary variance ε²/(1 − a²), which
/// exceeds σ². Started in that law, 40,000 chains stay in it: the sample variance is within 4.5 of its standard
/// errors (√(2/n) relative). False-alarm rate over seeds 7e-6 for each of the four cases; the seed is fixed.
#[test]
fn stationary_variance_is_the_closed_form() {
    let chains = 40_000;
    let check = |kernel: Ula, energy: Harmonic, epsilon: f64, sigma: f64| {
        let a = 1.0 - epsilon * epsilon / (2.0 * sigma * sigma);
        let expected = epsilon * epsilon / (1.0 - a * a);
        let key = NoiseKey::new(8, Stream::ChainStart, 0);
        let start = NoiseStart::Gaussian
            .draw(expected.sqrt(), key, chains, 1)
            .unwrap();
        let (states, _) = run::<Autodiff<Flex>, _>(&energy, start.values(), 1, &run_of(kernel, 60));
        let error = (variance(&states) / expected - 1.0).abs();
        assert!(
            error < 4.5 * (2.0 / chains as f64).sqrt(),
            "ε {epsilon}, σ {sigma}: variance {} against {expected}",
            variance(&states)
        );
    };
    for (epsilon, sigma) in [(0.8, 0.7), (0.5, 1.3)] {
        let step_size = StepSize::new(epsilon).unwrap();
        // The potential itself, T = 1.
        let scale = 1.0 / (sigma * sigma);
        check(
            Ula::new(step_size, Temperature::ONE),
            Harmonic { scale },
            epsilon,
            sigma,
        );
        // The same potential as a learned energy: F = U ε²/2.
        let scale = epsilon * epsilon / (2.0 * sigma * sigma);
        check(Ula::learned(step_size), Harmonic { scale }, epsilon, sigma);
    }
}

/// From a point, n steps of AR(1) leave the mean aⁿx₀ and the variance ε²(1 − a²ⁿ)/(1 − a²); within 4.5 standard
/// errors.
#[test]
fn transient_mean_and_variance_are_the_closed_form() {
    let (chains, steps, epsilon, start) = (40_000, 5, 0.3, 2.0f32);
    let kernel = Ula::new(StepSize::new(epsilon).unwrap(), Temperature::ONE);
    let (states, _) = run::<Autodiff<Flex>, _>(
        &Harmonic { scale: 4.0 },
        &vec![start; chains],
        1,
        &run_of(kernel, steps),
    );
    let a = 1.0 - epsilon * epsilon / 2.0 * 4.0;
    let expected_mean = a.powi(5) * f64::from(start);
    let expected_variance = epsilon * epsilon * (1.0 - a.powi(10)) / (1.0 - a * a);
    let mean = states.iter().map(|&x| f64::from(x)).sum::<f64>() / chains as f64;
    assert!((mean - expected_mean).abs() < 4.5 * (expected_variance / chains as f64).sqrt());
    let centred: Vec<f32> = states.iter().map(|x| x - mean as f32).collect();
    assert!(
        (variance(&centred) / expected_variance - 1.0).abs() < 4.5 * (2.0 / chains as f64).sqrt()
    );
}

#[test]
fn without_noise_the_step_is_gradient_descent_and_r_is_the_mean_norm() {
    let kernel = Ula::learned(StepSize::new(0.0).unwrap());
    let (states, r) = run::<Autodiff<Flex>, _>(
        &Harmonic { scale: 0.5 },
        &[4.0, 0.0, 0.0, 3.0, 0.0, 4.0],
        2,
        &run_of(kernel, 2),
    );
    // x → x/2 twice; norms of the gradient x/2: (2, 1.5, 2) then half of that. Chain states are (4,0), (0,3), (0,4).
    assert_eq!(states, [1.0, 0.0, 0.0, 0.75, 0.0, 1.0]);
    assert!((r - (5.5 / 3.0 + 2.75 / 3.0) / 2.0).abs() < 1e-6, "{r}");
    assert_eq!(
        Ula::new(StepSize::new(0.0).unwrap(), Temperature::new(5e-5).unwrap()).drift(),
        1.0
    );
}

/// Each step is compared alone, from the same states: 5e-6 absolute for states of order 1.
#[test]
fn flex_and_ndarray_agree_step_by_step() {
    let shape = [3, 4, 4];
    let kernel = Ula::learned(StepSize::new(0.05).unwrap());
    let mut states = NoiseStart::Uniform
        .draw(1.0, NoiseKey::new(4, Stream::ChainStart, 0), 6, shape)
        .unwrap()
        .into_values();
    for step in 0..50 {
        let one = ChainRun {
            first_step: step,
            ..run_of(kernel, 1)
        };
        let (flex, flex_r) = run::<Autodiff<Flex>, _>(&Rugged, &states, shape, &one);
        let (ndarray, ndarray_r) = run::<Autodiff<NdArray>, _>(&Rugged, &states, shape, &one);
        for (a, b) in flex.iter().zip(&ndarray) {
            assert!((a - b).abs() < 5e-6, "step {step}: {a} against {b}");
        }
        assert!((flex_r - ndarray_r).abs() < 1e-5 * flex_r);
        states = flex;
    }
}

#[test]
fn chains_in_pieces_walk_the_same_path() {
    let shape = [1, 4, 4];
    let kernel = Ula::learned(StepSize::new(0.05).unwrap());
    let start = NoiseStart::Uniform
        .draw(1.0, NoiseKey::new(4, Stream::ChainStart, 0), 5, shape)
        .unwrap()
        .into_values();
    let (whole, whole_r) = run::<Autodiff<Flex>, _>(&Rugged, &start, shape, &run_of(kernel, 30));
    let (middle, first_r) = run::<Autodiff<Flex>, _>(&Rugged, &start, shape, &run_of(kernel, 12));
    let rest = ChainRun {
        first_step: 12,
        ..run_of(kernel, 18)
    };
    let (pieces, second_r) = run::<Autodiff<Flex>, _>(&Rugged, &middle, shape, &rest);
    assert_eq!(whole, pieces);
    assert!((whole_r - (12.0 * first_r + 18.0 * second_r) / 30.0).abs() < 1e-6 * whole_r);
}

#[test]
fn blocks_of_chains_give_the_same_as_all_together() {
    let (chains, shape) = (5, [1, 4, 4]);
    let key = NoiseKey::new(4, Stream::ChainStart, 0);
    let start = NoiseStart::Uniform.draw(1.0, key, chains, shape).unwrap();
    let kernel = Ula::learned(StepSize::new(0.05).unwrap());
    let (whole, whole_r) =
        run::<Autodiff<Flex>, _>(&Rugged, start.values(), shape, &run_of(kernel, 30));
    for block in 1..7 {
        let engine = TensorEngine::default().with_block(block.try_into().unwrap());
        let chains = engine.bind::<Autodiff<Flex>, _>(Rugged, shape, &Default::default());
        let outcome = chains.run(&start, &run_of(kernel, 30)).unwrap();
        assert_eq!(outcome.states.values(), whole);
        assert!((outcome.gradient_magnitude - whole_r).abs() < 1e-6 * whole_r);
    }
}

#[test]
fn starts_are_uniform_or_gaussian_with_their_factor() {
    let key = NoiseKey::new(4, Stream::ChainStart, 0);
    let uniform = NoiseStart::Uniform.draw(2.0, key, 1000, 20).unwrap();
    let uniform = uniform.values();
    assert!(uniform.iter().all(|x| x.abs() <= 2.0));
    // Var = factor²/3 with relative standard error √(0.8/n); factor² with √(2/n). Bounds at 4.5 standard errors.
    assert!((variance(uniform) * 0.75 - 1.0).abs() < 4.5 * (0.8f64 / 20_000.0).sqrt());
    let gaussian = NoiseStart::Gaussian.draw(3.0, key, 1000, 20).unwrap();
    assert!((variance(gaussian.values()) / 9.0 - 1.0).abs() < 4.5 * (2.0f64 / 20_000.0).sqrt());
    assert!(NoiseStart::Uniform.draw(0.0, key, 1, 1).is_err());
    assert!(NoiseStart::Uniform.draw(f64::NAN, key, 1, 1).is_err());
}

#[test]
fn an_energy_that_ignores_its_input_leaves_pure_diffusion() {
    struct Flat;
    impl<B: Backend> Energy<B> for Flat {
        fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
            Tensor::zeros([states.dims()[0]], &states.device())
        }
    }
    let kernel = Ula::learned(StepSize::new(0.5).unwrap());
    let (states, r) = run::<Autodiff<Flex>, _>(&Flat, &[1.0], 1, &run_of(kernel, 2));
    let mut walked = 1.0;
    for step in 0..2 {
        let mut noise = [0.0];
        run_of(kernel, 2).noise.normals(step, 0, 1, &mut noise);
        walked += 0.5 * noise[0];
    }
    assert!((states[0] - walked).abs() < 1e-6);
    assert_eq!(r, 0.0);
}

#[test]
fn an_energy_without_one_scalar_a_chain_is_refused() {
    struct Wrong;
    impl<B: Backend> Energy<B> for Wrong {
        fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
            states.flatten::<1>(0, 3)
        }
    }
    let kernel = Ula::learned(StepSize::new(0.1).unwrap());
    let engine = TensorEngine::default();
    let chains = engine.bind::<Autodiff<Flex>, _>(Wrong, 3, &Default::default());
    let error = chains
        .run(&States::zeros(3, 2), &run_of(kernel, 1))
        .unwrap_err();
    assert!(matches!(
        error,
        LangevinError::Core(CoreError::EnergyShape { chains: 2, got: 6 })
    ));
}

/// F = x²/4, ∇F = x/2 and no noise, so each step is plain arithmetic. r is that of ∇F before it is cut.
#[test]
fn bounds_cut_the_gradient_before_and_the_state_after_the_step() {
    let bound = |value: f64| Some(Bound::new(value).unwrap());
    let still = Ula::learned(StepSize::new(0.0).unwrap());
    let energy = Harmonic { scale: 0.5 };
    let start = [4.0, -3.0, 1.0, 0.0];
    let walk = |kernel: Ula| run::<Autodiff<Flex>, _>(&energy, &start, 2, &run_of(kernel, 1));
    let (plain, r) = walk(still);
    assert_eq!(plain, [2.0, -1.5, 0.5, 0.0]);
    // Slopes 2, −1.5, 0.5, 0 become 1, −1, 0.5, 0.
    let (clipped, clipped_r) = walk(still.with_gradient_clip(bound(1.0)));
    assert_eq!(clipped, [3.0, -2.0, 0.5, 0.0]);
    let (clamped, clamped_r) = walk(still.with_state_clamp(bound(1.75)));
    assert_eq!(clamped, [1.75, -1.5, 0.5, 0.0]);
    let both = still.with_gradient_clip(bound(1.0));
    let (both, _) = walk(both.with_state_clamp(bound(1.75)));
    assert_eq!(both, [1.75, -1.75, 0.5, 0.0]);
    assert_eq!((r, r), (clipped_r, clamped_r));
    assert!((r - (2.5 + 0.5) / 2.0).abs() < 1e-6, "{r}");

    // With a temperature, the bound is that of ∇F and not of the drift ε²/2T = 2 times it.
    let warm = Ula::new(StepSize::new(2.0).unwrap(), Temperature::ONE);
    let step = |kernel: Ula| {
        let gradient = Tensor::<Flex, 1>::from_floats([2.0, -0.25], &Default::default());
        let states = Tensor::<Flex, 4>::zeros([1, 2, 1, 1], &Default::default());
        let moved = kernel.moved(states, gradient.reshape([1, 2, 1, 1]), None);
        moved.into_data().to_vec::<f32>().unwrap()
    };
    assert_eq!(step(warm), [-4.0, 0.5]);
    assert_eq!(step(warm.with_gradient_clip(bound(1.0))), [-2.0, 0.5]);
    assert_eq!(step(warm.with_state_clamp(bound(3.0))), [-3.0, 0.5]);
}
