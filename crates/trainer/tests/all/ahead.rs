//! Iterations whose numbers are read later lead to the same numbers, parameters and banks, whatever happens before
//! they are read.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use burn::backend::{Autodiff, Flex};
use ebm_core::States;
use ebm_core::StepSize;
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_diagnostics::IterationMetrics;
use ebm_energy_net::{Architecture, Net, NetConfig};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{ChainStart, Engine, LangevinError, TensorEngine};
use ebm_trainer::*;

#[path = "ahead/engine.rs"]
mod engine;

use engine::{Ahead, Fault};

type B = Autodiff<Flex>;
type TestLearner = Learner<B, Net<B>>;

/// Twelve iterations. A batch of 8 from a bank of 12 meets at least 4 of the places of the iteration before.
fn config(start: ChainStart, method: Method) -> LearningConfig {
    LearningConfig {
        seed: 7,
        iterations: 12,
        batch_size: 8,
        data_noise: 0.02,
        data_noise_decay: 1.0,
        minimum_data_noise: 0.0,
        langevin: LangevinConfig {
            steps: 3,
            epsilon: StepSize::new(0.1).unwrap(),
            start,
            start_factor: 1.0,
            bank_size: (start == ChainStart::Persistent).then_some(12),
            ..LangevinConfig::default()
        },
        optimizer: OptimizerConfig {
            method,
            learning_rate: 1e-2,
            minimum_learning_rate: 9.5e-3,
            decay: 0.99,
            averaging: Some(0.9),
            ..OptimizerConfig::adam(1.0)
        },
        divergence_limit: 1e3,
        stabilisers: Stabilisers::default(),
        recovery: Recovery::default(),
    }
}

fn persistent() -> LearningConfig {
    config(ChainStart::Persistent, Method::Adam)
}

fn learner(config: &LearningConfig, engine: impl Engine<B, Net<B>> + 'static) -> TestLearner {
    let net = NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    };
    let device = Default::default();
    let net = net.init([2, 1, 1], 3, &device).unwrap();
    let data = LoadedData::Toy(Toy::Gmm(Gmm::default()));
    Learner::new(config.clone(), net, engine, data, device).unwrap()
}

/// All that a checkpoint holds, file by file, and the samples.
#[derive(Debug, PartialEq)]
struct Snapshot {
    files: BTreeMap<String, Vec<u8>>,
    samples: States,
}

impl Snapshot {
    fn of(learner: &dyn LearnerView) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let checkpoint = folder.path().join("checkpoint");
        learner.save_checkpoint(&checkpoint).unwrap();
        let files = fs::read_dir(checkpoint).unwrap().map(|entry| {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            (name, fs::read(entry.path()).unwrap())
        });
        Self {
            files: files.collect(),
            samples: learner.samples().unwrap(),
        }
    }
}

/// One iteration after the other: the numbers of each, and the state before the first and after each.
fn one_by_one(
    config: &LearningConfig,
    engine: impl Engine<B, Net<B>> + 'static,
) -> (Vec<IterationMetrics>, Vec<Snapshot>) {
    let mut learner = learner(config, engine);
    let mut states = vec![Snapshot::of(&learner)];
    let mut metrics = Vec::new();
    for _ in 0..config.iterations {
        metrics.push(learner.iterate().unwrap());
        states.push(Snapshot::of(&learner));
    }
    (metrics, states)
}

/// Notes what it is told, and looks at every so many iterations.
#[derive(Default)]
struct Watch<'a> {
    looks_every: Option<u64>,
    metrics: Vec<IterationMetrics>,
    /// Iterations of the learner it was given with each of the metrics.
    learner_at: Vec<u64>,
    /// How many r had been read then.
    reads: Vec<usize>,
    count: Option<&'a dyn Fn() -> usize>,
    seen: Vec<(u64, Snapshot)>,
    checkpoints: Vec<u64>,
    diverged: Option<u64>,
}

impl Watch<'_> {
    fn is_due(&self, iteration: u64) -> bool {
        self.looks_every
            .is_some_and(|every| iteration.is_multiple_of(every))
    }

    fn iterations(&self) -> Vec<u64> {
        self.metrics
            .iter()
            .map(|metrics| metrics.iteration)
            .collect()
    }
}

