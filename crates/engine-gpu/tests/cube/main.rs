//! The cube engine against tensor operations and automatic differentiation, on any Vulkan driver (`--features wgpu`)
//! or NVIDIA GPU (`--features cuda`).
#![cfg(any(feature = "cuda", feature = "wgpu"))]
#![allow(clippy::unwrap_used)]

mod gradients;
mod stack;
mod tensors;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::backend::{Autodiff, Flex};
use ebm_core::{Activation, NoiseKey, States, StepSize, Stream, Temperature};
use ebm_engine_gpu::{CubeEngine, CubePrecision};
use ebm_langevin::{
    Bound, ChainOutcome, ChainRun, Chains, Engine, LangevinError, Mala, NoiseStart, TensorEngine,
    Ula,
};

type B = Autodiff<Flex>;
type Stack = stack::Stack<B>;

/// On an NVIDIA GPU, otherwise on what wgpu finds, as far as this is built for them. None, with a word about it,
/// where there is neither; a failure where `EBM_NEEDS_GPU` says that there is one.
fn engine() -> Option<CubeEngine> {
    type Start = fn() -> CubeEngine;
    let starts: [Option<Start>; 2] = [
        #[cfg(feature = "cuda")]
        Some(|| CubeEngine::on::<cubecl::cuda::CudaRuntime>(&Default::default())),
        #[cfg(not(feature = "cuda"))]
        None,
        #[cfg(feature = "wgpu")]
        Some(|| CubeEngine::on::<cubecl::wgpu::WgpuRuntime>(&Default::default())),
        #[cfg(not(feature = "wgpu"))]
        None,
    ];
    let started = |start: Start| std::panic::catch_unwind(start).ok();
    let engine = starts.into_iter().flatten().find_map(started);
    if engine.is_none() {
        assert!(std::env::var_os("EBM_NEEDS_GPU").is_none(), "no device");
        eprintln!("no device: nothing is tested");
    }
    engine
}

fn states(chains: usize, shape: [usize; 3]) -> States {
    let key = NoiseKey::new(4, Stream::ChainStart, 1);
    NoiseStart::Gaussian.draw(1.0, key, chains, shape).unwrap()
}

/// Chains that the engine walks from host to host.
fn walk(
    engine: &CubeEngine,
    net: &Stack,
    from: &States,
    run: &ChainRun,
) -> Result<ChainOutcome, LangevinError> {
    engine.bind(net, net.shape)?.run(from, run)
}

fn run_of(ula: Ula, first_step: u64, steps: u64) -> ChainRun {
    ChainRun::new(ula, steps)
        .with_first_step(first_step)
        .with_noise(NoiseKey::new(2, Stream::Langevin, 5))
        .with_final_energies()
}

fn number(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).unwrap()
}

fn learned(epsilon: f64) -> Ula {
    Ula::learned(StepSize::new(epsilon).unwrap())
}

fn values(outcome: &ChainOutcome) -> Vec<f32> {
    outcome.states.values().to_vec()
}

