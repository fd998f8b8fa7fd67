//! Standardised changes of chains and distances between groups, with their errors.

use serde::{Deserialize, Serialize};

use super::chain_group::{ChainGroup, ChainOrigin};
use super::estimate::Estimate;
use super::standardised::Standardised;
use crate::Result;
use crate::chains::mean_and_variance;

/// How far one summary of one group moves from L to a multiple of L.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Where the chains start.
    pub start: ChainOrigin,
    /// The summary; "energy" for the energies.
    pub summary: String,
    /// The multiple of L.
    pub multiple: u64,
    /// Number of chains.
    pub chains: usize,
    /// Mean over the chains at L, in the unit of the summary.
    pub mean_before: f64,
    /// Mean over the chains at the multiple.
    pub mean_after: f64,
    /// Standard deviation over the chains at L: the unit of the change. If all chains are the same at L, it is the
    /// deviation at the multiple; 0 if they are the same there too.
    pub spread: f64,
    /// The change in spreads; negative when the summary falls. [`Estimate::UNBOUNDED`] where there is no spread.
    pub spreads: Estimate,
}

/// How far one summary of two groups lies apart at the largest multiple of L.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Distance {
    /// Starts of the two groups.
    pub starts: [ChainOrigin; 2],
    /// The summary; "energy" for the energies.
    pub summary: String,
    /// The multiple of L.
    pub multiple: u64,
    /// Means over the chains of both.
    pub means: [f64; 2],
    /// Root of the mean variance of both: the unit of the distance.
    pub spread: f64,
    /// Mean of the first less that of the second, in spreads; [`Estimate::UNBOUNDED`] where there is no spread.
    pub spreads: Estimate,
}

/// Changes of every summary of a group from L to `multiple`·L.
///
/// With the mean change Δ of the same m chains, its variance v and the spread s at L, the change is Δ/s. The error of
/// Δ is √(v/m); that of s has m − 1 degrees of freedom.
pub(crate) fn within_group(
    group: &ChainGroup,
    training_steps: u64,
    multiple: u64,
    rate: f64,
) -> Result<Vec<(Change, Standardised)>> {
    let before = group.record(training_steps, 1)?;
    let after = group.record(training_steps, multiple)?;
    let m = group.chains as f64;
    group
        .summaries()
        .map(|(name, values)| {
            let (from, to) = (group.at(values, before), group.at(values, after));
            let (mean_before, variance_before) = mean_and_variance(from);
            let (mean_after, variance_after) = mean_and_variance(to);
            let moved: Vec<f64> = to.iter().zip(from).map(|(to, from)| to - from).collect();
            let (change, variance) = mean_and_variance(&moved);
            // A summary that is the same in all chains at L, such as a share of 0, can only have a spread later.
            let spread = if variance_before > 0.0 {
                variance_before.sqrt()
            } else {
                variance_after.sqrt()
            };
            let standardised = Standardised {
                difference: change,
                error: (variance / m).sqrt(),
                degrees: m - 1.0,
                spread,
                spread_degrees: m - 1.0,
            };
            let change = Change {
                start: group.start,
                summary: name.to_owned(),
                multiple,
                chains: group.chains,
                mean_before,
                mean_after,
                spread,
                spreads: standardised.interval(rate)?,
            };
            Ok((change, standardised))
        })
        .collect()
}

/// Distances of the summaries that both groups have, at `multiple`·L, with Welch's degrees of freedom.
pub(crate) fn between_groups(
    groups: [&ChainGroup; 2],
    training_steps: u64,
    multiple: u64,
    rate: f64,
) -> Result<Vec<(Distance, Standardised)>> {
    let [first, second] = groups;
    let records = [
        first.record(training_steps, multiple)?,
        second.record(training_steps, multiple)?,
    ];
    let sizes = [first.chains as f64, second.chains as f64];
    let mut distances = Vec::new();
    for (name, values) in first.summaries() {
        let Some((_, other)) = second.summaries().find(|(n, _)| *n == name) else {
            continue;
        };
        let (mean_a, a) = mean_and_variance(first.at(values, records[0]));
        let (mean_b, b) = mean_and_variance(second.at(other, records[1]));
        let spread = (0.5 * (a + b)).sqrt();
        let [part_a, part_b] = [a / sizes[0], b / sizes[1]];
        let squares = |x: f64, y: f64| x * x / (sizes[0] - 1.0) + y * y / (sizes[1] - 1.0);
        // Without any spread there is nothing to divide by and there are no degrees of freedom.
        let (degrees, spread_degrees) = if spread > 0.0 {
            (
                (part_a + part_b).powi(2) / squares(part_a, part_b),
                (a + b).powi(2) / squares(a, b),
            )
        } else {
            (1.0, 1.0)
        };
        let standardised = Standardised {
            difference: mean_a - mean_b,
            error: (part_a + part_b).sqrt(),
            degrees,
            spread,
            spread_degrees,
        };
        let distance = Distance {
            starts: [first.start, second.start],
            summary: name.to_owned(),
            multiple,
            means: [mean_a, mean_b],
            spread,
            spreads: standardised.interval(rate)?,
        };
        distances.push((distance, standardised));
    }
    Ok(distances)
}