impl Observer for Watch<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        match event {
            Event::IterationDone {
                metrics, learner, ..
            } => {
                self.metrics.push(**metrics);
                self.learner_at.push(learner.iteration());
                self.reads.extend(self.count.map(|count| count()));
                if self.is_due(metrics.iteration) {
                    self.seen.push((metrics.iteration, Snapshot::of(*learner)));
                }
            }
            Event::CheckpointWritten { iteration, .. } => self.checkpoints.push(*iteration),
            Event::Diverged { iteration, .. } => self.diverged = Some(*iteration),
            _ => {}
        }
        Ok(())
    }

    fn reads_learner(&self, iteration: u64) -> bool {
        self.is_due(iteration)
    }
}

/// Runs a learner to its end with its numbers read every five iterations.
fn run(learner: &mut TestLearner, watch: &mut Watch<'_>) -> Result<Outcome, TrainerError> {
    Trainer::new().metrics_every(5).observer(watch).run(learner)
}

fn same_when_read_later<E: Engine<B, Net<B>> + Clone + 'static>(
    config: &LearningConfig,
    engine: E,
) {
    let (metrics, states) = one_by_one(config, engine.clone());
    let engine = Ahead::new(engine);
    let mut ahead = learner(config, engine.clone());
    let mut watch = Watch::default();
    assert_eq!(run(&mut ahead, &mut watch).unwrap(), Outcome::Finished);
    assert_eq!(watch.metrics, metrics);
    assert_eq!(&Snapshot::of(&ahead), states.last().unwrap());
    assert_eq!(engine.reads(), (1..=12).collect::<Vec<_>>());
    assert_eq!(
        watch.learner_at,
        [5, 5, 5, 5, 5, 10, 10, 10, 10, 10, 12, 12]
    );
}

#[test]
fn numbers_that_are_read_later_change_nothing() {
    for start in [
        ChainStart::Uniform,
        ChainStart::Data,
        ChainStart::Persistent,
    ] {
        for method in [Method::Adam, Method::Sgd] {
            same_when_read_later(&config(start, method), TensorEngine::default());
        }
        // This one computes the gradients of the parameters on the host.
        same_when_read_later(&config(start, Method::Adam), FusedEngine::default());
    }
}

/// In a bank of 100 a batch of 16 meets some places of earlier batches, one of 3 at times none; where the batch is
/// the whole bank, all are those of the iteration before.
#[test]
fn starts_come_from_the_bank_from_unread_samples_and_from_both() {
    for (batch_size, bank_size) in [(16, 100), (3, 100), (8, 8)] {
        let mut config = persistent();
        config.batch_size = batch_size;
        config.langevin.bank_size = Some(bank_size);
        same_when_read_later(&config, TensorEngine::default());
        config.langevin.bank_restart = 0.3;
        same_when_read_later(&config, TensorEngine::default());
    }
}

#[test]
fn stabilisers_are_the_same_when_numbers_are_read_later() {
    let mut config = persistent();
    config.stabilisers = Stabilisers {
        energy_penalty: Some(0.5),
        parameter_gradient_clip: Some(2e-3),
        weight_decay: Some(0.1),
        spectral_norm_bound: Some(0.8),
        ..Stabilisers::default()
    };
    same_when_read_later(&config, TensorEngine::default());
    same_when_read_later(&config, FusedEngine::default());
}

#[test]
fn nothing_is_read_before_it_is_due() {
    let engine = Ahead::new(TensorEngine::default());
    let mut alone = learner(&persistent(), engine.clone());
    assert!(alone.runs_ahead());
    for _ in 0..3 {
        alone.advance().unwrap();
    }
    assert_eq!(alone.iteration(), 3);
    assert!(engine.reads().is_empty());
    let mut metrics = Vec::new();
    alone.read(&mut metrics).unwrap();
    assert_eq!(engine.reads(), [1, 2, 3]);
    alone.read(&mut metrics).unwrap();
    assert_eq!(metrics.len(), 3);

    let engine = Ahead::new(TensorEngine::default());
    let count = || engine.reads().len();
    let mut watch = Watch {
        count: Some(&count),
        ..Watch::default()
    };
    run(&mut learner(&persistent(), engine.clone()), &mut watch).unwrap();
    assert_eq!(watch.reads, [5, 5, 5, 5, 5, 10, 10, 10, 10, 10, 12, 12]);

    // An engine that does not run ahead has every iteration told as it is done.
    let engine = TensorEngine::default();
    let mut watch = Watch::default();
    run(&mut learner(&persistent(), engine), &mut watch).unwrap();
    assert_eq!(watch.learner_at, watch.iterations());
}

