//! log Z of a double well by annealing from both sides, beside its closed form.
//!
//! `cargo run -p ebm-langevin --example log_partition`

use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use ebm_core::{NoiseKey, Stream, Temperature};
use ebm_langevin::{
    Annealed, Annealing, AnnealingOptions, Chains, GaussianBase, LogMean, PointEnergy, States,
    TensorEngine,
};

/// The standard deviation of each well; they lie at ±1.5.
const WIDTH: f64 = 0.3;
const CHAINS: usize = 500;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // U(x) = (|x| − 1.5)²/2σ² in nats.
    let energy = PointEnergy(|x: Tensor<Autodiff<Flex>, 2>| {
        let square = (x.abs() - 1.5).powi_scalar(2) / (2.0 * WIDTH * WIDTH);
        square.sum_dim(1).squeeze_dim::<1>(1)
    });
    let chains = TensorEngine::default().bind(energy, 1, &Default::default());
    let base = GaussianBase::new(1, vec![0.0], vec![1.5])?;
    let options = AnnealingOptions {
        rungs: 300,
        ..AnnealingOptions::default()
    };
    let path = Annealing::tuned(&chains, base, Temperature::ONE, &options)?;

    let up = path.forward(&chains, CHAINS, 1)?;
    let down = path.reverse(&chains, samples(&chains)?, 1)?;
    let base = path.base_log_partition();
    // The two wells barely meet.
    let exact = (2.0 * WIDTH * std::f64::consts::TAU.sqrt()).ln();
    println!("from the Gaussian: log Z = {}", told(&up, base, 1.0));
    println!("from the samples:  log Z = {}", told(&down, base, -1.0));
    println!("exact:             log Z = {exact:.3}");
    Ok(())
}

/// Independent samples of both wells.
fn samples(chains: &dyn Chains) -> Result<States, Box<dyn std::error::Error>> {
    let mut values = vec![0.0f32; CHAINS];
    NoiseKey::new(7, Stream::ChainStart, 0).normals(0, 0, 1, &mut values);
    for (chain, value) in values.iter_mut().enumerate() {
        let centre = if chain % 2 == 0 { -1.5 } else { 1.5 };
        *value = centre + WIDTH as f32 * *value;
    }
    Ok(States::new(chains.shape(), values)?)
}

fn told(annealed: &Annealed, base: f64, sign: f64) -> String {
    match LogMean::of(&annealed.log_weights) {
        Some(mean) => format!(
            "{:.3} ± {:.3}",
            base + sign * mean.value,
            mean.standard_error
        ),
        None => "not finite".into(),
    }
}
