//! A summary of `d` and `r` of a run, in numbers and in words.

use std::fmt;

use crate::correlation::{autocorrelation, standardise, white_noise_band};
use crate::metrics::finite_pairs;
use crate::number_format::{number, thousands};
use crate::{DiagnosticsError, IterationMetrics, Result, settled_window};

/// How to summarise a run.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SummaryOptions {
    /// Number of latest iterations that count, never more than half of the run; the paper's plots use 2,000.
    pub window: usize,
    /// ε, the standard deviation of the Langevin noise per step and coordinate; 0 for noise-free
    /// sampling.
    pub noise: f64,
    /// Number of coordinates of a state, when known; the noise then also gets a length, ε√dim.
    pub state_dimension: Option<usize>,
}

impl Default for SummaryOptions {
    fn default() -> Self {
        Self {
            window: 2_000,
            noise: 0.0,
            state_dimension: None,
        }
    }
}

/// Mean, spread and memory of one series.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SeriesSummary {
    /// Mean of the finite values.
    pub mean: f64,
    /// Standard deviation of the finite values (divisor n).
    pub standard_deviation: f64,
    /// Autocorrelation at lag 1 of the centred finite values (0 for a constant series).
    pub first_lag_autocorrelation: f64,
}

/// Numbers about the last window of a run; its [`Display`](fmt::Display) is a text of three lines.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RunSummary {
    /// Iteration number of the last record.
    pub last_iteration: u64,
    /// Number of records summarised.
    pub iterations: usize,
    /// Records left out of the window because d or r was not finite.
    pub dropped: usize,
    /// d, in U units (nats; F units when ε = 0).
    pub energy_difference: SeriesSummary,
    /// Fraction of iterations with d < 0, whose update expands the energy gap.
    pub expanding_fraction: f64,
    /// r, in F units per unit of state: the mean distance that the gradient moves a state per
    /// Langevin step.
    pub gradient_magnitude: SeriesSummary,
    /// Mean share of the proposals that were accepted, for kernels that propose.
    pub acceptance_rate: Option<f64>,
    /// ε, as given.
    pub noise: f64,
    /// ε√dim, the root mean square distance that the noise moves a state per Langevin step.
    pub noise_norm: Option<f64>,
}

impl RunSummary {
    /// Summarises the [`settled_window`] of the records. Records whose d or r is not finite are left
    /// out and counted.
    ///
    /// # Errors
    /// [`DiagnosticsError::SeriesTooShort`] when fewer than 2 usable records remain and
    /// [`DiagnosticsError::Parameter`] when ε is negative or not finite.
    pub fn from_metrics(metrics: &[IterationMetrics], options: &SummaryOptions) -> Result<Self> {
        if !(options.noise >= 0.0 && options.noise.is_finite()) {
            return Err(DiagnosticsError::Parameter {
                name: "noise",
                value: options.noise.to_string(),
                requirement: "a standard deviation has to be finite and not negative",
            });
        }
        let window = settled_window(metrics, options.window);
        let (d, r) = finite_pairs(window);
        if d.len() < 2 {
            return Err(DiagnosticsError::SeriesTooShort {
                what: "the window of finite metrics",
                length: d.len(),
                needed: 2,
            });
        }
        Ok(Self {
            last_iteration: window.last().map_or(0, |m| m.iteration),
            iterations: d.len(),
            dropped: window.len() - d.len(),
            energy_difference: summarise(&d)?,
            expanding_fraction: d.iter().filter(|d| **d < 0.0).count() as f64 / d.len() as f64,
            gradient_magnitude: summarise(&r)?,
            acceptance_rate: mean(window.iter().filter_map(|m| m.acceptance_rate)),
            noise: options.noise,
            noise_norm: options
                .state_dimension
                .filter(|dimension| *dimension > 0)
                .map(|dimension| options.noise * (dimension as f64).sqrt()),
        })
    }

    /// Whether expansion and contraction balance: the mean of d is within half a standard
    /// deviation of zero.
    #[must_use]
    pub fn is_balanced(&self) -> bool {
        self.energy_difference.mean.abs() <= 0.5 * self.energy_difference.standard_deviation
    }

    fn balance(&self) -> &'static str {
        if self.is_balanced() {
            "expansion and contraction are balanced (|mean| ≤ ½ sd)"
        } else if self.energy_difference.mean < 0.0 {
            "expansion prevails: the data mostly lie lower than the samples"
        } else {
            "contraction prevails: the samples mostly lie lower than the data"
        }
    }
}

