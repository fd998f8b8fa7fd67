//! Learning that runs away, goes back and tries again.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use burn::backend::{Autodiff, Flex};
use burn::module::{Module, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use ebm_core::{Energy, StepSize};
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_energy_net::{Architecture, Net, NetConfig, named_parameters};
use ebm_langevin::{ChainStart, TensorEngine};
use ebm_trainer::*;
use tempfile::TempDir;

type B = Autodiff<Flex>;

/// Iterations of a run here.
const TOTAL: u64 = 30;

fn config(start: ChainStart) -> LearningConfig {
    let chains = LangevinConfig::default()
        .with_steps(4)
        .with_epsilon(StepSize::new(0.1).unwrap())
        .with_start(start);
    let chains = match start {
        ChainStart::Persistent => chains.with_bank(40),
        _ => chains,
    };
    LearningConfig::for_toys()
        .with_seed(5)
        .with_iterations(TOTAL)
        .with_batch_size(16)
        .with_langevin(chains)
        .with_optimizer(OptimizerConfig {
            decay: 0.99,
            minimum_learning_rate: 9e-3,
            ..OptimizerConfig::adam(1e-2)
        })
}

fn learner(config: &LearningConfig) -> Learner<B, Net<B>> {
    let net = NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    };
    let device = Default::default();
    Learner::new(
        config.clone(),
        net.init([2, 1, 1], 3, &device).unwrap(),
        TensorEngine::default(),
        LoadedData::Toy(Toy::Gmm(Gmm::default())),
        device,
    )
    .unwrap()
}

fn checkpoints(folder: &Path) -> Checkpoints {
    Checkpoints {
        folder: folder.to_owned(),
        every: 2,
        keep: 1,
    }
}

/// What was told, and copies of the checkpoints as they are right after each recovery.
#[derive(Default)]
struct Watch {
    /// Iteration and learning rate of the iterations that were not undone.
    done: Vec<(u64, f64)>,
    /// |mean F(data) − mean F(samples)| of the same.
    differences: Vec<f64>,
    /// Which iteration was given up, and back to which.
    recovered: Vec<(u64, u64)>,
    copies: Option<(PathBuf, Vec<TempDir>)>,
    /// Raises the flag after so many iterations, undone ones included.
    stop: Option<(u64, Arc<AtomicBool>)>,
    told: u64,
}

impl Observer for Watch {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        match event {
            Event::IterationDone { metrics, .. } => {
                self.done.push((metrics.iteration, metrics.learning_rate));
                self.differences
                    .push((metrics.energy_data - metrics.energy_samples).abs());
                self.told += 1;
                if let Some((at, flag)) = &self.stop {
                    flag.store(self.told == *at, Ordering::Relaxed);
                }
            }
            Event::Recovered {
                iteration, learner, ..
            } => {
                let back_to = learner.iteration();
                self.recovered.push((*iteration, back_to));
                self.done.retain(|(iteration, _)| *iteration <= back_to);
                if let Some((folder, copies)) = &mut self.copies {
                    copies.push(copy_of(folder));
                }
            }
            _ => {}
        }
        Ok(())
    }
}

fn copy_of(folder: &Path) -> TempDir {
    let copy = tempfile::tempdir().unwrap();
    for checkpoint in fs::read_dir(folder).unwrap() {
        let checkpoint = checkpoint.unwrap();
        let to = copy.path().join(checkpoint.file_name());
        fs::create_dir(&to).unwrap();
        for file in fs::read_dir(checkpoint.path()).unwrap() {
            let file = file.unwrap();
            fs::copy(file.path(), to.join(file.file_name())).unwrap();
        }
    }
    copy
}

/// Learns from the newest checkpoint in `folder`, if there is one; returns θ at the end.
fn learn(config: &LearningConfig, folder: &Path, watch: &mut Watch) -> (Outcome, Vec<f32>) {
    let mut learner = learner(config);
    if let Ok(newest) = latest_checkpoint(folder) {
        learner = learner.restore(&newest).unwrap();
    }
    let stop = watch.stop.as_ref().map(|(_, flag)| Arc::clone(flag));
    let outcome = Trainer::new()
        .checkpoints(checkpoints(folder))
        .observer(watch)
        .stop_on(stop.unwrap_or_default())
        .run(&mut learner)
        .unwrap();
    let parameters = named_parameters(learner.net());
    (
        outcome,
        parameters.into_iter().flat_map(|p| p.values).collect(),
    )
}

/// Settings under which an iteration between 12 and 20 counts as run away: the limit lies just below its difference of
/// energies, which is larger than all before.
fn that_runs_away(start: ChainStart) -> (LearningConfig, u64) {
    for seed in 1..100 {
        let config = config(start).with_seed(seed);
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::default();
        learn(&config, folder.path(), &mut watch);
        let until = &watch.differences[..20];
        let (at, largest) = until
            .iter()
            .enumerate()
            .max_by(|a, b| a.1.total_cmp(b.1))
            .unwrap();
        if at >= 11 {
            let config = LearningConfig {
                divergence_limit: largest * 0.999,
                recovery: Recovery {
                    attempts: 50,
                    distance: 5,
                    ..Recovery::default()
                },
                ..config
            };
            return (config, at as u64 + 1);
        }
    }
    panic!("no seed has its largest difference late");
}

const STARTS: [ChainStart; 2] = [ChainStart::Uniform, ChainStart::Persistent];

