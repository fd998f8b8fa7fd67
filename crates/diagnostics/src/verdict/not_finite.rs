//! Chains that become NaN or infinite: the strongest evidence against convergence.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::chain_group::{ChainGroup, ChainOrigin, ChainSummary};
use crate::number_format::thousands;

/// How many chains of a group have a NaN or an infinity in a summary at some record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotFiniteChains {
    /// Where the chains start.
    pub start: ChainOrigin,
    /// Number of chains with a value that is not finite.
    pub not_finite: usize,
    /// Number of all chains of the group.
    pub chains: usize,
}

impl fmt::Display for NotFiniteChains {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} of {} chains from {} do not stay finite",
            thousands(self.not_finite as u64),
            thousands(self.chains as u64),
            self.start.name()
        )
    }
}

/// The chains of a group that stay finite, and the number of the others.
pub(crate) fn finite_chains(group: &ChainGroup) -> (Cow<'_, ChainGroup>, usize) {
    let keep: Vec<bool> = (0..group.chains)
        .map(|chain| {
            group.summaries().all(|(_, values)| {
                values
                    .iter()
                    .skip(chain)
                    .step_by(group.chains)
                    .all(|x| x.is_finite())
            })
        })
        .collect();
    let kept = keep.iter().filter(|keep| **keep).count();
    if kept == group.chains {
        return (Cow::Borrowed(group), 0);
    }
    let finite = |values: &[f64]| -> Vec<f64> {
        values
            .iter()
            .zip(keep.iter().cycle())
            .filter(|(_, keep)| **keep)
            .map(|(x, _)| *x)
            .collect()
    };
    let rest = ChainGroup {
        start: group.start,
        chains: kept,
        steps: group.steps.clone(),
        energies: finite(&group.energies),
        state_summaries: group
            .state_summaries
            .iter()
            .map(|summary| ChainSummary {
                name: summary.name.clone(),
                values: finite(&summary.values),
            })
            .collect(),
    };
    (Cow::Owned(rest), group.chains - kept)
}
