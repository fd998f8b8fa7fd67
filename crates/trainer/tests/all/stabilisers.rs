//! Stabilisers of earlier work: exact updates, both engines, resuming, and what is refused.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use burn::backend::flex::FlexDevice;
use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::tensor::backend::Backend;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Tensor, TensorData};
use ebm_core::{Energy, NoiseKey, StateShape, States, StepSize, Stream};
use ebm_data::{Gmm, ImageConfig, LoadedData, Toy, embedded_digits};
use ebm_energy_net::{Architecture, NamedParameter, Net, NetConfig, named_parameters};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{
    AttractionPath, AttractionRun, Bound, BoundEngine, ChainOutcome, ChainRun, ChainStart, Chains,
    EnergyGradient, Engine, LangevinError, TensorChains, TensorEngine,
};
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
        data_noise_decay: 1.0,
        minimum_data_noise: 0.0,
        langevin: LangevinConfig {
            steps: 5,
            epsilon: StepSize::new(EPSILON).unwrap(),
            start: ChainStart::Gaussian,
            start_factor: 1.0,
            bank_size: None,
            ..LangevinConfig::default()
        },
        optimizer: OptimizerConfig {
            method,
            learning_rate: RATE,
            minimum_learning_rate: 0.0,
            decay: 1.0,
            averaging: None,
            ..OptimizerConfig::adam(1.0)
        },
        divergence_limit: 1e3,
        stabilisers,
        recovery: Recovery::default(),
    }
}

fn toy() -> LoadedData {
    LoadedData::Toy(Toy::Gmm(Gmm::default()))
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
        spectral_norm_bound: Some(0.8),
        langevin_gradient_clip: bound(1e-3),
        state_clamp: bound(1.5),
    }
}

/// Which engine learns.
#[derive(Clone, Copy)]
enum Which {
    Tensor,
    Fused,
}

impl Which {
    fn engine(self) -> Box<dyn Engine<B, Net<B>>> {
        match self {
            Self::Tensor => Box::new(TensorEngine::default()),
            Self::Fused => Box::new(FusedEngine::default()),
        }
    }
}

fn learner(method: Method, stabilisers: Stabilisers, engine: Which) -> Learner<B, Net<B>> {
    let config = config(method, stabilisers);
    let net: Net<B> = NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    }
    .init([2, 1, 1], 3, &Default::default())
    .unwrap();
    let engine = engine.engine();
    Learner::new(config, net, engine, toy(), Default::default()).unwrap()
}

