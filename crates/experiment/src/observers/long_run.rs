//! Long chains under the current net: do samples stay realistic far beyond L steps?

use std::path::PathBuf;

use ebm_core::{NoiseKey, States, Stream};
use ebm_langevin::{NoiseStart, Sampler, WalkEnd};
use ebm_trainer::{Event, LearnerView, Observer, ObserverError};

use crate::config::{LongRunConfig, LongRunStart};
use crate::pictures::write_grid;
use crate::run_folder::RunFolder;
use crate::{ExperimentError, Supervisor, Work};

const PIECE: u64 = 1_000;

/// Runs long chains at an interval and writes their first and last states to `longrun/`, as a grid for images and as
/// mean energies for everything. They do not change the training: they have their own noise stream and only read the
/// bank.
pub(crate) struct LongRuns<'a> {
    folder: RunFolder,
    config: LongRunConfig,
    supervisor: &'a dyn Supervisor,
}

impl<'a> LongRuns<'a> {
    pub(crate) fn new(
        folder: &RunFolder,
        config: LongRunConfig,
        supervisor: &'a dyn Supervisor,
    ) -> Self {
        Self {
            folder: folder.clone(),
            config,
            supervisor,
        }
    }

    fn run(&self, learner: &dyn LearnerView) -> Result<(), ExperimentError> {
        let iteration = learner.iteration();
        let shape = learner.dataset().shape();
        let states = self.start(learner)?;
        if !shape.is_point() {
            let name = format!("{iteration:08}-start.png");
            write_grid(
                states.values(),
                shape.dims(),
                &self.folder.file_in("longrun", &name)?,
            )?;
        }
        let piece = PIECE.min(self.config.steps);
        let run = learner.watch_run(self.config.steps);
        let sampler = Sampler::new(run.kernel)
            .with_steps(run.steps)
            .with_noise(run.noise)
            .with_record_every(piece)
            .with_piece(piece)
            // Chains that run away are shown as they are.
            .without_finite_check();
        let mut energies = Vec::new();
        let mut progress = self.supervisor.begin(Work::LongRun, 0, self.config.steps);
        let sampled = sampler.run(learner.chains(), states, |record| {
            energies.push(record.mean_energy());
            progress.advance_to(record.step, self.config.steps);
        })?;
        drop(progress);
        if sampled.ended != WalkEnd::Finished {
            return Err(ExperimentError::Stopped);
        }
        if !shape.is_point() {
            let name = format!("{iteration:08}-end.png");
            let states = sampled.place.states.values();
            write_grid(
                states,
                shape.dims(),
                &self.folder.file_in("longrun", &name)?,
            )?;
        }
        let record = serde_json::json!({
            "iteration": iteration,
            "steps": self.config.steps,
            "steps_between_energies": piece,
            "mean_energies_f": energies,
        });
        self.folder.make("longrun")?;
        let path = self.record(iteration);
        ebm_core::write_atomically(&path, format!("{record:#}\n").as_bytes())
            .map_err(|error| ExperimentError::io(path, error))
    }

    /// Written when a long run has ended.
    fn record(&self, iteration: u64) -> PathBuf {
        let name = format!("{iteration:08}.json");
        self.folder.root().join("longrun").join(name)
    }

    fn start(&self, learner: &dyn LearnerView) -> Result<States, ExperimentError> {
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

impl Observer for LongRuns<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        let (iteration, is_done, learner) = match event {
            Event::IterationDone {
                metrics, learner, ..
            } => (metrics.iteration, false, *learner),
            // If a stop cut off a long run, it is repeated when the run goes on.
            Event::Started { iteration, learner } => {
                (*iteration, self.record(*iteration).exists(), *learner)
            }
            _ => return Ok(()),
        };
        if iteration > 0 && self.reads_learner(iteration) && !is_done {
            self.run(learner).map_err(ObserverError::new)?;
        }
        Ok(())
    }

    fn reads_learner(&self, iteration: u64) -> bool {
        iteration.is_multiple_of(self.config.every.max(1))
    }
}
