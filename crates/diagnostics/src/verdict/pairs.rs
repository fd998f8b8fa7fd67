//! The choice of the groups of chains that are compared.

use std::borrow::Cow;

use super::chain_group::ChainGroup;
use super::convergence::ConvergenceOptions;

/// The comparisons that a judgement makes.
pub(crate) struct Pairs<'a> {
    /// Groups that are compared with themselves at L.
    settled: Vec<&'a ChainGroup>,
    /// Pairs of groups that are compared with each other.
    pub(crate) between: Vec<[&'a ChainGroup; 2]>,
}

impl<'a> Pairs<'a> {
    pub(crate) fn of(groups: &'a [Cow<'_, ChainGroup>], options: &ConvergenceOptions) -> Self {
        let settled = groups
            .iter()
            .map(AsRef::as_ref)
            .filter(|group| !options.origins_in_burn_in.contains(&group.start))
            .collect();
        let mut between = Vec::new();
        for (position, group) in groups.iter().enumerate() {
            for other in &groups[position + 1..] {
                between.push([group.as_ref(), other.as_ref()]);
            }
        }
        Self { settled, between }
    }

    /// Each settled group with each multiple.
    pub(crate) fn within(&self, multiples: &[u64]) -> impl Iterator<Item = (&'a ChainGroup, u64)> {
        self.settled
            .iter()
            .flat_map(move |group| multiples.iter().map(move |multiple| (*group, *multiple)))
    }

    /// Number of compared numbers: a mean and a spread of each summary at each multiple, and a distance of each summary
    /// that two groups share.
    pub(crate) fn count(&self, multiples: usize) -> usize {
        let within: usize = self
            .settled
            .iter()
            .map(|group| 2 * multiples * group.summaries().count())
            .sum();
        let between: usize = self
            .between
            .iter()
            .map(|[group, other]| {
                group
                    .summaries()
                    .filter(|(name, _)| other.summaries().any(|(n, _)| n == *name))
                    .count()
            })
            .sum();
        within + between
    }
}