fn weights(learner: &Learner<B, Net<B>>) -> Vec<NamedParameter> {
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

/// One iteration of plain descent, θ ← θ − rate · (clip(∇loss) + λθ) in units of F, from the states that the learner
/// used.
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
            for state in states {
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

/// Adam's first step is −rate in the direction of the sign of its gradient. With a decay that outweighs the gradient
/// of the loss this is the sign of g + λθ when λθ is added before the moments; added to the step itself, as AdamW
/// does, it would be −rate·(sign(g) + λθ).
#[test]
fn weight_decay_comes_before_the_moments_of_adam() {
    let learn = |start: [f32; 2], decay| {
        let stabilisers = Stabilisers {
            weight_decay: decay,
            ..Stabilisers::default()
        };
        let net = Slope::<B> {
            theta: Param::from_tensor(Tensor::from_floats(start, &Default::default())),
            constant: Param::from_tensor(Tensor::from_floats([0.9], &Default::default())),
        };
        let config = config(Method::Adam, stabilisers);
        let engine = TensorEngine::default();
        let mut learner = Learner::new(config, net, engine, toy(), Default::default()).unwrap();
        learner.iterate().unwrap();
        let parameters = named_parameters(learner.net());
        let theta = parameters.iter().find(|p| p.name == "theta").unwrap();
        [0, 1].map(|i| f64::from(theta.values[i]) - f64::from(start[i]))
    };
    // So small that the gradient of the loss, a difference of means, is the same for a vector and its opposite: one of
    // these has other signs than it.
    let mut turned = 0;
    for start in [[0.003f32, -0.002], [-0.003, 0.002]] {
        let (plain, decayed) = (learn(start, None), learn(start, Some(1e4)));
        for ((theta, plain), decayed) in start.into_iter().zip(plain).zip(decayed) {
            assert!((plain.abs() / RATE - 1.0).abs() < 1e-3, "{plain}");
            let expected = -RATE * f64::from(theta.signum());
            assert!((decayed / expected - 1.0).abs() < 1e-3, "{decayed}");
            turned += usize::from(plain * decayed < 0.0);
        }
    }
    assert_eq!(turned, 2);
}

/// An engine that forgets the final energies, and leaves gradients to automatic differentiation.
struct Forgetful(TensorEngine);

impl Engine<B, Slope<B>> for Forgetful {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn bind(
        &self,
        energy: Slope<B>,
        shape: StateShape,
        device: &FlexDevice,
    ) -> Result<Box<dyn BoundEngine<B, Slope<B>>>, LangevinError> {
        Ok(Box::new(Forgets(self.0.bind(energy, shape, device))))
    }
}

struct Forgets(TensorChains<B, Slope<B>>);

impl Chains for Forgets {
    fn name(&self) -> &'static str {
        "forgetful"
    }

    fn shape(&self) -> StateShape {
        self.0.shape()
    }

    fn run(&self, states: &States, run: &ChainRun) -> Result<ChainOutcome, LangevinError> {
        Ok(ChainOutcome {
            energies: None,
            ..self.0.run(states, run)?
        })
    }

    fn energy_gradient(&self, states: &States) -> Result<EnergyGradient, LangevinError> {
        self.0.energy_gradient(states)
    }

    fn attract(
        &self,
        states: &States,
        targets: &States,
        paths: &mut [AttractionPath],
        run: &AttractionRun,
    ) -> Result<States, LangevinError> {
        self.0.attract(states, targets, paths, run)
    }
}

impl BoundEngine<B, Slope<B>> for Forgets {
    fn update(&mut self, energy: Slope<B>) -> Result<(), LangevinError> {
        self.0.update(energy)
    }
}

#[test]
fn a_penalty_without_energies_is_refused_not_left_out() {
    let learner = |penalty| {
        let stabilisers = Stabilisers {
            energy_penalty: penalty,
            ..Stabilisers::default()
        };
        let net = Slope::<B> {
            theta: Param::from_tensor(Tensor::from_floats([0.3, -0.2], &Default::default())),
            constant: Param::from_tensor(Tensor::from_floats([0.9], &Default::default())),
        };
        let engine = Forgetful(TensorEngine::default());
        let config = config(Method::Sgd, stabilisers);
        Learner::new(config, net, engine, toy(), Default::default()).unwrap()
    };
    learner(None).iterate().unwrap();
    let error = learner(Some(0.7)).iterate().unwrap_err().to_string();
    assert!(error.contains("0 energies for 32 states"), "{error}");
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
        spectral_norm_bound: Some(largest),
        ..Stabilisers::default()
    };
    for method in [Method::Adam, Method::Sgd] {
        let mut plain = learner(method, Stabilisers::default(), Which::Fused);
        let mut bounded = learner(method, with, Which::Fused);
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
        // Projected, not rebuilt: before the first update a weight is a multiple of the plain one, and biases are the
        // same.
        let [plain, bounded] = [Stabilisers::default(), with]
            .map(|stabilisers| weights(&learner(method, stabilisers, Which::Fused)));
        for (plain, bounded) in plain.iter().zip(&bounded) {
            let sigma = singular_values(std::slice::from_ref(plain));
            let factor = sigma.first().map_or(1.0, |sigma| largest / sigma);
            for (p, b) in plain.values.iter().zip(&bounded.values) {
                assert!((f64::from(*p) * factor - f64::from(*b)).abs() < 1e-7);
            }
        }
    }
}

