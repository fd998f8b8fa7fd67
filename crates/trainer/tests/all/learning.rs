//! The learning loop: exact updates, determinism, checkpoints, divergence, memory.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn_ndarray::NdArray;
use ebm_core::{Energy, NoiseKey, States, StepSize, Stream};
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_energy_net::{Architecture, Net, NetConfig, named_parameters};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{Bound, ChainStart, Engine, KernelName, TensorEngine};
use ebm_trainer::*;

fn config(start: ChainStart, method: Method) -> LearningConfig {
    LearningConfig {
        seed: 7,
        iterations: 6,
        batch_size: 16,
        data_noise: 0.02,
        data_noise_decay: 1.0,
        minimum_data_noise: 0.0,
        langevin: LangevinConfig {
            steps: 5,
            epsilon: StepSize::new(0.1).unwrap(),
            start,
            start_factor: 1.0,
            bank_size: (start == ChainStart::Persistent).then_some(40),
            ..LangevinConfig::default()
        },
        optimizer: OptimizerConfig {
            method,
            learning_rate: 1e-2,
            minimum_learning_rate: 9.7e-3,
            decay: 0.99,
            averaging: None,
            ..OptimizerConfig::adam(1.0)
        },
        divergence_limit: 1e3,
        stabilisers: Stabilisers::default(),
        recovery: Recovery::default(),
    }
}

fn toy() -> LoadedData {
    LoadedData::Toy(Toy::Gmm(Gmm::default()))
}

fn toy_net<B: AutodiffBackend>() -> Net<B> {
    NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    }
    .init([2, 1, 1], 3, &Default::default())
    .unwrap()
}

fn learner<B: AutodiffBackend>(config: LearningConfig) -> Learner<B, Net<B>> {
    Learner::new(
        config,
        toy_net(),
        TensorEngine::default(),
        toy(),
        Default::default(),
    )
    .unwrap()
}

/// F(x) = θ · x: everything about an iteration can be computed by hand.
#[derive(Module, Debug)]
struct Slope<B: Backend> {
    theta: Param<Tensor<B, 1>>,
}

impl<B: Backend> Slope<B> {
    fn new(theta: [f32; 2]) -> Self {
        Self {
            theta: Param::from_tensor(Tensor::from_floats(theta, &Default::default())),
        }
    }
}

impl<B: Backend> Energy<B> for Slope<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let weighted = states.flatten::<2>(1, 3) * self.theta.val().unsqueeze_dim::<2>(0);
        weighted.sum_dim(1).squeeze_dim::<1>(1)
    }
}

