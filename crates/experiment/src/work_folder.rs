//! The folder of long work on trained weights, such as an evaluation or a map. It is complete in itself, so that the
//! work can be continued anywhere.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ebm_energy_net::{NetError, read_metadata, read_tensors, write_tensors};
use serde::de::DeserializeOwned;

use crate::ExperimentError;
use crate::run_folder::lock;

const WEIGHTS: &str = "weights.safetensors";
const STATES: &str = "states";

/// The name of the work in messages, and the file by which its folder is recognised.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WorkKind {
    /// With its article, such as "a map".
    pub(crate) name: &'static str,
    /// This file is written last: a folder that has it has all that is needed to go on.
    pub(crate) settings: &'static str,
    /// What to do when the folder is damaged.
    pub(crate) anew: &'static str,
}

/// The folder, locked.
#[derive(Debug)]
pub(crate) struct WorkFolder {
    kind: WorkKind,
    root: PathBuf,
    /// Keeps a second process from working in the folder.
    _lock: File,
}

impl WorkFolder {
    /// Refuses a folder that already holds something.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`].
    pub(crate) fn check_free(root: &Path, kind: WorkKind) -> Result<(), ExperimentError> {
        let is_occupied = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
        if is_occupied {
            return Err(ExperimentError::Occupied {
                path: root.to_owned(),
                problem: format!("is not empty, and perhaps holds {}", kind.name),
                can_resume: true,
            });
        }
        Ok(())
    }

    /// A new folder with a copy of the weights.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`] when there is something in it; [`ExperimentError::Io`].
    pub(crate) fn create(
        root: &Path,
        kind: WorkKind,
        weights: &Path,
    ) -> Result<Self, ExperimentError> {
        Self::check_free(root, kind)?;
        fs::create_dir_all(root).map_err(|error| ExperimentError::io(root, error))?;
        let folder = Self::locked(root, kind)?;
        // The weights are read and written instead of copied, because the source may be a file of PyTorch.
        let metadata = read_metadata(weights)?;
        write_tensors(&read_tensors(weights)?, &folder.weights(), metadata)?;
        Ok(folder)
    }

    /// The folder of earlier work, with its settings, which `check` must accept.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] when it is none, [`ExperimentError::RunFolder`] when it is damaged.
    pub(crate) fn open<T: DeserializeOwned>(
        root: &Path,
        kind: WorkKind,
        check: impl FnOnce(&T) -> Result<(), String>,
    ) -> Result<(Self, T), ExperimentError> {
        let path = root.join(kind.settings);
        if !path.is_file() {
            return Err(ExperimentError::Request(format!(
                "{} is not the folder of {} (it has no {})",
                root.display(),
                kind.name,
                kind.settings
            )));
        }
        let folder = Self::locked(root, kind)?;
        let text = fs::read(&path).map_err(|error| ExperimentError::io(&path, error))?;
        let settings =
            serde_json::from_slice(&text).map_err(|error| folder.damaged(kind.settings, error))?;
        check(&settings).map_err(|problem| folder.damaged(kind.settings, problem))?;
        Ok((folder, settings))
    }

    fn locked(root: &Path, kind: WorkKind) -> Result<Self, ExperimentError> {
        Ok(Self {
            kind,
            root: root.to_owned(),
            _lock: lock(root)?,
        })
    }

    pub(crate) fn root(&self) -> &Path {
        &self.root
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn weights(&self) -> PathBuf {
        self.path(WEIGHTS)
    }

    /// The tensor "states" of a file, which must have the expected number of values.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] when it does not.
    pub(crate) fn read_states(
        &self,
        name: &str,
        values: usize,
    ) -> Result<Vec<f32>, ExperimentError> {
        self.read_tensor(name, STATES, values)
    }

    /// A tensor of a file, which must have the expected number of values.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] when it does not.
    pub(crate) fn read_tensor(
        &self,
        name: &str,
        tensor: &str,
        values: usize,
    ) -> Result<Vec<f32>, ExperimentError> {
        let tensors = read_tensors(&self.path(name)).map_err(|e| self.unreadable(name, e))?;
        let found = tensors.into_iter().find(|found| found.name == tensor);
        match found {
            Some(found) if found.values.len() == values => Ok(found.values),
            _ => Err(self.foreign(name)),
        }
    }

    /// The error for a file that does not match the settings.
    pub(crate) fn foreign(&self, name: &str) -> ExperimentError {
        self.damaged(name, "does not belong to the settings beside it")
    }

    /// The error for a file of tensors that could not be read.
    pub(crate) fn unreadable(&self, name: &str, error: NetError) -> ExperimentError {
        match error {
            NetError::Format { reason, .. } => self.damaged(name, reason),
            other => other.into(),
        }
    }

    /// The error for a damaged file.
    pub(crate) fn damaged(&self, name: &str, problem: impl ToString) -> ExperimentError {
        ExperimentError::RunFolder {
            path: self.path(name),
            problem: format!("{}; {}", problem.to_string(), self.kind.anew),
        }
    }
}