/// A kernel counts as the matrix [output channels, all else]: one within the bound stays, one beyond is scaled as a
/// whole.
#[test]
fn kernels_of_convolutions_are_projected_as_matrices() {
    #[derive(Module, Debug)]
    struct Kernels<B: Backend> {
        small: Param<Tensor<B, 4>>,
        large: Param<Tensor<B, 4>>,
    }
    impl<B: Backend> Energy<B> for Kernels<B> {
        fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
            let options = || ConvOptions::new([1, 1], [1, 1], [1, 1], 1);
            let hidden = conv2d(states, self.small.val(), None, options());
            let hidden = conv2d(hidden, self.large.val(), None, options());
            hidden.flatten::<2>(1, 3).sum_dim(1).squeeze_dim::<1>(1)
        }
    }
    // Two rows at right angles: (3, 4) for the two input channels of the first output channel, and 1. So σ = 5; by
    // single 3×3 slices, or with the input channels as rows, it would be 4.
    let kernel = |scale: f32| {
        let mut values = vec![0.0; 2 * 2 * 9];
        values[4] = 3.0 * scale;
        values[9 + 2] = 4.0 * scale;
        values[2 * 9 + 6] = scale;
        values
    };
    let tensor = |scale| {
        let data = TensorData::new(kernel(scale), [2, 2, 3, 3]);
        Param::from_tensor(Tensor::from_data(data, &Default::default()))
    };
    let net = Kernels::<B> {
        small: tensor(0.1),
        large: tensor(1.0),
    };
    let stabilisers = Stabilisers {
        spectral_norm_bound: Some(1.0),
        ..Stabilisers::default()
    };
    let engine = TensorEngine::default();
    let config = config(Method::Sgd, stabilisers);
    let learner = Learner::new(config, net, engine, toy(), Default::default()).unwrap();
    let found = named_parameters(learner.net());
    assert_eq!(found[0].values, kernel(0.1));
    for (found, expected) in found[1].values.iter().zip(kernel(0.2)) {
        assert!((found - expected).abs() < 1e-6, "{found} {expected}");
    }
    // And after updates, of a net with kernels of other sizes.
    let net: Net<B> = NetConfig {
        width: 4,
        ..NetConfig::published(Architecture::Vanilla)
    }
    .init([1, 16, 16], 3, &Default::default())
    .unwrap();
    let images = embedded_digits(&ImageConfig {
        size: 16,
        limit: Some(40),
        ..ImageConfig::default()
    });
    let data = LoadedData::Images {
        name: "embedded-digits",
        images: images.unwrap(),
    };
    let engine = FusedEngine::default();
    let bound = Stabilisers {
        spectral_norm_bound: Some(0.3),
        ..Stabilisers::default()
    };
    let config = self::config(Method::Adam, bound);
    let mut learner = Learner::new(config, net, engine, data, Default::default()).unwrap();
    for _ in 0..2 {
        let parameters = named_parameters(learner.net());
        assert!(parameters.iter().any(|p| p.shape[1..] == [1, 3, 3]));
        let found = singular_values(&parameters);
        assert!(
            found.iter().all(|sigma| *sigma <= 0.3 * (1.0 + 1e-6)),
            "{found:?}"
        );
        learner.iterate().unwrap();
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
        // A maximum that keeps what is no number.
        differences.fold(0.0, |most: f32, far| {
            if most.is_nan() || far <= most {
                most
            } else {
                far
            }
        })
    };
    let [tensor, fused] = [Which::Tensor, Which::Fused].map(|engine| learn(all(), engine));
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
        |s: &mut Stabilisers| s.spectral_norm_bound = None,
        |s: &mut Stabilisers| s.langevin_gradient_clip = None,
        |s: &mut Stabilisers| s.state_clamp = None,
    ] {
        let mut less = all();
        leave_out(&mut less);
        // A run is the same to the last bit unless a setting matters.
        let (without, _) = learn(less, Which::Fused);
        assert_ne!(without, fused.0, "all but {less:?} learns the same");
    }
}

#[test]
fn a_resumed_run_with_stabilisers_equals_an_uninterrupted_one_bit_for_bit() {
    for (method, engine) in [
        (Method::Adam, Which::Fused),
        (Method::Adam, Which::Tensor),
        (Method::Sgd, Which::Fused),
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
        ("spectral_norm_bound", |s, v| {
            s.spectral_norm_bound = Some(v);
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