/// Three iterations of a linear energy, redone here from the noise streams: d, r, mean energies, learning rate and θ.
#[test]
fn an_iteration_is_algorithm_one_computed_by_hand() {
    let usual = [0.9, 0.999];
    for (method, epsilon, betas, warm_up) in [
        (Method::Sgd, 0.1, usual, 0),
        (Method::Sgd, 0.0, usual, 4),
        (Method::Adam, 0.1, usual, 0),
        (Method::Adam, 0.1, [0.0, 0.9], 2),
    ] {
        let mut config = config(ChainStart::Gaussian, method);
        // The noise of the data falls in one case: 0.02, 0.01, 0.008.
        let (fall, least) = if warm_up == 2 {
            (0.5, 0.008)
        } else {
            (1.0, 0.0)
        };
        config = config.with_falling_data_noise(fall, least);
        let mut noise = 0.02;
        config.optimizer = config.optimizer.with_betas(betas).with_warm_up(warm_up);
        config.langevin.epsilon = StepSize::new(epsilon).unwrap();
        config.langevin.start_factor = 2.0;
        let (n, steps) = (config.batch_size, config.langevin.steps);
        let mut theta = [0.3f64, -0.2];
        let net = Slope::<Autodiff<Flex>>::new(theta.map(|t| t as f32));
        let mut learner = Learner::new(
            config.clone(),
            net,
            TensorEngine::default(),
            toy(),
            Default::default(),
        )
        .unwrap();
        let scale = if epsilon == 0.0 {
            1.0
        } else {
            2.0 / (epsilon * epsilon)
        };
        let (mut moment, mut square, mut decayed) = ([0.0; 2], [0.0; 2], 1e-2);
        for iteration in 1..=3 {
            let key = |stream| NoiseKey::new(config.seed, stream, iteration);
            let draw = |stream, step| {
                let mut values = vec![0.0f32; 2 * n];
                key(stream).normals(step, 0, 2, &mut values);
                values.into_iter().map(f64::from).collect::<Vec<_>>()
            };
            let mean = |states: &[f64]| {
                [0, 1].map(|axis| states.iter().skip(axis).step_by(2).sum::<f64>() / n as f64)
            };
            let clean = toy().batch(&key(Stream::DataBatch), n).unwrap();
            let data: Vec<f64> = clean
                .values()
                .iter()
                .zip(draw(Stream::DataNoise, 0))
                .map(|(x, z)| f64::from(*x) + noise * z)
                .collect();
            let mut states: Vec<f64> = draw(Stream::ChainStart, 0)
                .iter()
                .map(|z| 2.0 * z)
                .collect();
            for step in 0..steps {
                let noise = draw(Stream::Langevin, step);
                for (index, x) in states.iter_mut().enumerate() {
                    *x += -theta[index % 2] + epsilon * noise[index];
                }
            }
            noise = (noise * fall).max(least);
            let (data, samples) = (mean(&data), mean(&states));
            let energy = |point: [f64; 2]| theta[0] * point[0] + theta[1] * point[1];
            let norm = theta[0].hypot(theta[1]);
            let metrics = learner.iterate().unwrap();
            let close = |got: f64, expected: f64| {
                assert!(
                    (got - expected).abs() < 2e-5 * expected.abs().max(1.0),
                    "{method:?} ε {epsilon} iteration {iteration}: {got} against {expected}"
                );
            };
            close(metrics.energy_data, energy(data));
            close(metrics.energy_samples, energy(samples));
            close(
                metrics.energy_difference,
                scale * (energy(data) - energy(samples)),
            );
            close(metrics.gradient_magnitude, norm);
            let rate = decayed * (iteration as f64 / warm_up.max(1) as f64).min(1.0);
            close(metrics.learning_rate, rate);
            for axis in 0..2 {
                let gradient = scale * (data[axis] - samples[axis]);
                theta[axis] -= match method {
                    Method::Sgd => rate / scale * gradient,
                    Method::Adam => {
                        let [keep, keep_square] = betas;
                        moment[axis] = keep * moment[axis] + (1.0 - keep) * gradient;
                        square[axis] =
                            keep_square * square[axis] + (1.0 - keep_square) * gradient * gradient;
                        let m = moment[axis] / (1.0 - keep.powi(iteration as i32));
                        let v = square[axis] / (1.0 - keep_square.powi(iteration as i32));
                        rate * m / (v.sqrt() + 1e-8)
                    }
                };
            }
            decayed = (decayed * 0.99f64).max(9.7e-3);
            let learned = learner
                .net()
                .theta
                .val()
                .into_data()
                .to_vec::<f32>()
                .unwrap();
            close(f64::from(learned[0]), theta[0]);
            close(f64::from(learned[1]), theta[1]);
        }
    }
}

fn weights_of<B: AutodiffBackend>(learner: &Learner<B, Net<B>>) -> Vec<Vec<f32>> {
    named_parameters(learner.net())
        .into_iter()
        .map(|p| p.values)
        .collect()
}

