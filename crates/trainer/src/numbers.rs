//! The numbers of an iteration, which may still be on the device.

use burn::tensor::Tensor;
use burn::tensor::backend::Backend;
use ebm_diagnostics::IterationMetrics;
use ebm_langevin::PendingNumber;

use crate::{DivergenceCause, TrainerError};

/// Mean F(x⁺) and mean F(x⁻).
pub(crate) enum MeanEnergies<B: Backend> {
    /// On the host already.
    Known([f64; 2]),
    /// On the device: F of all data, of which there are so many, and then of the samples. The mean is taken on the host in double
    /// precision, because d is the small difference of two means.
    Device(Tensor<B, 1>, usize),
}

impl<B: Backend> MeanEnergies<B> {
    /// Their values.
    pub(crate) fn read(self) -> Result<[f64; 2], TrainerError> {
        match self {
            Self::Known(means) => Ok(means),
            Self::Device(energies, data) => Ok(means(&host(energies)?, data)),
        }
    }

    /// The values of them all; one wait for a GPU, not one for each.
    pub(crate) fn read_all(all: Vec<Self>) -> Result<Vec<[f64; 2]>, TrainerError> {
        let on_device = all.iter().filter_map(|energies| match energies {
            Self::Known(_) => None,
            Self::Device(energies, _) => Some(energies.clone()),
        });
        let on_device: Vec<_> = on_device.collect();
        let values = if on_device.is_empty() {
            Vec::new()
        } else {
            host(Tensor::cat(on_device, 0))?
        };
        let mut rest = &values[..];
        let mut of_iteration = |energies: &Self| match energies {
            Self::Known(means) => *means,
            Self::Device(energies, data) => {
                let (own, others) = rest.split_at(energies.dims()[0]);
                rest = others;
                means(own, *data)
            }
        };
        Ok(all.iter().map(&mut of_iteration).collect())
    }
}

/// Of the first so many, and of the others.
pub(crate) fn means(energies: &[f32], data: usize) -> [f64; 2] {
    let mean = |values: &[f32]| {
        let sum: f64 = values.iter().map(|&value| f64::from(value)).sum();
        sum / values.len() as f64
    };
    let (of_data, of_samples) = energies.split_at(data.min(energies.len()));
    [mean(of_data), mean(of_samples)]
}

/// The values of a tensor, row by row. Waits for the device.
///
/// # Errors
/// [`TrainerError::Backend`] when the device has failed.
pub(crate) fn host<B: Backend, const D: usize>(
    tensor: Tensor<B, D>,
) -> Result<Vec<f32>, TrainerError> {
    let data = tensor.try_into_data();
    let data = data.map_err(|error| TrainerError::Backend(format!("{error:?}")))?;
    Ok(data.iter::<f32>().collect())
}

/// What becomes the [`IterationMetrics`] of an iteration, together with its mean energies.
pub(crate) struct Numbers {
    pub(crate) iteration: u64,
    pub(crate) learning_rate: f64,
    /// r.
    pub(crate) gradient_magnitude: PendingNumber,
}

/// How numbers are judged.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judgement {
    /// 1/T: d is measured in units of U = F/T.
    pub(crate) scale: f64,
    /// The largest |mean F(x⁺) − mean F(x⁻)| that is not taken for divergence.
    pub(crate) limit: f64,
}

impl Judgement {
    /// The metrics of an iteration that did not diverge.
    pub(crate) fn metrics(
        self,
        numbers: Numbers,
        [energy_data, energy_samples]: [f64; 2],
    ) -> Result<IterationMetrics, TrainerError> {
        let metrics = IterationMetrics {
            iteration: numbers.iteration,
            energy_difference: self.scale * (energy_data - energy_samples),
            gradient_magnitude: numbers.gradient_magnitude.read()?,
            energy_data,
            energy_samples,
            learning_rate: numbers.learning_rate,
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
        } else {
            None
        }
    }
}
