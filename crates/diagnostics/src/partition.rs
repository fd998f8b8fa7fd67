//! Measures of how far two partitions of the same states agree, such as basins and classes.

use std::collections::BTreeMap;

use crate::check::check_same_length;
use crate::{DiagnosticsError, Result};

/// Share of states whose label is the most frequent one in their group: 1 when no group mixes labels, and never less
/// than the share of the most frequent label of all.
///
/// `groups` and `labels` hold one number for each state; which numbers does not matter. If every state is a group of
/// its own, purity is 1 too, so compare only partitions with equal numbers of groups. Source: Manning, Raghavan and
/// Schütze, "Introduction to Information Retrieval" (2008), section 16.3.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`] unless every state has a group and a label and
/// [`DiagnosticsError::SeriesTooShort`] for no state.
pub fn purity(groups: &[usize], labels: &[usize]) -> Result<f64> {
    let table = Contingency::new("the groups and the labels", groups, labels)?;
    let mut most = BTreeMap::new();
    for ((group, _), count) in &table.cells {
        let most = most.entry(*group).or_insert(0);
        *most = (*most).max(*count);
    }
    Ok(most.values().sum::<usize>() as f64 / table.states as f64)
}

/// Adjusted Rand index of two partitions: 1 when they are the same, 0 on average when groups of these sizes are
/// filled at random, and down to −1/2.
///
/// With S the number of pairs of states that are together in both partitions, A and B those together in each, N all
/// pairs and E = A·B/N, it is (S − E) / ((A + B)/2 − E), equation 5 of Hubert and Arabie, "Comparing partitions",
/// Journal of Classification 2 (1985). Where that is 0/0, both partitions put all states together, or both put none
/// together. They are then the same, and the index is 1.
///
/// # Errors
/// As [`purity`].
pub fn adjusted_rand_index(a: &[usize], b: &[usize]) -> Result<f64> {
    let table = Contingency::new("the two partitions", a, b)?;
    let together = pairs(table.cells.values());
    let [in_a, in_b] = table.margins.each_ref().map(|m| pairs(m.values()));
    let all = pairs([&table.states]);
    // No pair is together in either, or every pair in both; exact, since these are whole numbers.
    if in_a == in_b && (in_a == 0 || in_a == all) {
        return Ok(1.0);
    }
    let share = |pairs: u128| pairs as f64 / all as f64;
    let expected = share(in_a) * share(in_b);
    Ok((share(together) - expected) / (0.5 * (share(in_a) + share(in_b)) - expected))
}

/// Mutual information of two partitions over the arithmetic mean of their entropies, in [0, 1]: 1 when they are the
/// same, 0 when they are independent.
///
/// NMI_sum of Vinh, Epps and Bailey, "Information theoretic measures for clusterings comparison", Journal of Machine
/// Learning Research 11 (2010). It is not corrected for chance: many small groups raise it. When both partitions put
/// all states together it would be 0/0; they are the same, so it is 1. When only one does it is 0.
///
/// # Errors
/// As [`purity`].
pub fn normalised_mutual_information(a: &[usize], b: &[usize]) -> Result<f64> {
    let table = Contingency::new("the two partitions", a, b)?;
    let [in_a, in_b] = &table.margins;
    if in_a.len() == 1 && in_b.len() == 1 {
        return Ok(1.0);
    }
    let n = table.states as f64;
    let information: f64 = table
        .cells
        .iter()
        .map(|((group_a, group_b), count)| {
            let count = *count as f64;
            let (size_a, size_b) = (in_a[group_a] as f64, in_b[group_b] as f64);
            count / n * (count * n / (size_a * size_b)).ln()
        })
        .sum();
    let entropy = |margin: &BTreeMap<usize, usize>| -> f64 {
        margin
            .values()
            .map(|count| *count as f64 / n)
            .map(|share| -share * share.ln())
            .sum()
    };
    // Rounding may lead a little beyond either end.
    Ok((information / (0.5 * (entropy(in_a) + entropy(in_b)))).clamp(0.0, 1.0))
}

/// How many states each pair of groups shares.
struct Contingency {
    /// Only pairs with states in common.
    cells: BTreeMap<(usize, usize), usize>,
    /// Sizes of the groups of each partition.
    margins: [BTreeMap<usize, usize>; 2],
    states: usize,
}

impl Contingency {
    fn new(what: &'static str, a: &[usize], b: &[usize]) -> Result<Self> {
        check_same_length(what, a.len(), b.len())?;
        if a.is_empty() {
            return Err(DiagnosticsError::SeriesTooShort {
                what: "the partition",
                length: 0,
                needed: 1,
            });
        }
        Ok(Self {
            cells: count(a.iter().copied().zip(b.iter().copied())),
            margins: [a, b].map(|groups| count(groups.iter().copied())),
            states: a.len(),
        })
    }
}

fn count<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_insert(0) += 1;
    }
    counts
}

