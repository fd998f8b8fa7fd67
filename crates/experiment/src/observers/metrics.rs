//! `metrics.jsonl`: one line for each iteration, on disk as soon as its numbers are read.

use std::fs::File;
use std::io::Write;

use ebm_trainer::{Event, Observer, ObserverError};

use crate::run_folder::RunFolder;
use crate::{ExperimentError, metrics_seal};

/// Appends every iteration's numbers to the run's metrics, and seals them with every checkpoint.
pub(crate) struct MetricsFile {
    folder: RunFolder,
    file: File,
    bytes: u64,
    checksum: crc32fast::Hasher,
}

impl MetricsFile {
    pub(crate) fn open(folder: &RunFolder) -> Result<Self, ExperimentError> {
        let file = folder.append_metrics()?;
        let path = folder.metrics();
        let contents = std::fs::read(&path).map_err(|error| ExperimentError::io(path, error))?;
        let mut checksum = crc32fast::Hasher::new();
        checksum.update(&contents);
        Ok(Self {
            folder: folder.clone(),
            file,
            bytes: contents.len() as u64,
            checksum,
        })
    }

    fn append(&mut self, line: &str) -> Result<(), ExperimentError> {
        let line = format!("{line}\n");
        self.file
            .write_all(line.as_bytes())
            .map_err(|error| ExperimentError::io(self.folder.metrics(), error))?;
        self.bytes += line.len() as u64;
        self.checksum.update(line.as_bytes());
        Ok(())
    }

    fn seal(&self) -> Result<(), ExperimentError> {
        let path = self.folder.metrics();
        // Before the seal, so that after a power failure the seal never promises more than there is.
        self.file
            .sync_data()
            .map_err(|error| ExperimentError::io(&path, error))?;
        metrics_seal::write(&path, self.bytes, self.checksum.clone().finalize())
    }

    /// Follows a recovery.
    fn go_back(&mut self, iteration: u64, undone: u32) -> Result<(), ExperimentError> {
        self.folder.undo_metrics(iteration, undone)?;
        // The file was replaced by a shorter one.
        *self = Self::open(&self.folder)?;
        Ok(())
    }
}

impl Observer for MetricsFile {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        let written = match event {
            Event::IterationDone { metrics, .. } => {
                let line = metrics.to_json_line().map_err(ObserverError::new)?;
                self.append(&line)
            }
            Event::CheckpointWritten { .. } => self.seal(),
            Event::Recovered { learner, .. } => {
                let undone = learner.attempt().number.saturating_sub(1);
                self.go_back(learner.iteration(), undone)
            }
            _ => Ok(()),
        };
        written.map_err(ObserverError::new)
    }

    fn reads_learner(&self, _iteration: u64) -> bool {
        false
    }
}
