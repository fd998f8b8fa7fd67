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
        for chains in [5, 21] {
            let initial = noise(NoiseStart::Uniform, chains, shape);
            let weights: Vec<f32> = (0..chains).map(|chain| chain as f32 - 3.5).collect();
            let mut outcomes = sets.iter().map(|&set| {
                let outcome = run(&rounded(set), &net, &initial, &run_of(epsilon, 5));
                let gradient = gradient(&rounded(set), &net, &initial, &weights);
                (values(&outcome.states), outcome.energies, gradient)
            });
            if let Some(first) = outcomes.next() {
                assert!(outcomes.all(|other| other == first), "{architecture:?}");
            }
        }
    }
}

/// F, ∇F and the parameters' gradients against f32, with portable code and with the best. A factor is off by up to 2⁻⁹;
/// where that turns the sign of what goes into a leaky ReLU, the gradient changes by much more than F does.
#[test]
fn rounding_costs_little() {
    // Measured: F 0.004, ∇F 0.013 for points and 0.08 for images, parameters 0.15 at most.
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
            0.15
        };
        let portable = rounded(Instructions::Scalar);
        let best = FusedEngine::default().with_precision(FusedPrecision::Bf16);
        for engine in [portable, best] {
            let (own_energies, own_gradient, own_parameters) = of(&engine);
            let apart = typical_distance(&own_energies, &energies);
            assert!(apart > 1e-5 && apart < ENERGY, "{architecture:?}: {apart}");
            let apart = typical_distance(&own_gradient, &gradient);
            assert!(apart < largest, "{architecture:?}: {apart}");
            for (id, gradient) in &parameters {
                let scale = gradient.iter().map(|value| value * value).sum::<f32>();
                let apart = typical_distance(&own_parameters[id], gradient);
                // The bias of the energy has a gradient that is a sum of weights alone.
                assert!(
                    scale == 0.0 || apart < PARAMETERS,
                    "{architecture:?}: {apart}"
                );
            }
        }
    }
}
