//! The measures that only toy densities allow: the learned density itself, and the modes that samples reach.

use ebm_data::Toy;
use ebm_diagnostics::{
    CoverageOptions, ModeCoverage, mode_coverage, points_from_flat, ring_coverage,
};
use ebm_figures::plot::Figure;
use ebm_langevin::Chains;
use serde::{Deserialize, Serialize};

use super::Starts;
use crate::ExperimentError;
use crate::landscape::{GridEnergies, LearnedDensity, energies_of};

/// The quality of a net for a toy density. Distances are taken on the plot grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PlaneQuality {
    /// KL(q‖p_θ) in nats; none when it is infinite.
    pub kl_divergence: Option<f64>,
    /// Total variation between q and p_θ, from 0 to 1.
    pub learned_total_variation: f64,
    /// Total variation between q and the density estimate of short-run samples.
    pub sampled_total_variation: f64,
    /// Short-run samples, from where learning starts its chains.
    pub samples: usize,
    /// How these samples are spread over the Gaussians, by their centres, or the rings, by their radius.
    pub modes: ModeCoverage,
}

/// Compares the learned density and short-run samples with the truth.
pub(crate) fn judge_plane(
    toy: &Toy,
    starts: &Starts<'_>,
    net: &dyn Chains,
) -> Result<(PlaneQuality, Figure), ExperimentError> {
    let subject = starts.subject;
    let samples = starts.short_run_samples(net)?;
    let learned = LearnedDensity {
        toy,
        temperature: subject.config.langevin.epsilon.learned_temperature(),
        iteration: subject.iteration,
    };
    let energies = |points: &[f32]| {
        Ok(GridEnergies {
            newest: energies_of(net, points)?,
            average: None,
        })
    };
    let landscape = learned.compare(
        &subject.config.landscape.unwrap_or_default(),
        energies,
        samples.values(),
    )?;
    let points = points_from_flat(samples.values())?;
    let quality = PlaneQuality {
        kl_divergence: landscape.record.learned.kl_divergence,
        learned_total_variation: landscape.record.learned.total_variation,
        sampled_total_variation: landscape.record.sampled_total_variation,
        samples: points.len(),
        modes: coverage(toy, &points)?,
    };
    Ok((quality, landscape.figure))
}

fn coverage(toy: &Toy, points: &[[f64; 2]]) -> Result<ModeCoverage, ExperimentError> {
    let options = |standard_deviation| CoverageOptions {
        standard_deviation,
        ..CoverageOptions::default()
    };
    Ok(match toy {
        Toy::Gmm(gmm) => {
            let centres: Vec<_> = (0..gmm.groups).map(|group| gmm.mean(group)).collect();
            mode_coverage(points, &centres, &options(gmm.sd))?
        }
        Toy::Rings(rings) => {
            let radii: Vec<_> = (1..=rings.groups)
                .map(|ring| ring as f64 * rings.radius)
                .collect();
            ring_coverage(points, &radii, &options(rings.sd))?
        }
    })
}
