//! The numbers of an iteration, which may still be on the device.

use ebm_diagnostics::IterationMetrics;
use ebm_langevin::PendingNumber;

use crate::{DivergenceCause, TrainerError};

/// Mean F(x⁺) and mean F(x⁻): of the data, which come first, and of the samples. In double precision, because d is
/// the small difference of two means.
pub(crate) fn means(energies: &[f32], data: usize) -> [f64; 2] {
    let mean = |values: &[f32]| {
        let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
        sum / values.len() as f64
    };
    let (of_data, of_samples) = energies.split_at(data.min(energies.len()));
    [mean(of_data), mean(of_samples)]
}

/// The quantities that make the [`IterationMetrics`] of an iteration, together with its mean energies.
pub(crate) struct IterationNumbers {
    pub(crate) iteration: u64,
    pub(crate) learning_rate: f64,
    /// r.
    pub(crate) gradient_magnitude: PendingNumber,
    pub(crate) acceptance_rate: Option<f64>,
}

/// How numbers are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judgement {
    /// 1/T: d is measured in units of U = F/T.
    pub(crate) scale: f64,
    /// The largest |mean F(x⁺) − mean F(x⁻)| that does not count as divergence.
    pub(crate) limit: f64,
    /// The largest r that does not. Where there is noise, T = ε²/2, and r is how far a step is moved by the gradient.
    pub(crate) largest_drift: f64,
}

impl Judgement {
    /// The metrics of an iteration that did not diverge.
    pub(crate) fn metrics(
        self,
        numbers: IterationNumbers,
        [energy_data, energy_samples]: [f64; 2],
    ) -> Result<IterationMetrics, TrainerError> {
        let metrics = IterationMetrics {
            iteration: numbers.iteration,
            energy_difference: self.scale * (energy_data - energy_samples),
            gradient_magnitude: numbers.gradient_magnitude.read()?,
            energy_data,
            energy_samples,
            learning_rate: numbers.learning_rate,
            acceptance_rate: numbers.acceptance_rate,
        };
        match self.divergence(&metrics) {
            None => Ok(metrics),
            Some(cause) => Err(TrainerError::Diverged {
                iteration: metrics.iteration,
                cause,
            }),
        }
    }

    fn divergence(self, metrics: &IterationMetrics) -> Option<DivergenceCause> {
        let difference = metrics.energy_data - metrics.energy_samples;
        let numbers = [
            difference,
            metrics.energy_difference,
            metrics.gradient_magnitude,
        ];
        if !numbers.iter().all(|number| number.is_finite()) {
            Some(DivergenceCause::NotFinite {
                energy_data: metrics.energy_data,
                energy_samples: metrics.energy_samples,
                gradient_magnitude: metrics.gradient_magnitude,
            })
        } else if difference.abs() > self.limit {
            let limit = self.limit;
            Some(DivergenceCause::EnergyDifference { difference, limit })
        } else if metrics.gradient_magnitude > self.largest_drift {
            Some(DivergenceCause::Gradient {
                gradient_magnitude: metrics.gradient_magnitude,
                limit: self.largest_drift,
            })
        } else {
            None
        }
    }
}
