//! The record of the chains at a step.

use ebm_diagnostics::quantile;
use ebm_langevin::Swaps;
use serde::{Deserialize, Serialize};

/// The chains at one step, and since the record before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Langevin steps taken.
    pub step: u64,
    /// Mean of U = F/T over the chains, in nats.
    pub mean_energy: f64,
    /// Standard deviation of U over the chains.
    pub energy_spread: f64,
    /// The 10 %, 50 % and 90 % quantiles of U over the chains.
    pub energy_quantiles: [f64; 3],
    /// r, mean ‖∇F‖₂ over the chains and over all steps since the record before; none at the start.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gradient_magnitude: Option<f64>,
    /// Accepted proposals over all proposals since the record before; none at the start and for ULA.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub acceptance_rate: Option<f64>,
    /// Exchanges of each pair of neighbouring temperatures since the record before, the coldest pair first; none but for
    /// parallel tempering.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub swaps: Vec<Swaps>,
    /// Share of the elements of all states beyond [−1.5, 1.5]: this is farther from the range of image data, [−1, 1],
    /// than the data noise reaches.
    pub saturation: f64,
}

impl Record {
    /// For a progress bar.
    pub(super) fn in_a_word(&self) -> String {
        format!("mean U {:.2}", self.mean_energy)
    }

    /// The record of chains with energies U, in nats, and their states. None if a number is not finite.
    pub(crate) fn of(step: u64, energies: &[f64], states: &[f32]) -> Option<Self> {
        let finite =
            energies.iter().all(|u| u.is_finite()) && states.iter().all(|value| value.is_finite());
        if !finite || energies.is_empty() {
            return None;
        }
        let count = energies.len() as f64;
        let mean = energies.iter().sum::<f64>() / count;
        let squares: f64 = energies.iter().map(|u| (u - mean).powi(2)).sum();
        let mut sorted = energies.to_vec();
        sorted.sort_by(f64::total_cmp);
        let beyond = states.iter().filter(|value| value.abs() > 1.5).count();
        Some(Self {
            step,
            mean_energy: mean,
            energy_spread: (squares / (count - 1.0).max(1.0)).sqrt(),
            energy_quantiles: [0.1, 0.5, 0.9].map(|share| quantile(&sorted, share)),
            gradient_magnitude: None,
            acceptance_rate: None,
            swaps: Vec::new(),
            saturation: beyond as f64 / states.len().max(1) as f64,
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_record_sums_up_energies_and_states() {
        let record = Record::of(7, &[1.0, 2.0, 3.0, 4.0, 5.0], &[0.5, -1.6, 2.0, 1.2]).unwrap();
        assert_eq!((record.step, record.mean_energy), (7, 3.0));
        assert_eq!(record.energy_spread, 2.5f64.sqrt());
        assert_eq!(record.energy_quantiles, [1.4, 3.0, 4.6]);
        assert_eq!(record.saturation, 0.5);
        assert_eq!(Record::of(1, &[3.0], &[0.0]).unwrap().energy_spread, 0.0);
        assert_eq!(Record::of(1, &[f64::NAN], &[0.0]), None);
        assert_eq!(Record::of(1, &[1.0], &[f32::INFINITY]), None);
    }
}
