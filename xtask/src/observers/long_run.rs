//! Long chains under the net of the moment: do samples stay realistic far beyond L steps?

use std::path::PathBuf;

use ebm_core::{NoiseKey, States, Stream};
use ebm_langevin::NoiseStart;
use ebm_trainer::{Event, LearnerView, Observer, ObserverError};

use super::write_grid;
use crate::config::{LongRunConfig, LongRunStart};
use crate::error::DriverError;
use crate::logging::Screen;
use crate::run_folder::RunFolder;

const PIECE: u64 = 1_000;

/// Runs long chains at an interval and writes their first and last states to `longrun/`, as a grid for images and as
/// mean energies for everything. Training is not touched: own noise stream, bank only read.
pub(crate) struct LongRuns {
    folder: RunFolder,
    config: LongRunConfig,
    screen: Screen,
}

impl LongRuns {
    pub(crate) fn new(folder: &RunFolder, config: LongRunConfig, screen: &Screen) -> Self {
        Self {
            folder: folder.clone(),
            config,
            screen: screen.clone(),
        }
    }

    fn run(&self, learner: &dyn LearnerView) -> Result<(), DriverError> {
        let iteration = learner.iteration();
        let shape = learner.dataset().shape().dims();
        let is_image = !learner.dataset().shape().is_point();
        let chains = learner.chains();
        let mut states = self.start(learner)?;
        let bar = self.screen.bar(
            self.config.steps,
            "  long run {bar:20} {pos}/{len} steps, {eta} left",
        );
        let mut energies = vec![mean(&chains.energies(&states)?)];
        if is_image {
            let name = format!("{iteration:08}-start.png");
            write_grid(
                states.values(),
                shape,
                &self.folder.file_in("longrun", &name)?,
            )?;
        }
        let mut step = 0;
        while step < self.config.steps {
            let piece = PIECE.min(self.config.steps - step);
            let run = learner.watch_run(piece).with_first_step(step);
            states = chains.run(&states, &run)?.states;
            step += piece;
            energies.push(mean(&chains.energies(&states)?));
            bar.set_position(step);
        }
        bar.finish_and_clear();
        if is_image {
            let name = format!("{iteration:08}-end.png");
            write_grid(
                states.values(),
                shape,
                &self.folder.file_in("longrun", &name)?,
            )?;
        }
        let record = serde_json::json!({
            "iteration": iteration,
            "steps": self.config.steps,
            "steps_between_energies": PIECE.min(self.config.steps),
            "mean_energies_f": energies,
        });
        self.folder.make("longrun")?;
        let path = self.record(iteration);
        ebm_core::write_atomically(&path, format!("{record:#}\n").as_bytes())
            .map_err(|error| DriverError::io(path, error))
    }

    /// Written when a long run has come to its end.
    fn record(&self, iteration: u64) -> PathBuf {
        let name = format!("{iteration:08}.json");
        self.folder.root().join("longrun").join(name)
    }

    fn start(&self, learner: &dyn LearnerView) -> Result<States, DriverError> {
        let config = learner.config();
        let shape = learner.dataset().shape();
        let key = NoiseKey::new(config.seed, Stream::WatchStart, learner.iteration());
        let count = config.batch_size;
        let noise = |noise: NoiseStart| noise.draw(config.langevin.start_factor, key, count, shape);
        Ok(match (self.config.start, learner.bank()?) {
            (LongRunStart::Uniform, _) => noise(NoiseStart::Uniform)?,
            (LongRunStart::Gaussian, _) => noise(NoiseStart::Gaussian)?,
            (LongRunStart::Bank, Some(bank)) => bank.gather(&key.choose(count, bank.len())),
            (LongRunStart::Data | LongRunStart::Bank, _) => learner.watch_data(count)?,
        })
    }
}

impl Observer for LongRuns {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        let (iteration, is_done, learner) = match event {
            Event::IterationDone {
                metrics, learner, ..
            } => (metrics.iteration, false, *learner),
            // A long run that a stop cut off is made up for when the run goes on.
            Event::Started { iteration, learner } => {
                (*iteration, self.record(*iteration).exists(), *learner)
            }
            _ => return Ok(()),
        };
        if iteration > 0 && self.looks_at(iteration) && !is_done {
            self.run(learner).map_err(ObserverError::new)?;
        }
        Ok(())
    }

    fn looks_at(&self, iteration: u64) -> bool {
        iteration.is_multiple_of(self.config.every.max(1))
    }
}

fn mean(values: &[f32]) -> f64 {
    let sum: f64 = values.iter().map(|value| f64::from(*value)).sum();
    sum / values.len().max(1) as f64
}
