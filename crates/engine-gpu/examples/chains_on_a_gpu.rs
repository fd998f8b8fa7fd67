//! Langevin chains of the toy net on the GPU that wgpu prefers, or on a software driver.
//!
//! `cargo run -p ebm-engine-gpu --features wgpu --example chains_on_a_gpu`

use burn::backend::{Autodiff, Flex};
use burn::module::Module;
use cubecl::wgpu::{WgpuDevice, WgpuRuntime};
use ebm_core::{NoiseKey, Stream};
use ebm_energy_net::{Architecture, NetConfig};
use ebm_engine_gpu::CubeEngine;
use ebm_langevin::{Engine, NoiseStart, Sampler, Ula};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let device = Default::default();
    let net = NetConfig::published(Architecture::Toy);
    let net = net.init::<Autodiff<Flex>>([2, 1, 1], 1, &device)?.no_grad();
    let engine = CubeEngine::on::<WgpuRuntime>(&WgpuDevice::default());
    let chains = Engine::<Autodiff<Flex>, _>::bind(&engine, net, 2.into(), &device)?;
    let start =
        NoiseStart::Gaussian.draw(1.0, NoiseKey::new(1, Stream::WatchStart, 0), 1_000, 2)?;
    let sampler = Sampler::new(Ula::default());
    sampler.run(&*chains, start, |record| println!("{record}"))?;
    Ok(())
}
