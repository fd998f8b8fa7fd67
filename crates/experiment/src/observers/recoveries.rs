//! Recoveries of a run that ran away, in `run.json` and in words.

use std::cell::RefCell;

use ebm_trainer::{Event, Observer, ObserverError};

use crate::Supervisor;
use crate::recovery_record::RecoveryRecord;
use crate::run_folder::{RunFolder, RunInfo};

/// Adds every recovery to the run's `run.json`.
pub(crate) struct Recoveries<'a> {
    folder: RunFolder,
    info: &'a RefCell<RunInfo>,
    supervisor: &'a dyn Supervisor,
    /// The newest iteration that was told of.
    newest: u64,
    undone: u64,
}

impl<'a> Recoveries<'a> {
    pub(crate) fn new(
        folder: &RunFolder,
        info: &'a RefCell<RunInfo>,
        supervisor: &'a dyn Supervisor,
    ) -> Self {
        Self {
            folder: folder.clone(),
            info,
            supervisor,
            newest: 0,
            undone: 0,
        }
    }

    /// How many iterations were done and then undone by a recovery.
    pub(crate) fn undone(&self) -> u64 {
        self.undone
    }
}

impl Observer for Recoveries<'_> {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        match event {
            Event::Started { iteration, .. } => self.newest = *iteration,
            Event::IterationDone { metrics, .. } => self.newest = metrics.iteration,
            Event::Recovered {
                iteration,
                cause,
                learner,
            } => {
                let record = RecoveryRecord {
                    ran_away_at: *iteration,
                    cause: cause.to_string(),
                    back_to: learner.iteration(),
                    attempt: learner.attempt(),
                };
                self.undone += self.newest.saturating_sub(record.back_to);
                self.newest = record.back_to;
                self.supervisor.warn(&format!("Learning {record}."));
                let mut info = self.info.borrow_mut();
                info.recoveries.push(record);
                self.folder.write_info(&info).map_err(ObserverError::new)?;
            }
            _ => {}
        }
        Ok(())
    }

    fn reads_learner(&self, _iteration: u64) -> bool {
        false
    }
}
