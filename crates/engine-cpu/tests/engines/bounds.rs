//! The bounds of a Langevin step: the same in both engines, for any cut and instructions, and nothing where they are
//! not met.

use ebm_langevin::{AnyKernel, Bound};

use super::*;

/// A run whose steps have these bounds of ∇F and of the states.
fn bounded(run: ChainRun, gradient: Option<f64>, state: Option<f64>) -> ChainRun {
    let AnyKernel::Ula(kernel) = run.kernel else {
        unreachable!("the chains of learning are those of ULA");
    };
    let bound = |bound: Option<f64>| bound.map(|bound| Bound::new(bound).unwrap());
    ChainRun {
        kernel: kernel
            .with_gradient_clip(bound(gradient))
            .with_state_clamp(bound(state))
            .into(),
        ..run
    }
}

/// Half of the root mean square of an element of ∇F, so that many slopes lie beyond it.
fn steep(net: &Net<B>, initial: &States, shape: [usize; 3]) -> f64 {
    let outcome = run(&TensorEngine::default(), net, initial, &run_of(0.0, 1));
    let elements: usize = shape.iter().product();
    0.5 * outcome.gradient_magnitude / (elements as f64).sqrt()
}

/// A bound of the states that many of them lie beyond.
const FAR: f64 = 0.6;

/// After 5 steps in the root mean square: 1e-7 but for the rare state at a fold of the net, whose side rounding
/// decides.
const CLOSE: f32 = 1e-4;

/// In whole vectors, half ones and both, states, r and F agree after 5 steps, and the bounds make a difference far
/// larger.
#[test]
fn fused_bounds_are_tensor_bounds() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape).no_grad();
        for chains in [5, 16, 35] {
            let initial = noise(NoiseStart::Gaussian, chains, shape);
            let plain = run(&FusedEngine::default(), &net, &initial, &run_of(epsilon, 5));
            let steep = steep(&net, &initial, shape);
            for (gradient, state) in [
                (Some(steep), None),
                (None, Some(FAR)),
                (Some(steep), Some(FAR)),
            ] {
                let request = bounded(run_of(epsilon, 5), gradient, state);
                let fused = run(&FusedEngine::default(), &net, &initial, &request);
                let tensor = run(&TensorEngine::default(), &net, &initial, &request);
                let what = format!("{architecture:?}, {chains} chains, {gradient:?}, {state:?}");
                let reached = values(&fused.states);
                let apart = typical_distance(&reached, &values(&tensor.states));
                assert!(apart < CLOSE, "{what}: states differ by {apart}");
                let [r, expected] = [&fused, &tensor].map(|outcome| outcome.gradient_magnitude);
                assert!(
                    (r / expected - 1.0).abs() < f64::from(CLOSE),
                    "{what}: r {r} and {expected}"
                );
                let [f, expected] = [fused, tensor].map(|outcome| outcome.energies.unwrap());
                let apart = typical_distance(&f, &expected);
                assert!(apart < CLOSE, "{what}: energies differ by {apart}");
                let moved = typical_distance(&reached, &values(&plain.states));
                assert!(
                    moved > 5.0 * CLOSE,
                    "{what}: the bounds moved states by {moved}"
                );
                let farthest = reached.iter().fold(0.0f32, |far, x| far.max(x.abs()));
                assert!(state.is_none_or(|bound| farthest <= bound as f32));
            }
        }
    }
}

/// Bounds that no value meets leave every bit as it is, in both engines.
#[test]
fn bounds_that_are_not_met_change_nothing() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape).no_grad();
        let initial = noise(NoiseStart::Uniform, 21, shape);
        let wide = bounded(run_of(epsilon, 20), Some(1e6), Some(1e6));
        let outcome = |run_with: &ChainRun, fused: bool| {
            let outcome = if fused {
                run(&FusedEngine::default(), &net, &initial, run_with)
            } else {
                run(&TensorEngine::default(), &net, &initial, run_with)
            };
            (
                values(&outcome.states),
                outcome.gradient_magnitude,
                outcome.energies,
            )
        };
        for fused in [true, false] {
            assert_eq!(outcome(&wide, fused), outcome(&run_of(epsilon, 20), fused));
        }
    }
}

/// One, two and three workers, a part of the batch alone, and two pieces: bit for bit the same.
#[test]
fn bounded_chains_do_not_depend_on_the_cut() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape);
        let initial = noise(NoiseStart::Gaussian, 70, shape);
        let steep = steep(&net, &initial, shape);
        let request = bounded(run_of(epsilon, 20), Some(steep), Some(FAR));
        let all = |initial: &States, request: &ChainRun| {
            let outcome = run(&FusedEngine::default(), &net, initial, request);
            (values(&outcome.states), outcome.gradient_magnitude)
        };
        let results = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .unwrap();
            pool.install(|| all(&initial, &request))
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[1], results[2]);
        let per_chain: usize = shape.iter().product();
        let (few, _) = all(&super::first(&initial, 7), &request);
        assert_eq!(few, results[0].0[..7 * per_chain]);
        let [first, rest] = [(0, 8), (8, 12)].map(|(skipped, steps)| ChainRun {
            first_step: request.first_step + skipped,
            steps,
            ..request.clone()
        });
        let (middle, _) = all(&initial, &first);
        let (end, _) = all(&states(middle, shape), &rest);
        assert_eq!(end, results[0].0);
    }
}

/// Every instruction set of this machine against portable code, as without bounds.
#[test]
fn bounded_vector_code_does_what_portable_code_does() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape).no_grad();
        for chains in [6, 21] {
            let initial = noise(NoiseStart::Gaussian, chains, shape);
            let steep = steep(&net, &initial, shape);
            let request = bounded(run_of(epsilon, 5), Some(steep), Some(FAR));
            let outcomes: Vec<_> = Instructions::available()
                .into_iter()
                .map(|set| {
                    let engine = FusedEngine::with_instructions(set).unwrap();
                    values(&run(&engine, &net, &initial, &request).states)
                })
                .collect();
            for reached in &outcomes {
                assert!(typical_distance(reached, &outcomes[0]) < CLOSE);
            }
        }
    }
}
