//! The densities of a toy run side by side: the true one, the learned one, and an estimate from short-run samples.

use ebm_core::{States, Temperature};
use ebm_data::Toy;
use ebm_diagnostics::{
    DensityGrid, kernel_density, kl_divergence, points_from_flat, total_variation,
};
use ebm_figures::plot::{Figure, Landscape, LineFigure, LineSeries, density_figure, line_figure};
use ebm_langevin::{Chains, LangevinError};
use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::config::DensityPlotConfig;

/// The caption of the figure.
pub(crate) const CAPTION: &str = "The true density q, the learned density exp(−U) normalised on the grid, and a \
    kernel density estimate of short-run samples (the bank, for persistent chains); below, their logarithms.";

/// The net to compare with the true density.
pub(crate) struct LearnedDensity<'a> {
    /// The true density.
    pub(crate) toy: &'a Toy,
    /// T of p(x) ∝ exp(−F(x)/T).
    pub(crate) temperature: Temperature,
    /// Learning iterations of the net.
    pub(crate) iteration: u64,
}

/// F of the points of the plot grid.
pub(crate) struct GridEnergies {
    /// Under the net.
    pub(crate) newest: Vec<f64>,
    /// The same under the average of its parameters, if the run keeps one.
    pub(crate) average: Option<Vec<f64>>,
}

/// Points of the plane as states, `[points, 2]`.
pub(crate) fn flat(points: &[[f64; 2]]) -> Vec<f32> {
    let axes = points.iter().flatten();
    axes.map(|axis| *axis as f32).collect()
}

/// F of points of the plane, `[points, 2]`.
pub(crate) fn energies_of(
    chains: &dyn Chains,
    points: &[f32],
) -> Result<Vec<f64>, ExperimentError> {
    let points = States::new(2, points.to_vec()).map_err(LangevinError::from)?;
    Ok(chains
        .energies(&points)?
        .into_iter()
        .map(f64::from)
        .collect())
}

/// A comparison of densities: its numbers and its picture.
pub(crate) struct LandscapeResult {
    /// The six panels.
    pub(crate) figure: Figure,
    /// The distances.
    pub(crate) record: DensityRecord,
}

/// How far the densities lie apart on the plot grid.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DensityRecord {
    /// Learning iterations of the net.
    pub iteration: u64,
    /// Of the learned density.
    pub learned: DensityDistance,
    /// The distances of the learned density under the average of the parameters, if the run keeps one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average: Option<DensityDistance>,
    /// Total variation between q and the density estimate of short-run samples, from 0 to 1. Their KL divergence
    /// would be infinite wherever the estimate vanishes.
    pub sampled_total_variation: f64,
    /// The share of the learned density's mass that is nearest to each Gaussian or ring; all are equal in q. Empty in
    /// records of version 0.1.0.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub learned_weights: Vec<f64>,
    /// The same shares of the samples themselves.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sampled_weights: Vec<f64>,
}

/// How far a density p on the grid is from the true density q.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DensityDistance {
    /// KL(q‖p) in nats; none when it is infinite.
    pub kl_divergence: Option<f64>,
    /// Total variation, from 0 to 1.
    pub total_variation: f64,
}

impl DensityDistance {
    fn between(truth: &DensityGrid, density: &DensityGrid) -> Result<Self, ExperimentError> {
        Ok(Self {
            kl_divergence: Some(kl_divergence(truth, density)?).filter(|kl| kl.is_finite()),
            total_variation: total_variation(truth, density)?,
        })
    }

    /// KL(q‖p) in nats, perhaps infinite.
    #[must_use]
    pub fn divergence(&self) -> f64 {
        self.kl_divergence.unwrap_or(f64::INFINITY)
    }
}

impl LearnedDensity<'_> {
    /// Compares on the plot grid. `energies` is asked for F of points of the plane, `[points, 2]`; `samples` are
    /// short-run samples of the same shape.
    pub(crate) fn compare(
        &self,
        config: &DensityPlotConfig,
        energies: impl FnOnce(&[f32]) -> Result<GridEnergies, ExperimentError>,
        samples: &[f32],
    ) -> Result<LandscapeResult, ExperimentError> {
        let (toy, resolution) = (self.toy, config.resolution);
        let half_width = toy.plot_extent().half_width;
        let truth =
            DensityGrid::from_log_density(resolution, half_width, |x, y| toy.log_density([x, y]))?;
        let centres = DensityGrid::cell_centres(resolution, half_width)?;
        let density = |energies: Vec<f64>| {
            let log_values = energies
                .into_iter()
                .map(|energy| -energy / self.temperature.get())
                .collect();
            DensityGrid::from_log_values(resolution, half_width, log_values)
        };
        let energies = energies(&flat(&centres))?;
        let learned = density(energies.newest)?;
        let average = energies.average.map(density).transpose()?;
        let samples = points_from_flat(samples)?;
        let masses = centres.into_iter().zip(learned.cell_probabilities());
        let learned_weights = group_weights(toy, masses);
        let each = 1.0 / samples.len().max(1) as f64;
        let sampled_weights = group_weights(toy, samples.iter().map(|point| (*point, each)));
        let short_run = kernel_density(&samples, config.bandwidth, resolution, half_width)?;
        let record = DensityRecord {
            iteration: self.iteration,
            learned: DensityDistance::between(&truth, &learned)?,
            average: average
                .map(|average| DensityDistance::between(&truth, &average))
                .transpose()?,
            sampled_total_variation: total_variation(&truth, &short_run)?,
            learned_weights,
            sampled_weights,
        };
        let title = format!(
            "After {} iterations: the learned density is {:.3} nats (KL) from the true one",
            self.iteration,
            record.learned.divergence()
        );
        let figure = density_figure(&Landscape {
            title: &title,
            truth: &truth,
            learned: &learned,
            short_run: &short_run,
        })?;
        Ok(LandscapeResult { figure, record })
    }
}

