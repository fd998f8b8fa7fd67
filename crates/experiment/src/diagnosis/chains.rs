//! Long chains from one start, in pieces. Only scalars of each record, and the states of a few records, are kept.

use std::ops::ControlFlow;

use ebm_core::{NoiseKey, StateShape, States, Temperature};
use ebm_diagnostics::verdict::{ChainGroup, ChainSummary};
use ebm_langevin::{AnyKernel, ChainPlace, Chains, Piece, Record, Sampler, WalkEnd, Watch};
use serde::{Deserialize, Serialize};

use super::{Schedule, StartName};
use crate::ExperimentError;

/// Steps between two moves of the progress bar.
const PIECE: u64 = 200;

/// Chains whose states became NaN or infinite. That is an outcome: such a net has no steady state that they could
/// reach.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runaway {
    /// Where the chains started: noise, data or bank.
    pub start: String,
    /// The recorded step at which it was seen.
    pub step: u64,
    /// How many of them.
    pub chains: usize,
    /// Of how many.
    pub of: usize,
}

/// The records of the chains from one start.
pub(crate) struct GroupRecord {
    pub(crate) start: StartName,
    /// Energies U = F/T and summaries of the states at each recorded step; cut off where chains ran away.
    pub(crate) group: ChainGroup,
    /// Multiples of L and the states there.
    pub(crate) kept: Vec<(u64, Vec<f32>)>,
    /// Mean U where the chains start.
    pub(crate) initial_energy: f64,
    pub(crate) runaway: Option<Runaway>,
}

/// Runs and records chains.
pub(crate) struct Recorder<'a> {
    pub(crate) net: &'a dyn Chains,
    /// The kernel of learning, with its bounds if it has any, because the question is whether the chains of learning
    /// have come to rest.
    pub(crate) kernel: AnyKernel,
    pub(crate) schedule: &'a Schedule,
    pub(crate) temperature: Temperature,
    /// Is called with the number of finished chain steps.
    pub(crate) progress: &'a mut dyn FnMut(u64),
}

impl Recorder<'_> {
    /// Runs all chains of one start to the end of the schedule, or until one is no longer finite.
    pub(crate) fn record(
        self,
        start: StartName,
        initial: States,
        noise: NoiseKey,
    ) -> Result<GroupRecord, ExperimentError> {
        let chains = initial.len();
        let energies = self.net.energies(&initial)?;
        let sum: f64 = energies.iter().map(|f| f64::from(*f)).sum();
        let sampler = Sampler::new(self.kernel.clone())
            .with_steps(self.schedule.last())
            .with_noise(noise)
            .without_regular_records()
            .with_records_at(self.schedule.steps.clone())
            .with_piece(PIECE);
        let place = ChainPlace {
            is_new: false,
            ..ChainPlace::new(initial)
        };
        let net = self.net;
        let mut kept = Kept {
            record: GroupRecord {
                start,
                group: ChainGroup {
                    start: start.into(),
                    chains,
                    steps: Vec::new(),
                    energies: Vec::new(),
                    state_summaries: summary_names(net.shape()),
                },
                kept: Vec::new(),
                initial_energy: sum / energies.len().max(1) as f64 / self.temperature.get(),
                runaway: None,
            },
            recorder: self,
        };
        let sampled = sampler.walk(net, place, &mut kept)?;
        let mut record = kept.record;
        match sampled.ended {
            WalkEnd::Finished => {}
            WalkEnd::RanAway {
                step,
                chains: runaways,
            } => {
                record.runaway = Some(Runaway {
                    start: start.as_str().to_owned(),
                    step,
                    chains: runaways,
                    of: chains,
                });
            }
            _ => return Err(ExperimentError::Stopped),
        }
        Ok(record)
    }
}

/// The records of chains that are still running.
struct Kept<'a> {
    record: GroupRecord,
    recorder: Recorder<'a>,
}

impl Watch for Kept<'_> {
    type Error = ExperimentError;

    fn record(&mut self, seen: &Record<'_>) -> Result<ControlFlow<()>, ExperimentError> {
        let temperature = self.recorder.temperature.get();
        let group = &mut self.record.group;
        group.steps.push(seen.step);
        group
            .energies
            .extend(seen.energies.iter().map(|f| f64::from(*f) / temperature));
        for state in seen.states {
            let summaries = if seen.states.shape().is_point() {
                vec![state.iter().fold(0.0, |r: f64, x| r.hypot(f64::from(*x)))]
            } else {
                image_summaries(state).to_vec()
            };
            for (summary, value) in group.state_summaries.iter_mut().zip(summaries) {
                summary.values.push(value);
            }
        }
        if let Some(multiple) = self.recorder.schedule.kept_multiple(seen.step) {
            self.record
                .kept
                .push((multiple, seen.states.values().to_vec()));
        }
        Ok(ControlFlow::Continue(()))
    }

    fn piece(&mut self, piece: &Piece<'_>) -> Result<ControlFlow<()>, ExperimentError> {
        (self.recorder.progress)(piece.steps * piece.place.states.len() as u64);
        Ok(ControlFlow::Continue(()))
    }
}

fn summary_names(shape: StateShape) -> Vec<ChainSummary> {
    let names: &[&str] = if shape.is_point() {
        &["radius"]
    } else {
        &["pixel mean", "pixel deviation", "saturation"]
    };
    names
        .iter()
        .map(|name| ChainSummary {
            name: (*name).to_owned(),
            values: Vec::new(),
        })
        .collect()
}

/// Mean and standard deviation of the pixels, and the share of them beyond [−1, 1].
fn image_summaries(state: &[f32]) -> [f64; 3] {
    let count = state.len().max(1) as f64;
    let mean = state.iter().map(|x| f64::from(*x)).sum::<f64>() / count;
    let squares: f64 = state.iter().map(|x| (f64::from(*x) - mean).powi(2)).sum();
    let beyond = state.iter().filter(|x| x.abs() > 1.0).count() as f64;
    [mean, (squares / count).sqrt(), beyond / count]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_summed_up_in_three_numbers() {
        assert_eq!(
            image_summaries(&[-2.0, 0.0, 0.0, 2.0]),
            [0.0, 2f64.sqrt(), 0.5]
        );
    }
}