#[test]
fn what_is_not_read_cannot_be_taken_for_the_state() {
    let config = persistent();
    let (metrics, states) = one_by_one(&config, TensorEngine::default());
    let mut learner = learner(&config, Ahead::new(TensorEngine::default()));
    learner.advance().unwrap();
    learner.advance().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let checkpoint = folder.path().join("2");
    let refused = [
        learner.bank().map(|_| ()),
        learner.save_checkpoint(&checkpoint),
        learner.iterate().map(|_| ()),
        Trainer::new().run(&mut learner).map(|_| ()),
    ];
    for (index, refused) in refused.into_iter().enumerate() {
        let error = refused.unwrap_err();
        assert!(
            matches!(error, TrainerError::Unread { iterations: 2 }),
            "{index}: {error}"
        );
    }
    assert!(!checkpoint.exists());
    let mut read = Vec::new();
    learner.read(&mut read).unwrap();
    assert_eq!(read, metrics[..2]);
    assert_eq!(Snapshot::of(&learner), states[2]);
    assert_eq!(learner.iterate().unwrap(), metrics[2]);
}

/// The eighth iteration fails, in the window of iterations 6 to 10.
#[test]
fn what_fails_on_the_device_goes_back_to_before_the_window_and_can_go_on() {
    for start in [ChainStart::Persistent, ChainStart::Gaussian] {
        let config = config(start, Method::Adam);
        let (metrics, states) = one_by_one(&config, TensorEngine::default());
        for fault in [Fault::NotFinite, Fault::Device] {
            let is_divergence = matches!(fault, Fault::NotFinite);
            let engine = Ahead::failing(TensorEngine::default(), 8, fault);
            let mut learner = learner(&config, engine.clone());
            let mut watch = Watch::default();
            let error = run(&mut learner, &mut watch).unwrap_err();
            if is_divergence {
                assert!(
                    matches!(error, TrainerError::Diverged { iteration: 8, .. }),
                    "{error}"
                );
                assert_eq!(watch.diverged, Some(8));
            } else {
                assert!(error.to_string().contains("the device is gone"), "{error}");
                assert_eq!(watch.diverged, None);
            }
            // What is sound is told, up to the last.
            assert_eq!(watch.metrics, metrics[..7]);
            assert_eq!(watch.learner_at, [5; 7]);
            assert_eq!(engine.reads(), (1..=8).collect::<Vec<_>>());
            assert_eq!(Snapshot::of(&learner), states[5]);

            let mut watch = Watch::default();
            assert_eq!(run(&mut learner, &mut watch).unwrap(), Outcome::Finished);
            assert_eq!(watch.metrics, metrics[5..]);
            assert_eq!(Snapshot::of(&learner), states[12]);
        }
    }
}

/// The eighth launch is refused: the seventh iteration is sound, and the learner is there.
#[test]
fn what_fails_before_the_device_keeps_what_was_advanced() {
    let config = persistent();
    let (metrics, states) = one_by_one(&config, TensorEngine::default());
    let engine = Ahead::failing(TensorEngine::default(), 8, Fault::Refused);
    let mut learner = learner(&config, engine);
    let mut watch = Watch::default();
    let error = run(&mut learner, &mut watch).unwrap_err();
    assert!(
        matches!(error, TrainerError::Langevin(LangevinError::Lacking { .. })),
        "{error}"
    );
    assert_eq!(watch.metrics, metrics[..7]);
    assert_eq!(Snapshot::of(&learner), states[7]);
    run(&mut learner, &mut watch).unwrap();
    assert_eq!(watch.metrics, metrics);
    assert_eq!(Snapshot::of(&learner), states[12]);
}

