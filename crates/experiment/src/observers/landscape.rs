//! For toy densities: true, learned and sampled density side by side.

use std::path::PathBuf;

use ebm_core::{NoiseKey, States, Stream};
use ebm_data::Toy;
use ebm_figures::Figure;
use ebm_langevin::LangevinError;
use ebm_trainer::{Event, LearnerView, Observer, ObserverError};

use crate::ExperimentError;
use crate::config::DensityPlotConfig;
use crate::landscape::{
    DensityRecord, Divergences, GridEnergies, LandscapeResult, LearnedDensity, divergence_figure,
    energies_of, weights_figure,
};
use crate::run_folder::RunFolder;

/// Plots the landscape at an interval and at the end, keeps the numbers of all in `landscape.json`, and remembers the
/// last one for the report.
pub(crate) struct LandscapePlots {
    folder: RunFolder,
    config: DensityPlotConfig,
    toy: Toy,
    last: Option<LandscapeResult>,
    /// In the order of iterations.
    records: Vec<DensityRecord>,
}

impl LandscapePlots {
    pub(crate) fn new(folder: &RunFolder, config: DensityPlotConfig, toy: Toy) -> Self {
        Self {
            folder: folder.clone(),
            config,
            toy,
            last: None,
            records: Vec::new(),
        }
    }

    /// KL(q‖p_θ) over the run, once there are two values.
    pub(crate) fn divergences(&self) -> Option<Figure> {
        divergence_figure(&[Divergences {
            name: "",
            every: self.config.every,
            records: &self.records,
        }])
    }

    /// How unequal the weights of the modes were over the run, once there are two values.
    pub(crate) fn weights(&self) -> Option<Figure> {
        weights_figure(self.config.every, &self.records)
    }

    /// Reads the numbers of an earlier part of the run, up to the checkpoint from which it continues.
    fn read(&mut self, iteration: u64) -> Result<(), ExperimentError> {
        self.records = self.folder.read_landscape()?;
        self.records.retain(|record| record.iteration <= iteration);
        Ok(())
    }

    /// The landscape of the last plot.
    pub(crate) fn last(&self) -> Option<&LandscapeResult> {
        self.last.as_ref()
    }

    fn path(&self, iteration: u64) -> PathBuf {
        let name = format!("landscape-{iteration:08}.png");
        self.folder.root().join("plots").join(name)
    }

    /// Draws the landscape of the current net.
    pub(crate) fn draw(&mut self, learner: &dyn LearnerView) -> Result<(), ExperimentError> {
        let learned = LearnedDensity {
            toy: &self.toy,
            temperature: learner.config().langevin.epsilon.learned_temperature(),
            iteration: learner.iteration(),
        };
        let samples = self.short_run_samples(learner)?;
        let energies = |points: &[f32]| {
            let states = States::new(2, points.to_vec()).map_err(LangevinError::from)?;
            let average = learner.average_energies(&states)?;
            Ok(GridEnergies {
                newest: energies_of(learner.chains(), points)?,
                average: average.map(|energies| energies.into_iter().map(f64::from).collect()),
            })
        };
        let result = learned.compare(&self.config, energies, samples.values())?;
        self.folder.make("plots")?;
        let record = result.record.clone();
        result.figure.write_png(self.path(record.iteration))?;
        tracing::info!(
            iteration = record.iteration,
            kl = record.learned.divergence(),
            "landscape"
        );
        self.records.retain(|old| old.iteration < record.iteration);
        self.records.push(record);
        self.folder.write_landscape(&self.records)?;
        self.last = Some(result);
        Ok(())
    }

    /// Short-run samples: of a persistent run the states of its bank, otherwise L steps from fresh noise or noisy data.
    fn short_run_samples(&self, learner: &dyn LearnerView) -> Result<States, ExperimentError> {
        let config = learner.config();
        let count = self.config.samples;
        let key = NoiseKey::new(config.seed, Stream::WatchStart, learner.iteration());
        let start = match (learner.bank()?, config.langevin.start.noise()) {
            (Some(bank), _) => {
                let count = count.min(bank.len());
                return Ok(bank.gather(&key.choose(count, bank.len())));
            }
            (None, Some(noise)) => noise.draw(config.langevin.start_factor, key, count, 2)?,
            (None, None) => learner.watch_data(count)?,
        };
        let run = learner.watch_run(config.langevin.steps);
        Ok(learner.chains().run(&start, &run)?.states)
    }
}

impl Observer for LandscapePlots {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        // The learner's own number may be that of a later iteration, at which no observer looks.
        let (iteration, is_done, learner) = match event {
            Event::IterationDone {
                metrics, learner, ..
            } => (metrics.iteration, false, *learner),
            Event::Recovered { learner, .. } => {
                let back_to = learner.iteration();
                self.records.retain(|record| record.iteration <= back_to);
                return Ok(());
            }
            // If a stop cut off a plot, the plot is made when the run goes on.
            Event::Started { iteration, learner } => {
                self.read(*iteration).map_err(ObserverError::new)?;
                let last = self.records.last().map(|record| record.iteration);
                (*iteration, last == Some(*iteration), *learner)
            }
            _ => return Ok(()),
        };
        let is_last = iteration == learner.config().iterations;
        let is_due = iteration > 0 && (is_last || self.reads_learner(iteration));
        if is_due && !is_done {
            self.draw(learner).map_err(ObserverError::new)?;
        }
        Ok(())
    }

    fn reads_learner(&self, iteration: u64) -> bool {
        iteration.is_multiple_of(self.config.every.max(1))
    }
}
