//! Chains from record to record.

use std::time::{Duration, Instant};

use ebm_figures::{write_png};

use super::folder::{RecordFile, Sums};
use super::{ChainState, EvaluationFolder, Record, Settings};
use crate::ExperimentError;
use crate::Progress;
use crate::pictures::grid;
use crate::trained_net::Walked;

/// Time between two savings of the states.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// Steps that Ctrl-C may cost. Pieces end at multiples of it, so that sums over them do not depend on where a walk was cut.
const PIECE: u64 = 100;

/// Runs the kernel: states, number of the first step, steps.
pub(crate) type Steps<'a> = &'a dyn Fn(Vec<f32>, u64, u64) -> Result<Walked, ExperimentError>;

/// How the walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
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
}

impl Walk<'_> {
    /// Goes on from `chains` to the end. Returns all records, with those of earlier parts.
    pub(crate) fn run(
        &self,
        mut chains: ChainState,
        mut records: Vec<Record>,
        progress: &mut dyn Progress,
    ) -> Result<(Ended, Vec<Record>), ExperimentError> {
        let mut file = self.folder.append_records()?;
        let mut saved = Instant::now();
        if records.is_empty() {
            let piece = (self.steps)(chains.states, 0, 0)?;
            chains.states = piece.states;
            match self.record(&chains, &piece.energies)? {
                Some(record) => {
                    progress.message(&record.in_a_word());
                    self.keep(&chains, record, &mut file, &mut records)?;
                }
                None => return Ok((Ended::RanAway { step: 0 }, records)),
            }
        }
        while let Some(next) = self.settings.next_record(chains.step) {
            let piece_end = (chains.step / PIECE + 1).saturating_mul(PIECE).min(next);
            let taken = piece_end - chains.step;
            let before = chains.states.clone();
            let piece = match (self.steps)(chains.states, chains.step, taken) {
                Err(ExperimentError::Stopped) => {
                    chains.states = before;
                    file.sync()?;
                    self.folder.save(self.settings, &chains, None)?;
                    let step = chains.step;
                    return Ok((Ended::Stopped { step }, records));
                }
                piece => piece?,
            };
            let mut since = chains.since;
            since.gradient_magnitude += piece.gradient_magnitude * taken as f64;
            if let Some(rate) = piece.acceptance_rate {
                *since.acceptance_rate.get_or_insert(0.0) += rate * taken as f64;
            }
            let walked = ChainState {
                step: piece_end,
                states: piece.states,
                since,
            };
            progress.advance_to(piece_end, self.settings.steps);
            if piece_end == next {
                let Some(record) = self.record(&walked, &piece.energies)? else {
                    // The last finite states are worth a look.
                    chains.states = before;
                    file.sync()?;
                    self.folder.save(self.settings, &chains, None)?;
                    return Ok((Ended::RanAway { step: next }, records));
                };
                chains = walked;
                progress.message(&record.in_a_word());
                self.keep(&chains, record, &mut file, &mut records)?;
                chains.since = Sums::default();
            } else {
                chains = walked;
            }
            if saved.elapsed() > SAVE_EVERY || chains.step == self.settings.steps {
                file.sync()?;
                let energies = (piece_end == next).then_some(&piece.energies[..]);
                self.folder.save(self.settings, &chains, energies)?;
                saved = Instant::now();
            }
        }
        Ok((Ended::Whole, records))
    }

    /// The record of chains with these F; none where a number is not finite.
    fn record(
        &self,
        chains: &ChainState,
        energies: &[f64],
    ) -> Result<Option<Record>, ExperimentError> {
        let temperature = self.settings.temperature()?.get();
        let energies: Vec<f64> = energies.iter().map(|f| f / temperature).collect();
        let mut record = Record::of(chains.step, &energies, &chains.states);
        if let Some(record) = &mut record
            && chains.step > 0
        {
            let steps = (chains.step - self.settings.last_record(chains.step - 1)) as f64;
            record.gradient_magnitude = Some(chains.since.gradient_magnitude / steps);
            record.acceptance_rate = chains.since.acceptance_rate.map(|sum| sum / steps);
        }
        Ok(record)
    }

    fn keep(
        &self,
        chains: &ChainState,
        record: Record,
        file: &mut RecordFile,
        records: &mut Vec<Record>,
    ) -> Result<(), ExperimentError> {
        if self.settings.milestones().contains(&chains.step) {
            self.picture(chains)?;
        }
        file.add(&record)?;
        records.push(record);
        Ok(())
    }

    /// Points of the plane have no picture.
    fn picture(&self, chains: &ChainState) -> Result<(), ExperimentError> {
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