/// Four iterations each of plain descent: Adam makes the rounding of gradients large that should be zero, such as that
/// of the last bias. The second layer is frozen, which an engine that computes all gradients does not know.
#[test]
fn engines_learn_the_same_and_leave_frozen_parameters_alone() {
    for start in [ChainStart::Persistent, ChainStart::Gaussian] {
        let mut settings = config(start, Method::Sgd);
        settings.optimizer.learning_rate = 0.5;
        let engines: [Box<dyn Engine<_, _>>; 2] = [
            Box::new(TensorEngine::default()),
            Box::new(FusedEngine::default()),
        ];
        let [tensor, fused] = engines.map(|engine| {
            let Net::Sequential(mut net) = toy_net::<Autodiff<Flex>>() else {
                panic!("toy is one stack");
            };
            net.f[2] = net.f[2].clone().no_grad();
            let net = Net::Sequential(net);
            let (name, data) = (engine.name(), toy());
            let mut learner =
                Learner::new(settings.clone(), net, engine, data, Default::default()).unwrap();
            let before = weights_of(&learner);
            let metrics: Vec<_> = (0..4).map(|_| learner.iterate().unwrap()).collect();
            let after = weights_of(&learner);
            // The last of the ten tensors is the last bias.
            for index in 0..9 {
                let is_frozen = index == 2 || index == 3;
                let is_same = before[index] == after[index];
                assert_eq!(is_same, is_frozen, "{name}: tensor {index}");
            }
            (metrics, after)
        });
        for (tensor, fused) in tensor.0.iter().zip(&fused.0) {
            for (left, right, tolerance) in [
                (tensor.energy_data, fused.energy_data, 1e-5),
                (tensor.energy_samples, fused.energy_samples, 1e-5),
                // T = 5e-3 divides the rounding of F.
                (tensor.energy_difference, fused.energy_difference, 2e-3),
                (tensor.gradient_magnitude, fused.gradient_magnitude, 1e-5),
            ] {
                assert!((left - right).abs() < tolerance, "{tensor:?} and {fused:?}");
            }
        }
        for (tensor, fused) in tensor.1.concat().iter().zip(fused.1.concat()) {
            assert!((tensor - fused).abs() < 1e-5, "{tensor} and {fused}");
        }
    }
}

#[test]
fn a_resumed_run_equals_an_uninterrupted_one_bit_for_bit() {
    for (start, method) in [
        (ChainStart::Persistent, Method::Adam),
        (ChainStart::Uniform, Method::Sgd),
        (ChainStart::Data, Method::Adam),
    ] {
        let mut config = config(start, method);
        config.optimizer.averaging = Some(0.9);
        let mut whole = learner::<Autodiff<Flex>>(config.clone());
        let mut metrics = Vec::new();
        for _ in 0..6 {
            metrics.push(whole.iterate().unwrap());
        }
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("3");
        let mut first = learner::<Autodiff<Flex>>(config.clone());
        for _ in 0..3 {
            first.iterate().unwrap();
        }
        first.save_checkpoint(&checkpoint).unwrap();
        // A longer run may go on from the same checkpoint.
        let config = LearningConfig {
            iterations: 600,
            ..config
        };
        let mut second = learner::<Autodiff<Flex>>(config)
            .restore(&checkpoint)
            .unwrap();
        assert_eq!(second.iteration(), 3);
        for expected in &metrics[3..] {
            assert_eq!(&second.iterate().unwrap(), expected);
        }
        assert_eq!(weights_of(&second), weights_of(&whole));
        let average = |learner: &Learner<_, Net<_>>| named_parameters(learner.average().unwrap());
        assert_eq!(average(&second), average(&whole));
        assert_eq!(second.bank().unwrap(), whole.bank().unwrap());
    }
}

