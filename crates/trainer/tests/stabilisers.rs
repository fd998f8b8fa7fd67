//! Stabilisers of earlier work: exact updates, both engines, resuming, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use ebm_core::{Energy, NoiseKey, StepSize, Stream};
use ebm_data::{Dataset, Gmm, Toy};
use ebm_energy_net::{Architecture, NamedParameter, Net, NetConfig, named_parameters};
use ebm_langevin::{Bound, ChainStart, CpuEngine, EngineChoice, TensorEngine};
use ebm_trainer::*;

type B = Autodiff<Flex>;

const RATE: f64 = 0.05;
const EPSILON: f64 = 0.1;

fn config(method: Method, stabilisers: Stabilisers) -> LearningConfig {
    LearningConfig {
        seed: 7,
        iterations: 6,
        batch_size: 16,
        data_noise: 0.0,
        langevin: LangevinConfig {
            steps: 5,
            epsilon: StepSize::new(EPSILON).unwrap(),
            start: ChainStart::Gaussian,
            start_factor: 1.0,
            bank_size: None,
        },
        optimizer: OptimizerConfig {
            method,
            learning_rate: RATE,
            minimum_learning_rate: 0.0,
            decay: 1.0,
            averaging: None,
        },
        divergence_limit: 1e3,
        stabilisers,
    }
}

fn toy() -> Dataset {
    Dataset::Toy(Toy::Gmm(Gmm::default()))
}

fn bound(value: f64) -> Option<Bound> {
    Some(Bound::new(value).unwrap())
}

/// All of them, each tight enough to matter to the toy net.
fn all() -> Stabilisers {
    Stabilisers {
        energy_penalty: Some(0.5),
        parameter_gradient_clip: Some(2e-3),
        weight_decay: Some(0.1),
        spectral_normalisation: Some(0.8),
        langevin_gradient_clip: bound(1e-3),
        state_clamp: bound(1.5),
    }
}

fn learner(
    method: Method,
    stabilisers: Stabilisers,
    engine: EngineChoice,
) -> Learner<B, Net<B>, CpuEngine> {
    let config = config(method, stabilisers);
    let net: Net<B> = NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    }
    .init([2, 1, 1], 3, &Default::default())
    .unwrap();
    let (engine, _) = CpuEngine::choose(engine, &net, [2, 1, 1]).unwrap();
    Learner::new(config, net, engine, toy(), Default::default()).unwrap()
}

fn weights(learner: &Learner<B, Net<B>, CpuEngine>) -> Vec<NamedParameter> {
    named_parameters(learner.net())
}

/// F(x) = θ · x + constant: everything about an update can be computed by hand.
#[derive(Module, Debug)]
struct Slope<B: Backend> {
    theta: Param<Tensor<B, 1>>,
    constant: Param<Tensor<B, 1>>,
}

impl<B: Backend> Energy<B> for Slope<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let weighted = states.flatten::<2>(1, 3) * self.theta.val().unsqueeze_dim::<2>(0);
        weighted.sum_dim(1).squeeze_dim::<1>(1) + self.constant.val()
    }
}

