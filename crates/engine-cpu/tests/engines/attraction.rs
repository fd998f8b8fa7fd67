//! Attracted chains: the same by both engines and for any cut.

use ebm_langevin::{ArrivalRule, Attraction, AttractionPath, AttractionRun, PathEnd};

use super::*;

fn attraction(epsilon: f64, strength: f64, steps: u64) -> AttractionRun {
    let step_size = StepSize::new(epsilon).unwrap();
    let kernel = Attraction::new(step_size, step_size.learned_temperature(), strength).unwrap();
    AttractionRun {
        kernel,
        rule: ArrivalRule {
            resolution: 0.01,
            patience: 1000,
        },
        steps,
        first_step: 3,
        noise: NoiseKey::new(2, Stream::Watch, 5),
    }
}

fn attract<N: Energy<B> + Layered + Send + Sync>(
    engine: &impl Bind,
    net: &N,
    initial: &States,
    targets: &States,
    run: &AttractionRun,
) -> (Vec<f32>, Vec<AttractionPath>) {
    let mut paths = vec![AttractionPath::default(); initial.len()];
    let chains = engine.bound(net, initial.shape());
    let states = chains.attract(initial, targets, &mut paths, run).unwrap();
    (values(&states), paths)
}

/// States, distances and energies agree to 2e-5 after 5 steps, with a pull as large as the gradient of these nets and
/// one of a hundred times that, in whole vectors, half ones and both.
#[test]
fn fused_attraction_is_tensor_attraction() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape).no_grad();
        for chains in [5, 16, 35] {
            let initial = noise(NoiseStart::Uniform, chains, shape);
            // A target of its own for every chain, and for the first the state itself.
            let mut aims = values(&noise(NoiseStart::Gaussian, chains, shape));
            let per_chain: usize = shape.iter().product();
            aims[..per_chain].copy_from_slice(&values(&initial)[..per_chain]);
            let targets = states(aims, shape);
            for strength in [1e2, 1e4] {
                let request = attraction(epsilon, strength, 5);
                let fused = attract(&FusedEngine::default(), &net, &initial, &targets, &request);
                let tensor = attract(&TensorEngine::default(), &net, &initial, &targets, &request);
                let what = format!("{architecture:?}, {chains} chains, α {strength}");
                let apart = typical_distance(&fused.0, &tensor.0);
                assert!(apart < 2e-5, "{what}: states differ by {apart}");
                let record = |paths: &[AttractionPath], of: fn(&AttractionPath) -> f32| {
                    paths.iter().map(of).collect()
                };
                for of in [
                    (|path: &AttractionPath| path.nearest) as fn(&AttractionPath) -> f32,
                    |path: &AttractionPath| path.highest_energy,
                ] {
                    let [a, b]: [Vec<f32>; 2] = [record(&fused.1, of), record(&tensor.1, of)];
                    let apart = typical_distance(&a, &b);
                    assert!(apart < 2e-5, "{what}: records differ by {apart}");
                }
                assert_eq!(fused.1[0].end, Some(PathEnd::Arrived));
                assert!(fused.1[1..].iter().all(|path| path.end.is_none()));
            }
        }
    }
}

/// One, two and three workers, and two pieces: bit for bit the same, records included.
#[test]
fn attracted_chains_do_not_depend_on_the_cut() {
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape);
        let initial = noise(NoiseStart::Uniform, 70, shape);
        let targets = noise(NoiseStart::Gaussian, 70, shape);
        let request = attraction(epsilon, 1e3, 20);
        let results = [1, 2, 3].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let engine = FusedEngine::default();
            let pool = pool.build().unwrap();
            pool.install(|| attract(&engine, &net, &initial, &targets, &request))
        });
        assert_eq!(results[0], results[1]);
        assert_eq!(results[1], results[2]);

        let chains = FusedEngine::default().bind(&net, shape).unwrap();
        let mut paths = vec![AttractionPath::default(); 70];
        let mut at = initial;
        for (first_step, steps) in [(3, 13), (16, 7)] {
            let piece = AttractionRun {
                first_step,
                steps,
                ..request
            };
            at = chains.attract(&at, &targets, &mut paths, &piece).unwrap();
        }
        assert_eq!((values(&at), paths), results[0]);
    }
}

/// F and ∇F of both engines agree to 2e-5.
#[test]
fn fused_gradients_are_tensor_gradients() {
    for (architecture, shape, _) in cases() {
        let net = net(architecture, shape).no_grad();
        for count in [1, 19, 70] {
            let at = noise(NoiseStart::Uniform, count, shape);
            let fused = FusedEngine::default().bound(&net, at.shape());
            let fused = fused.energy_gradient(&at).unwrap();
            let tensor = TensorEngine::default().bound(&net, at.shape());
            let tensor = tensor.energy_gradient(&at).unwrap();
            let apart = typical_distance(&values(&fused.gradient), &values(&tensor.gradient));
            assert!(
                apart < 2e-5,
                "{architecture:?}: gradients differ by {apart}"
            );
            let apart = typical_distance(&fused.energies, &tensor.energies);
            assert!(apart < 2e-5, "{architecture:?}: energies differ by {apart}");
        }
    }
}
