//! Products with factors rounded to BF16.

use super::*;

fn rounded(instructions: Instructions) -> FusedEngine {
    let engine = FusedEngine::with_instructions(instructions).unwrap();
    engine.with_precision(FusedPrecision::Bf16)
}

/// Processors with BF16 instructions compute what others compute with rounded numbers, bit for bit, whole vectors of
/// chains or half of one. Portable code alone differs, because it rounds the terms of a transform more often.
#[test]
fn all_vector_instructions_round_alike() {
    let sets: Vec<_> = Instructions::available()
        .into_iter()
        .filter(|&set| set != Instructions::Scalar)
        .collect();
    for (architecture, shape, epsilon) in cases() {
        let net = net(architecture, shape);
        let what = format!("{architecture:?}");
        are_alike(&sets, &net, shape, epsilon, &what);
    }
    for (layers, shape) in other_stacks() {
        let what = format!("{layers:?}");
        let net: Sequential<B> = Sequential::new(&layers, shape, 3, &Default::default()).unwrap();
        are_alike(&sets, &net, shape, 0.01, &what);
        // And it is the net that f32 computes.
        let initial = noise(NoiseStart::Uniform, 21, shape);
        let energies = |engine: &FusedEngine| {
            let chains = engine.bind(&net, initial.shape()).unwrap();
            chains.energy_gradient(&initial).unwrap().energies
        };
        let best = FusedEngine::default().with_precision(FusedPrecision::Bf16);
        let apart = distance(&energies(&best), &energies(&FusedEngine::default()));
        assert!(apart < 0.03, "{what}: {apart}");
    }
}

fn are_alike<N: Energy<B> + Layered + Send + Sync>(
    sets: &[Instructions],
    net: &N,
    shape: [usize; 3],
    epsilon: f64,
    what: &str,
) {
    for chains in [5, 21] {
        let initial = noise(NoiseStart::Uniform, chains, shape);
        let weights: Vec<f32> = (0..chains).map(|chain| chain as f32 - 3.5).collect();
        let mut outcomes = sets.iter().map(|&set| {
            let outcome = run(&rounded(set), net, &initial, &run_of(epsilon, 5));
            let gradient = gradient(&rounded(set), net, &initial, &weights);
            (values(&outcome.states), outcome.energies, gradient)
        });
        if let Some(first) = outcomes.next() {
            assert!(outcomes.all(|other| other == first), "{what}");
        }
    }
}

/// F, ∇F and the parameters' gradients against f32, with portable code and with the best. A factor is off by up to 2⁻⁹;
/// where that turns the sign of what goes into a leaky ReLU, the gradient changes by much more than F does.
#[test]
fn rounding_costs_little() {
    // Measured: F 0.004, ∇F 0.013 for points and 0.17 at most for images, parameters 0.15 at most.
    const ENERGY: f32 = 0.01;
    const PARAMETERS: f32 = 0.25;
    for (architecture, shape, _) in cases() {
        let net = net(architecture, shape);
        let initial = noise(NoiseStart::Uniform, 32, shape);
        let weights: Vec<f32> = (0..32).map(|chain| (chain as f32).sin()).collect();
        let of = |engine: &FusedEngine| {
            let chains = engine.bind(&net, initial.shape()).unwrap();
            let gradient = chains.energy_gradient(&initial).unwrap();
            let (_, parameters) = gradient_by::<Net<B>>(&chains, &initial, &weights);
            (gradient.energies, values(&gradient.gradient), parameters)
        };
        let (energies, gradient, parameters) = of(&FusedEngine::default());
        let largest = if architecture == Architecture::Toy {
            0.03
        } else {
            0.25
        };
        let largest_parameters = parameters
            .values()
            .map(|gradient| root_mean_square(gradient.iter().copied()))
            .fold(0.0, f32::max);
        let portable = rounded(Instructions::Scalar);
        let best = FusedEngine::default().with_precision(FusedPrecision::Bf16);
        for engine in [portable, best] {
            let (own_energies, own_gradient, own_parameters) = of(&engine);
            let apart = typical_distance(&own_energies, &energies);
            assert!(apart > 1e-5 && apart < ENERGY, "{architecture:?}: {apart}");
            let apart = typical_distance(&own_gradient, &gradient);
            assert!(apart < largest, "{architecture:?}: {apart}");
            for (id, gradient) in &parameters {
                let difference = own_parameters[id].iter().zip(gradient).map(|(a, b)| a - b);
                let apart = root_mean_square(difference) / largest_parameters;
                let own = root_mean_square(gradient.iter().copied()) / largest_parameters;
                // Gradients of queries and keys are small differences of larger sums.
                assert!(
                    apart < PARAMETERS * own + 0.02,
                    "{architecture:?}: {apart} of {own}"
                );
            }
        }
    }
}

fn root_mean_square(values: impl ExactSizeIterator<Item = f32>) -> f32 {
    let count = values.len() as f32;
    (values.map(|value| value * value).sum::<f32>() / count).sqrt()
}
