//! Chains from record to record.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use ebm_figures::write_png;
use ebm_langevin::{ChainPlace, Chains, Piece, Sampler, Watch};

use super::folder::RecordFile;
use super::{EvaluationFolder, EvaluationSettings, Record, Trace};
use crate::pictures::grid;
use crate::{ExperimentError, Progress};

/// Time between two savings of the states.
const SAVE_EVERY: Duration = Duration::from_secs(30);

/// How the walk ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvaluationEnd {
    /// After all its steps.
    Finished,
    /// It was stopped after this step; the states are saved.
    Stopped {
        /// The number of steps that are saved.
        step: u64,
    },
    /// States became NaN or infinite before this step.
    RanAway {
        /// The record that could not be made.
        step: u64,
    },
}

/// What has been walked so far.
pub(super) struct Walked {
    pub(super) ended: EvaluationEnd,
    pub(super) records: Vec<Record>,
    pub(super) traces: Vec<Trace>,
    /// Steps taken.
    pub(super) step: u64,
}

/// Runs from `place` to the end, after what was walked `before`. Returns all records, with those of earlier parts.
pub(super) fn walk(
    settings: &EvaluationSettings,
    folder: &EvaluationFolder,
    chains: &dyn Chains,
    sampler: &Sampler,
    place: ChainPlace,
    before: Walked,
    progress: &mut dyn Progress,
) -> Result<Walked, ExperimentError> {
    let mut keeper = Keeper {
        settings,
        temperature: settings.temperature()?.get(),
        folder,
        file: folder.append_records()?,
        trace_file: folder.append_traces()?,
        records: before.records,
        traces: before.traces,
        saved: Instant::now(),
        progress,
    };
    let sampled = sampler.walk(chains, place, &mut keeper)?;
    let ended = match sampled.ended {
        ebm_langevin::WalkEnd::Finished => EvaluationEnd::Finished,
        ebm_langevin::WalkEnd::RanAway { step, .. } => {
            // If even the start is not finite, there is nothing to save.
            if step > 0 {
                keeper.save(&sampled.place, None)?;
            }
            EvaluationEnd::RanAway { step }
        }
        _ => {
            keeper.save(&sampled.place, None)?;
            EvaluationEnd::Stopped {
                step: sampled.place.step,
            }
        }
    };
    Ok(Walked {
        ended,
        records: keeper.records,
        traces: keeper.traces,
        step: sampled.place.step,
    })
}

/// Writes records, pictures and states on the way.
struct Keeper<'a> {
    settings: &'a EvaluationSettings,
    /// T.
    temperature: f64,
    folder: &'a EvaluationFolder,
    file: RecordFile,
    trace_file: RecordFile,
    records: Vec<Record>,
    traces: Vec<Trace>,
    saved: Instant,
    progress: &'a mut dyn Progress,
}

impl Watch for Keeper<'_> {
    type Error = ExperimentError;

    fn record(
        &mut self,
        seen: &ebm_langevin::Record<'_>,
    ) -> Result<ControlFlow<()>, ExperimentError> {
        // Of several temperatures the coldest comes first, and is the one that was asked for.
        let chains = self.settings.chains.min(seen.energies.len());
        let energies = seen.energies[..chains].iter();
        let energies: Vec<f64> = energies.map(|f| f64::from(*f) / self.temperature).collect();
        let states = &seen.states.values()[..chains * seen.states.shape().size()];
        let Some(mut record) = Record::of(seen.step, &energies, states) else {
            return Err(ExperimentError::RunawayChains);
        };
        record.gradient_magnitude = seen.gradient_magnitude;
        record.acceptance_rate = seen.acceptance_rate;
        record.swaps = seen.swaps.to_vec();
        self.progress.message(&record.in_a_word());
        let shape = self.settings.state_shape;
        // Points of the plane have no picture.
        if self.settings.milestones().contains(&seen.step) && shape[1] > 1 {
            let path = self.folder.path(&picture_name(seen.step));
            write_png(&grid(states, shape)?, path)?;
        }
        let trace = Trace::of(seen.step, &energies, states);
        self.trace_file.add(&trace)?;
        self.traces.push(trace);
        self.file.add(&record)?;
        self.records.push(record);
        Ok(ControlFlow::Continue(()))
    }

    fn piece(&mut self, piece: &Piece<'_>) -> Result<ControlFlow<()>, ExperimentError> {
        self.progress
            .advance_to(piece.place.step, self.settings.steps);
        if self.saved.elapsed() > SAVE_EVERY || piece.place.step == self.settings.steps {
            self.save(piece.place, piece.energies)?;
            self.saved = Instant::now();
        }
        Ok(ControlFlow::Continue(()))
    }
}

impl Keeper<'_> {
    /// Records are saved first: states are of no use without the records before them.
    fn save(&self, place: &ChainPlace, energies: Option<&[f32]>) -> Result<(), ExperimentError> {
        self.trace_file.sync()?;
        self.file.sync()?;
        self.folder.save(self.settings, place, energies)
    }
}

/// The picture of the first 64 chains after `step` steps.
pub(super) fn picture_name(step: u64) -> String {
    format!("states-{step:09}.png")
}
