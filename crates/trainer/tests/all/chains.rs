//! The kernel of the chains of learning, and chains of the bank that start anew.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;

use burn::backend::{Autodiff, Flex};
use ebm_core::{NoiseKey, States, StepSize, Stream};
use ebm_data::{Gmm, LoadedData, Toy};
use ebm_energy_net::{Architecture, Net, NetConfig};
use ebm_engine_cpu::FusedEngine;
use ebm_langevin::{
    AnyKernel, ChainRun, Engine, KernelName, Mala, NoiseStart, PersistentBank, TensorEngine, Ula,
};
use ebm_trainer::*;

type Cpu = Autodiff<Flex>;

const BANK: usize = 40;

fn config() -> LearningConfig {
    LearningConfig::for_toys()
        .with_batch_size(16)
        .with_langevin(
            LangevinConfig::default()
                .with_steps(5)
                .with_epsilon(StepSize::new(0.1).unwrap())
                .with_bank(BANK),
        )
}

fn learner(
    config: &LearningConfig,
    engine: Box<dyn Engine<Cpu, Net<Cpu>>>,
) -> Learner<Cpu, Net<Cpu>> {
    let net = NetConfig {
        width: 8,
        ..NetConfig::published(Architecture::Toy)
    };
    let net = net.init([2, 1, 1], 3, &Default::default()).unwrap();
    let data = LoadedData::Toy(Toy::Gmm(Gmm::default()));
    Learner::new(config.clone(), net, engine, data, Default::default()).unwrap()
}

fn engines() -> [Box<dyn Engine<Cpu, Net<Cpu>>>; 2] {
    [
        Box::new(TensorEngine::default()),
        Box::new(FusedEngine::default()),
    ]
}

/// The places and the states that the first iteration draws.
fn drawn(config: &LearningConfig) -> (Vec<usize>, States) {
    let key = |stream, iteration| NoiseKey::new(config.seed, stream, iteration);
    let bank = PersistentBank::uniform(BANK, [2, 1, 1], key(Stream::BankStart, 0));
    let places = bank
        .draw(config.batch_size, key(Stream::BankDraw, 1))
        .unwrap();
    let states = bank.gather(&places);
    (places, states)
}

#[test]
fn mala_is_learned_with_as_it_is_run() {
    for engine in engines() {
        let mut config = config();
        config.langevin = config.langevin.with_kernel(KernelName::Mala);
        // Fast, so that the energy soon bends within a step.
        config.optimizer = OptimizerConfig::adam(0.1);
        let mut learner = learner(&config, engine);
        let (places, start) = drawn(&config);
        // At the temperature T = ε²/2 that learning gives the energy.
        let epsilon = config.langevin.epsilon;
        let mala = Mala::new(epsilon, epsilon.learned_temperature()).unwrap();
        let run = ChainRun::new(mala, config.langevin.steps).with_noise(NoiseKey::new(
            config.seed,
            Stream::Langevin,
            1,
        ));
        let expected = learner.chains().run(&start, &run).unwrap();
        let metrics = learner.iterate().unwrap();
        assert_eq!(metrics.acceptance_rate, expected.acceptance_rate);
        assert_eq!(metrics.gradient_magnitude, expected.gradient_magnitude);
        assert_eq!(
            learner.bank().unwrap().unwrap().gather(&places),
            expected.states
        );
        let rejects = |_| learner.iterate().unwrap().acceptance_rate < Some(1.0);
        assert!((0..20).any(rejects), "nothing was rejected");
    }
}

#[test]
fn chains_that_take_every_step_have_no_acceptance_rate() {
    let mut learner = learner(&config(), Box::new(TensorEngine::default()));
    let metrics = learner.iterate().unwrap();
    assert_eq!(metrics.acceptance_rate, None);
    assert!(!metrics.to_json_line().unwrap().contains("acceptance"));
}

/// Some chains start at U(−1, 1) × factor and the others where they were; with probability 1 all start anew.
#[test]
fn a_share_of_the_bank_starts_anew() {
    for share in [0.0, 0.4, 1.0] {
        let mut config = config();
        config.langevin = config.langevin.with_bank_restart(share);
        config.langevin.start_factor = 3.0;
        let mut learner = learner(&config, Box::new(TensorEngine::default()));
        let (places, old) = drawn(&config);
        let key = NoiseKey::new(config.seed, Stream::ChainStart, 1);
        let fresh = NoiseStart::Uniform
            .draw(3.0, key, old.len(), [2, 1, 1])
            .unwrap();
        let mut decisions = vec![0.0; old.len()];
        key.uniforms(1, 0, 1, &mut decisions);
        let mut start = old.clone();
        let mut anew = BTreeSet::new();
        for (chain, row) in start.values_mut().chunks_mut(2).enumerate() {
            if f64::from(decisions[chain]) < share {
                row.copy_from_slice(fresh.get(chain).unwrap());
                anew.insert(chain);
            }
        }
        match share {
            0.0 => assert!(anew.is_empty()),
            1.0 => assert_eq!(anew.len(), old.len()),
            _ => assert!(anew.len() > 1 && anew.len() < old.len() - 1, "{anew:?}"),
        }
        let run = ChainRun::new(config.kernel(), config.langevin.steps).with_noise(NoiseKey::new(
            config.seed,
            Stream::Langevin,
            1,
        ));
        let expected = learner.chains().run(&start, &run).unwrap();
        learner.iterate().unwrap();
        assert_eq!(
            learner.bank().unwrap().unwrap().gather(&places),
            expected.states
        );
    }
}

/// Steps of another size have the temperature of learning; without noise nothing can be proposed.
#[test]
fn steps_of_other_sizes_keep_kernel_and_temperature() {
    let config = config();
    let temperature = config.langevin.epsilon.learned_temperature();
    let half = StepSize::new(0.05).unwrap();
    let step = |kernel, size| {
        let langevin = config.langevin.with_kernel(kernel);
        langevin.kernel_of_size(size, &config.stabilisers)
    };
    let ula = |size| AnyKernel::from(Ula::new(size, temperature));
    let mala = AnyKernel::from(Mala::new(half, temperature).unwrap());
    assert_eq!(step(KernelName::Ula, half), ula(half));
    assert_eq!(step(KernelName::Mala, half), mala);
    assert_eq!(step(KernelName::Mala, StepSize::ZERO), ula(StepSize::ZERO));
}
