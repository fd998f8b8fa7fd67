//! Long chains of one start, in pieces: only scalars of each record and the states of a few are kept.

use ebm_core::{NoiseKey, Temperature};
use ebm_diagnostics::verdict::{ChainGroup, ChainSummary};
use serde::{Deserialize, Serialize};

use super::{Schedule, StartName};
use crate::ExperimentError;
use crate::trained_net::Walked;

/// Steps between two moves of the progress bar.
const PIECE: u64 = 200;

/// A net that can be walked on, whatever its backend: states, noise, number of the first step, steps.
pub(crate) type NetChains<'a> =
    &'a dyn Fn(Vec<f32>, NoiseKey, u64, u64) -> Result<Walked, ExperimentError>;

/// Chains that left all finite states. That is an outcome: such a net has no steady state that they could reach.
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

/// What is kept of the chains of one start.
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
    pub(crate) net: NetChains<'a>,
    pub(crate) schedule: &'a Schedule,
    pub(crate) temperature: Temperature,
    /// `[channels, height, width]`.
    pub(crate) shape: [usize; 3],
    /// Told of every chain step that is done.
    pub(crate) progress: &'a mut dyn FnMut(u64),
}

impl Recorder<'_> {
    /// Runs all chains of one start to the end of the schedule, or until one is no longer finite.
    pub(crate) fn record(
        &mut self,
        start: StartName,
        initial: Vec<f32>,
        noise: NoiseKey,
    ) -> Result<GroupRecord, ExperimentError> {
        let per_chain = self.shape.iter().product::<usize>().max(1);
        let chains = initial.len() / per_chain;
        let Walked {
            mut states,
            energies,
            ..
        } = (self.net)(initial, noise, 0, 0)?;
        let mut record = GroupRecord {
            start,
            group: ChainGroup {
                start: start.into(),
                chains,
                steps: Vec::new(),
                energies: Vec::new(),
                state_summaries: self.summary_names(),
            },
            kept: Vec::new(),
            initial_energy: energies.iter().sum::<f64>()
                / energies.len().max(1) as f64
                / self.temperature.get(),
            runaway: None,
        };
        let mut step = 0;
        for &target in &self.schedule.steps {
            let mut energies = Vec::new();
            while step < target {
                let piece = PIECE.min(target - step);
                let walked = (self.net)(states, noise, step, piece)?;
                (states, energies) = (walked.states, walked.energies);
                step += piece;
                (self.progress)(piece * chains as u64);
            }
            let is_sound = |(state, energy): (&[f32], &f64)| {
                energy.is_finite() && state.iter().all(|value| value.is_finite())
            };
            let sound = states
                .chunks(per_chain)
                .zip(&energies)
                .filter(|pair| is_sound(*pair))
                .count();
            if sound < chains {
                record.runaway = Some(Runaway {
                    start: start.as_str().to_owned(),
                    step,
                    chains: chains - sound,
                    of: chains,
                });
                return Ok(record);
            }
            self.add(&mut record, step, &states, &energies);
        }
        Ok(record)
    }

    fn add(&self, record: &mut GroupRecord, step: u64, states: &[f32], energies: &[f64]) {
        let group = &mut record.group;
        group.steps.push(step);
        group
            .energies
            .extend(energies.iter().map(|f| f / self.temperature.get()));
        for state in states.chunks(self.shape.iter().product::<usize>().max(1)) {
            let summaries = if self.is_image() {
                image_summaries(state).to_vec()
            } else {
                vec![state.iter().fold(0.0, |r: f64, x| r.hypot(f64::from(*x)))]
            };
            for (summary, value) in group.state_summaries.iter_mut().zip(summaries) {
                summary.values.push(value);
            }
        }
        if let Some(multiple) = self.schedule.kept_multiple(step) {
            record.kept.push((multiple, states.to_vec()));
        }
    }

    fn is_image(&self) -> bool {
        self.shape[1] > 1
    }

    fn summary_names(&self) -> Vec<ChainSummary> {
        let names: &[&str] = if self.is_image() {
            &["pixel mean", "pixel deviation", "saturation"]
        } else {
            &["radius"]
        };
        names
            .iter()
            .map(|name| ChainSummary {
                name: (*name).to_owned(),
                values: Vec::new(),
            })
            .collect()
    }
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
