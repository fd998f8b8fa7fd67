//! Memory of a long run; alone in its program, because other tests would be measured too.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use ebm_core::StepSize;
use ebm_data::{Dataset, Gmm, Toy};
use ebm_energy_net::{Architecture, NetConfig};
use ebm_langevin::{ChainStart, TensorEngine};
use ebm_trainer::{LangevinConfig, Learner, LearningConfig, Method, OptimizerConfig};

/// A graph that survived each of 20,000 steps would hold its activations: 600 MB here. 48 MB are allowed for the allocator.
#[test]
fn no_graph_survives_a_step() {
    let resident = || -> f64 {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kilobytes = line.unwrap().split_whitespace().next().unwrap();
        kilobytes.parse::<f64>().unwrap() / 1e3
    };
    let config = LearningConfig {
        seed: 7,
        iterations: 300,
        batch_size: 64,
        data_noise: 0.0,
        langevin: LangevinConfig {
            steps: 100,
            epsilon: StepSize::new(0.1).unwrap(),
            start: ChainStart::Gaussian,
            start_factor: 1.0,
            bank_size: None,
        },
        optimizer: OptimizerConfig {
            method: Method::Adam,
            learning_rate: 1e-4,
            minimum_learning_rate: 0.0,
            decay: 1.0,
        },
        divergence_limit: 1e3,
    };
    let net = NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    }
    .init::<Autodiff<Flex>>([2, 1, 1], 3, &Default::default())
    .unwrap();
    let data = Dataset::Toy(Toy::Gmm(Gmm::default()));
    let engine = TensorEngine::default();
    let mut learner = Learner::new(config, net, engine, data, Default::default()).unwrap();
    for _ in 0..100 {
        learner.iterate().unwrap();
    }
    let before = resident();
    for _ in 0..200 {
        learner.iterate().unwrap();
    }
    let growth = resident() - before;
    assert!(growth < 48.0, "memory grew by {growth:.0} MB");
}
