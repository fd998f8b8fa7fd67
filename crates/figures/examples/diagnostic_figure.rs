//! Prints the correlations of a run and draws the four-panel figure.
//!
//! ```sh
//! cargo run -p ebm-figures --example diagnostic_figure -- out.png [metrics.jsonl epsilon]
//! ```
//!
//! Without a metrics file it simulates 2,500 iterations in which d swings about zero and r drifts.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use ebm_diagnostics::{
    IterationMetrics, RunSummary, SummaryOptions, autocorrelation, finite_pairs,
    partial_autocorrelation, read_complete_metrics, settled_window, standardise, unit_mean_square,
    white_noise_band,
};
use ebm_figures::plot::{DiagnosticOptions, diagnostic_figure};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let usage = "usage: diagnostic_figure OUT.png [METRICS.jsonl EPSILON]";
    let out = arguments.next().ok_or(usage)?;
    let (title, metrics, noise) = match arguments.next() {
        None => ("simulated run".to_owned(), simulate(2_500), 0.75),
        Some(path) => {
            let noise = arguments.next().ok_or(usage)?.parse()?;
            let file = read_complete_metrics(&path)?;
            if let Some(line) = file.torn_line {
                eprintln!("{path}: line {line} is torn and was left out");
            }
            (path, file.records, noise)
        }
    };

    let options = SummaryOptions {
        noise,
        ..SummaryOptions::default()
    };
    let mut text = String::new();
    writeln!(text, "{}\n", RunSummary::from_metrics(&metrics, &options)?)?;

    let (d, r) = finite_pairs(settled_window(&metrics, options.window));
    let lags = 15.min(d.len() - 1);
    let of_d = autocorrelation(&unit_mean_square(&d)?, lags)?;
    let of_r = autocorrelation(&standardise(&r)?, lags)?;
    let partial = partial_autocorrelation(&standardise(&r)?, lags)?;
    writeln!(text, "lag   autocorrelation of d   of r     partial of r")?;
    for (lag, ((d, r), partial)) in of_d.iter().zip(&of_r).zip(&partial).enumerate() {
        writeln!(text, "{lag:>3}   {d:>20.3}   {r:>6.3}   {partial:>12.3}")?;
    }
    writeln!(
        text,
        "white noise stays within ±{:.3}",
        white_noise_band(d.len())
    )?;

    let options = DiagnosticOptions {
        title,
        noise,
        ..DiagnosticOptions::default()
    };
    diagnostic_figure(&metrics, &options)?.write_png(&out)?;
    writeln!(text, "wrote {out}")?;
    std::io::stdout().write_all(text.as_bytes())?;
    Ok(())
}

/// Autoregressive series: d overshoots at every iteration, r drifts and follows d a little.
fn simulate(iterations: u64) -> Vec<IterationMetrics> {
    let mut state = 1_u64;
    // The sum of twelve uniforms of a linear congruential generator is close to normal.
    let mut normal = move || {
        (0..12)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 11) as f64 / (1_u64 << 53) as f64
            })
            .sum::<f64>()
            - 6.0
    };
    let (mut d, mut drift) = (0.0, 0.0);
    (1..=iterations)
        .map(|iteration| {
            d = -0.5 * d + 0.2 * normal();
            // Learning starts far from balance.
            let spike = if iteration < 6 {
                8.0 / iteration as f64
            } else {
                0.0
            };
            drift = 0.97 * drift + 0.008 * normal();
            IterationMetrics {
                iteration,
                energy_difference: d + spike,
                gradient_magnitude: 0.8 + drift + 0.02 * d,
                energy_data: -0.1 * d,
                energy_samples: 0.1 * d,
                learning_rate: 1e-4,
                acceptance_rate: None,
            }
        })
        .collect()
}