/// θ̄ₜ = βₜ θ̄ₜ₋₁ + (1 − βₜ) θₜ with βₜ = min(0.3, (1 + t)/(10 + t)), from the path of θ; and the path is that of
/// learning without an average.
#[test]
fn the_average_follows_from_the_path_and_does_not_change_it() {
    let plain = config(ChainStart::Uniform, Method::Adam);
    let mut averaging = plain.clone();
    averaging.optimizer.averaging = Some(0.3);
    let mut averaged = learner::<Autodiff<Flex>>(averaging);
    let mut alone = learner::<Autodiff<Flex>>(plain);
    let mut expected: Vec<f64> = weights_of(&alone)
        .concat()
        .into_iter()
        .map(f64::from)
        .collect();
    for t in 1..=5 {
        averaged.iterate().unwrap();
        alone.iterate().unwrap();
        let t = f64::from(t);
        let beta = f64::min(0.3, (1.0 + t) / (10.0 + t));
        let newest = weights_of(&alone).concat();
        for (mean, value) in expected.iter_mut().zip(&newest) {
            *mean = beta * *mean + (1.0 - beta) * f64::from(*value);
        }
    }
    assert_eq!(weights_of(&averaged), weights_of(&alone));
    let average = named_parameters(averaged.average().unwrap());
    let average: Vec<f32> = average.into_iter().flat_map(|p| p.values).collect();
    assert_eq!(average.len(), expected.len());
    for (value, expected) in average.iter().zip(&expected) {
        assert!(
            (f64::from(*value) - expected).abs() < 1e-7,
            "{value} {expected}"
        );
    }
    // Energies of the average are those of a net with these parameters.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("average.safetensors");
    assert!(averaged.save_average(&path).unwrap());
    let loaded: Net<Autodiff<Flex>> = ebm_energy_net::load_weights(toy_net(), &path).unwrap();
    let states = States::points([[0.3, -0.8]]);
    let tensor = states.clone().into_tensor(&Default::default());
    let direct = loaded.energy(Tensor::from_inner(tensor));
    let through = averaged.average_energies(&states).unwrap().unwrap();
    assert_eq!(
        direct.into_data().iter::<f32>().collect::<Vec<_>>(),
        through
    );
    assert!(!alone.save_average(&path).unwrap());
    assert_eq!(alone.average_energies(&states).unwrap(), None);
}

/// f32 rounding differs between backends and grows with iterations: 1e-4 after six.
#[test]
fn flex_and_ndarray_learn_the_same() {
    let config = config(ChainStart::Persistent, Method::Adam);
    let mut flex = learner::<Autodiff<Flex>>(config.clone());
    let mut ndarray = learner::<Autodiff<NdArray>>(config);
    for _ in 0..6 {
        let (a, b) = (flex.iterate().unwrap(), ndarray.iterate().unwrap());
        assert!(
            (a.energy_difference - b.energy_difference).abs() < 1e-3,
            "{a:?} {b:?}"
        );
        assert!((a.gradient_magnitude - b.gradient_magnitude).abs() < 1e-5);
    }
    for (a, b) in weights_of(&flex)
        .concat()
        .iter()
        .zip(weights_of(&ndarray).concat())
    {
        assert!((a - b).abs() < 1e-4);
    }
}

#[test]
fn watching_does_not_change_learning() {
    let config = config(ChainStart::Persistent, Method::Adam);
    let mut watched = learner::<Autodiff<Flex>>(config.clone());
    let mut alone = learner::<Autodiff<Flex>>(config);
    for _ in 0..3 {
        watched.iterate().unwrap();
        alone.iterate().unwrap();
        let samples = watched.samples().unwrap();
        let run = watched.watch_run(20);
        watched.chains().run(&samples, &run).unwrap();
        watched.chains().energies(&samples).unwrap();
    }
    assert_eq!(weights_of(&watched), weights_of(&alone));
    assert_eq!(watched.bank().unwrap(), alone.bank().unwrap());
}

/// [`Slope`] that notes at every evaluation whether its parameters are differentiated.
#[derive(Module, Debug)]
struct Watched<B: Backend> {
    slope: Slope<B>,
}

static DIFFERENTIATED: std::sync::Mutex<Vec<bool>> = std::sync::Mutex::new(Vec::new());

impl<B: Backend> Energy<B> for Watched<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let is_differentiated = self.slope.theta.val().is_require_grad();
        DIFFERENTIATED.lock().unwrap().push(is_differentiated);
        self.slope.energy(states)
    }
}

#[test]
fn parameters_are_differentiated_for_the_update_only_and_not_while_chains_run() {
    let config = config(ChainStart::Gaussian, Method::Adam);
    let net = Watched {
        slope: Slope::<Autodiff<Flex>>::new([0.3, -0.2]),
    };
    let engine = TensorEngine::default();
    let mut learner = Learner::new(config, net, engine, toy(), Default::default()).unwrap();
    // Twice, because the update must not leave parameters that are no longer differentiated.
    for _ in 0..2 {
        learner.iterate().unwrap();
        let seen = std::mem::take(&mut *DIFFERENTIATED.lock().unwrap());
        // L = 5 steps, then mean F of data and of samples.
        assert_eq!(seen, [false, false, false, false, false, true, true]);
    }
}

