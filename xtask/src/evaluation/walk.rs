//! Chains from record to record.

use std::time::{Duration, Instant};

use ebm_diagnostics::write_png;
use ebm_langevin::LangevinError;

use super::{ChainState, EvaluationFolder, Record, Settings};
use crate::error::DriverError;
use crate::observers::grid;

/// Time between two savings of the states.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Chains after some steps.
pub(crate) struct Piece {
    /// `[chains, channels, height, width]`.
    pub(crate) states: Vec<f32>,
    /// F of each.
    pub(crate) energies: Vec<f64>,
    /// r over the steps of the piece.
    pub(crate) gradient_magnitude: f64,
    /// Over the proposals of the piece.
    pub(crate) acceptance_rate: Option<f64>,
}

/// Runs the kernel: states, number of the first step, steps.
pub(crate) type Steps<'a> = &'a dyn Fn(Vec<f32>, u64, u64) -> Result<Piece, DriverError>;

/// How the walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// After all its steps.
    Whole,
    /// By Ctrl-C, after this step; the states are saved.
    Stopped {
        /// Steps that are saved.
        step: u64,
    },
    /// Chains left all finite states before this step.
    RanAway {
        /// The record that could not be made.
        step: u64,
    },
}

/// An evaluation on its way.
pub(crate) struct Walk<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) folder: &'a EvaluationFolder,
    pub(crate) steps: Steps<'a>,
    /// Told of the steps of a piece that is done, and of its record.
    pub(crate) progress: &'a dyn Fn(u64, &Record),
}

impl Walk<'_> {
    /// Goes on from `chains` to the end. Returns all records, with those of earlier parts, which must end at `chains.step`.
    pub(crate) fn run(
        &self,
        mut chains: ChainState,
        mut records: Vec<Record>,
    ) -> Result<(Ended, Vec<Record>), DriverError> {
        let temperature = self.settings.temperature()?.get();
        let milestones = self.settings.milestones();
        let mut file = self.folder.append_records()?;
        let mut saved = Instant::now();
        let start = records.is_empty().then_some(0);
        for step in start
            .into_iter()
            .chain(self.settings.records_after(chains.step))
        {
            let taken = step - chains.step;
            let before = chains.states.clone();
            let piece = match (self.steps)(chains.states, chains.step, taken) {
                Err(DriverError::Langevin(LangevinError::Cancelled)) => {
                    chains.states = before;
                    self.folder.save(self.settings, &chains, None)?;
                    let step = chains.step;
                    return Ok((Ended::Stopped { step }, records));
                }
                piece => piece?,
            };
            let energies: Vec<f64> = piece.energies.iter().map(|f| f / temperature).collect();
            let Some(mut record) = Record::of(step, &energies, &piece.states) else {
                return Ok((Ended::RanAway { step }, records));
            };
            if taken > 0 {
                record.gradient_magnitude = Some(piece.gradient_magnitude);
                record.acceptance_rate = piece.acceptance_rate;
            }
            chains = ChainState {
                step,
                states: piece.states,
            };
            (self.progress)(taken, &record);
            if milestones.contains(&step) {
                self.picture(&chains)?;
            }
            // The record goes first: with states beyond it, it could not be made again.
            file.add(&record)?;
            records.push(record);
            if saved.elapsed() > SAVE_EVERY || step == self.settings.steps {
                self.folder
                    .save(self.settings, &chains, Some(&piece.energies))?;
                saved = Instant::now();
            }
        }
        Ok((Ended::Whole, records))
    }

    /// Points of the plane have no picture.
    fn picture(&self, chains: &ChainState) -> Result<(), DriverError> {
        let shape = self.settings.state_shape;
        if shape[1] > 1 {
            let path = self.folder.path(&picture_name(chains.step));
            write_png(&grid(&chains.states, shape)?, path)?;
        }
        Ok(())
    }
}

/// The picture of the first 64 chains after `step` steps.
pub(super) fn picture_name(step: u64) -> String {
    format!("states-{step:09}.png")
}
