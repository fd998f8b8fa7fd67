//! For toy densities: true, learned and sampled density side by side.

use std::path::PathBuf;

use ebm_core::{NoiseKey, Stream};
use ebm_diagnostics::plot::{Figure, Landscape, landscape_figure};
use ebm_diagnostics::{
    DensityGrid, kernel_density, kl_divergence, points_from_flat, total_variation,
};
use ebm_trainer::{Event, LearnerView, Observer, ObserverError};

use crate::config::LandscapeConfig;
use crate::error::DriverError;
use crate::run_folder::RunFolder;

/// Plots the landscape at an interval and at the end, and remembers the last one for the report.
pub(crate) struct LandscapePlots {
    folder: RunFolder,
    config: LandscapeConfig,
    last: Option<LandscapeResult>,
}

/// The last landscape of a run.
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

impl LandscapePlots {
    pub(crate) fn new(folder: &RunFolder, config: LandscapeConfig) -> Self {
        Self {
            folder: folder.clone(),
            config,
            last: None,
        }
    }

    /// The landscape of the last plot.
    pub(crate) fn last(&self) -> Option<&LandscapeResult> {
        self.last.as_ref()
    }

    fn path(&self, iteration: u64) -> PathBuf {
        let name = format!("landscape-{iteration:08}.png");
        self.folder.root().join("plots").join(name)
    }

    /// Draws the landscape of a net as it is.
    pub(crate) fn draw(&mut self, learner: &dyn LearnerView) -> Result<(), DriverError> {
        let Some(toy) = learner.dataset().toy() else {
            return Ok(());
        };
        let resolution = self.config.resolution;
        let half_width = toy.plot_extent().half_width;
        let truth =
            DensityGrid::from_log_density(resolution, half_width, |x, y| toy.log_density([x, y]))?;
        let centres: Vec<f32> = DensityGrid::cell_centres(resolution, half_width)?
            .into_iter()
            .flat_map(|point| point.map(|axis| axis as f32))
            .collect();
        let temperature = learner.config().langevin.epsilon.learned_temperature();
        let log_values = learner
            .energies(&centres)?
            .into_iter()
            .map(|energy| -energy / temperature.get())
            .collect();
        let learned = DensityGrid::from_log_values(resolution, half_width, log_values)?;
        let samples = points_from_flat(&self.short_run_samples(learner)?)?;
        let short_run = kernel_density(&samples, self.config.bandwidth, resolution, half_width)?;
        let learned_divergence = kl_divergence(&truth, &learned)?;
        let iteration = learner.iteration();
        let title = format!(
            "After {iteration} iterations: the learned density is {learned_divergence:.3} nats (KL) from the true one"
        );
        let figure = landscape_figure(&Landscape {
            title: &title,
            truth: &truth,
            learned: &learned,
            short_run: &short_run,
        })?;
        self.folder.make("plots")?;
        figure.write_png(self.path(iteration))?;
        tracing::info!(iteration, kl = learned_divergence, "landscape");
        self.last = Some(LandscapeResult {
            iteration,
            learned_divergence,
            sampled_distance: total_variation(&truth, &short_run)?,
            learned_distance: total_variation(&truth, &learned)?,
            figure,
        });
        Ok(())
    }

    /// Short-run samples: L steps from fresh noise, noisy data or states of the bank, which stays as it is.
    fn short_run_samples(&self, learner: &dyn LearnerView) -> Result<Vec<f32>, DriverError> {
        let config = learner.config();
        let count = self.config.samples;
        let key = NoiseKey::new(config.seed, Stream::WatchStart, learner.iteration());
        let start = match (learner.bank(), config.langevin.start.noise()) {
            (Some(bank), _) => bank.gather(&key.choose(count, bank.len())),
            (None, Some(noise)) => noise.draw(config.langevin.start_factor, key, count, 2)?,
            (None, None) => learner.watch_data(count)?,
        };
        Ok(learner.run_chains(start, 0, config.langevin.steps)?)
    }
}

impl Observer for LandscapePlots {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        let (is_done, learner) = match event {
            Event::IterationDone { learner, .. } => (false, *learner),
            // A plot that a stop cut off is made up for when the run goes on.
            Event::Started { learner, .. } => (self.path(learner.iteration()).exists(), *learner),
            _ => return Ok(()),
        };
        let iteration = learner.iteration();
        let is_due = iteration > 0
            && (iteration.is_multiple_of(self.config.every.max(1))
                || iteration == learner.config().iterations);
        if is_due && !is_done {
            self.draw(learner).map_err(ObserverError::new)?;
        }
        Ok(())
    }
}
