//! The folder of a map: complete in itself, so that it can be continued anywhere.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_energy_net::{NamedParameter, read_metadata, write_tensors};
use ebm_landscape::Minimum;
use ebm_langevin::{ChainPlace, LangevinError};

use super::state::Found;
use super::{MapSettings, State};
use crate::ExperimentError;
use crate::json::write_json;
use crate::work_folder::{WorkFolder, WorkKind};

const STATE: &str = "state.json";
const CHAINS: &str = "chains.safetensors";
const MINIMA: &str = "minima.safetensors";
const STATES: &str = "states";
const STEP: &str = "ebm.step";
const KIND: WorkKind = WorkKind {
    name: "a map",
    settings: STATE,
    anew: "make a new map in another folder",
};

/// A folder with weights, chains, minima and the state of the work.
#[derive(Debug)]
pub struct MapFolder(WorkFolder);

impl MapFolder {
    /// A new folder with the settings, a copy of the weights and the initial states.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`] when there is something in it; [`ExperimentError::Io`].
    pub(crate) fn create(
        root: &Path,
        state: &State,
        weights: &Path,
        initial: States,
    ) -> Result<Self, ExperimentError> {
        let folder = Self(WorkFolder::create(root, KIND, weights)?);
        folder.write_chains(&state.settings, &ChainPlace::new(initial))?;
        // Last: a folder with a state has all that is needed to go on.
        folder.write_state(state)?;
        Ok(folder)
    }

    /// Refuses a folder that already holds something.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`].
    pub(crate) fn check_free(root: &Path) -> Result<(), ExperimentError> {
        WorkFolder::check_free(root, KIND)
    }

    /// Opens the folder of an earlier map.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] when it is none, [`ExperimentError::RunFolder`] when it is damaged.
    pub fn open(root: &Path) -> Result<(Self, State), ExperimentError> {
        let (folder, state) = WorkFolder::open(root, KIND, State::check)?;
        Ok((Self(folder), state))
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.root()
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    pub(crate) fn weights(&self) -> PathBuf {
        self.0.weights()
    }

    pub(crate) fn page(&self) -> PathBuf {
        self.path("map.html")
    }

    /// A subfolder, which is made when it is first needed.
    pub(crate) fn make(&self, subfolder: &str) -> Result<PathBuf, ExperimentError> {
        let folder = self.path(subfolder);
        fs::create_dir_all(&folder).map_err(|error| ExperimentError::io(&folder, error))?;
        Ok(folder)
    }

    pub(crate) fn write_state(&self, state: &State) -> Result<(), ExperimentError> {
        write_json(&self.path(STATE), state)
    }

    /// Writes the chains as they are.
    pub(crate) fn write_chains(
        &self,
        settings: &MapSettings,
        chains: &ChainPlace,
    ) -> Result<(), ExperimentError> {
        let metadata = HashMap::from([(STEP.to_owned(), chains.step.to_string())]);
        self.write_states(CHAINS, settings, chains.states.values().to_vec(), metadata)
    }

    /// The newest chains.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] when they do not belong to the settings.
    pub(crate) fn read_chains(
        &self,
        settings: &MapSettings,
    ) -> Result<ChainPlace, ExperimentError> {
        let metadata =
            read_metadata(&self.path(CHAINS)).map_err(|e| self.0.unreadable(CHAINS, e))?;
        let step = metadata.get(STEP).and_then(|step| step.parse().ok());
        let values = settings.all_chains() * settings.state_size();
        let states = self.0.read_states(CHAINS, values)?;
        match step.filter(|step| *step <= settings.gather_steps) {
            Some(step) => Ok(ChainPlace {
                step,
                // The gathering has no records.
                is_new: false,
                ..ChainPlace::new(
                    States::new(settings.state_shape, states).map_err(LangevinError::from)?,
                )
            }),
            None => Err(self.0.foreign(CHAINS)),
        }
    }

    /// Writes the states of the minima.
    pub(crate) fn write_minima(
        &self,
        settings: &MapSettings,
        minima: &[Minimum],
    ) -> Result<(), ExperimentError> {
        let states = Minimum::states(settings.state_shape, minima)?.into_values();
        self.write_states(MINIMA, settings, states, HashMap::new())
    }

    /// The minima, with their states.
    ///
    /// # Errors
    /// [`ExperimentError::RunFolder`] when they are not those that were found.
    pub(crate) fn read_minima(
        &self,
        settings: &MapSettings,
        found: &Found,
    ) -> Result<Vec<Minimum>, ExperimentError> {
        let values = found.minima.len() * settings.state_size();
        let rows = self.0.read_states(MINIMA, values)?;
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
        settings: &MapSettings,
        values: Vec<f32>,
        metadata: HashMap<String, String>,
    ) -> Result<(), ExperimentError> {
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
}
