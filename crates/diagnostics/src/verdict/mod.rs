//! The outcome of learning on both axes of the paper, decided by tests.
//!
//! The first axis is read from the window of `d` and `r` in which learning has settled: is it stable, do expansion and
//! contraction balance, and is the oscillation weak or strong? The second needs long chains: are the samples of
//! training length near the steady state? Tests with stated error rates decide, and say "undecided" where the data do
//! not.

mod chain_group;
mod compared;
mod comparison;
mod convergence;
mod estimate;
mod halves;
mod mixing;
mod not_finite;
mod oscillation;
mod pairs;
mod spread_change;
mod stability;
mod standardised;
mod sureness;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use chain_group::{ChainGroup, ChainOrigin, ChainSummary};
pub use comparison::{Change, Distance};
pub use convergence::{Convergence, ConvergenceOptions, ConvergenceTest, test_convergence};
pub use estimate::Estimate;
pub use mixing::Mixing;
pub use not_finite::NotFiniteChains;
pub use oscillation::{
    LagCorrelation, Oscillation, OscillationOptions, OscillationTest, test_oscillation,
};
pub use spread_change::SpreadChange;
pub use stability::{
    Balance, Instability, Stability, StabilityMeasures, StabilityOptions, StabilityTest,
    test_stability,
};

use crate::{DiagnosticsError, IterationMetrics, Result, settled_window};

/// How to judge a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VerdictOptions {
    /// Number of latest iterations that count, never more than half of the run; the paper's plots use 2,000.
    pub window: usize,
    /// How to test for stability.
    pub stability: StabilityOptions,
    /// How to test for oscillation.
    pub oscillation: OscillationOptions,
    /// How to judge convergence, where there are long chains.
    pub convergence: ConvergenceOptions,
}

impl Default for VerdictOptions {
    fn default() -> Self {
        Self {
            window: 2_000,
            stability: StabilityOptions::default(),
            oscillation: OscillationOptions::default(),
            convergence: ConvergenceOptions::default(),
        }
    }
}

/// The first axis of one run: what d and r say about its learning. Its [`Display`](fmt::Display) is half a sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LearningVerdict {
    /// Whether learning is stable.
    pub stability: StabilityTest,
    /// How it oscillates; `None` when d or r is not finite somewhere in the window, d is constant or there are fewer
    /// than 8 iterations.
    pub oscillation: Option<OscillationTest>,
}

impl LearningVerdict {
    /// Judges the [`settled_window`] of a run.
    ///
    /// A window too short for a test, or without any spread, leaves that test undecided and the others as they are.
    ///
    /// # Errors
    /// [`DiagnosticsError::SeriesTooShort`] for a window without records, and those of [`test_stability`] and
    /// [`test_oscillation`] but for the cases above.
    pub fn new(metrics: &[IterationMetrics], options: &VerdictOptions) -> Result<Self> {
        let (d, r): (Vec<f64>, Vec<f64>) = settled_window(metrics, options.window)
            .iter()
            .map(|m| (m.energy_difference, m.gradient_magnitude))
            .unzip();
        if d.is_empty() {
            return Err(DiagnosticsError::SeriesTooShort {
                what: "the window of d and r",
                length: 0,
                needed: 1,
            });
        }
        let stability = if_testable(test_stability(&d, &r, &options.stability))?
            .unwrap_or_else(|| StabilityTest::undecided(d.len(), &options.stability));
        let oscillation = if stability.not_finite == 0 {
            if_testable(test_oscillation(&d, &r, &options.oscillation))?
        } else {
            None
        };
        Ok(Self {
            stability,
            oscillation,
        })
    }
}

/// `None` where the data do not allow the test.
fn if_testable<T>(test: Result<T>) -> Result<Option<T>> {
    match test {
        Ok(test) => Ok(Some(test)),
        Err(DiagnosticsError::SeriesTooShort { .. } | DiagnosticsError::NoSpread { .. }) => {
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

impl fmt::Display for LearningVerdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stability.conclusion {
            Stability::Stable => "Stable learning",
            Stability::Unstable => "Unstable learning",
            Stability::Undecided => "Learning not shown to be stable",
        })?;
        if !self.stability.reasons.is_empty() {
            let reasons: Vec<String> = self
                .stability
                .reasons
                .iter()
                .map(ToString::to_string)
                .collect();
            write!(f, " ({})", reasons.join(", "))?;
        } else if self.stability.measures.is_none() {
            f.write_str(" (too few iterations, or d is constant)")?;
        }
        match self.oscillation.map(|test| test.conclusion) {
            Some(Oscillation::Weak) => f.write_str(" with weak oscillation")?,
            Some(Oscillation::Strong) => f.write_str(" with strong oscillation")?,
            Some(Oscillation::Wandering) => f.write_str(", correlated but not oscillating")?,
            Some(Oscillation::Undecided) => {
                f.write_str(", oscillation undecided in so short a window")?;
            }
            None => {}
        }
        if let Some(measures) = &self.stability.measures {
            let percent = 100.0 * measures.expanding_share.value;
            match measures.balance {
                Balance::Balanced => {}
                Balance::Expanding => write!(f, "; {percent:.0} % of the updates expand")?,
                Balance::Contracting => {
                    write!(f, "; {:.0} % of the updates contract", 100.0 - percent)?;
                }
                Balance::Undecided => {
                    write!(
                        f,
                        "; balance undecided, with {percent:.0} % of the updates expanding"
                    )?;
                }
            }
        }
        Ok(())
    }
}

/// Both axes of one run; its [`Display`](fmt::Display) is one sentence.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// What d and r say about learning.
    pub learning: LearningVerdict,
    /// Whether the model converges; `None` without long chains.
    pub convergence: Option<ConvergenceTest>,
}

impl Verdict {
    /// Judges the [`settled_window`] of a run, and `groups` of long chains of its net where there are any.
    ///
    /// # Errors
    /// Those of [`LearningVerdict::new`] and, with groups, [`test_convergence`].
    pub fn new(
        metrics: &[IterationMetrics],
        groups: &[ChainGroup],
        options: &VerdictOptions,
    ) -> Result<Self> {
        let learning = LearningVerdict::new(metrics, options)?;
        let convergence = if groups.is_empty() {
            None
        } else {
            Some(test_convergence(groups, &options.convergence)?)
        };
        Ok(Self {
            learning,
            convergence,
        })
    }

    /// The verdict with all its numbers as indented JSON.
    ///
    /// # Errors
    /// [`DiagnosticsError::Encode`] when the JSON writer fails.
    pub fn to_json(&self) -> Result<String> {
        serde_json::to_string_pretty(self).map_err(DiagnosticsError::Encode)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.learning)?;
        match &self.convergence {
            Some(test) => write!(f, "; {test}."),
            None => f.write_str("; convergence not judged, which takes long chains."),
        }
    }
}