#[test]
fn an_update_to_non_finite_parameters_is_never_checkpointed() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(ChainStart::Gaussian, Method::Sgd);
    settings.iterations = 1;
    settings.optimizer.learning_rate = 1e42;
    let net = Slope::<Autodiff<Flex>>::new([0.1, 0.1]);
    let engine = TensorEngine::default();
    let mut learner = Learner::new(settings, net, engine, toy(), Default::default()).unwrap();
    let error = Trainer::new()
        .checkpoints(checkpoints(folder.path()))
        .run(&mut learner)
        .unwrap_err();
    let cause = DivergenceCause::Parameters;
    assert!(
        matches!(error, TrainerError::Diverged { iteration: 1, cause: seen } if seen == cause),
        "{error}"
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

/// Tells what it saw; can raise a stop flag at an iteration.
#[derive(Default)]
struct Log {
    seen: Vec<String>,
    stop: Option<(u64, Arc<AtomicBool>)>,
}

impl Observer for Log {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        self.seen.push(match event {
            Event::Started { iteration, .. } => format!("start {iteration}"),
            Event::IterationDone { metrics, .. } => {
                if let Some((at, flag)) = &self.stop {
                    flag.store(metrics.iteration == *at, Ordering::Relaxed);
                }
                format!("{}", metrics.iteration)
            }
            Event::CheckpointWritten { iteration, .. } => format!("checkpoint {iteration}"),
            Event::Diverged { iteration, .. } => format!("diverged {iteration}"),
            _ => String::new(),
        });
        Ok(())
    }
}

fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints {
        folder: folder.to_owned(),
        every: 2,
        keep: 2,
    }
}

#[test]
fn the_trainer_tells_stops_and_keeps_the_newest_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let mut log = Log {
        stop: Some((5, stop.clone())),
        ..Log::default()
    };
    let config = config(ChainStart::Uniform, Method::Adam);
    let mut learner = learner::<Autodiff<Flex>>(config.clone());
    let outcome = Trainer::new()
        .checkpoints(checkpoints(folder.path()))
        .observer(&mut log)
        .stop_on(stop.clone())
        .run(&mut learner)
        .unwrap();
    let newest = latest_checkpoint(folder.path()).unwrap();
    assert_eq!(
        outcome,
        Outcome::Stopped {
            iteration: 5,
            checkpoint: Some(newest.clone())
        }
    );
    assert_eq!(
        log.seen,
        [
            "start 0",
            "1",
            "2",
            "checkpoint 2",
            "3",
            "4",
            "checkpoint 4",
            "5",
            "checkpoint 5"
        ]
    );
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    assert_eq!(read_checkpoint_info(&newest).unwrap().iteration, 5);

    stop.store(false, Ordering::Relaxed);
    let mut log = Log::default();
    let mut learner = self::learner::<Autodiff<Flex>>(config)
        .restore(&newest)
        .unwrap();
    let outcome = Trainer::new()
        .checkpoints(checkpoints(folder.path()))
        .observer(&mut log)
        .run(&mut learner)
        .unwrap();
    assert_eq!(outcome, Outcome::Finished);
    assert_eq!(log.seen, ["start 5", "6", "checkpoint 6"]);
}

#[test]
fn a_cancelled_engine_stops_inside_an_iteration_without_loss() {
    let folder = tempfile::tempdir().unwrap();
    let cancel = Arc::new(AtomicBool::new(false));
    let mut config = config(ChainStart::Persistent, Method::Adam);
    config.iterations = 1;
    let engine = TensorEngine::default().cancelled_by(cancel.clone());
    let mut learner = Learner::new(
        config.clone(),
        toy_net::<Autodiff<Flex>>(),
        engine,
        toy(),
        Default::default(),
    )
    .unwrap();
    let before = learner.bank().unwrap().cloned();
    cancel.store(true, Ordering::Relaxed);
    // The stop flag itself is not set: it is the engine that gives up.
    let outcome = Trainer::new()
        .checkpoints(checkpoints(folder.path()))
        .run(&mut learner)
        .unwrap();
    assert!(matches!(outcome, Outcome::Stopped { iteration: 0, .. }));
    assert_eq!(learner.bank().unwrap().cloned(), before);
    cancel.store(false, Ordering::Relaxed);
    let resumed = learner.iterate().unwrap();
    assert_eq!(
        resumed,
        self::learner::<Autodiff<Flex>>(config).iterate().unwrap()
    );
}

