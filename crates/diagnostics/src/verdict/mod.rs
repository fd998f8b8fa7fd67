//! Which outcome of learning is it? Both axes of the paper, decided by tests.
//!
//! The first axis is read from the window of `d` and `r` in which learning has settled: is it stable, do expansion and
//! contraction balance, and is the oscillation weak or strong? The second needs long chains: are the samples of
//! training length near the steady state? Tests with stated error rates decide, and say "undecided" where the data do
//! not.

mod chain_group;
mod comparison;
mod convergence;
mod estimate;
mod halves;
mod mixing;
mod oscillation;
mod stability;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use chain_group::{ChainGroup, ChainStart, ChainSummary};
pub use comparison::{Change, Distance};
pub use convergence::{Convergence, ConvergenceOptions, ConvergenceTest, test_convergence};
pub use estimate::Estimate;
pub use mixing::Mixing;
pub use oscillation::{
    LagCorrelation, Oscillation, OscillationOptions, OscillationTest, test_oscillation,
};
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
    /// How it oscillates; `None` when d or r is not finite somewhere in the window.
    pub oscillation: Option<OscillationTest>,
}

impl LearningVerdict {
    /// Judges the [`settled_window`] of a run.
    ///
    /// # Errors
    /// Those of [`test_stability`] and [`test_oscillation`]: with the default options a run needs at least 119
    /// iterations.
    pub fn new(metrics: &[IterationMetrics], options: &VerdictOptions) -> Result<Self> {
        let (d, r): (Vec<f64>, Vec<f64>) = settled_window(metrics, options.window)
            .iter()
            .map(|m| (m.energy_difference, m.gradient_magnitude))
            .unzip();
        let stability = test_stability(&d, &r, &options.stability)?;
        let oscillation = if stability.not_finite == 0 {
            Some(test_oscillation(&d, &r, &options.oscillation)?)
        } else {
            None
        };
        Ok(Self {
            stability,
            oscillation,
        })
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
        }
        match self.oscillation.map(|test| test.conclusion) {
            Some(Oscillation::Weak) => f.write_str(" with weak oscillation"),
            Some(Oscillation::Strong) => f.write_str(" with strong oscillation"),
            Some(Oscillation::Wandering) => f.write_str(", correlated but not oscillating"),
            Some(Oscillation::Undecided) => {
                f.write_str(", oscillation undecided in so short a window")
            }
            None => Ok(()),
        }
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
