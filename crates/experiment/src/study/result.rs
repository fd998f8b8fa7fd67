//! The outcome of a variant.

use ebm_diagnostics::SeriesSummary;
use ebm_diagnostics::verdict::{Convergence, Oscillation, Stability};
use serde::{Deserialize, Serialize};

use crate::Supervisor;
use crate::comparison::ComparedRun;
use crate::config::cost;
use crate::diagnosis::{LearningOutcome, LongChains};

/// The end of a variant in numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VariantResult {
    /// Iterations done.
    pub iterations: u64,
    /// Langevin steps of single chains that all its iterations take: the budget.
    pub chain_steps: u64,
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
    /// The verdict in words.
    pub verdict: String,
}

/// Mean and standard deviation of a series.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Spread {
    /// Mean.
    pub mean: f64,
    /// Standard deviation.
    pub standard_deviation: f64,
}

impl From<SeriesSummary> for Spread {
    fn from(summary: SeriesSummary) -> Self {
        Self {
            mean: summary.mean,
            standard_deviation: summary.standard_deviation,
        }
    }
}

impl VariantResult {
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
        let chains = run.diagnosis.as_ref().map(|found| &found.convergence);
        Self {
            iterations: run.iterations(),
            chain_steps: cost::learning(&run.config),
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
            verdict: run.verdict(supervisor),
        }
    }
}