/// Number of pairs within groups of these sizes.
fn pairs<'a>(sizes: impl IntoIterator<Item = &'a usize>) -> u128 {
    sizes
        .into_iter()
        .map(|size| *size as u128)
        .map(|size| size * (size - 1) / 2)
        .sum()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn assert_close(got: f64, expected: f64) {
        assert!(
            (got - expected).abs() < 1e-12,
            "got {got}, expected {expected}"
        );
    }

    #[test]
    fn seventeen_states_in_three_groups_count_by_hand() {
        // Rows of the table: 5 1 0, 1 4 1, 2 0 3.
        let groups = [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2];
        let labels = [7, 7, 7, 7, 7, 8, 7, 8, 8, 8, 8, 9, 7, 7, 9, 9, 9];
        assert_close(purity(&groups, &labels).unwrap(), 12.0 / 17.0);
        // S = 10 + 6 + 1 + 3, A = 15 + 15 + 10, B = 28 + 10 + 6, N = 136.
        let expected = (20.0 - 40.0 * 44.0 / 136.0) / (42.0 - 40.0 * 44.0 / 136.0);
        assert_close(adjusted_rand_index(&groups, &labels).unwrap(), expected);
        // The other way round the groups are the labels: 5 of 8, 4 of 5 and 3 of 4.
        assert_close(purity(&labels, &groups).unwrap(), 12.0 / 17.0);
    }

    #[test]
    fn halves_of_halves_have_closed_forms() {
        let halves = [0, 0, 1, 1];
        // Independent: no pair is together in both, and A·B/N = 2·2/6.
        let crossed = [0, 1, 0, 1];
        assert_close(adjusted_rand_index(&halves, &crossed).unwrap(), -0.5);
        assert_close(
            normalised_mutual_information(&halves, &crossed).unwrap(),
            0.0,
        );
        assert_close(purity(&halves, &crossed).unwrap(), 0.5);
        // One half cut in two: I = ln 2, and the entropies are ln 2 and 1.5 ln 2.
        let finer = [0, 0, 1, 2];
        assert_close(normalised_mutual_information(&halves, &finer).unwrap(), 0.8);
        assert_close(adjusted_rand_index(&halves, &finer).unwrap(), 4.0 / 7.0);
        assert_close(purity(&finer, &halves).unwrap(), 1.0);
        assert_close(purity(&halves, &finer).unwrap(), 0.75);
    }

    #[test]
    fn one_group_and_groups_of_one_follow_the_conventions() {
        let (together, apart) = ([3, 3, 3], [5, 6, usize::MAX]);
        for same in [together, apart] {
            assert_eq!(adjusted_rand_index(&same, &same).unwrap(), 1.0);
            assert_close(normalised_mutual_information(&same, &same).unwrap(), 1.0);
        }
        assert_eq!(adjusted_rand_index(&[1], &[2]).unwrap(), 1.0);
        assert_eq!(normalised_mutual_information(&[1], &[2]).unwrap(), 1.0);
        assert_eq!(adjusted_rand_index(&together, &apart).unwrap(), 0.0);
        assert_eq!(
            normalised_mutual_information(&together, &apart).unwrap(),
            0.0
        );
        assert_close(purity(&together, &apart).unwrap(), 1.0 / 3.0);
        assert_eq!(purity(&apart, &together).unwrap(), 1.0);
    }

    #[test]
    fn unequal_or_no_states_are_errors() {
        for measure in [purity, adjusted_rand_index, normalised_mutual_information] {
            assert!(matches!(
                measure(&[0, 1], &[0]),
                Err(DiagnosticsError::LengthsDiffer {
                    left: 2,
                    right: 1,
                    ..
                })
            ));
            assert!(matches!(
                measure(&[], &[]),
                Err(DiagnosticsError::SeriesTooShort { needed: 1, .. })
            ));
        }
    }

    fn partitions() -> impl Strategy<Value = Vec<(usize, usize)>> {
        prop::collection::vec((0_usize..5, 0_usize..4), 1..60)
    }

    proptest! {
        #[test]
        fn measures_keep_their_bounds_and_symmetry(states in partitions()) {
            let (a, b): (Vec<usize>, Vec<usize>) = states.into_iter().unzip();
            let rand = adjusted_rand_index(&a, &b).unwrap();
            let information = normalised_mutual_information(&a, &b).unwrap();
            prop_assert!((-0.5 - 1e-12..=1.0 + 1e-12).contains(&rand));
            prop_assert!((0.0..=1.0).contains(&information));
            prop_assert_eq!(rand, adjusted_rand_index(&b, &a).unwrap());
            let swapped = normalised_mutual_information(&b, &a).unwrap();
            prop_assert!((information - swapped).abs() < 1e-12);
            prop_assert!((adjusted_rand_index(&a, &a).unwrap() - 1.0).abs() < 1e-12);
            prop_assert!((normalised_mutual_information(&a, &a).unwrap() - 1.0).abs() < 1e-12);
            // As pure as one group for all at least; pure when every state is alone.
            let all_together = purity(&vec![0; b.len()], &b).unwrap();
            let share = purity(&a, &b).unwrap();
            prop_assert!(all_together <= share && share <= 1.0);
            let alone: Vec<usize> = (0..b.len()).collect();
            prop_assert_eq!(purity(&alone, &b).unwrap(), 1.0);
        }

        #[test]
        fn names_and_order_do_not_matter(
            (states, shuffled) in partitions().prop_flat_map(|states| {
                let shuffled = Just(states.clone()).prop_shuffle();
                (Just(states), shuffled)
            }),
            names in Just((100..105).collect::<Vec<usize>>()).prop_shuffle(),
        ) {
            let (a, b): (Vec<usize>, Vec<usize>) = states.into_iter().unzip();
            let (c, d): (Vec<usize>, Vec<usize>) =
                shuffled.into_iter().map(|(a, b)| (names[a], names[b])).unzip();
            for measure in [purity, adjusted_rand_index, normalised_mutual_information] {
                let (plain, renamed) = (measure(&a, &b).unwrap(), measure(&c, &d).unwrap());
                prop_assert!((plain - renamed).abs() < 1e-12, "{} and {}", plain, renamed);
            }
        }
    }
}
