//! The densities of a toy run side by side: the true one, the learned one, and an estimate from short-run samples.

use ebm_core::Temperature;
use ebm_data::Toy;
use ebm_diagnostics::plot::{Figure, Landscape, landscape_figure};
use ebm_diagnostics::{
    DensityGrid, kernel_density, kl_divergence, points_from_flat, total_variation,
};

use crate::config::LandscapeConfig;
use crate::error::DriverError;

/// What the figure shows.
pub(crate) const CAPTION: &str = "The true density q, the learned density exp(−U) normalised on the grid, and a kernel density estimate of short-run samples; below, their logarithms.";

/// The net to compare with the true density.
pub(crate) struct LearnedDensity<'a> {
    /// The true density.
    pub(crate) toy: &'a Toy,
    /// T of p(x) ∝ exp(−F(x)/T).
    pub(crate) temperature: Temperature,
    /// Learning iterations of the net.
    pub(crate) iteration: u64,
}

/// How far the densities lie apart, and their picture.
pub(crate) struct LandscapeResult {
    /// Iteration it was made at.
    pub(crate) iteration: u64,
    /// The six panels.
    pub(crate) figure: Figure,
    /// KL(q‖p_θ) on the plot grid, in nats.
    pub(crate) learned_divergence: f64,
    /// Total variation between q and the density estimate of short-run samples on the plot grid, from 0 to 1. Their KL
    /// divergence would be infinite wherever the estimate vanishes.
    pub(crate) sampled_distance: f64,
    /// Total variation between q and the learned density.
    pub(crate) learned_distance: f64,
}

impl LearnedDensity<'_> {
    /// Compares on the plot grid. `energies` gives F of points of the plane, `[points, 2]`; `samples` are short-run
    /// samples of the same shape.
    pub(crate) fn compare(
        &self,
        config: &LandscapeConfig,
        energies: impl FnOnce(&[f32]) -> Result<Vec<f64>, DriverError>,
        samples: &[f32],
    ) -> Result<LandscapeResult, DriverError> {
        let (toy, resolution) = (self.toy, config.resolution);
        let half_width = toy.plot_extent().half_width;
        let truth =
            DensityGrid::from_log_density(resolution, half_width, |x, y| toy.log_density([x, y]))?;
        let centres: Vec<f32> = DensityGrid::cell_centres(resolution, half_width)?
            .into_iter()
            .flat_map(|point| point.map(|axis| axis as f32))
            .collect();
        let log_values = energies(&centres)?
            .into_iter()
            .map(|energy| -energy / self.temperature.get())
            .collect();
        let learned = DensityGrid::from_log_values(resolution, half_width, log_values)?;
        let samples = points_from_flat(samples)?;
        let short_run = kernel_density(&samples, config.bandwidth, resolution, half_width)?;
        let learned_divergence = kl_divergence(&truth, &learned)?;
        let title = format!(
            "After {} iterations: the learned density is {learned_divergence:.3} nats (KL) from the true one",
            self.iteration
        );
        let figure = landscape_figure(&Landscape {
            title: &title,
            truth: &truth,
            learned: &learned,
            short_run: &short_run,
        })?;
        Ok(LandscapeResult {
            iteration: self.iteration,
            figure,
            learned_divergence,
            sampled_distance: total_variation(&truth, &short_run)?,
            learned_distance: total_variation(&truth, &learned)?,
        })
    }
}
