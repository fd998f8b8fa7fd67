//! Samples a double well of your own with Langevin chains and compares the histogram with the exact density.

use burn::backend::{Autodiff, Flex};
use burn::tensor::Tensor;
use ebm_langevin::{PointEnergy, Sampler, TensorEngine, Ula};

/// U(x) = 2 (x² − 1)² + x / 4 in nats: two wells, the left one a little deeper.
fn tilted_double_well(points: Tensor<Autodiff<Flex>, 2>) -> Tensor<Autodiff<Flex>, 1> {
    let x = points.squeeze_dim::<1>(1);
    (x.clone().powi_scalar(2) - 1.0).powi_scalar(2) * 2.0 + x / 4.0
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let energy = PointEnergy(tilted_double_well);
    let chains = TensorEngine::default().bind(energy, 1, &Default::default());
    let sampler = Sampler::new(Ula::on_potential(0.1)?)
        .with_steps(2_000)
        .with_record_every(500);
    let start = sampler.start(&chains, 20_000)?;
    let end = sampler.run(&chains, start, |record| println!("{record}"))?;
    let states = end.place.states;

    let density = |x: f64| (-(2.0 * (x * x - 1.0).powi(2) + x / 4.0)).exp();
    let integral = |from: f64, to: f64| -> f64 {
        let pieces = 200;
        let width = (to - from) / f64::from(pieces);
        (0..pieces)
            .map(|i| density(from + (f64::from(i) + 0.5) * width) * width)
            .sum()
    };
    let whole = integral(-3.0, 3.0);
    let share = |from: f64, to: f64| {
        let inside = states.values().iter().map(|x| f64::from(*x));
        let inside = inside.filter(|x| (from..to).contains(x)).count();
        inside as f64 / states.len() as f64
    };
    println!("    x            sampled   exact");
    for bin in -8..8 {
        let (from, to) = (f64::from(bin) * 0.2, f64::from(bin + 1) * 0.2);
        let sampled = share(from, to);
        let bar = "█".repeat((sampled * 300.0).round() as usize);
        println!(
            "{from:5.1} … {to:4.1}   {sampled:7.4}   {:6.4}  {bar}",
            integral(from, to) / whole
        );
    }
    println!(
        "left well: {:.4} of the chains, exactly {:.4}",
        share(f64::NEG_INFINITY, 0.0),
        integral(-3.0, 0.0) / whole
    );
    Ok(())
}
