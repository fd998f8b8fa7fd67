//! Correlations of d and r of a run, and what they say of its learning.
//!
//! ```sh
//! cargo run -p ebm-diagnostics --example autocorrelation [metrics.jsonl]
//! ```
//!
//! Without a metrics file it simulates 2,500 iterations in which d swings about zero.

use ebm_diagnostics::verdict::{LearningVerdict, VerdictOptions};
use ebm_diagnostics::{
    IterationMetrics, autocorrelation, finite_pairs, read_metrics, unit_mean_square,
    white_noise_band,
};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let metrics = match std::env::args().nth(1) {
        Some(path) => read_metrics(&path)?,
        None => (1..=2_500).map(swinging).collect(),
    };
    let (d, _) = finite_pairs(&metrics);
    let correlations = autocorrelation(&unit_mean_square(&d)?, 10)?;
    println!(
        "lag  correlation of d (white noise stays within ±{:.3})",
        white_noise_band(d.len())
    );
    for (lag, correlation) in correlations.iter().enumerate() {
        println!("{lag:3}  {correlation:+.3}");
    }
    println!(
        "{}",
        LearningVerdict::new(&metrics, &VerdictOptions::default())?
    );
    Ok(())
}

/// d alternates between contraction and expansion, r stays where it is.
fn swinging(iteration: u64) -> IterationMetrics {
    let t = iteration as f64;
    let d = 40.0 * (1.9 * t).sin() + 25.0 * (12.9898 * t).sin().fract();
    IterationMetrics {
        iteration,
        energy_difference: d,
        gradient_magnitude: 0.7 + 0.01 * (0.3 * t).sin(),
        energy_data: d,
        energy_samples: 0.0,
        learning_rate: 1e-4,
        acceptance_rate: None,
    }
}