/// None of no values.
fn mean(values: impl Iterator<Item = f64> + Clone) -> Option<f64> {
    let count = values.clone().count();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

impl fmt::Display for RunSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (d, r) = (&self.energy_difference, &self.gradient_magnitude);
        write!(
            f,
            "d: mean {}, sd {} over the last {} iterations",
            number(d.mean),
            number(d.standard_deviation),
            thousands(self.iterations as u64),
        )?;
        if self.dropped > 0 {
            write!(
                f,
                " with finite values ({} dropped)",
                thousands(self.dropped as u64)
            )?;
        }
        writeln!(
            f,
            "; {:.0} % of the updates expand: {}.",
            100.0 * self.expanding_fraction,
            self.balance()
        )?;
        write!(
            f,
            "r: mean {}, sd {}",
            number(r.mean),
            number(r.standard_deviation)
        )?;
        match (self.noise > 0.0, self.noise_norm) {
            (false, _) => writeln!(f, "; the sampler adds no noise.")?,
            (true, None) => writeln!(
                f,
                "; ε = {} is the noise per coordinate, whereas r is a length over all coordinates.",
                number(self.noise)
            )?,
            (true, Some(norm)) => writeln!(
                f,
                ", the distance the gradient moves a state per Langevin step; the noise moves it \
                 {} (ε√dim, ε = {}), so r is {} times the noise.",
                number(norm),
                number(self.noise),
                number(r.mean / norm)
            )?,
        }
        write!(
            f,
            "Lag-1 autocorrelation: d {}, r {} (white noise: ±{:.2}). d and r describe how learning \
             is balanced; they do not decide whether long-run samples converge to the data.",
            signed(d.first_lag_autocorrelation),
            signed(r.first_lag_autocorrelation),
            white_noise_band(self.iterations),
        )
    }
}

fn summarise(series: &[f64]) -> Result<SeriesSummary> {
    // Dividing first keeps sums of huge values finite.
    let n = series.len() as f64;
    let mean: f64 = series.iter().map(|x| x / n).sum();
    let largest = series.iter().fold(0.0, |m: f64, x| m.max((x - mean).abs()));
    let standard_deviation = if largest == 0.0 {
        0.0
    } else {
        let squares = series.iter().map(|x| ((x - mean) / largest).powi(2));
        largest * (squares.sum::<f64>() / n).sqrt()
    };
    Ok(SeriesSummary {
        mean,
        standard_deviation,
        first_lag_autocorrelation: autocorrelation(&standardise(series)?, 1)?[1],
    })
}

fn signed(value: f64) -> String {
    format!("{value:.2}").replace('-', "−")
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn metrics(d: impl IntoIterator<Item = f64>) -> Vec<IterationMetrics> {
        (1..)
            .zip(d)
            .map(|(iteration, d)| IterationMetrics {
                iteration,
                energy_difference: d,
                gradient_magnitude: 0.8,
                energy_data: 0.0,
                energy_samples: 0.0,
                learning_rate: 1e-4,
                acceptance_rate: None,
            })
            .collect()
    }

    #[test]
    fn a_balanced_run_reads_as_such() {
        let d = (0..5000).map(|t| if t % 2 == 0 { 0.3 } else { -0.1 });
        let options = SummaryOptions {
            noise: 0.01,
            state_dimension: Some(10_000),
            ..SummaryOptions::default()
        };
        let summary = RunSummary::from_metrics(&metrics(d), &options).unwrap();
        assert_eq!((summary.iterations, summary.last_iteration), (2000, 5000));
        assert!((summary.energy_difference.mean - 0.1).abs() < 1e-12);
        assert!((summary.energy_difference.standard_deviation - 0.2).abs() < 1e-12);
        assert_eq!(summary.expanding_fraction, 0.5);
        assert!(summary.energy_difference.first_lag_autocorrelation < -0.99);
        assert_eq!(summary.gradient_magnitude.first_lag_autocorrelation, 0.0);
        let text = summary.to_string();
        assert_eq!(text.lines().count(), 3);
        assert!(text.contains("over the last 2,000 iterations; 50 % of the updates expand: expansion and contraction are balanced"), "{text}");
        assert!(text.contains("so r is 0.8 times the noise"), "{text}");
    }

    #[test]
    fn one_sided_runs_and_dropped_values_are_told() {
        // Only the second half of so short a run counts.
        let d = [9.0, 9.0, 9.0, -5.0, -5.1, f64::NAN, -4.9];
        let summary = RunSummary::from_metrics(&metrics(d), &SummaryOptions::default()).unwrap();
        let text = summary.to_string();
        assert!(
            text.contains("expansion prevails") && text.contains("(1 dropped)"),
            "{text}"
        );
        assert!(text.contains("the sampler adds no noise"), "{text}");
        let huge = [1e308, 1.1e308, 1.5e308];
        let summary = RunSummary::from_metrics(&metrics(huge), &SummaryOptions::default()).unwrap();
        assert!(summary.energy_difference.standard_deviation.is_finite());
        assert!(summary.to_string().contains("contraction prevails"));
    }

    /// Of the second half, 0.4, 0.6 and none.
    #[test]
    fn the_acceptance_rate_is_that_of_the_window() {
        let mut metrics = metrics([1.0, 2.0, 1.0, 2.0, 1.0, 2.0]);
        assert_eq!(rate(&metrics), None);
        for (metrics, rate) in metrics.iter_mut().zip([0.1, 0.1, 0.1, 0.4, 0.6]) {
            metrics.acceptance_rate = Some(rate);
        }
        assert_eq!(rate(&metrics), Some(0.5));
        fn rate(metrics: &[IterationMetrics]) -> Option<f64> {
            let summary = RunSummary::from_metrics(metrics, &SummaryOptions::default());
            summary.unwrap().acceptance_rate
        }
    }

    #[test]
    fn too_little_is_an_error() {
        let options = SummaryOptions::default();
        assert!(RunSummary::from_metrics(&metrics([1.0, f64::NAN]), &options).is_err());
        assert!(RunSummary::from_metrics(&[], &options).is_err());
        let negative = SummaryOptions {
            noise: -1.0,
            ..options
        };
        assert!(RunSummary::from_metrics(&metrics([1.0, 2.0]), &negative).is_err());
    }
}
