//! Image grids of samples during learning.

use ebm_trainer::{Event, LearnerView, Observer, ObserverError};

use crate::ExperimentError;
use crate::pictures::{SHOWN, write_grid};
use crate::run_folder::RunFolder;

/// Writes `shortrun/` and, for persistent chains, `bank/` grids at an interval and at the end. Only for images.
pub(crate) struct Pictures {
    folder: RunFolder,
    every: u64,
}

impl Pictures {
    pub(crate) fn new(folder: &RunFolder, every: u64) -> Self {
        Self {
            folder: folder.clone(),
            every,
        }
    }

    fn write(&self, learner: &dyn LearnerView) -> Result<(), ExperimentError> {
        let shape = learner.dataset().shape().dims();
        let name = format!("{:08}.png", learner.iteration());
        let path = self.folder.file_in("shortrun", &name)?;
        write_grid(learner.samples()?.values(), shape, &path)?;
        if let Some(bank) = learner.bank()? {
            let first: Vec<usize> = (0..SHOWN.min(bank.len())).collect();
            write_grid(
                bank.gather(&first).values(),
                shape,
                &self.folder.file_in("bank", &name)?,
            )?;
        }
        Ok(())
    }
}

impl Observer for Pictures {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone {
            metrics, learner, ..
        } = event
        {
            let is_last = metrics.iteration == learner.config().iterations;
            if is_last || self.reads_learner(metrics.iteration) {
                self.write(*learner).map_err(ObserverError::new)?;
            }
        }
        Ok(())
    }

    fn reads_learner(&self, iteration: u64) -> bool {
        iteration.is_multiple_of(self.every.max(1))
    }
}
