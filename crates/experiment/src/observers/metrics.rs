//! `metrics.jsonl`: one line for each iteration, on disk as soon as its numbers are read.

use std::io::Write;

use ebm_trainer::{Event, Observer, ObserverError};

use crate::ExperimentError;
use crate::run_folder::RunFolder;

/// Appends every iteration's numbers to the run's metrics.
pub(crate) struct MetricsFile {
    folder: RunFolder,
    file: Box<dyn Write>,
}

impl MetricsFile {
    pub(crate) fn open(folder: &RunFolder) -> Result<Self, ExperimentError> {
        Ok(Self {
            folder: folder.clone(),
            file: Box::new(folder.append_metrics()?),
        })
    }
}

impl Observer for MetricsFile {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone { metrics, .. } = event {
            let line = metrics.to_json_line().map_err(ObserverError::new)?;
            writeln!(self.file, "{line}").map_err(|error| {
                ObserverError::new(ExperimentError::io(self.folder.metrics(), error))
            })?;
        }
        Ok(())
    }

    fn reads_learner(&self, _iteration: u64) -> bool {
        false
    }
}
