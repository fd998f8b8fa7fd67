//! Prints what the embedded digits and the toy densities look like in numbers, and draws the first 100 digits.
//!
//! `cargo run -p ebm-data --example look_at_data -- digits.png`

use std::error::Error;

use ebm_core::{NoiseKey, Stream};
use ebm_data::{Gmm, ImageConfig, Rings, Toy, embedded_digits};

const GRID: usize = 10;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(path) = std::env::args().nth(1) else {
        return Err("name the PNG file to write, such as digits.png".into());
    };
    let config = ImageConfig::default();
    let digits = embedded_digits(&config)?;
    println!(
        "embedded digits: {} images of shape {}",
        digits.count(),
        digits.states.shape()
    );
    print_moments("pixel", digits.states.values());

    let noise = NoiseKey::new(123, Stream::DataBatch, 0);
    for (name, toy) in [
        ("gmm", Toy::Gmm(Gmm::default())),
        ("rings", Toy::Rings(Rings::default())),
    ] {
        let points = toy.sample(&noise, 10_000);
        println!(
            "{name}: 10000 points, plotted over ±{}",
            toy.plot_extent().half_width
        );
        print_moments("coordinate", points.values());
        let entropy: f64 = points
            .iter()
            .map(|point| -toy.log_density([point[0].into(), point[1].into()]) / 10_000.0)
            .sum();
        println!("  mean −log density (entropy) {entropy:.3} nats");
    }

    let side = config.size;
    let picture = image::GrayImage::from_fn((GRID * side) as u32, (GRID * side) as u32, |x, y| {
        let (x, y) = (x as usize, y as usize);
        let index = y / side * GRID + x / side;
        let value = digits.states.values()[(index * side + y % side) * side + x % side];
        image::Luma([((value + 1.0) * 127.5).round() as u8])
    });
    picture.save(&path)?;
    println!("the first {} digits are in {path}", GRID * GRID);
    Ok(())
}

fn print_moments(what: &str, values: &[f32]) {
    let count = values.len() as f64;
    let mean = values.iter().map(|&value| f64::from(value)).sum::<f64>() / count;
    let variance = values
        .iter()
        .map(|&value| (f64::from(value) - mean).powi(2))
        .sum::<f64>()
        / count;
    println!(
        "  {what} mean {mean:.4}, standard deviation {:.4}",
        variance.sqrt()
    );
}