#[test]
fn who_looks_is_given_the_state_of_that_iteration() {
    let config = persistent();
    let (metrics, states) = one_by_one(&config, TensorEngine::default());
    for every in [1, 3, 4, 7] {
        let mut looker = Watch {
            looks_every: Some(every),
            ..Watch::default()
        };
        let mut other = Watch::default();
        let mut learner = learner(&config, Ahead::new(TensorEngine::default()));
        Trainer::new()
            .metrics_every(5)
            .observer(&mut other)
            .observer(&mut looker)
            .run(&mut learner)
            .unwrap();
        assert_eq!(looker.seen.len() as u64, 12 / every);
        for (iteration, seen) in &looker.seen {
            assert_eq!(seen, &states[*iteration as usize]);
        }
        assert_eq!(other.metrics, metrics);
        let ends: &[u64] = match every {
            1 => &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12],
            3 => &[3, 3, 3, 6, 6, 6, 9, 9, 9, 12, 12, 12],
            4 => &[4, 4, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12],
            _ => &[5, 5, 5, 5, 5, 7, 7, 12, 12, 12, 12, 12],
        };
        assert_eq!(other.learner_at, ends, "looking every {every}");
    }
}

/// No iteration is as fast as nothing, and any faster than hours.
#[test]
fn slow_iterations_are_read_one_by_one_and_the_first_alone() {
    let hours = Duration::from_secs(100_000);
    let cases: [(Duration, &[u64]); 2] = [
        (Duration::ZERO, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]),
        (hours, &[1, 6, 6, 6, 6, 6, 11, 11, 11, 11, 11, 12]),
    ];
    for (within, ends) in cases {
        let mut watch = Watch::default();
        let mut learner = learner(&persistent(), Ahead::new(TensorEngine::default()));
        Trainer::new()
            .metrics_every(5)
            .metrics_within(within)
            .observer(&mut watch)
            .run(&mut learner)
            .unwrap();
        assert_eq!(watch.learner_at, ends);
    }
}

/// Observers that say nothing of it look at every iteration.
#[test]
fn who_does_not_say_so_looks_always() {
    struct Old(Vec<(u64, u64)>);
    impl Observer for Old {
        fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
            if let Event::IterationDone {
                metrics, learner, ..
            } = event
            {
                self.0.push((metrics.iteration, learner.iteration()));
            }
            Ok(())
        }
    }
    let mut old = Old(Vec::new());
    Trainer::new()
        .metrics_every(5)
        .observer(&mut old)
        .run(&mut learner(
            &persistent(),
            Ahead::new(TensorEngine::default()),
        ))
        .unwrap();
    assert_eq!(old.0, (1..=12).map(|i| (i, i)).collect::<Vec<_>>());
}

fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints {
        folder: folder.to_owned(),
        every: 4,
        keep: 9,
    }
}

/// Asked to stop, or cancelled, in the window of iterations 5 to 8.
#[test]
fn a_stop_within_a_window_is_resumed_without_a_trace() {
    let config = persistent();
    let (metrics, states) = one_by_one(&config, TensorEngine::default());
    let stop = Arc::new(AtomicBool::new(false));
    for (fault, stopped_after) in [(Fault::Stop(Arc::clone(&stop)), 7), (Fault::Cancelled, 6)] {
        let folder = tempfile::tempdir().unwrap();
        let engine = Ahead::failing(TensorEngine::default(), 7, fault);
        let mut first = learner(&config, engine);
        let mut watch = Watch::default();
        let outcome = Trainer::new()
            .metrics_every(5)
            .checkpoints(checkpoints(folder.path()))
            .stop_on(Arc::clone(&stop))
            .observer(&mut watch)
            .run(&mut first)
            .unwrap();
        stop.store(false, Ordering::Relaxed);
        let newest = latest_checkpoint(folder.path()).unwrap();
        assert_eq!(
            outcome,
            Outcome::Stopped {
                iteration: stopped_after,
                checkpoint: Some(newest.clone())
            }
        );
        assert_eq!(watch.checkpoints, [4, stopped_after]);
        let stopped_after = stopped_after as usize;
        assert_eq!(watch.metrics, metrics[..stopped_after]);
        assert_eq!(Snapshot::of(&first), states[stopped_after]);

        let engine = Ahead::new(TensorEngine::default());
        let mut second = learner(&config, engine).restore(&newest).unwrap();
        let mut watch = Watch::default();
        let outcome = Trainer::new()
            .metrics_every(5)
            .checkpoints(checkpoints(folder.path()))
            .observer(&mut watch)
            .run(&mut second)
            .unwrap();
        assert_eq!(outcome, Outcome::Finished);
        assert_eq!(watch.metrics, metrics[stopped_after..]);
        assert_eq!(watch.checkpoints, [8, 12]);
        assert_eq!(Snapshot::of(&second), states[12]);
    }
}