#[test]
fn learning_that_runs_away_stops_before_the_update() {
    let folder = tempfile::tempdir().unwrap();
    let mut settings = config(ChainStart::Gaussian, Method::Sgd);
    settings.optimizer.learning_rate = 1e3;
    let net = Slope::<Autodiff<Flex>>::new([0.1, 0.1]);
    let mut learner = Learner::new(
        settings,
        net,
        TensorEngine::default(),
        toy(),
        Default::default(),
    )
    .unwrap();
    let mut log = Log::default();
    let error = Trainer::new()
        .checkpoints(checkpoints(folder.path()))
        .observer(&mut log)
        .run(&mut learner)
        .unwrap_err();
    let TrainerError::Diverged {
        iteration,
        cause: DivergenceCause::EnergyDifference { limit, .. },
    } = error
    else {
        panic!("{error}");
    };
    assert_eq!(limit, 1e3);
    assert_eq!(learner.iteration(), iteration - 1);
    assert_eq!(log.seen.last().unwrap(), &format!("diverged {iteration}"));

    let mut learner = Learner::new(
        config(ChainStart::Gaussian, Method::Sgd),
        Slope::<Autodiff<Flex>>::new([f32::NAN, 0.0]),
        TensorEngine::default(),
        toy(),
        Default::default(),
    )
    .unwrap();
    let error = learner.iterate().unwrap_err();
    assert!(
        matches!(
            error,
            TrainerError::Diverged {
                iteration: 1,
                cause: DivergenceCause::NotFinite { .. }
            }
        ),
        "{error}"
    );
}

#[test]
fn checkpoints_that_do_not_fit_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("00000001");
    let settings = config(ChainStart::Persistent, Method::Adam);
    let mut first = learner::<Autodiff<Flex>>(settings.clone());
    first.iterate().unwrap();
    first.save_checkpoint(&checkpoint).unwrap();
    let refused = |config: LearningConfig, expected: &str| {
        let message = learner::<Autodiff<Flex>>(config)
            .restore(&checkpoint)
            .err()
            .unwrap()
            .to_string();
        assert!(
            message.contains(expected),
            "{message} should mention {expected}"
        );
    };
    refused(
        LearningConfig {
            seed: 8,
            ..settings
        },
        "other learning settings",
    );

    let wider = NetConfig {
        width: 9,
        ..NetConfig::published(Architecture::Toy)
    }
    .init::<Autodiff<Flex>>([2, 1, 1], 3, &Default::default())
    .unwrap();
    let other = Learner::new(
        settings.clone(),
        wider,
        TensorEngine::default(),
        toy(),
        Default::default(),
    )
    .unwrap();
    let message = other.restore(&checkpoint).err().unwrap().to_string();
    assert!(message.contains("another net"), "{message}");

    let described = |slope: &str| {
        let metadata = [("net".to_owned(), slope.to_owned())].into();
        learner::<Autodiff<Flex>>(settings.clone()).with_metadata(metadata)
    };
    let named = folder.path().join("named");
    described("slope 0.05").save_checkpoint(&named).unwrap();
    assert!(described("slope 0.05").restore(&named).is_ok());
    let error = described("slope 0.2").restore(&named).err().unwrap();
    assert!(error.to_string().contains("another `net`"), "{error}");

    let info = checkpoint.join("checkpoint.json");
    let text = std::fs::read_to_string(&info).unwrap();
    std::fs::write(&info, text.replace("\"format\": 2", "\"format\": 9")).unwrap();
    refused(settings.clone(), "format 9");
    std::fs::write(&info, &text[..text.len() / 2]).unwrap();
    refused(settings.clone(), "not a readable checkpoint");
    std::fs::write(&info, text).unwrap();
    let bank = checkpoint.join("bank.safetensors");
    let bytes = std::fs::read(&bank).unwrap();
    std::fs::write(&bank, &bytes[..bytes.len() - 9]).unwrap();
    refused(settings.clone(), "truncated");
    std::fs::remove_file(&bank).unwrap();
    refused(settings, "bank.safetensors");
    assert!(
        latest_checkpoint(&folder.path().join("none"))
            .unwrap_err()
            .to_string()
            .contains("no checkpoint")
    );
}

