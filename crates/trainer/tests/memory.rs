//! Memory of a long run; alone in its program, because other tests would be measured too.
#![cfg(target_os = "linux")]
#![allow(missing_docs, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use ebm_core::{States, StepSize};
use ebm_data::{DataConfig, Gmm, LoadedData, Toy};
use ebm_energy_net::{Architecture, Net, NetConfig};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{ChainRun, ChainStart, Chains, Engine, TensorEngine, Ula};
use ebm_trainer::{
    LangevinConfig, Learner, LearningConfig, Method, OptimizerConfig, Recovery, Stabilisers,
};

type B = Autodiff<Flex>;

/// Megabytes.
fn resident() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kilobytes = line.unwrap().split_whitespace().next().unwrap();
    kilobytes.parse::<f64>().unwrap() / 1e3
}

fn net(architecture: Architecture, width: usize, shape: [usize; 3]) -> Net<B> {
    let config = NetConfig {
        width,
        ..NetConfig::published(architecture)
    };
    config.init(shape, 3, &Default::default()).unwrap()
}

fn learner(
    architecture: Architecture,
    engine: impl Engine<B, Net<B>> + 'static,
    batch_size: usize,
    steps: u64,
) -> Learner<B, Net<B>> {
    let data = match architecture {
        Architecture::Toy => LoadedData::Toy(Toy::Gmm(Gmm::default())),
        _ => {
            let config = r#"{"source": "embedded-digits", "size": 32, "limit": 100}"#;
            let config: DataConfig = serde_json::from_str(config).unwrap();
            config.load(".".as_ref()).unwrap()
        }
    };
    let config = LearningConfig {
        seed: 7,
        iterations: 300,
        batch_size,
        data_noise: 0.0,
        data_noise_decay: 1.0,
        minimum_data_noise: 0.0,
        langevin: LangevinConfig {
            steps,
            epsilon: StepSize::new(0.1).unwrap(),
            start: ChainStart::Gaussian,
            start_factor: 1.0,
            bank_size: None,
            ..LangevinConfig::default()
        },
        optimizer: OptimizerConfig {
            method: Method::Adam,
            learning_rate: 1e-6,
            minimum_learning_rate: 0.0,
            decay: 1.0,
            averaging: None,
            ..OptimizerConfig::adam(1.0)
        },
        divergence_limit: 1e9,
        stabilisers: Stabilisers::default(),
        recovery: Recovery::default(),
    };
    let net = net(architecture, 8, data.shape());
    Learner::new(config, net, engine, data, Default::default()).unwrap()
}

/// How much memory grows over 200 iterations of each learner in turn, after 100.
fn growth_of_learning(learners: &mut [Learner<B, Net<B>>]) -> f64 {
    let mut iterate = |times| {
        for _ in 0..times {
            for learner in learners.iter_mut() {
                learner.iterate().unwrap();
            }
        }
    };
    iterate(100);
    let before = resident();
    iterate(200);
    resident() - before
}

/// How much memory grows over a million steps of 100 chains, after a thousand.
fn growth_of_chains() -> f64 {
    let kernel = Ula::learned(StepSize::new(0.1).unwrap());
    let run = |steps| ChainRun::new(kernel, steps).with_final_energies();
    let net = net(Architecture::Toy, 4, [2, 1, 1]);
    let chains = FusedEngine::default().bind(&net, 2).unwrap();
    let start = States::zeros(2, 100);
    chains.run(&start, &run(1_000)).unwrap();
    let before = resident();
    chains.run(&start, &run(1_000_000)).unwrap();
    resident() - before
}

/// A graph that survived each of the 20,000 tensor steps would hold its activations: 600 MB here. 48 MB are allowed for
/// the allocator. The fused engine keeps its buffers, also for two batch sizes in turn.
#[test]
fn memory_does_not_grow() {
    let tensor = learner(Architecture::Toy, TensorEngine::default(), 64, 100);
    let growth = growth_of_learning(&mut [tensor]);
    assert!(growth < 48.0, "tensor learning grew by {growth:.0} MB");
    let engine = FusedEngine::default();
    let mut fused = [8, 40].map(|batch| learner(Architecture::Vanilla, engine.clone(), batch, 2));
    let growth = growth_of_learning(&mut fused);
    assert!(growth < 8.0, "fused learning grew by {growth:.0} MB");
    let growth = growth_of_chains();
    assert!(growth < 1.0, "a million fused steps grew by {growth:.0} MB");
}
