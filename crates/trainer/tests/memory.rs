//! Memory of a long run; alone in its program, because other tests would be measured too.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_data::{Dataset, Gmm, Toy};
use ebm_energy_net::{Architecture, Net, NetConfig};
use ebm_langevin::{ChainRun, ChainStart, Engine, FusedEngine, TensorEngine, Ula};
use ebm_trainer::{LangevinConfig, Learner, LearningConfig, Method, OptimizerConfig};

type B = Autodiff<Flex>;

/// Megabytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().next().unwrap();
    kilobytes.parse::<f64>().unwrap() / 1e3
}

fn net(width: usize) -> Net<B> {
    let config = NetConfig {
        width,
        ..NetConfig::published(Architecture::Toy)
    };
    config.init([2, 1, 1], 3, &Default::default()).unwrap()
}

/// How much memory grows over 200 iterations of 100 steps, after 100 iterations.
fn growth_of_learning<E: Engine<B, Net<B>>>(engine: E) -> f64 {
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
    let data = Dataset::Toy(Toy::Gmm(Gmm::default()));
    let mut learner = Learner::new(config, net(8), engine, data, Default::default()).unwrap();
    for _ in 0..100 {
        learner.iterate().unwrap();
    }
    let before = resident();
    for _ in 0..200 {
        learner.iterate().unwrap();
    }
    resident() - before
}

/// How much memory grows over a million steps of 100 chains, after a thousand.
fn growth_of_chains() -> f64 {
    let run = |steps| ChainRun {
        kernel: Ula::learned(StepSize::new(0.1).unwrap()),
        steps,
        first_step: 0,
        noise: NoiseKey::new(7, Stream::Watch, 0),
        final_energies: true,
    };
    let engine: &dyn Engine<B, Net<B>> = &FusedEngine::default();
    let net = net(4);
    let start = Tensor::<Flex, 4>::zeros([100, 2, 1, 1], &Default::default());
    engine.run(&net, start.clone(), &run(1_000)).unwrap();
    let before = resident();
    engine.run(&net, start, &run(1_000_000)).unwrap();
    resident() - before
}

/// A graph that survived each of the 20,000 tensor steps would hold its activations: 600 MB here. 48 MB are allowed for
/// the allocator. The fused engine asks for nothing once it has its buffers.
#[test]
fn memory_does_not_grow() {
    let growth = growth_of_learning(TensorEngine::default());
    assert!(growth < 48.0, "tensor learning grew by {growth:.0} MB");
    let growth = growth_of_learning(FusedEngine::default());
    assert!(growth < 4.0, "fused learning grew by {growth:.0} MB");
    let growth = growth_of_chains();
    assert!(growth < 1.0, "a million fused steps grew by {growth:.0} MB");
}
