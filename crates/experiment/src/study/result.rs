//! The outcome of a run of a study.

use ebm_diagnostics::SeriesSummary;
use ebm_diagnostics::verdict::{Convergence, Oscillation, Stability};
use serde::{Deserialize, Serialize};

use crate::Supervisor;
use crate::comparison::ComparedRun;
use crate::config::cost;
use crate::diagnosis::{LearningOutcome, LongChains, StartName};
use crate::quality::{DigitQuality, SetQuality};

/// The end of a run in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// Iterations done.
    pub iterations: u64,
    /// Gradients of F that the chains of all its iterations take, one for each step and chain, and for HMC one for each
    /// leapfrog step: the budget.
    #[serde(alias = "chain_steps")]
    pub gradients: u64,
    /// How learning ran away, if it did.
    pub ran_away: Option<String>,
    /// The first axis.
    pub stability: Option<Stability>,
    /// Whether d oscillates.
    pub oscillation: Option<Oscillation>,
    /// The second axis; none for a run that ran away.
    pub convergence: Option<Convergence>,
    /// Why it could not be diagnosed, where its chains allow no answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_diagnosed: Option<String>,
    /// d over the settled iterations, in nats.
    pub energy_difference: Option<Spread>,
    /// r over the same.
    pub gradient_magnitude: Option<Spread>,
    /// Mean acceptance rate over the same, for kernels that propose.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_rate: Option<f64>,
    /// The quality of its samples, where its diagnosis judged digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<SampleQuality>,
    /// That of longer chains from noise, where its diagnosis judged them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_noise: Option<SampleQuality>,
    /// That of longer chains from the data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_data: Option<SampleQuality>,
    /// KL(q‖p_θ) in nats, where its diagnosis judged a toy density and this is finite.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kl_divergence: Option<f64>,
    /// The verdict in words.
    pub verdict: String,
}

/// The quality of short-run samples in the features of the classifier of digits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SampleQuality {
    /// Fréchet distance to the data.
    pub frechet_distance: f64,
    /// The share of data that have a sample near them.
    pub coverage: f64,
    /// Mean probability of the digit seen.
    pub mean_probability: f64,
}

impl SampleQuality {
    fn of(digits: &DigitQuality) -> Self {
        let SetQuality {
            features, classes, ..
        } = &digits.samples;
        Self {
            frechet_distance: features.frechet.value,
            coverage: features.neighbours.coverage,
            mean_probability: classes.mean_top_probability,
        }
    }
}

/// Mean and standard deviation of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub standard_deviation: f64,
}

impl Spread {
    /// Mean and sample standard deviation; none of fewer than two values.
    pub(crate) fn over(values: &[f64]) -> Option<Self> {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
        (values.len() > 1).then(|| Self {
            mean,
            standard_deviation: (squares / (count - 1.0)).sqrt(),
        })
    }
}

impl From<SeriesSummary> for Spread {
    fn from(summary: SeriesSummary) -> Self {
        Self {
            mean: summary.mean,
            standard_deviation: summary.standard_deviation,
        }
    }
}

impl RunResult {
    /// Reads the outcome from the run; `not_diagnosed` says why it has no diagnosis.
    pub(crate) fn of(
        run: &ComparedRun,
        not_diagnosed: Option<String>,
        supervisor: &dyn Supervisor,
    ) -> Self {
        let verdict = match &run.diagnosis {
            Some(diagnosis) => diagnosis.learning.clone(),
            None => LearningOutcome::of(&run.metrics),
        };
        let (stability, oscillation) = match verdict {
            LearningOutcome::Judged(verdict) => (
                Some(verdict.stability.conclusion),
                verdict.oscillation.map(|test| test.conclusion),
            ),
            LearningOutcome::NotJudged(_) => (None, None),
        };
        let diagnosis = run.diagnosis.as_ref();
        let chains = diagnosis.map(|found| &found.convergence);
        let digits = diagnosis.and_then(|found| found.digits.as_ref());
        let judged = |start| {
            let all = diagnosis.map_or(&[][..], |found| &found.judged);
            let found = all.iter().find(|judged| judged.start == start);
            found.map(|judged| SampleQuality::of(&judged.quality))
        };
        let plane = diagnosis.and_then(|found| found.plane.as_ref());
        Self {
            iterations: run.iterations(),
            gradients: cost::learning(&run.config),
            ran_away: run.ran_away().map(str::to_owned),
            stability,
            oscillation,
            convergence: chains.map(|chains| match chains {
                LongChains::Judged(test) => test.conclusion,
                LongChains::RanAway(_) => Convergence::NotConvergent,
            }),
            not_diagnosed,
            energy_difference: run.summary.map(|summary| summary.energy_difference.into()),
            gradient_magnitude: run.summary.map(|summary| summary.gradient_magnitude.into()),
            acceptance_rate: run.summary.and_then(|summary| summary.acceptance_rate),
            samples: digits.map(SampleQuality::of),
            from_noise: judged(StartName::Noise),
            from_data: judged(StartName::Data),
            kl_divergence: plane.and_then(|plane| plane.kl_divergence),
            verdict: run.verdict(supervisor),
        }
    }
}
