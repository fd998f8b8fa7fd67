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
    /// Bytes that were written whole.
    bytes: u64,
    checksum: crc32fast::Hasher,
    /// Lines that could not be written. A disk that fails once must not cost numbers that a checkpoint then builds on.
    waiting: String,
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
            waiting: String::new(),
        })
    }

    fn append(&mut self, line: &str) -> Result<(), ExperimentError> {
        let is_first_try = self.waiting.is_empty();
        self.waiting += line;
        self.waiting.push('\n');
        self.write(is_first_try)
            .map_err(|error| ExperimentError::io(self.folder.metrics(), error))
    }

    fn write(&mut self, is_first_try: bool) -> std::io::Result<()> {
        if !is_first_try {
            // A part of a line may be there.
            self.file.set_len(self.bytes)?;
        }
        self.file.write_all(self.waiting.as_bytes())?;
        self.bytes += self.waiting.len() as u64;
        self.checksum.update(self.waiting.as_bytes());
        self.waiting.clear();
        Ok(())
    }

    fn seal(&mut self) -> Result<(), ExperimentError> {
        let path = self.folder.metrics();
        if !self.waiting.is_empty() {
            self.write(false)
                .map_err(|error| ExperimentError::io(&path, error))?;
        }
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
