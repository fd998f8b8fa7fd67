//! The outcome of a diagnosis: one sentence, and `verdict.json`.

use std::path::Path;

use ebm_diagnostics::IterationMetrics;
use ebm_diagnostics::verdict::{
    ChainGroup, ChainOrigin, ConvergenceOptions, ConvergenceTest, LearningVerdict, VerdictOptions,
    test_convergence,
};
use serde::{Deserialize, Serialize};

use super::{GroupRecord, JudgedStart, PlaneQuality, Runaway, Schedule, StartName};
use crate::ExperimentError;
use crate::quality::DigitQuality;
use crate::recovery_record::RecoveryRecord;

/// The file of a diagnosis that other commands read.
pub(crate) const RECORD: &str = "verdict.json";

/// The first axis, or why it cannot be judged.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LearningOutcome {
    /// Judged from d and r.
    Judged(Box<LearningVerdict>),
    /// No iterations.
    NotJudged(String),
}

impl LearningOutcome {
    /// Judges all the metrics of a run.
    pub(crate) fn of(metrics: &[IterationMetrics]) -> Self {
        match LearningVerdict::new(metrics, &VerdictOptions::default()) {
            Ok(verdict) => Self::Judged(Box::new(verdict)),
            Err(error) => Self::NotJudged(error.to_string()),
        }
    }

    /// Half a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Judged(verdict) => verdict.to_string(),
            Self::NotJudged(_) => "Learning not judged".to_owned(),
        }
    }

    /// The numbers behind it, a line each.
    #[must_use]
    pub fn details(&self) -> Vec<String> {
        match self {
            Self::Judged(verdict) => {
                let mut lines = vec![format!("Learning: {}.", verdict.stability)];
                lines.extend(
                    verdict
                        .oscillation
                        .map(|test| format!("Of d and r: {test}.")),
                );
                lines
            }
            Self::NotJudged(problem) => vec![format!("Learning is not judged: {problem}.")],
        }
    }
}

/// The second axis.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongChains {
    /// Judged by tests.
    Judged(ConvergenceTest),
    /// Some chains became NaN or infinite, so there is nothing to test.
    RanAway(Vec<Runaway>),
}

impl LongChains {
    /// Judges the records of all groups.
    pub(crate) fn of(
        records: &[GroupRecord],
        schedule: &Schedule,
    ) -> Result<Self, ExperimentError> {
        let runaways: Vec<_> = records.iter().filter_map(|r| r.runaway.clone()).collect();
        if !runaways.is_empty() {
            return Ok(Self::RanAway(runaways));
        }
        let groups: Vec<_> = records.iter().map(|record| record.group.clone()).collect();
        // If learning continues chains from a bank, chains from noise are still in their burn-in after L steps.
        let has_bank = records.iter().any(|record| record.start == StartName::Bank);
        let origins_in_burn_in = if has_bank {
            vec![ChainOrigin::Noise]
        } else {
            Vec::new()
        };
        let options = ConvergenceOptions {
            origins_in_burn_in,
            training_steps: schedule.training_steps,
            multiples: schedule.multiples.clone(),
            ..ConvergenceOptions::default()
        };
        let groups = without_flat_summaries(groups, schedule);
        Ok(Self::Judged(test_convergence(&groups, &options)?))
    }

    /// Half a sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match self {
            Self::Judged(test) => test.to_string(),
            Self::RanAway(runaways) => {
                let each: Vec<_> = runaways
                    .iter()
                    .map(|runaway| {
                        let Runaway {
                            start,
                            step,
                            chains,
                            of,
                        } = runaway;
                        format!("{chains} of {of} chains from {start} ran away to infinity by step {step}")
                    })
                    .collect();
                format!("not convergent: {}", each.join(", "))
            }
        }
    }
}

/// A summary that is the same in all chains of a group has no spread to count changes in, as the saturation of images
/// that are black and white throughout.
fn without_flat_summaries(mut groups: Vec<ChainGroup>, schedule: &Schedule) -> Vec<ChainGroup> {
    let compared: Vec<u64> = std::iter::once(&1)
        .chain(&schedule.multiples)
        .map(|multiple| multiple.saturating_mul(schedule.training_steps))
        .collect();
    let is_flat = |group: &ChainGroup, values: &[f64]| {
        let flat_at = |step| {
            group.steps.binary_search(step).is_ok_and(|record| {
                let chains = &values[record * group.chains..(record + 1) * group.chains];
                chains.iter().all(|value| *value == chains[0])
            })
        };
        // Flat at one of two compared steps still has the spread of the other.
        compared.iter().filter(|step| flat_at(step)).count() > 1 || flat_at(&schedule.last())
    };
    let flat: Vec<String> = groups
        .iter()
        .flat_map(|group| {
            group
                .state_summaries
                .iter()
                .filter(|summary| is_flat(group, &summary.values))
                .map(|summary| summary.name.clone())
        })
        .collect();
    for group in &mut groups {
        group
            .state_summaries
            .retain(|summary| !flat.contains(&summary.name));
    }
    groups
}

/// All results of a diagnosis, and what it was made from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Diagnosis {
    /// Both axes in one sentence.
    pub sentence: String,
    /// Name of the experiment.
    pub experiment: String,
    /// Learning iterations of the net.
    pub iteration: u64,
    /// Whether the net has the average of the parameters over learning instead of the newest ones.
    #[serde(default)]
    pub average: bool,
    /// Chains of each group.
    pub chains: usize,
    /// L.
    pub training_steps: u64,
    /// ε.
    pub epsilon: f64,
    /// T = ε²/2 of U = F/T, or 1 without noise.
    pub temperature: f64,
    /// Seed of the diagnosis.
    pub seed: u64,
    /// What computed.
    pub backend: String,
    /// The engine of the chains.
    pub engine: String,
    /// Version of this program.
    pub version: String,
    /// The first axis.
    pub learning: LearningOutcome,
    /// How often learning ran away and went back to an earlier checkpoint.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub recoveries: Vec<RecoveryRecord>,
    /// The second axis.
    pub convergence: LongChains,
    /// Mean U of the data with their noise, if chains started from them.
    pub data_energy: Option<f64>,
    /// Where the chains of learning start, if the folder still says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<StartName>,
    /// For toy densities.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plane: Option<PlaneQuality>,
    /// The quality of short-run samples, if the data are digits and chains do not start from them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digits: Option<DigitQuality>,
    /// The quality of longer chains from noise and from the data, if it was asked for and the data are digits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub judged: Vec<JudgedStart>,
}

impl Diagnosis {
    /// The name of the samples of the net: those from a bank have run for more than L steps.
    #[must_use]
    pub fn samples(&self) -> String {
        if self.start == Some(StartName::Bank) {
            format!("samples after {} steps from the bank", self.training_steps)
        } else {
            "short-run samples".to_owned()
        }
    }
}

/// Reads the `verdict.json` of a folder; none where there is no such file.
///
/// # Errors
/// [`ExperimentError::RunFolder`] when it is damaged.
pub(crate) fn read_diagnosis(folder: &Path) -> Result<Option<Diagnosis>, ExperimentError> {
    let anew = "delete the folder and diagnose the run again";
    crate::json::read_json(&folder.join(RECORD), anew)
}