/// One iteration of plain descent, θ ← θ − rate · (clip(∇loss) + λθ) in units of F, from the states that the learner used.
#[test]
fn penalty_clip_and_decay_are_the_update_computed_by_hand() {
    let settings = |penalty, clip, decay| Stabilisers {
        energy_penalty: penalty,
        parameter_gradient_clip: clip,
        weight_decay: decay,
        ..Stabilisers::default()
    };
    for stabilisers in [
        Stabilisers::default(),
        settings(Some(0.7), None, None),
        settings(None, Some(0.05), None),
        // Longer than the gradient: nothing is clipped.
        settings(None, Some(50.0), None),
        settings(None, None, Some(0.3)),
        settings(Some(0.7), Some(0.05), Some(0.3)),
    ] {
        let config = config(Method::Sgd, stabilisers);
        let start = [0.3, -0.2, 0.9];
        let net = Slope::<B> {
            theta: Param::from_tensor(Tensor::from_floats([0.3, -0.2], &Default::default())),
            constant: Param::from_tensor(Tensor::from_floats([0.9], &Default::default())),
        };
        let device = Default::default();
        let n = config.batch_size;
        let mut learner =
            Learner::new(config.clone(), net, TensorEngine::default(), toy(), device).unwrap();
        let metrics = learner.iterate().unwrap();
        let key = NoiseKey::new(config.seed, Stream::DataBatch, 1);
        let states = [toy().batch(&key, n).unwrap(), learner.samples().unwrap()];

        let mut gradient = [0.0f64; 3];
        for (states, sign) in states.iter().zip([1.0, -1.0]) {
            for state in states.chunks(2) {
                let features = [f64::from(state[0]), f64::from(state[1]), 1.0];
                let energy: f64 = features.iter().zip(start).map(|(x, t)| x * t).sum();
                let weight = sign + 2.0 * stabilisers.energy_penalty.unwrap_or(0.0) * energy;
                for (gradient, x) in gradient.iter_mut().zip(features) {
                    *gradient += weight * x / n as f64;
                }
            }
        }
        let norm = gradient.iter().map(|g| g * g).sum::<f64>().sqrt();
        let most = stabilisers.parameter_gradient_clip.unwrap_or(f64::MAX);
        assert!(norm > 0.05 && norm < 50.0, "{norm}");
        let factor = (most / norm).min(1.0);
        let decay = stabilisers.weight_decay.unwrap_or(0.0);
        let learned: Vec<f32> = named_parameters(learner.net())
            .into_iter()
            .flat_map(|parameter| parameter.values)
            .collect();
        for (index, &learned) in learned.iter().enumerate() {
            let step = gradient[index] * factor + decay * start[index];
            let expected = start[index] - RATE * step;
            assert!(
                (f64::from(learned) - expected).abs() < 2e-6,
                "{stabilisers:?}: {learned} and {expected}"
            );
        }
        // d is that of the energies, whatever is added to the loss.
        let difference = metrics.energy_data - metrics.energy_samples;
        let d = difference * 2.0 / (EPSILON * EPSILON);
        assert!((metrics.energy_difference / d - 1.0).abs() < 1e-3);
    }
}

fn singular_values(parameters: &[NamedParameter]) -> Vec<f64> {
    let matrices = parameters.iter().filter(|p| p.shape.len() > 1);
    matrices
        .map(|p| {
            let values = p.values.iter().copied().map(f64::from);
            let columns = p.values.len() / p.shape[0];
            let matrix = nalgebra::DMatrix::from_row_iterator(p.shape[0], columns, values);
            matrix.singular_values().max()
        })
        .collect()
}

/// Before the first update and after each, σ ≤ c to f32 rounding; without the projection every weight is beyond.
#[test]
fn the_spectral_norm_of_every_weight_stays_within_its_bound() {
    let largest = 0.3;
    let with = Stabilisers {
        spectral_normalisation: Some(largest),
        ..Stabilisers::default()
    };
    for method in [Method::Adam, Method::Sgd] {
        let mut plain = learner(method, Stabilisers::default(), EngineChoice::Fused);
        let mut bounded = learner(method, with, EngineChoice::Fused);
        for _ in 0..3 {
            assert_eq!(singular_values(&weights(&plain)).len(), 5);
            let found = singular_values(&weights(&bounded));
            assert!(
                found.iter().all(|sigma| *sigma <= largest * (1.0 + 1e-6)),
                "{found:?}"
            );
            assert!(
                singular_values(&weights(&plain))
                    .iter()
                    .all(|s| *s > largest)
            );
            plain.iterate().unwrap();
            bounded.iterate().unwrap();
        }
        // Projected, not rebuilt: before the first update a weight is a multiple of the plain one, and biases are the same.
        let [plain, bounded] = [Stabilisers::default(), with]
            .map(|stabilisers| weights(&learner(method, stabilisers, EngineChoice::Fused)));
        for (plain, bounded) in plain.iter().zip(&bounded) {
            let sigma = singular_values(std::slice::from_ref(plain));
            let factor = sigma.first().map_or(1.0, |sigma| largest / sigma);
            for (p, b) in plain.values.iter().zip(&bounded.values) {
                assert!((f64::from(*p) * factor - f64::from(*b)).abs() < 1e-7);
            }
        }
    }
}