/// The largest difference, relative to the largest value.
fn distance(a: &[f32], b: &[f32]) -> f32 {
    assert_eq!(a.len(), b.len());
    let largest = b.iter().fold(1e-6f32, |peak, value| peak.max(value.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
    // A maximum that keeps what is no number.
    let most = differences.fold(0.0, |most: f32, far| {
        if most.is_nan() || far <= most {
            most
        } else {
            far
        }
    });
    most / largest
}

fn assert_alike(engine: &CubeEngine, energy: &Stack, chains: usize, run: &ChainRun) {
    let far = differences(engine, energy, chains, run);
    assert!(
        far.into_iter().all(|far| far < 2e-5),
        "{chains} chains: {far:?}"
    );
}

/// How far states, energies and r are from those of the tensor engine.
fn differences(engine: &CubeEngine, energy: &Stack, chains: usize, run: &ChainRun) -> [f32; 3] {
    let from = states(chains, energy.shape);
    let ours = walk(engine, energy, &from, run).unwrap();
    let tensors = TensorEngine::default();
    let tensors = tensors.bind::<B, _>(energy, energy.shape, &Default::default());
    let reference = tensors.run(&from, run).unwrap();
    let magnitudes = [&ours, &reference].map(|run| [run.gradient_magnitude as f32]);
    [
        distance(&values(&ours), &values(&reference)),
        distance(&ours.energies.unwrap(), &reference.energies.unwrap()),
        distance(&magnitudes[0], &magnitudes[1]),
    ]
}

/// The widths of the toy net of arXiv 1903.12370; batches that take one, two and four chains to a unit.
#[test]
fn chains_walk_as_with_tensors() {
    let Some(engine) = engine() else { return };
    let mut net = Stack::new([2, 1, 1]);
    for width in [32, 64, 64, 64] {
        net = net.conv(width, 1, 1, 0).leaky(0.05);
    }
    let net = net.conv(1, 1, 1, 0);
    for chains in [5, 2_500] {
        assert_alike(&engine, &net, chains, &run_of(learned(0.125), 3, 6));
    }
    // A software driver does not say that it can shuffle, but does.
    for units in [2, 4] {
        let engine = engine.clone().with_units_per_neuron(number(units));
        let odd = Stack::dense(&[3, 7, 50, 5, 1], 0.0);
        assert_alike(&engine, &odd, 9, &run_of(learned(0.1), 0, 5));
        if units == 4 {
            for chains in [100, 200] {
                assert_alike(&engine, &net, chains, &run_of(learned(0.125), 3, 6));
            }
        }
    }
}

/// Other depths and widths, ReLU, a temperature, no noise, and step numbers beyond 32 bits.
#[test]
fn nets_and_kernels_of_all_kinds() {
    let Some(engine) = engine() else { return };
    let cold = Ula::new(StepSize::new(0.1).unwrap(), Temperature::new(0.3).unwrap());
    let bounded = learned(0.3)
        .with_gradient_clip(Some(Bound::new(0.05).unwrap()))
        .with_state_clamp(Some(Bound::new(0.8).unwrap()));
    // Few chains and many go different ways, on a device of so many multiprocessors.
    let engine = engine.with_multiprocessors(number(40));
    for chains in [9, 350] {
        for (widths, slope, ula) in [
            (&[3, 7, 5, 1][..], 0.0, cold),
            (&[6, 40, 1], 0.2, learned(0.0)),
            (&[5, 9, 1], 1.0, learned(0.1)),
            (&[2, 8, 1], 0.05, bounded),
        ] {
            let net = Stack::dense(widths, slope);
            assert_alike(&engine, &net, chains, &run_of(ula, 0, 5));
        }
        let net = Stack::dense(&[2, 8, 1], 0.05);
        let late = run_of(learned(0.1), (1 << 32) - 3, 6);
        assert_alike(&engine, &net, chains, &late);
        assert_alike(&engine, &net, chains, &run_of(learned(0.1), 0, 0));
    }
}

/// More steps than a launch has, and a run in two pieces; few chains and many.
#[test]
fn launches_join_without_a_seam() {
    let Some(engine) = engine() else { return };
    let net = Stack::dense(&[2, 8, 1], 0.05);
    let engine = engine.with_multiprocessors(number(40));
    for chains in [3, 330] {
        let walk = |from: States, first, steps| {
            walk(&engine, &net, &from, &run_of(learned(0.05), first, steps)).unwrap()
        };
        let whole = walk(states(chains, net.shape), 0, 2_500);
        let half = walk(states(chains, net.shape), 0, 1_200);
        let rest = walk(half.states.clone(), 1_200, 1_300);
        assert_eq!(values(&whole), values(&rest));
        let sums =
            [(&half, 1_200.0), (&rest, 1_300.0)].map(|(run, steps)| run.gradient_magnitude * steps);
        let joined = sums.iter().sum::<f64>() / 2_500.0;
        // Norms are summed in f32 within a launch.
        assert!((joined / whole.gradient_magnitude - 1.0).abs() < 1e-5);
    }
}

#[test]
fn what_it_lacks_is_named() {
    let Some(engine) = engine() else { return };
    let net = Stack::dense(&[2, 8, 1], 0.05);
    let mala = Mala::new(StepSize::new(0.1).unwrap(), Temperature::new(1.0).unwrap()).unwrap();
    let run = ChainRun {
        kernel: mala.into(),
        ..run_of(learned(0.1), 0, 1)
    };
    let error = walk(&engine, &net, &states(2, net.shape), &run).unwrap_err();
    assert!(matches!(error, LangevinError::Lacking { what, .. } if what == "MALA"));
    let refusal = |net: Stack| engine.supports(&net, net.shape).unwrap_err().to_string();
    let error = refusal(Stack::new([2, 1, 1]).linear(3));
    assert!(error.contains("end in a layer of one value"), "{error}");
    let error = refusal(Stack::new([2, 4, 4]).pool(2).leaky(0.1).linear(1));
    assert!(error.contains("activations elsewhere"), "{error}");
    let error = refusal(Stack::new([2, 4, 4]).conv(2, 3, 1, 1).leaky(-0.1).linear(1));
    assert!(error.contains("fall below zero"), "{error}");
    let error = refusal(Stack::new([1, 9, 9]).conv(2, 7, 1, 0).linear(1));
    assert!(error.contains("beyond 5×5"), "{error}");
    let error = engine.supports(&net, [3, 1, 1]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expects 2 values in all and is given 3"),
        "{error}"
    );
}

/// Convolutions of all kinds: the nets of arXiv 1903.12370 in small, odd sizes, strides that do not divide, every
/// activation, with pooling that leaves a rim.
#[test]
fn image_chains_walk_as_with_tensors() {
    let Some(engine) = engine() else { return };
    let vanilla = Stack::new([3, 16, 16]).conv(8, 3, 1, 1).leaky(0.05);
    let vanilla = vanilla.conv(16, 4, 2, 1).leaky(0.05).conv(24, 4, 2, 1);
    let vanilla = vanilla.leaky(0.05).conv(1, 4, 1, 0);
    assert_alike(&engine, &vanilla, 5, &run_of(learned(0.01), 2, 4));
    let odd = Stack::new([2, 9, 7]).conv(5, 3, 2, 1);
    let odd = odd.activation(Activation::Silu).conv(18, 2, 3, 1);
    let odd = odd.activation(Activation::Elu { alpha: 0.7 }).linear(11);
    let odd = odd.leaky(0.0).linear(1);
    assert_alike(&engine, &odd, 7, &run_of(learned(0.02), 0, 4));
    let pooled = Stack::new([1, 11, 10])
        .conv(6, 3, 1, 1)
        .activation(Activation::Silu);
    let pooled = pooled.pool(3).conv(4, 2, 1, 0).pool(2).linear(1);
    assert_alike(&engine, &pooled, 3, &run_of(learned(0.02), 0, 4));
    let large = Stack::new([2, 12, 12]).conv(40, 5, 1, 2).leaky(0.1);
    let large = large.conv(5, 5, 3, 1).leaky(0.1).linear(1);
    assert_alike(&engine, &large, 3, &run_of(learned(0.02), 0, 3));
    let start = Stack::new([1, 6, 6]).pool(2).linear(1);
    assert_alike(&engine, &start, 2, &run_of(learned(0.1), 0, 3));
}

#[test]
fn attention_walks_as_with_tensors() {
    let Some(engine) = engine() else { return };
    let net = Stack::new([3, 16, 16]).conv(8, 3, 1, 1).leaky(0.05).pool(2);
    let net = net.non_local(4).conv(12, 3, 1, 1).leaky(0.05).pool(2);
    let net = net.non_local(6).conv(16, 3, 1, 1).leaky(0.05).linear(20);
    assert_alike(
        &engine,
        &net.leaky(0.05).linear(1),
        6,
        &run_of(learned(0.01), 0, 4),
    );
    // On the state itself and after an activation, with a rim that is not pooled.
    let net = Stack::new([2, 5, 7]).non_local(1).conv(4, 3, 1, 1);
    let net = net.leaky(0.1).non_local(3).linear(1);
    assert_alike(&engine, &net, 4, &run_of(learned(0.02), 0, 4));
}

/// What does not fit into one launch: one layer, wide layers; and kernels of all kinds on an image.
#[test]
fn other_dense_nets_and_kernels_of_images() {
    let Some(engine) = engine() else { return };
    let linear = Stack::dense(&[7, 1], 0.05);
    assert_alike(&engine, &linear, 3, &run_of(learned(0.1), 0, 3));
    // Whole chains of more weights than registers hold, for eight, sixteen and 32 chains to a cube.
    let large = Stack::dense(&[3, 70, 90, 170, 1], 0.05);
    let one = engine.clone().with_multiprocessors(number(1));
    for chains in [6, 18, 40] {
        assert_alike(&one, &large, chains, &run_of(learned(0.1), 0, 3));
    }
    let wide = Stack::dense(&[6, 1_500, 40, 1], 0.05);
    assert_alike(&engine, &wide, 70, &run_of(learned(0.1), 0, 3));
    let image = Stack::new([1, 6, 6]).conv(8, 3, 2, 1).leaky(0.05).linear(1);
    let cold = Ula::new(StepSize::new(0.1).unwrap(), Temperature::new(0.3).unwrap());
    assert_alike(&engine, &image, 3, &run_of(cold, (1 << 32) - 2, 4));
    assert_alike(&engine, &image, 3, &run_of(learned(0.0), 0, 3));
    assert_alike(&engine, &image, 3, &run_of(learned(0.1), 0, 0));
    let bounded = learned(0.3)
        .with_gradient_clip(Some(Bound::new(0.02).unwrap()))
        .with_state_clamp(Some(Bound::new(0.8).unwrap()));
    assert_alike(&engine, &image, 3, &run_of(bounded, 0, 5));
}

/// Steps beyond a turn, and a run in two pieces.
#[test]
fn image_chains_join_without_a_seam() {
    let Some(engine) = engine() else { return };
    let net = Stack::new([1, 4, 4]).conv(4, 3, 1, 1).leaky(0.05).linear(1);
    let walk = |from: States, first, steps| {
        walk(&engine, &net, &from, &run_of(learned(0.05), first, steps)).unwrap()
    };
    let whole = walk(states(3, net.shape), 0, 120);
    let half = walk(states(3, net.shape), 0, 70);
    let rest = walk(half.states, 70, 50);
    assert_eq!(values(&whole), values(&rest));
    assert_eq!(whole.energies, rest.energies);
}

/// What the runtime holds on the device after many steps is what it held after few.
#[test]
fn memory_does_not_grow_with_steps() {
    let Some(engine) = engine() else { return };
    let image = Stack::new([1, 4, 4]).conv(4, 3, 1, 1).leaky(0.05).linear(1);
    for net in [image, Stack::dense(&[2, 8, 1], 0.05)] {
        let reserved_after = |steps| {
            let run = run_of(learned(0.05), 0, steps);
            walk(&engine, &net, &states(5, net.shape), &run).unwrap();
            engine.reserved_memory().unwrap()
        };
        let few = reserved_after(100);
        assert!(few > 0);
        assert_eq!(reserved_after(3_000), few);
    }
}

/// However products are cut: from all in one cube to as many cubes as there can be.
#[test]
fn tiles_of_all_sizes() {
    let Some(engine) = engine() else { return };
    let net = Stack::new([3, 16, 16]).conv(40, 3, 1, 1).leaky(0.05);
    let net = net
        .conv(70, 4, 2, 1)
        .leaky(0.05)
        .conv(24, 5, 1, 2)
        .leaky(0.05);
    let net = net.linear(9).leaky(0.05).linear(1);
    let run = run_of(learned(0.01), 0, 2);
    for multiprocessors in [1, 40, 160, 10_000] {
        let engine = engine.clone().with_multiprocessors(number(multiprocessors));
        assert_alike(&engine, &net, 5, &run);
    }
}

/// Chains that step one batch after the other are the same, bit for bit.
#[test]
fn batches_do_not_matter() {
    let Some(engine) = engine() else { return };
    let image = Stack::new([1, 4, 4]).conv(4, 3, 1, 1).leaky(0.05).linear(1);
    // Small dense nets choose their kernel by the number of chains.
    let engine = engine.with_multiprocessors(number(40));
    for net in [image, Stack::dense(&[2, 8, 1], 0.05)] {
        let walk = |engine: &CubeEngine| {
            let run = run_of(learned(0.05), 0, 5);
            walk(engine, &net, &states(7, net.shape), &run).unwrap()
        };
        let (whole, parts) = (
            walk(&engine),
            walk(&engine.clone().with_most_chains(number(3))),
        );
        assert_eq!(values(&whole), values(&parts));
        assert_eq!(whole.energies, parts.energies);
        assert_eq!(whole.gradient_magnitude, parts.gradient_magnitude);
    }
}

#[test]
fn no_chains_no_bias_and_a_stop() {
    let Some(engine) = engine() else { return };
    let image = Stack::new([1, 4, 4]).conv(4, 3, 1, 1).leaky(0.05).linear(1);
    for net in [image, Stack::dense(&[2, 8, 1], 0.05)] {
        let run = run_of(learned(0.05), 0, 5);
        let walk =
            |engine: &CubeEngine, chains| walk(engine, &net, &states(chains, net.shape), &run);
        let none = walk(&engine, 0).unwrap();
        assert_eq!(none.states.len(), 0);
        assert_eq!(
            (none.gradient_magnitude, none.energies),
            (0.0, Some(Vec::new()))
        );
        let stopped = engine.clone().cancelled_by(Arc::new(AtomicBool::new(true)));
        assert!(matches!(walk(&stopped, 2), Err(LangevinError::Cancelled)));
        assert_alike(&engine, &net.without_biases(), 3, &run);
    }
}

/// Where there are tensor cores for it: near, and not the same. Pooling may choose another of two values that are
/// nearly equal, which changes a gradient by more than the rounding does.
fn rounded_products_are_near(precision: CubePrecision, name: &str, tolerances: [f32; 2]) {
    let Some(engine) = engine() else { return };
    let engine = engine.with_precision(precision);
    let smooth = Stack::new([3, 16, 16])
        .conv(40, 3, 1, 1)
        .activation(Activation::Silu);
    let smooth = smooth.conv(64, 4, 2, 1).activation(Activation::Silu);
    let smooth = smooth
        .conv(24, 5, 1, 2)
        .activation(Activation::Silu)
        .linear(1);
    let pooled = Stack::new([3, 16, 16])
        .conv(32, 3, 1, 1)
        .leaky(0.05)
        .pool(2)
        .non_local(16);
    let pooled = pooled
        .conv(72, 3, 1, 1)
        .leaky(0.05)
        .linear(50)
        .leaky(0.05)
        .linear(1);
    assert_eq!(Engine::<B, Stack>::name(&engine), name);
    if let Err(error) = engine.supports(&smooth, smooth.shape) {
        assert!(matches!(error, LangevinError::Lacking { .. }), "{error}");
        return;
    }
    for (net, tolerance) in [smooth, pooled].into_iter().zip(tolerances) {
        for chains in [3, 40] {
            let far = differences(&engine, &net, chains, &run_of(learned(0.01), 0, 3));
            eprintln!("{name}: {far:?}");
            assert!(far[0] < tolerance && far[2] < tolerance, "{far:?}");
            // F is a sum in which much cancels.
            assert!(far[1] < 10.0 * tolerance && far[1] > 1e-6, "{far:?}");
        }
    }
}

#[test]
fn products_in_tf32_are_near() {
    rounded_products_are_near(CubePrecision::Tf32, "cube-tf32", [2e-3, 3e-2]);
}

#[test]
fn products_in_bf16_are_near() {
    rounded_products_are_near(CubePrecision::Bf16, "cube-bf16", [2e-2, 1e-1]);
}