#[test]
fn settings_out_of_range_are_refused_with_key_value_and_allowed() {
    let good = config(ChainStart::Uniform, Method::Adam);
    let refused = |change: fn(&mut LearningConfig), expected: &str| {
        let mut config = good.clone();
        change(&mut config);
        let message = config.validate().unwrap_err().to_string();
        assert!(
            message.contains(expected),
            "{message} should mention {expected}"
        );
    };
    refused(|c| c.langevin.steps = 0, "langevin.steps = 0");
    refused(|c| c.batch_size = 0, "batch_size = 0");
    refused(|c| c.iterations = 0, "iterations = 0");
    refused(|c| c.data_noise = -0.1, "data_noise = -0.1");
    refused(
        |c| c.minimum_data_noise = 0.01,
        "must be 0 where data_noise_decay is 1",
    );
    refused(
        |c| {
            c.data_noise_decay = 0.5;
            c.minimum_data_noise = 0.5;
        },
        "must not exceed data_noise",
    );
    refused(|c| c.data_noise_decay = 0.0, "data_noise_decay = 0");
    refused(
        |c| c.optimizer.learning_rate = f64::NAN,
        "optimizer.learning_rate = NaN",
    );
    refused(|c| c.optimizer.decay = 1.5, "optimizer.decay = 1.5");
    refused(
        |c| c.optimizer.minimum_learning_rate = 1.0,
        "must not exceed",
    );
    refused(|c| c.langevin.bank_size = Some(100), "remove the key");
    refused(
        |c| {
            c.langevin.start = ChainStart::Persistent;
            c.langevin.bank_size = Some(3);
        },
        "langevin.bank_size = 3",
    );
    refused(
        |c| c.langevin.bank_restart = 0.1,
        "langevin.bank_restart = 0.1",
    );
    refused(
        |c| {
            c.langevin.kernel = KernelName::Mala;
            c.langevin.epsilon = StepSize::ZERO;
        },
        "langevin.epsilon = 0",
    );
    refused(
        |c| {
            c.langevin.kernel = KernelName::Mala;
            c.stabilisers.state_clamp = Some(Bound::new(1.0).unwrap());
        },
        "stabilisers.state_clamp = 1",
    );
    refused(|c| c.langevin.friction = Some(1.0), "langevin.friction = 1");
    refused(
        |c| {
            c.langevin.kernel = KernelName::Underdamped;
            c.langevin.friction = Some(-1.0);
        },
        "langevin.friction = -1",
    );
    refused(
        |c| {
            c.langevin.kernel = KernelName::Hmc;
            c.langevin.leapfrogs = Some(0);
        },
        "langevin.leapfrogs = 0",
    );
    refused(
        |c| {
            c.langevin.kernel = KernelName::Underdamped;
            c.langevin.leapfrogs = Some(3);
        },
        "langevin.leapfrogs = 3",
    );
    refused(|c| c.optimizer.beta1 = 1.0, "optimizer.beta1 = 1");
    refused(|c| c.optimizer.beta2 = -0.1, "optimizer.beta2 = -0.1");
    refused(
        |c| c.optimizer = OptimizerConfig::sgd(0.1).with_betas([0.5, 0.999]),
        "optimizer.beta1 = 0.5",
    );
    refused(
        |c| c.optimizer.averaging = Some(1.0),
        "optimizer.averaging = 1",
    );
    refused(|c| c.divergence_limit = 0.0, "divergence_limit");
    good.validate().unwrap();
}