/// Four iterations of plain descent with everything on: the engines agree as without, and all of it makes a difference.
#[test]
fn engines_learn_the_same_with_stabilisers() {
    let learn = |stabilisers, engine| {
        let mut learner = learner(Method::Sgd, stabilisers, engine);
        let metrics: Vec<_> = (0..4).map(|_| learner.iterate().unwrap()).collect();
        let values: Vec<f32> = weights(&learner)
            .into_iter()
            .flat_map(|p| p.values)
            .collect();
        (metrics, values)
    };
    let largest = |a: &[f32], b: &[f32]| {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.fold(0.0, f32::max)
    };
    let [tensor, fused] =
        [EngineChoice::Tensor, EngineChoice::Fused].map(|engine| learn(all(), engine));
    for (tensor, fused) in tensor.0.iter().zip(&fused.0) {
        assert!((tensor.energy_data - fused.energy_data).abs() < 1e-5);
        assert!((tensor.energy_samples - fused.energy_samples).abs() < 1e-5);
        assert!((tensor.gradient_magnitude - fused.gradient_magnitude).abs() < 1e-5);
    }
    let apart = largest(&tensor.1, &fused.1);
    assert!(apart < 1e-5, "{apart}");
    for leave_out in [
        |s: &mut Stabilisers| s.energy_penalty = None,
        |s: &mut Stabilisers| s.parameter_gradient_clip = None,
        |s: &mut Stabilisers| s.weight_decay = None,
        |s: &mut Stabilisers| s.spectral_normalisation = None,
        |s: &mut Stabilisers| s.langevin_gradient_clip = None,
        |s: &mut Stabilisers| s.state_clamp = None,
    ] {
        let mut less = all();
        leave_out(&mut less);
        // A run is the same to the last bit unless a setting matters.
        let (without, _) = learn(less, EngineChoice::Fused);
        assert_ne!(without, fused.0, "all but {less:?} learns the same");
    }
}

#[test]
fn a_resumed_run_with_stabilisers_equals_an_uninterrupted_one_bit_for_bit() {
    for (method, engine) in [
        (Method::Adam, EngineChoice::Fused),
        (Method::Adam, EngineChoice::Tensor),
        (Method::Sgd, EngineChoice::Fused),
    ] {
        let mut whole = learner(method, all(), engine);
        let metrics: Vec<_> = (0..6).map(|_| whole.iterate().unwrap()).collect();
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("3");
        let mut first = learner(method, all(), engine);
        for _ in 0..3 {
            first.iterate().unwrap();
        }
        first.save_checkpoint(&checkpoint).unwrap();
        let mut second = learner(method, all(), engine).restore(&checkpoint).unwrap();
        for expected in &metrics[3..] {
            assert_eq!(&second.iterate().unwrap(), expected);
        }
        assert_eq!(weights(&second), weights(&whole));
        // A run with other stabilisers is another run.
        let Err(TrainerError::Checkpoint { problem, .. }) =
            learner(method, Stabilisers::default(), engine).restore(&checkpoint)
        else {
            panic!("a checkpoint of other settings was accepted");
        };
        assert!(problem.contains("other learning settings"), "{problem}");
    }
}

#[test]
fn settings_out_of_range_are_refused_and_plain_ones_leave_no_trace() {
    for (key, set) in [
        (
            "energy_penalty",
            (|s, v| s.energy_penalty = Some(v)) as fn(&mut Stabilisers, f64),
        ),
        ("parameter_gradient_clip", |s, v| {
            s.parameter_gradient_clip = Some(v);
        }),
        ("weight_decay", |s, v| s.weight_decay = Some(v)),
        ("spectral_normalisation", |s, v| {
            s.spectral_normalisation = Some(v);
        }),
    ] {
        for value in [0.0, -1.0, f64::NAN, f64::INFINITY] {
            let mut stabilisers = all();
            set(&mut stabilisers, value);
            let error = config(Method::Adam, stabilisers).validate().unwrap_err();
            assert!(
                error.to_string().contains(&format!("stabilisers.{key} = ")),
                "{error}"
            );
        }
    }
    for value in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e-60, 1e60] {
        assert!(Bound::new(value).is_err());
    }
    let json = |stabilisers| serde_json::to_value(config(Method::Adam, stabilisers)).unwrap();
    assert!(json(Stabilisers::default()).get("stabilisers").is_none());
    let written = json(all());
    assert_eq!(written["stabilisers"]["state_clamp"], 1.5);
    let read: LearningConfig = serde_json::from_value(written).unwrap();
    assert_eq!(read.stabilisers, all());
    let refused = serde_json::from_str::<Stabilisers>(r#"{"state_clamp": -1}"#);
    assert!(
        refused
            .unwrap_err()
            .to_string()
            .contains("must be a number > 0")
    );
}
