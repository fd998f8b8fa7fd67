//! What a learning iteration costs beside its Langevin steps, with the fused engine on this machine; image nets learn the
//! embedded digits, 1×32×32: `cargo run -p ebm-benches --example learning_iteration`.

use std::time::Instant;

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use ebm_core::{NoiseKey, StepSize, Stream};
use ebm_data::{DataConfig, Dataset, Gmm, Toy};
use ebm_energy_net::{Architecture, NetConfig};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{ChainRun, ChainStart, Chains, NoiseStart, Ula};
use ebm_trainer::{LangevinConfig, Learner, LearningConfig, Method, OptimizerConfig};

type B = Autodiff<Flex>;
type Failure = Box<dyn std::error::Error>;

/// Name, net, chains, L, ε, optimiser, timed iterations.
const CASES: [(&str, Architecture, usize, u64, f64, Method, usize); 4] = [
    (
        "gmm_convergent",
        Architecture::Toy,
        100,
        500,
        0.125,
        Method::Sgd,
        101,
    ),
    (
        "vanilla, published sizes",
        Architecture::Vanilla,
        100,
        150,
        0.01,
        Method::Adam,
        5,
    ),
    (
        "nonlocal, published sizes",
        Architecture::Nonlocal,
        100,
        500,
        0.0075,
        Method::Sgd,
        3,
    ),
    (
        "short-run",
        Architecture::Vanilla,
        32,
        30,
        0.01,
        Method::Adam,
        21,
    ),
];

fn main() -> Result<(), Failure> {
    for (name, architecture, batch_size, steps, epsilon, method, repeats) in CASES {
        let data = match architecture {
            Architecture::Toy => Dataset::Toy(Toy::Gmm(Gmm::default())),
            _ => {
                serde_json::from_str::<DataConfig>(r#"{"source": "embedded-digits", "size": 32}"#)?
                    .load(".".as_ref())?
            }
        };
        let epsilon = StepSize::new(epsilon)?;
        let (start, optimizer) = match method {
            Method::Sgd => (ChainStart::Persistent, OptimizerConfig::sgd(1e-5)),
            Method::Adam => (ChainStart::Uniform, OptimizerConfig::adam(1e-5)),
        };
        let langevin = LangevinConfig::default()
            .with_steps(steps)
            .with_epsilon(epsilon)
            .with_start(start);
        let config = LearningConfig {
            divergence_limit: 1e9,
            ..LearningConfig::default()
                .with_seed(1)
                .with_iterations(repeats as u64)
                .with_batch_size(batch_size)
                .with_data_noise(if data.len().is_some() { 0.1 } else { 0.0 })
                .with_langevin(langevin)
                .with_optimizer(optimizer)
        };
        let (shape, device) = (data.shape(), Default::default());
        let net = NetConfig::published(architecture).init::<B>(shape, 3, &device)?;
        let frozen = net.clone().no_grad();
        let engine = FusedEngine::default();
        let mut learner = Learner::new(config, net, engine, data, device)?;

        let key = NoiseKey::new(0, Stream::WatchStart, 0);
        let start = NoiseStart::Uniform.draw(1.0, key, batch_size, shape)?;
        let run = ChainRun::new(Ula::learned(epsilon), steps);
        // Bound to the net beforehand: only the steps are timed.
        let bound = FusedEngine::default().bind(&frozen, shape)?;
        let (mut iterations, mut chains) = (Vec::new(), Vec::new());
        for _ in 0..repeats {
            iterations.push(milliseconds(|| Ok(learner.iterate()?))?);
            chains.push(milliseconds(|| Ok(bound.run(&start, &run)?))?);
        }
        let (iteration, chains) = (median(iterations), median(chains));
        println!(
            "{name}: iteration {iteration:.2} ms, its {steps} steps {chains:.2} ms, ratio {:.3}",
            iteration / chains
        );
    }
    Ok(())
}

fn milliseconds<T>(mut what: impl FnMut() -> Result<T, Failure>) -> Result<f64, Failure> {
    let start = Instant::now();
    what()?;
    Ok(1e3 * start.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
