//! Samples an own double well with Langevin chains and compares the histogram with the exact density.

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, NoiseKey, StepSize, Stream, Temperature};
use ebm_langevin::{ChainRun, Engine, NoiseStart, TensorEngine, Ula};

/// U(x) = 2 (x² − 1)² + x / 4 in nats: two wells, the left one a little deeper.
struct TiltedDoubleWell;

impl<B: Backend> Energy<B> for TiltedDoubleWell {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let x = states.flatten::<1>(0, 3);
        (x.clone().powi_scalar(2) - 1.0).powi_scalar(2) * 2.0 + x / 4.0
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let chains = 20_000;
    let start =
        NoiseStart::Gaussian.draw(1.0, NoiseKey::new(1, Stream::WatchStart, 0), chains, 1)?;
    let initial = Tensor::<Flex, 1>::from_floats(start.as_slice(), &Default::default())
        .reshape([chains, 1, 1, 1]);
    let run = ChainRun {
        kernel: Ula::new(StepSize::new(0.1)?, Temperature::ONE).into(),
        steps: 2_000,
        first_step: 0,
        noise: NoiseKey::new(1, Stream::Watch, 0),
        final_energies: false,
    };
    let outcome = Engine::<Autodiff<Flex>, _>::run(
        &TensorEngine::default(),
        &TiltedDoubleWell,
        initial,
        &run,
    )?;
    let states = outcome.states.into_data().to_vec::<f32>()?;

    let density = |x: f64| (-(2.0 * (x * x - 1.0).powi(2) + x / 4.0)).exp();
    let integral = |from: f64, to: f64| -> f64 {
        let pieces = 200;
        let width = (to - from) / f64::from(pieces);
        (0..pieces)
            .map(|i| density(from + (f64::from(i) + 0.5) * width) * width)
            .sum()
    };
    let whole = integral(-3.0, 3.0);
    println!("    x            sampled   exact");
    for bin in -8..8 {
        let (from, to) = (f64::from(bin) * 0.2, f64::from(bin + 1) * 0.2);
        let inside = states
            .iter()
            .filter(|&&x| (from..to).contains(&f64::from(x)))
            .count();
        let sampled = inside as f64 / chains as f64;
        let bar = "█".repeat((sampled * 300.0).round() as usize);
        println!(
            "{from:5.1} … {to:4.1}   {sampled:7.4}   {:6.4}  {bar}",
            integral(from, to) / whole
        );
    }
    let left = states.iter().filter(|&&x| x < 0.0).count() as f64 / chains as f64;
    println!(
        "left well: {left:.4} of the chains, exactly {:.4}",
        integral(-3.0, 0.0) / whole
    );
    Ok(())
}
