//! Attraction–diffusion against what the magnetised potential says.
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, NoiseKey, StepSize, Stream, Temperature};
use ebm_langevin::*;

type B = Autodiff<Flex>;

const RULE: ArrivalRule = ArrivalRule {
    resolution: 0.05,
    patience: 50,
};

/// F = T·U with U = curvature/2 · |x|², or a double well along x₀ of the given height.
#[derive(Clone, Copy)]
enum Shape {
    Bowl { curvature: f64 },
    DoubleWell { height: f64 },
}

#[derive(Clone, Copy)]
struct Scaled {
    shape: Shape,
    temperature: f64,
}

impl<B: Backend> Energy<B> for Scaled {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let rows = states.flatten::<2>(1, 3);
        let sum = |rows: Tensor<B, 2>| rows.sum_dim(1).squeeze_dim::<1>(1);
        let potential = match self.shape {
            Shape::Bowl { curvature } => sum(rows.powi_scalar(2)) * (curvature / 2.0),
            Shape::DoubleWell { height } => {
                let first = rows.clone().narrow(1, 0, 1);
                let rest = sum(rows.powi_scalar(2)) - sum(first.clone().powi_scalar(2));
                sum((first.powi_scalar(2) - 1.0).powi_scalar(2)) * height + rest / 2.0
            }
        };
        potential * self.temperature
    }
}

fn run_of(epsilon: f64, temperature: f64, strength: f64, steps: u64) -> AttractionRun {
    let step_size = StepSize::new(epsilon).unwrap();
    let temperature = Temperature::new(temperature).unwrap();
    AttractionRun {
        kernel: Attraction::new(step_size, temperature, strength).unwrap(),
        rule: RULE,
        steps,
        first_step: 0,
        noise: NoiseKey::new(3, Stream::Watch, 0),
    }
}

fn attract(
    energy: Scaled,
    from: &[[f32; 2]],
    to: &[[f32; 2]],
    run: &AttractionRun,
) -> (Vec<f32>, Vec<AttractionPath>) {
    let mut paths = vec![AttractionPath::default(); from.len()];
    let chains = TensorEngine::default().bind::<B, _>(energy, 2, &Default::default());
    let states = chains.attract(
        &States::points(from.iter().copied()),
        &States::points(to.iter().copied()),
        &mut paths,
        run,
    );
    (states.unwrap().into_values(), paths)
}

/// Without noise and on a flat energy a chain goes straight to its target, αT a step.
#[test]
fn on_a_plain_the_pull_is_the_only_force() {
    let flat = Scaled {
        shape: Shape::Bowl { curvature: 0.0 },
        temperature: 0.5,
    };
    let run = run_of(0.0, 0.5, 0.02, 10);
    let (states, paths) = attract(
        flat,
        &[[0.0, 0.0], [1.0, 1.0]],
        &[[3.0, 4.0], [1.0, 1.0]],
        &run,
    );
    // 10 steps of 0.01 along (3, 4)/5.
    for (state, expected) in states.iter().zip([0.06f32, 0.08, 1.0, 1.0]) {
        assert!((state - expected).abs() < 1e-6, "{states:?}");
    }
    assert_eq!((paths[0].end, paths[0].steps), (None, 10));
    assert!((paths[0].nearest - 4.91).abs() < 1e-5);
    assert_eq!((paths[1].end, paths[1].steps), (Some(PathEnd::Arrived), 0));
}

/// Where the slope of U equals α the pull ends: x = α/curvature on a bowl. The chain stays there and gives up M steps
/// later.
#[test]
fn a_slope_steeper_than_the_pull_holds_the_chain() {
    let bowl = Scaled {
        shape: Shape::Bowl { curvature: 2.0 },
        temperature: 0.05,
    };
    let run = run_of(0.0, 0.05, 1.5, 1000);
    let (states, paths) = attract(bowl, &[[0.0, 0.0]], &[[2.0, 0.0]], &run);
    assert!((states[0] - 0.75).abs() < 1e-4, "{states:?}");
    assert_eq!(paths[0].end, Some(PathEnd::GaveUp));
    assert!((paths[0].nearest - 1.25).abs() < 1e-4);
    assert_eq!(paths[0].steps, paths[0].nearest_step + RULE.patience);
    // U there is 0.75², and no state of the path was higher.
    assert!((paths[0].highest_energy / 0.05 - 0.5625).abs() < 1e-3);
}

/// The steepest slope between the wells of U = h(x² − 1)² is 8h/(3√3). A pull a little stronger crosses, and the
/// highest U on the path is the barrier h; a little weaker, and it stays behind.
#[test]
fn a_double_well_is_crossed_from_its_steepest_slope_on() {
    let height = 3.0;
    let well = Scaled {
        shape: Shape::DoubleWell { height },
        temperature: 0.002,
    };
    let steepest = 8.0 * height / (3.0 * 3f64.sqrt());
    let (from, to) = ([[-1.0, 0.0]], [[1.0, 0.0]]);
    let (_, paths) = attract(well, &from, &to, &run_of(0.0, 0.002, 1.01 * steepest, 4000));
    assert_eq!(paths[0].end, Some(PathEnd::Arrived));
    let barrier = f64::from(paths[0].highest_energy) / 0.002;
    assert!((barrier - height).abs() < 0.01, "{barrier}");
    let (states, paths) = attract(well, &from, &to, &run_of(0.0, 0.002, 0.99 * steepest, 4000));
    assert_eq!(paths[0].end, Some(PathEnd::GaveUp));
    assert!(states[0] < -0.5, "{states:?}");
}