#[test]
fn a_run_that_ran_away_goes_back_far_enough_and_reaches_its_end() {
    for start in STARTS {
        let (config, at) = that_runs_away(start);
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch::default();
        let (outcome, _) = learn(&config, folder.path(), &mut watch);
        assert_eq!(outcome, Outcome::Finished);
        // Checkpoints lie at even iterations and one is kept; those at multiples of six are kept for recoveries.
        let (given_up, back_to) = watch.recovered[0];
        assert_eq!(given_up, at);
        assert_eq!(back_to, (at - 5) / 6 * 6);
        let told: Vec<u64> = watch.done.iter().map(|(iteration, _)| *iteration).collect();
        assert_eq!(told, (1..=TOTAL).collect::<Vec<_>>());
        let newest = latest_checkpoint(folder.path()).unwrap();
        let attempt = read_checkpoint_info(&newest).unwrap().attempt;
        assert_eq!(attempt.number as usize, watch.recovered.len());
        // The newest, and at most two for another recovery.
        assert!(fs::read_dir(folder.path()).unwrap().count() <= 3);
    }
}

/// Whether it is stopped after any of its iterations or killed right after a recovery, the outcome is the same.
#[test]
fn a_run_with_recoveries_is_resumed_exactly() {
    for start in STARTS {
        let (config, _) = that_runs_away(start);
        let folder = tempfile::tempdir().unwrap();
        let mut watch = Watch {
            copies: Some((folder.path().to_owned(), Vec::new())),
            ..Watch::default()
        };
        let (_, expected) = learn(&config, folder.path(), &mut watch);
        let (_, copies) = watch.copies.unwrap();
        assert!(!copies.is_empty());
        for copy in &copies {
            let (_, resumed) = learn(&config, copy.path(), &mut Watch::default());
            assert!(resumed == expected, "after a kill at a recovery");
        }
        for at in 1..watch.told {
            let folder = tempfile::tempdir().unwrap();
            let mut stopped = Watch {
                stop: Some((at, Arc::default())),
                ..Watch::default()
            };
            let (outcome, _) = learn(&config, folder.path(), &mut stopped);
            assert!(matches!(outcome, Outcome::Stopped { .. }), "{at}");
            let (outcome, resumed) = learn(&config, folder.path(), &mut Watch::default());
            assert_eq!(outcome, Outcome::Finished);
            assert!(resumed == expected, "stopped after {at} iterations");
        }
    }
}

#[test]
fn each_recovery_lowers_the_rate_and_its_floor() {
    let (mut config, _) = that_runs_away(ChainStart::Uniform);
    config.recovery.learning_rate_factor = 0.5;
    let folder = tempfile::tempdir().unwrap();
    let mut watch = Watch::default();
    learn(&config, folder.path(), &mut watch);
    let factor = 0.5f64.powi(watch.recovered.len() as i32);
    let back_to = watch.recovered.last().unwrap().1;
    for (iteration, rate) in watch.done {
        if iteration > back_to {
            let plain = (1e-2 * 0.99f64.powi(iteration as i32 - 1)).max(9e-3);
            assert!(
                (rate / (plain * factor) - 1.0).abs() < 1e-12,
                "{iteration}: {rate}"
            );
        }
    }
}

#[test]
fn steps_grow_by_the_factor_of_every_recovery() {
    let recovery = Recovery {
        steps_factor: 1.5,
        ..Recovery::default()
    };
    let first = Attempt::default();
    let second = first.next(&recovery, 7);
    assert_eq!(
        [
            first.steps(10),
            second.steps(10),
            second.next(&recovery, 7).steps(10)
        ],
        [10, 15, 23]
    );
    let short = Recovery {
        steps_factor: 1e-9,
        ..Recovery::default()
    };
    assert_eq!(first.next(&short, 7).steps(10), 1);
}

#[test]
fn without_attempts_left_a_run_ends_as_it_always_did() {
    let (mut config, at) = that_runs_away(ChainStart::Uniform);
    config.recovery.attempts = 0;
    let folder = tempfile::tempdir().unwrap();
    let mut learner = learner(&config);
    let ended = Trainer::new()
        .checkpoints(checkpoints(folder.path()))
        .run(&mut learner)
        .unwrap_err();
    assert!(
        matches!(ended, TrainerError::Diverged { iteration, .. } if iteration == at),
        "{ended}"
    );
}

/// F(x) = θ · x, whose r is ‖θ‖.
#[derive(Module, Debug)]
struct Slope<B: Backend> {
    theta: Param<Tensor<B, 1>>,
}

impl<B: Backend> Energy<B> for Slope<B> {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let weighted = states.flatten::<2>(1, 3) * self.theta.val().unsqueeze_dim::<2>(0);
        weighted.sum_dim(1).squeeze_dim::<1>(1)
    }
}

/// The noise of a step has the length 0.1·√2, so the limit is 14.14.
#[test]
fn a_gradient_that_drowns_the_noise_is_a_divergence_though_energies_are_finite() {
    for (length, is_sound) in [(14.0, true), (14.3, false)] {
        let config = LearningConfig {
            divergence_limit: 1e30,
            ..config(ChainStart::Uniform)
        };
        let device = Default::default();
        let net = Slope::<B> {
            theta: Param::from_tensor(Tensor::from_floats([length, 0.0], &device)),
        };
        let data = LoadedData::Toy(Toy::Gmm(Gmm::default()));
        let mut learner = Learner::new(config, net, TensorEngine::default(), data, device).unwrap();
        match learner.iterate() {
            Ok(_) => assert!(is_sound, "{length}"),
            Err(TrainerError::Diverged {
                iteration: 1,
                cause: DivergenceCause::Gradient { limit, .. },
            }) => {
                assert!(!is_sound, "{length}");
                assert!((limit - 10.0 * 2f64.sqrt()).abs() < 1e-6, "{limit}");
            }
            Err(other) => panic!("{other}"),
        }
    }
}
