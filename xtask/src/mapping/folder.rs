//! The folder of a map: complete in itself, so that it can be continued anywhere.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use ebm_energy_net::{NamedParameter, NetError, read_metadata, read_tensors, write_tensors};
use ebm_landscape::Minimum;

use super::state::Found;
use super::{Settings, State};
use crate::error::DriverError;
use crate::json::write_json;
use crate::run_folder::lock;

const STATE: &str = "state.json";
const WEIGHTS: &str = "weights.safetensors";
const CHAINS: &str = "chains.safetensors";
const MINIMA: &str = "minima.safetensors";
const STATES: &str = "states";
const STEP: &str = "ebm.step";

/// A folder with weights, chains, minima and the state of the work.
#[derive(Debug)]
pub(crate) struct MapFolder {
    root: PathBuf,
    /// Keeps a second process from working in the folder.
    _lock: File,
}

/// The chains of the gathering after some steps.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GatheredChains {
    /// Steps taken.
    pub(crate) step: u64,
    /// States, row by row.
    pub(crate) states: Vec<f32>,
}

impl MapFolder {
    /// A new folder with the settings, a copy of the weights and the initial states.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when there is something in it; [`DriverError::Io`].
    pub(crate) fn create(
        root: &Path,
        state: &State,
        weights: &Path,
        initial: Vec<f32>,
    ) -> Result<Self, DriverError> {
        Self::check_free(root)?;
        fs::create_dir_all(root).map_err(|error| DriverError::io(root, error))?;
        let folder = Self {
            root: root.to_owned(),
            _lock: lock(root)?,
        };
        // Read and written, not copied: the source may be a file of PyTorch.
        let metadata = read_metadata(weights)?;
        write_tensors(&read_tensors(weights)?, &folder.weights(), metadata)?;
        let chains = GatheredChains {
            step: 0,
            states: initial,
        };
        folder.write_chains(&state.settings, &chains)?;
        // Last: a folder with a state has all that is needed to go on.
        folder.write_state(state)?;
        Ok(folder)
    }

    /// Refuses a folder that already holds something.
    ///
    /// # Errors
    /// [`DriverError::Usage`].
    pub(crate) fn check_free(root: &Path) -> Result<(), DriverError> {
        let is_occupied = fs::read_dir(root).is_ok_and(|mut entries| entries.next().is_some());
        if is_occupied {
            return Err(DriverError::Usage(format!(
                "{} is not empty; continue a map there with `--resume {0}`, or choose another folder with --out",
                root.display()
            )));
        }
        Ok(())
    }

    /// Opens the folder of an earlier map.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when it is none, [`DriverError::RunFolder`] when it is damaged.
    pub(crate) fn open(root: &Path) -> Result<(Self, State), DriverError> {
        let path = root.join(STATE);
        if !path.is_file() {
            return Err(DriverError::Usage(format!(
                "{} is not the folder of a map (it has no {STATE})",
                root.display()
            )));
        }
        let folder = Self {
            root: root.to_owned(),
            _lock: lock(root)?,
        };
        let text = fs::read(&path).map_err(|error| DriverError::io(&path, error))?;
        let state: State =
            serde_json::from_slice(&text).map_err(|error| folder.damaged(STATE, error))?;
        let check = state.check();
        check.map_err(|problem| folder.damaged(STATE, problem))?;
        Ok((folder, state))
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

    pub(crate) fn page(&self) -> PathBuf {
        self.path("map.html")
    }

    /// A subfolder, which is made when it is first needed.
    pub(crate) fn make(&self, subfolder: &str) -> Result<PathBuf, DriverError> {
        let folder = self.path(subfolder);
        fs::create_dir_all(&folder).map_err(|error| DriverError::io(&folder, error))?;
        Ok(folder)
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<(), DriverError> {
        write_json(&self.path(STATE), state)
    }

    /// Writes the chains as they are.
    pub(crate) fn write_chains(
        &self,
        settings: &Settings,
        chains: &GatheredChains,
    ) -> Result<(), DriverError> {
        let metadata = HashMap::from([(STEP.to_owned(), chains.step.to_string())]);
        self.write_states(CHAINS, settings, chains.states.clone(), metadata)
    }

    /// The newest chains.
    ///
    /// # Errors
    /// [`DriverError::RunFolder`] when they do not belong to the settings.
    pub(crate) fn read_chains(&self, settings: &Settings) -> Result<GatheredChains, DriverError> {
        let metadata = read_metadata(&self.path(CHAINS)).map_err(|e| self.unreadable(CHAINS, e))?;
        let step = metadata.get(STEP).and_then(|step| step.parse().ok());
        let states = self.read_states(CHAINS, settings, settings.all_chains())?;
        match step.filter(|step| *step <= settings.gather_steps) {
            Some(step) => Ok(GatheredChains { step, states }),
            None => Err(self.damaged(CHAINS, "does not belong to the settings beside it")),
        }
    }

    /// Writes the states of the minima.
    pub(crate) fn write_minima(
        &self,
        settings: &Settings,
        minima: &[Minimum],
    ) -> Result<(), DriverError> {
        let rows = minima
            .iter()
            .flat_map(|minimum| minimum.state.iter().copied());
        self.write_states(MINIMA, settings, rows.collect(), HashMap::new())
    }

    /// The minima, with their states.
    ///
    /// # Errors
    /// [`DriverError::RunFolder`] when they are not those that were found.
    pub(crate) fn read_minima(
        &self,
        settings: &Settings,
        found: &Found,
    ) -> Result<Vec<Minimum>, DriverError> {
        let rows = self.read_states(MINIMA, settings, found.minima.len())?;
        let states = rows.chunks_exact(settings.state_size());
        let minimum = |(found, state): (&super::state::FoundMinimum, &[f32])| Minimum {
            origin: found.chain,
            energy: found.energy,
            is_at_rest: found.is_at_rest,
            state: state.to_vec(),
        };
        Ok(found.minima.iter().zip(states).map(minimum).collect())
    }

    fn write_states(
        &self,
        name: &str,
        settings: &Settings,
        values: Vec<f32>,
        metadata: HashMap<String, String>,
    ) -> Result<(), DriverError> {
        let [channels, height, width] = settings.state_shape;
        let states = NamedParameter {
            name: STATES.into(),
            shape: vec![
                values.len() / settings.state_size(),
                channels,
                height,
                width,
            ],
            values,
        };
        Ok(write_tensors(&[states], &self.path(name), metadata)?)
    }

    fn read_states(
        &self,
        name: &str,
        settings: &Settings,
        count: usize,
    ) -> Result<Vec<f32>, DriverError> {
        let tensors = read_tensors(&self.path(name)).map_err(|e| self.unreadable(name, e))?;
        let states = tensors.into_iter().find(|tensor| tensor.name == STATES);
        match states {
            Some(states) if states.values.len() == count * settings.state_size() => {
                Ok(states.values)
            }
            _ => Err(self.damaged(name, "does not belong to the settings beside it")),
        }
    }

    fn unreadable(&self, name: &str, error: NetError) -> DriverError {
        match error {
            NetError::Format { reason, .. } => self.damaged(name, reason),
            other => other.into(),
        }
    }

    fn damaged(&self, name: &str, problem: impl ToString) -> DriverError {
        DriverError::RunFolder {
            path: self.path(name),
            problem: format!("{}; map anew into another folder", problem.to_string()),
        }
    }
}