/// Chains in equilibrium have the density exp(−x²/2 − α|x − x*|): its mean by quadrature, within four standard errors
/// of 8,000 independent chains and the bias of ε = 0.05 (below 0.002): a false alarm in 16,000 seeds.
#[test]
fn chains_settle_into_the_magnetised_density() {
    let (strength, target) = (1.2, 1.0);
    let bowl = Scaled {
        shape: Shape::Bowl { curvature: 1.0 },
        temperature: 0.4,
    };
    let chains = 8000;
    // Points of the plane whose second coordinate is free, so that distances are not along one axis: quadrature in
    // both.
    let (mut mass, mut moment, mut square) = (0.0, 0.0, 0.0);
    for i in -300..=300 {
        for j in -300..=300 {
            let (x, y) = (f64::from(i) / 50.0, f64::from(j) / 50.0);
            let potential = (x * x + y * y) / 2.0 + strength * (x - target).hypot(y);
            let weight = (-potential).exp();
            mass += weight;
            moment += weight * x;
            square += weight * x * x;
        }
    }
    let mean = moment / mass;
    let error = ((square / mass - mean * mean) / chains as f64).sqrt();
    let from = vec![[0.3f32, 0.0]; chains];
    let to = vec![[target as f32, 0.0]; chains];
    let (states, _) = attract(bowl, &from, &to, &run_of(0.05, 0.4, strength, 4000));
    let got = states.iter().step_by(2).map(|x| f64::from(*x)).sum::<f64>() / chains as f64;
    assert!(
        (got - mean).abs() < 4.0 * error + 0.002,
        "{got} instead of {mean} ± {error}"
    );
}

#[test]
fn a_path_keeps_its_end_and_what_was_before() {
    let rule = ArrivalRule {
        resolution: 0.5,
        patience: 2,
    };
    let mut path = AttractionPath::default();
    for (energy, distance) in [(1.0, 3.0), (4.0, 2.0), (2.0, 2.5), (3.0, 2.0), (9.0, 0.1)] {
        path.observe(rule, energy, distance);
    }
    // The fourth state is the second that is no nearer; the fifth is not looked at.
    assert_eq!(path.end, Some(PathEnd::GaveUp));
    assert_eq!((path.highest_energy, path.nearest), (4.0, 2.0));
    assert_eq!((path.nearest_step, path.steps), (1, 3));

    let mut lost = AttractionPath::default();
    lost.observe(rule, 1.0, 3.0);
    lost.observe(rule, f32::NAN, 1.0);
    assert_eq!(lost.end, Some(PathEnd::GaveUp));
    assert_eq!((lost.highest_energy, lost.nearest), (1.0, 3.0));
}

#[test]
fn f_and_its_gradient_come_in_the_order_of_the_states() {
    let bowl = Scaled {
        shape: Shape::Bowl { curvature: 3.0 },
        temperature: 2.0,
    };
    let states: Vec<[f32; 2]> = (0..37).map(|i| [i as f32, -1.0]).collect();
    let engine = TensorEngine::default().with_block(std::num::NonZeroUsize::new(5).unwrap());
    let chains = engine.bind::<B, _>(bowl, 2, &Default::default());
    let found = chains.energy_gradient(&States::points(states)).unwrap();
    let gradient = found.gradient.values();
    for (i, energy) in found.energies.iter().enumerate() {
        let x = i as f32;
        assert!((energy - 3.0 * (x * x + 1.0)).abs() <= 1e-6 * energy.abs());
        assert_eq!(gradient[2 * i..2 * i + 2], [6.0 * x, -6.0]);
    }
}

#[test]
fn requests_that_do_not_fit_are_refused() {
    let step_size = StepSize::new(0.1).unwrap();
    for strength in [-1.0, f64::NAN, f64::INFINITY] {
        let error = Attraction::new(step_size, Temperature::ONE, strength).unwrap_err();
        assert!(error.to_string().contains("strength"), "{error}");
    }
    let bowl = Scaled {
        shape: Shape::Bowl { curvature: 1.0 },
        temperature: 1.0,
    };
    let mut paths = [AttractionPath::default()];
    let chains = TensorEngine::default().bind::<B, _>(bowl, 2, &Default::default());
    let both = States::points([[0.0, 0.0], [1.0, 0.0]]);
    let error = chains.attract(&both, &both, &mut paths, &run_of(0.1, 1.0, 1.0, 1));
    assert!(matches!(error, Err(LangevinError::Targets { .. })));
}
