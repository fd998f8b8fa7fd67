//! How the chains of a group mix over the second half of their run.

use serde::{Deserialize, Serialize};

use super::chain_group::{ChainGroup, ChainOrigin};
use crate::{MeanEstimate, bulk_effective_size, chain_mean, split_rhat, tail_effective_size};

/// Fewest records that can be split.
const FEWEST_RECORDS: usize = 4;

/// R̂ and effective sizes of one summary of one group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Mixing {
    /// Where the chains start.
    pub start: ChainOrigin,
    /// The summary; "energy" for the energies.
    pub summary: String,
    /// First and last step of the records used: the second half of the run.
    pub steps: [u64; 2],
    /// Number of records used of each chain.
    pub records: usize,
    /// Rank-normalised split R̂ over the chains of the group; `None` when it is infinite because no chain moves.
    pub split_rhat: Option<f64>,
    /// Bulk effective sample size of all chains together.
    pub bulk_effective_size: f64,
    /// Tail effective sample size of all chains together.
    pub tail_effective_size: f64,
    /// Mean of the summary with its Monte-Carlo standard error.
    pub mean: MeanEstimate,
}

/// Statistics of the records of the second half of the run. Nothing when these are fewer than 4 or not evenly spaced,
/// which autocorrelations need, and nothing of a summary that is constant.
pub(crate) fn mixing(group: &ChainGroup) -> Vec<Mixing> {
    let last = group.steps.last().copied().unwrap_or(0);
    let first = group.steps.partition_point(|step| *step < last.div_ceil(2));
    let steps = &group.steps[first..];
    let even = steps
        .windows(2)
        .all(|pair| pair[1] - pair[0] == steps[1] - steps[0]);
    if steps.len() < FEWEST_RECORDS || !even {
        return Vec::new();
    }
    group
        .summaries()
        .filter_map(|(name, values)| {
            let traces = group.traces(values, first);
            Some(Mixing {
                start: group.start,
                summary: name.to_owned(),
                steps: [steps[0], last],
                records: steps.len(),
                split_rhat: split_rhat(&traces).ok().filter(|value| value.is_finite()),
                bulk_effective_size: bulk_effective_size(&traces).ok()?,
                tail_effective_size: tail_effective_size(&traces).ok()?,
                mean: chain_mean(&traces).ok()?,
            })
        })
        .collect()
}
