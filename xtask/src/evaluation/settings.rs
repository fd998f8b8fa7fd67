//! What determines an evaluation.

use std::fmt;

use clap::ValueEnum;
use ebm_core::{StepSize, Temperature};
use ebm_energy_net::NetConfig;
use ebm_langevin::{Kernel, Mala, Ula};
use ebm_trainer::Stabilisers;
use serde::{Deserialize, Serialize};

use crate::error::DriverError;

/// The kernel of the chains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum KernelName {
    /// Every Langevin step is taken, as in learning.
    Ula,
    /// Langevin steps are proposed and accepted or not: exactly exp(−F/T).
    Mala,
}

impl fmt::Display for KernelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ula => "ULA",
            Self::Mala => "MALA",
        })
    }
}

/// Everything that determines an evaluation, besides the weights and the initial states, which lie beside it as files.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where the weights came from.
    pub(crate) weights: String,
    /// The net.
    pub(crate) net: NetConfig,
    /// `[channels, height, width]` of a state.
    pub(crate) state_shape: [usize; 3],
    /// ε of the training.
    pub(crate) training_epsilon: f64,
    /// T = temperature_factor · ε²/2 with ε of the training.
    pub(crate) temperature_factor: f64,
    /// The kernel.
    pub(crate) kernel: KernelName,
    /// Those of the training; their bounds hold for the steps of ULA.
    #[serde(default, skip_serializing_if = "Stabilisers::is_plain")]
    pub(crate) stabilisers: Stabilisers,
    /// ε of the chains.
    pub(crate) epsilon: f64,
    /// Where the chains started, in words.
    pub(crate) start: String,
    /// How many chains.
    pub(crate) chains: usize,
    /// Langevin steps of each.
    pub(crate) steps: u64,
    /// Steps between two records.
    pub(crate) record_every: u64,
    /// Seed of the chains.
    pub(crate) seed: u64,
    /// The backend.
    pub(crate) backend: String,
    /// The engine.
    pub(crate) engine: String,
    /// Version of this program.
    pub(crate) version: String,
}

impl Settings {
    /// T in units of F: the chains sample exp(−F/T).
    ///
    /// # Errors
    /// [`DriverError::Usage`] for a factor that gives none.
    pub(crate) fn temperature(&self) -> Result<Temperature, DriverError> {
        temperature(self.training_epsilon, self.temperature_factor)
    }

    /// The kernel with its ε and T.
    ///
    /// # Errors
    /// [`DriverError::Usage`] for an ε that is no step size, and as [`Self::temperature`].
    pub(crate) fn kernel(&self) -> Result<Kernel, DriverError> {
        let epsilon = step_size(self.epsilon)?;
        let temperature = self.temperature()?;
        Ok(match self.kernel {
            KernelName::Ula => self
                .stabilisers
                .bounded(Ula::new(epsilon, temperature))
                .into(),
            KernelName::Mala => Mala::new(epsilon, temperature)
                .map_err(|error| DriverError::Usage(format!("--epsilon: {error}")))?
                .into(),
        })
    }

    /// Records from `step` (excluded) to the end: the steps at which they are made.
    pub(crate) fn records_after(&self, step: u64) -> impl Iterator<Item = u64> + use<> {
        let (every, steps) = (self.record_every.max(1), self.steps);
        let next = (step / every + 1).saturating_mul(every);
        (0..)
            .map(move |index| next.saturating_add(every.saturating_mul(index)).min(steps))
            .scan(step, |last, at| {
                let is_new = at > *last;
                *last = at;
                is_new.then_some(at)
            })
    }

    /// The records at which pictures are taken: the start, the first after 1 % and 10 % of the steps, and the end.
    pub(crate) fn milestones(&self) -> Vec<u64> {
        let every = self.record_every.max(1);
        let at = |share: u64| (self.steps.div_ceil(share).next_multiple_of(every)).min(self.steps);
        let mut milestones = vec![0, at(100), at(10), self.steps];
        milestones.dedup();
        milestones
    }
}

/// T = factor · ε²/2.
pub(crate) fn temperature(training_epsilon: f64, factor: f64) -> Result<Temperature, DriverError> {
    let learned = step_size(training_epsilon)?.learned_temperature().get();
    Temperature::new(factor * learned)
        .map_err(|error| DriverError::Usage(format!("--temp-factor: {error}")))
}

/// ε of the command line.
pub(crate) fn step_size(epsilon: f64) -> Result<StepSize, DriverError> {
    StepSize::new(epsilon).map_err(|error| DriverError::Usage(format!("--epsilon: {error}")))
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use ebm_energy_net::Architecture;
    use proptest::prelude::*;

    pub(in super::super) fn settings(steps: u64, record_every: u64) -> Settings {
        Settings {
            weights: "w".into(),
            net: NetConfig::published(Architecture::Toy),
            state_shape: [2, 1, 1],
            training_epsilon: 0.1,
            temperature_factor: 1.0,
            kernel: KernelName::Ula,
            stabilisers: Stabilisers::default(),
            epsilon: 0.1,
            start: "noise".into(),
            chains: 2,
            steps,
            record_every,
            seed: 1,
            backend: "flex".into(),
            engine: "fused".into(),
            version: "0".into(),
        }
    }

    #[test]
    fn records_come_at_every_multiple_and_at_the_end() {
        let settings = settings(10, 4);
        assert_eq!(settings.records_after(0).collect::<Vec<_>>(), [4, 8, 10]);
        assert_eq!(settings.records_after(4).collect::<Vec<_>>(), [8, 10]);
        assert_eq!(settings.records_after(10).count(), 0);
        assert_eq!(settings.milestones(), [0, 4, 10]);
    }

    proptest! {
        #[test]
        fn every_milestone_is_a_record_or_the_start(steps in 1u64..5_000, every in 1u64..400) {
            let settings = settings(steps, every);
            let records: Vec<_> = settings.records_after(0).collect();
            prop_assert_eq!(records.last(), Some(&steps));
            prop_assert!(records.windows(2).all(|pair| pair[0] < pair[1] && pair[1] - pair[0] <= every));
            let milestones = settings.milestones();
            prop_assert!(milestones.windows(2).all(|pair| pair[0] < pair[1]));
            for milestone in &milestones[1..] {
                prop_assert!(records.contains(milestone));
            }
        }

        #[test]
        fn records_go_on_where_they_were_cut(steps in 1u64..2_000, every in 1u64..100, part in 0usize..50) {
            let settings = settings(steps, every);
            let all: Vec<_> = settings.records_after(0).collect();
            let part = part.min(all.len() - 1);
            let rest: Vec<_> = settings.records_after(all[part]).collect();
            prop_assert_eq!(&rest[..], &all[part + 1..]);
        }
    }
}
