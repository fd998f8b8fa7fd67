//! The folder of an evaluation: complete in itself, so that it can be continued anywhere.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use ebm_core::States;
use ebm_energy_net::{NamedParameter, read_metadata, write_tensors};
use ebm_langevin::{ChainPlace, LangevinError, Scales, SinceRecord, Swaps};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::{Efficiency, EvaluationSettings, Record, Trace};
use crate::ExperimentError;
use crate::json::write_json;
use crate::work_folder::{WorkFolder, WorkKind};

const SETTINGS: &str = "evaluation.json";
const STATES: &str = "states.safetensors";
const RECORDS: &str = "records.jsonl";
const TRACES: &str = "traces.jsonl";
const SCALES: &str = "scales.safetensors";
/// The tensor in the file of scales.
const LENGTHS: &str = "lengths";
const EFFICIENCY: &str = "efficiency.json";
const PAGE: &str = "evaluation.html";
const STEP: &str = "ebm.step";
const SUMS: &str = "ebm.sums_since_record";
const KIND: WorkKind = WorkKind {
    name: "an evaluation",
    settings: SETTINGS,
    anew: "make a new evaluation in another folder",
};

/// A folder with settings, weights, the newest states and the records up to them.
#[derive(Debug)]
pub struct EvaluationFolder(WorkFolder);

/// Sums over the steps since the last record, as they are saved with the states.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Sums {
    /// How many steps. Files of earlier versions do not have it.
    #[serde(default)]
    steps: Option<u64>,
    /// Of r.
    gradient_magnitude: f64,
    /// Of the acceptance rate, where anything was proposed.
    acceptance_rate: Option<f64>,
    /// Exchanges of neighbouring temperatures.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    swaps: Vec<Swaps>,
}

impl EvaluationFolder {
    /// A new folder with the settings, a copy of the weights and the initial states.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`] when there is something in it; [`ExperimentError::Io`].
    pub(crate) fn create(
        root: &Path,
        settings: &EvaluationSettings,
        weights: &Path,
        start: &ChainPlace,
        scales: Option<&Scales>,
    ) -> Result<Self, ExperimentError> {
        let folder = Self(WorkFolder::create(root, KIND, weights)?);
        if let Some(scales) = scales {
            let lengths = NamedParameter {
                name: LENGTHS.into(),
                shape: [1].into_iter().chain(settings.state_shape).collect(),
                values: scales
                    .lengths()
                    .iter()
                    .map(|length| *length as f32)
                    .collect(),
            };
            write_tensors(&[lengths], &folder.path(SCALES), HashMap::new())?;
        }
        folder.save(settings, start, None)?;
        // Settings are written last: a folder with settings has all that is needed to go on.
        folder.write_settings(settings)?;
        Ok(folder)
    }

    /// Writes the settings, with the changes of a later part of the evaluation.
    pub(crate) fn write_settings(
        &self,
        settings: &EvaluationSettings,
    ) -> Result<(), ExperimentError> {
        write_json(&self.path(SETTINGS), settings)
    }

    /// Refuses a folder that already holds something.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`].
    pub(crate) fn check_free(root: &Path) -> Result<(), ExperimentError> {
        WorkFolder::check_free(root, KIND)
    }

    /// The folder of an earlier evaluation with its settings.
    ///
    /// # Errors
    /// [`ExperimentError::Request`] when it is none, [`ExperimentError::RunFolder`] when it is damaged.
    pub fn open(root: &Path) -> Result<(Self, EvaluationSettings), ExperimentError> {
        let (folder, settings) = WorkFolder::open(root, KIND, EvaluationSettings::check)?;
        Ok((Self(folder), settings))
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.0.path(name)
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        self.0.root()
    }

    pub(crate) fn weights(&self) -> PathBuf {
        self.0.weights()
    }

    pub(crate) fn page(&self) -> PathBuf {
        self.path(PAGE)
    }

    /// The lengths of the elements, if the settings ask for such.
    pub(crate) fn read_scales(
        &self,
        settings: &EvaluationSettings,
    ) -> Result<Option<Scales>, ExperimentError> {
        if !settings.scaled {
            return Ok(None);
        }
        let values = settings.state_shape.iter().product();
        let lengths = self.0.read_tensor(SCALES, LENGTHS, values)?;
        let lengths: Vec<f64> = lengths.into_iter().map(f64::from).collect();
        let scales = Scales::new(&lengths).map_err(|error| self.0.damaged(SCALES, error))?;
        Ok(Some(scales))
    }

    /// Writes how many draws the chains are worth.
    pub(crate) fn write_efficiency(&self, efficiency: &Efficiency) -> Result<(), ExperimentError> {
        write_json(&self.path(EFFICIENCY), efficiency)
    }

    /// Writes the chains as they are, with F of each where it is known.
    pub(crate) fn save(
        &self,
        settings: &EvaluationSettings,
        chains: &ChainPlace,
        energies: Option<&[f32]>,
    ) -> Result<(), ExperimentError> {
        let [channels, height, width] = settings.state_shape;
        let mut tensors = vec![NamedParameter {
            name: "states".into(),
            shape: vec![settings.chains * settings.rungs(), channels, height, width],
            values: chains.states.values().to_vec(),
        }];
        if let Some(energies) = energies {
            tensors.push(NamedParameter {
                name: "energies".into(),
                shape: vec![energies.len()],
                values: energies.to_vec(),
            });
        }
        let sums = serde_json::to_string(&Sums {
            steps: Some(chains.since.steps),
            gradient_magnitude: chains.since.gradient_magnitude,
            acceptance_rate: chains.since.acceptance_rate,
            swaps: chains.since.swaps.clone(),
        })
        .map_err(|error| self.0.damaged(STATES, error))?;
        let metadata = HashMap::from([
            (STEP.to_owned(), chains.step.to_string()),
            (SUMS.to_owned(), sums),
        ]);
        Ok(write_tensors(&tensors, &self.path(STATES), metadata)?)
    }