/// The mass of points that is nearest to each Gaussian or ring.
fn group_weights(toy: &Toy, points: impl Iterator<Item = ([f64; 2], f64)>) -> Vec<f64> {
    let mut weights = vec![0.0; toy.groups()];
    for (point, mass) in points {
        weights[toy.nearest_group(point)] += mass;
    }
    weights
}

/// The weights of the Gaussians or rings while learning, as total variations: of the learned density and of the samples
/// from equal weights, and between these two. None where fewer than two plots tell it.
pub(crate) fn weights_figure(every: u64, records: &[DensityRecord]) -> Option<Figure> {
    let apart = |a: &[f64], b: &[f64]| {
        let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs());
        differences.sum::<f64>() / 2.0
    };
    let unequal =
        |weights: &[f64]| apart(weights, &vec![1.0 / weights.len() as f64; weights.len()]);
    let regular = records
        .iter()
        .filter(|record| record.iteration.is_multiple_of(every.max(1)));
    let regular: Vec<_> = regular.collect();
    let first_step = regular.first()?.iteration;
    if regular.len() < 2
        || regular
            .iter()
            .any(|record| record.learned_weights.is_empty())
    {
        return None;
    }
    let curve = |name: &str, value: &dyn Fn(&DensityRecord) -> f64| LineSeries {
        name: name.to_owned(),
        values: regular.iter().map(|record| value(record)).collect(),
    };
    line_figure(&LineFigure {
        title: "Weights of the modes (total variation)".to_owned(),
        x_label: "learning iteration".to_owned(),
        first_step,
        stride: every.max(1),
        series: vec![
            curve("learned density from equal weights", &|record| {
                unequal(&record.learned_weights)
            }),
            curve("samples from equal weights", &|record| {
                unequal(&record.sampled_weights)
            }),
            curve("learned density from samples", &|record| {
                apart(&record.learned_weights, &record.sampled_weights)
            }),
        ],
        reference: None,
    })
    .ok()
}

/// Distances of a run while it learned, for [`divergence_figure`].
pub(crate) struct Divergences<'a> {
    /// How the figure calls the run, where there are several.
    pub(crate) name: &'a str,
    /// Iterations between two density plots.
    pub(crate) every: u64,
    pub(crate) records: &'a [DensityRecord],
}

/// KL(q‖p_θ) over learning, at every interval that all runs have; none where nobody has two values.
pub(crate) fn divergence_figure(runs: &[Divergences<'_>]) -> Option<Figure> {
    let every = runs
        .iter()
        .map(|run| run.every.max(1))
        .try_fold(1, least_common_multiple)?;
    let mut series = Vec::new();
    for run in runs {
        // The end of a run, or of a part of one, may lie between.
        let at = |iteration| run.records.iter().find(|r| r.iteration == iteration);
        let last = run.records.last().map_or(0, |record| record.iteration) / every;
        let mut curve = |name: String, distance: fn(&DensityRecord) -> Option<DensityDistance>| {
            let value = |place: u64| {
                let distance = at(place * every).and_then(distance);
                distance.map_or(f64::NAN, |distance| distance.divergence())
            };
            let values: Vec<f64> = (1..=last).map(value).collect();
            if values.iter().any(|value| value.is_finite()) {
                series.push(LineSeries { name, values });
            }
        };
        let name = |parameters: &str| match runs {
            [_] => parameters.to_owned(),
            _ => format!("{}, {parameters}", run.name),
        };
        curve(name("last θ"), |record| Some(record.learned));
        curve(name("average of θ"), |record| record.average);
    }
    line_figure(&LineFigure {
        title: "KL divergence of the learned density from the true one (nats)".to_owned(),
        x_label: "learning iteration".to_owned(),
        first_step: every,
        stride: every,
        series,
        reference: None,
    })
    .ok()
}

fn least_common_multiple(a: u64, b: u64) -> Option<u64> {
    let (mut divisor, mut rest) = (a, b);
    while rest > 0 {
        (divisor, rest) = (rest, divisor % rest);
    }
    (a / divisor).checked_mul(b)
}
