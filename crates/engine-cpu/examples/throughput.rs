//! Chain steps per second of the published nets on this machine, for all vector instructions that it has.
//!
//! `cargo run -p ebm-engine-cpu --example throughput`

use std::time::Instant;

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use ebm_core::{NoiseKey, Stream};
use ebm_energy_net::{Architecture, NetConfig};
use ebm_engine_cpu::{FusedEngine, FusedPrecision, Instructions};
use ebm_langevin::{ChainRun, Chains, NoiseStart, Ula};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let cases = [
        (Architecture::Toy, [2, 1, 1], 1_000, 200),
        (Architecture::Vanilla, [3, 32, 32], 50, 10),
        (Architecture::Nonlocal, [3, 32, 32], 50, 10),
    ];
    for (architecture, shape, count, steps) in cases {
        let net = NetConfig::published(architecture);
        let net = net
            .init::<Autodiff<Flex>>(shape, 1, &Default::default())?
            .no_grad();
        let start =
            NoiseStart::Uniform.draw(1.0, NoiseKey::new(1, Stream::WatchStart, 0), count, shape)?;
        let precisions = [FusedPrecision::F32, FusedPrecision::Bf16];
        for (instructions, precision) in Instructions::available()
            .into_iter()
            .flat_map(|set| precisions.map(|precision| (set, precision)))
        {
            let Some(engine) = FusedEngine::with_instructions(instructions) else {
                continue;
            };
            let chains = engine.with_precision(precision).bind(&net, shape)?;
            let began = Instant::now();
            let after = chains.run(&start, &ChainRun::new(Ula::default(), steps))?;
            let rate = (count as u64 * steps) as f64 / began.elapsed().as_secs_f64();
            println!(
                "{architecture:?}, {instructions:?}, {precision:?}: {rate:.0} chain steps/s, r = {:.4}",
                after.gradient_magnitude
            );
        }
    }
    Ok(())
}