    /// The newest states.
    pub(crate) fn read_chains(
        &self,
        settings: &EvaluationSettings,
    ) -> Result<ChainPlace, ExperimentError> {
        let metadata =
            read_metadata(&self.path(STATES)).map_err(|e| self.0.unreadable(STATES, e))?;
        let step = metadata.get(STEP).and_then(|step| step.parse().ok());
        let sums = metadata.get(SUMS);
        let sums = sums.and_then(|sums| serde_json::from_str::<Sums>(sums).ok());
        let values =
            settings.chains * settings.rungs() * settings.state_shape.iter().product::<usize>();
        let states = self.0.read_states(STATES, values)?;
        match (step, sums) {
            (Some(step), Some(sums))
                if step <= settings.steps && sums.steps.is_none_or(|since| since <= step) =>
            {
                Ok(ChainPlace {
                    step,
                    states: States::new(settings.state_shape, states)
                        .map_err(LangevinError::from)?,
                    since: SinceRecord {
                        // An evaluation that goes on for more steps makes records at other steps than before.
                        steps: sums.steps.unwrap_or(step - settings.last_record(step)),
                        gradient_magnitude: sums.gradient_magnitude,
                        acceptance_rate: sums.acceptance_rate,
                        swaps: sums.swaps,
                    },
                    // The file of records says whether there is a record of the start.
                    is_new: false,
                })
            }
            _ => Err(self.0.foreign(STATES)),
        }
    }

    /// The records up to where the chains are, and the traces beside them. Later ones are cut off and will be made again.
    pub(crate) fn read_records(
        &self,
        chains: &ChainPlace,
    ) -> Result<(Vec<Record>, Vec<Trace>), ExperimentError> {
        let step = chains.step;
        let (records, record_lines) =
            self.read_lines(RECORDS, step, |record: &Record| record.step)?;
        let (traces, trace_lines) = self.read_lines(TRACES, step, |trace: &Trace| trace.step)?;
        let last = records.last().map(|record| record.step);
        // Before the first step there need not be a record yet.
        if last != Some(step - chains.since.steps) && (step, last) != (0, None) {
            let problem = format!(
                "ends at step {}, but the states beside it are of step {step}",
                last.map_or_else(|| "none".to_owned(), |last| last.to_string())
            );
            return Err(self.0.damaged(RECORDS, problem));
        }
        // Evaluations of earlier versions have no traces.
        if let Some(first) = traces.first() {
            let chains = first.energies.len();
            let same_steps = (traces.iter().map(|trace| trace.step))
                .eq(records.iter().map(|record| record.step));
            let same_chains = traces
                .iter()
                .all(|trace| [trace.energies.len(), trace.means.len()] == [chains; 2]);
            if !(same_steps && same_chains) {
                let problem = format!("is not of the same steps and chains as {RECORDS}");
                return Err(self.0.damaged(TRACES, problem));
            }
        }
        self.write(RECORDS, record_lines.as_bytes())?;
        self.write(TRACES, trace_lines.as_bytes())?;
        Ok((records, traces))
    }

    /// The lines of a file up to `step`, read and as they are written.
    fn read_lines<T: DeserializeOwned>(
        &self,
        name: &str,
        step: u64,
        step_of: impl Fn(&T) -> u64,
    ) -> Result<(Vec<T>, String), ExperimentError> {
        let path = self.path(name);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(ExperimentError::io(path, error)),
        };
        let mut records = Vec::new();
        let mut kept = String::new();
        for line in text.lines() {
            match serde_json::from_str::<T>(line) {
                Ok(record) if step_of(&record) <= step => records.push(record),
                Ok(_) => break,
                // Only the last line can be half-written, and then it lies beyond the states.
                Err(_) if !text.ends_with('\n') && text.ends_with(line) => break,
                Err(error) => return Err(self.0.damaged(name, error)),
            }
            kept += line;
            kept.push('\n');
        }
        Ok((records, kept))
    }

    /// The file of records, for further lines.
    pub(crate) fn append_records(&self) -> Result<RecordFile, ExperimentError> {
        self.append(RECORDS)
    }

    /// The file of traces, for further lines.
    pub(crate) fn append_traces(&self) -> Result<RecordFile, ExperimentError> {
        self.append(TRACES)
    }

    fn append(&self, name: &str) -> Result<RecordFile, ExperimentError> {
        let path = self.path(name);
        let file = OpenOptions::new().create(true).append(true).open(&path);
        match file {
            Ok(file) => Ok(RecordFile { file, path }),
            Err(error) => Err(ExperimentError::io(path, error)),
        }
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), ExperimentError> {
        let path = self.path(name);
        ebm_core::write_atomically(&path, bytes).map_err(|error| ExperimentError::io(path, error))
    }
}

/// Takes records one after the other.
pub(crate) struct RecordFile {
    file: File,
    path: PathBuf,
}

impl RecordFile {
    /// Makes sure that all records are on disk, before states that follow them are.
    pub(crate) fn sync(&self) -> Result<(), ExperimentError> {
        self.file
            .sync_data()
            .map_err(|error| ExperimentError::io(&self.path, error))
    }

    pub(crate) fn add(&mut self, record: &impl Serialize) -> Result<(), ExperimentError> {
        let line = serde_json::to_string(record).map_err(std::io::Error::other);
        line.and_then(|line| writeln!(self.file, "{line}"))
            .map_err(|error| ExperimentError::io(&self.path, error))
    }
}
