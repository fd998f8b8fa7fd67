//! The checked tree of basins: where they are joined, and in which order they stand.

use super::super::scale::LARGEST_DRAWN;
use super::Merge;
use crate::{FiguresError, Result};
use ebm_diagnostics::check_series;

/// One tree, or several that are not connected.
#[derive(Debug)]
pub(crate) struct Tree {
    /// First the basins, then what the merges make.
    pub(crate) clusters: Vec<Cluster>,
    /// The clusters that no merge joins, from left to right.
    pub(crate) roots: Vec<usize>,
}

/// A basin or the result of a merge.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// Where its upright line begins: the minimum of a basin, the barrier of a merge, in nats.
    pub(crate) energy: f64,
    /// Column of that line, from 0 at the left. A basin has a column of its own, a merge stands midway between its two.
    pub(crate) column: f64,
    /// The cluster of which it is part. Its line ends at the energy of that cluster.
    pub(crate) parent: Option<usize>,
}

impl Tree {
    /// Checks the merges and gives every cluster its column.
    ///
    /// # Errors
    /// Those of [`disconnectivity_figure`](super::disconnectivity_figure) about energies and merges.
    pub(crate) fn new(minima: &[f64], merges: &[Merge]) -> Result<Self> {
        check_series("the list of minimum energies of the basins", minima, 1)?;
        let barriers: Vec<f64> = merges.iter().map(|merge| merge.barrier).collect();
        check_series("the list of barriers", &barriers, 0)?;
        let mut clusters: Vec<Cluster> = minima
            .iter()
            .map(|energy| Cluster {
                energy: *energy,
                column: 0.0,
                parent: None,
            })
            .collect();
        // For each cluster the lowest minimum, and its basins from left to right until it becomes part of another.
        let mut lowest = minima.to_vec();
        let mut basins: Vec<Vec<usize>> = (0..minima.len()).map(|basin| vec![basin]).collect();
        for (index, merge) in merges.iter().enumerate() {
            check_merge(index, merge, &clusters, minima.len())?;
            let [a, b] = merge.clusters;
            let made = clusters.len();
            let (left, right) = if lowest[b] < lowest[a] {
                (b, a)
            } else {
                (a, b)
            };
            let mut both = std::mem::take(&mut basins[left]);
            both.append(&mut basins[right]);
            basins.push(both);
            lowest.push(lowest[left]);
            clusters[a].parent = Some(made);
            clusters[b].parent = Some(made);
            clusters.push(Cluster {
                energy: merge.barrier,
                column: 0.0,
                parent: None,
            });
        }
        let mut roots: Vec<usize> = (0..clusters.len())
            .filter(|cluster| clusters[*cluster].parent.is_none())
            .collect();
        roots.sort_by(|a, b| lowest[*a].total_cmp(&lowest[*b]));
        let in_order = roots.iter().flat_map(|root| &basins[*root]);
        for (column, basin) in in_order.enumerate() {
            clusters[*basin].column = column as f64;
        }
        for (index, merge) in merges.iter().enumerate() {
            let [a, b] = merge.clusters.map(|cluster| clusters[cluster].column);
            clusters[minima.len() + index].column = 0.5 * (a + b);
        }
        Ok(Self { clusters, roots })
    }
}

/// Errors unless the merge joins two different clusters that exist and are free, at an energy not below theirs.
fn check_merge(index: usize, merge: &Merge, clusters: &[Cluster], basins: usize) -> Result<()> {
    let wrong = |problem: String| {
        Err(FiguresError::Merge {
            merge: index,
            problem,
        })
    };
    let name = |cluster: usize| match cluster.checked_sub(basins) {
        None => format!("basin {cluster}"),
        Some(merge) => format!("the result of merge {merge}"),
    };
    if merge.barrier.abs() > LARGEST_DRAWN {
        return wrong(format!(
            "has the barrier {:e} nats, but no axis can show energies beyond ±1e100",
            merge.barrier
        ));
    }
    for cluster in merge.clusters {
        let Some(joined) = clusters.get(cluster) else {
            return wrong(format!(
                "joins cluster {cluster}, but before it there are only the clusters 0 to {}: the {basins} basins, \
                 then the results of the merges in their order",
                clusters.len() - 1
            ));
        };
        if let Some(parent) = joined.parent {
            return wrong(format!(
                "joins cluster {cluster} ({}), which merge {} has joined before; name the result of that, cluster \
                 {parent}, or what it became part of",
                name(cluster),
                parent - basins
            ));
        }
        // Also right where the sign of zero differs; neither is NaN here.
        if merge.barrier < joined.energy {
            return wrong(format!(
                "has its barrier at {} nats, below {} nats of {}, which it joins; a barrier is the highest energy on a \
                 path that leads through both, so let it be at least that",
                merge.barrier,
                joined.energy,
                name(cluster)
            ));
        }
    }
    if merge.clusters[0] == merge.clusters[1] {
        return wrong(format!(
            "joins cluster {} with itself; name two different ones",
            merge.clusters[0]
        ));
    }
    Ok(())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use ebm_diagnostics::DiagnosticsError;

    use super::*;
    use proptest::prelude::*;

    fn merge(a: usize, b: usize, barrier: f64) -> Merge {
        Merge {
            clusters: [a, b],
            barrier,
        }
    }

    fn columns(tree: &Tree) -> Vec<f64> {
        tree.clusters.iter().map(|c| c.column).collect()
    }

    #[test]
    fn four_basins_stand_where_they_should() {
        // (1, 3) at 2, then with 0 at 3, then with 2 at 5; the deepest is 3.
        let minima = [0.0, -1.0, 1.0, -4.0];
        let merges = [merge(1, 3, 2.0), merge(0, 4, 3.0), merge(2, 5, 5.0)];
        let tree = Tree::new(&minima, &merges).unwrap();
        assert_eq!(columns(&tree), [2.0, 1.0, 3.0, 0.0, 0.5, 1.25, 2.125]);
        let energies: Vec<f64> = tree.clusters.iter().map(|c| c.energy).collect();
        assert_eq!(energies, [0.0, -1.0, 1.0, -4.0, 2.0, 3.0, 5.0]);
        let parents: Vec<Option<usize>> = tree.clusters.iter().map(|c| c.parent).collect();
        let expected = [Some(5), Some(4), Some(6), Some(4), Some(5), Some(6), None];
        assert_eq!(parents, expected);
        assert_eq!(tree.roots, [6]);
    }

    #[test]
    fn trees_without_a_connection_stand_beside_each_other() {
        let tree = Tree::new(&[0.0, 2.0, -1.0, -3.0], &[merge(1, 3, 4.0)]).unwrap();
        // The tree of 3 and 1, then 2, then 0.
        assert_eq!(tree.roots, [4, 2, 0]);
        assert_eq!(columns(&tree), [3.0, 1.0, 2.0, 0.0, 0.5]);
        let alone = Tree::new(&[7.0], &[]).unwrap();
        assert_eq!((alone.roots, alone.clusters[0].energy), (vec![0], 7.0));
    }

    #[test]
    fn a_barrier_may_be_as_low_as_what_it_joins() {
        // 0 is a saddle between two basins that are not separate, and both barriers are the same.
        let merges = [merge(0, 1, 1.0), merge(2, 3, 1.0)];
        assert!(Tree::new(&[1.0, 0.0, -0.5], &merges).is_ok());
        assert!(Tree::new(&[-0.0, 0.0], &[merge(0, 1, -0.0)]).is_ok());
    }

    #[test]
    fn merges_that_fit_nothing_are_refused_with_the_reason() {
        let minima = [0.0, -1.0, 1.0];
        for (merges, reason) in [
            (vec![merge(0, 3, 2.0)], "only the clusters 0 to 2"),
            (vec![merge(0, usize::MAX, 2.0)], "only the clusters"),
            (vec![merge(1, 1, 2.0)], "with itself"),
            (
                vec![merge(0, 1, 2.0), merge(1, 2, 3.0)],
                "merge 1 (the first is 0) joins cluster 1 (basin 1), which merge 0 has joined",
            ),
            (
                vec![merge(0, 1, 2.0), merge(2, 3, 3.0), merge(3, 4, 3.0)],
                "the result of merge 0",
            ),
            (
                vec![merge(0, 1, -0.5)],
                "at -0.5 nats, below 0 nats of basin 0",
            ),
            (
                vec![merge(0, 1, 2.0), merge(3, 2, 1.5)],
                "below 2 nats of the result of merge 0",
            ),
            (vec![merge(0, 1, 1e101)], "no axis"),
        ] {
            let error = Tree::new(&minima, &merges).unwrap_err();
            assert!(matches!(error, FiguresError::Merge { .. }));
            assert!(error.to_string().contains(reason), "{error}");
        }
        for barrier in [f64::NAN, f64::INFINITY] {
            assert!(matches!(
                Tree::new(&minima, &[merge(0, 1, 2.0), merge(2, 3, barrier)]),
                Err(FiguresError::Values(DiagnosticsError::NotFinite {
                    index: 1,
                    ..
                }))
            ));
        }
        assert!(matches!(
            Tree::new(&[0.0, f64::NAN], &[]),
            Err(FiguresError::Values(DiagnosticsError::NotFinite {
                index: 1,
                ..
            }))
        ));
        assert!(matches!(
            Tree::new(&[], &[]),
            Err(FiguresError::Values(
                DiagnosticsError::SeriesTooShort { .. }
            ))
        ));
    }

    /// Minima, and merges of clusters picked at random, each some energy above what it joins.
    fn forests() -> impl Strategy<Value = (Vec<f64>, Vec<Merge>)> {
        let picks = prop::collection::vec(
            (
                any::<prop::sample::Index>(),
                any::<prop::sample::Index>(),
                0_u8..4,
            ),
            0..40,
        );
        (prop::collection::vec(-9_i8..9, 1..40), picks).prop_map(|(minima, picks)| {
            // Whole numbers, so that energies are often the same.
            let minima: Vec<f64> = minima.into_iter().map(f64::from).collect();
            let mut energies = minima.clone();
            let mut free: Vec<usize> = (0..minima.len()).collect();
            let mut merges = Vec::new();
            for (first, second, above) in picks {
                if free.len() < 2 {
                    break;
                }
                let a = free.swap_remove(first.index(free.len()));
                let b = free.swap_remove(second.index(free.len()));
                let barrier = energies[a].max(energies[b]) + f64::from(above);
                free.push(energies.len());
                energies.push(barrier);
                merges.push(merge(a, b, barrier));
            }
            (minima, merges)
        })
    }

    proptest! {
        #[test]
        fn no_two_lines_cross((minima, merges) in forests()) {
            let tree = Tree::new(&minima, &merges).unwrap();
            let basins = minima.len();
            prop_assert_eq!(tree.clusters.len(), basins + merges.len());
            prop_assert_eq!(tree.roots.len(), basins - merges.len());
            let mut places: Vec<f64> = columns(&tree)[..basins].to_vec();
            places.sort_by(f64::total_cmp);
            let expected: Vec<f64> = (0..basins).map(|column| column as f64).collect();
            prop_assert_eq!(places, expected);
            for (index, merge) in merges.iter().enumerate() {
                let [a, b] = merge.clusters.map(|cluster| tree.clusters[cluster].column);
                let made = &tree.clusters[basins + index];
                prop_assert_eq!(made.column, 0.5 * (a + b));
                prop_assert_eq!(made.energy, merge.barrier);
                let (left, right) = (a.min(b), a.max(b));
                prop_assert!(left < right);
                // An upright line strictly between the ends of a join that is passed by it would cross it.
                for other in &tree.clusters {
                    let top = other.parent.map_or(f64::INFINITY, |p| tree.clusters[p].energy);
                    let between = left < other.column && other.column < right;
                    let passes = other.energy < merge.barrier && merge.barrier < top;
                    prop_assert!(!(between && passes), "{:?} crosses {:?}", other, merge);
                }
            }
            // No two upright lines lie on each other: where columns are the same, one ends before the other begins.
            for (index, one) in tree.clusters.iter().enumerate() {
                for other in &tree.clusters[index + 1..] {
                    if one.column == other.column {
                        let top = |c: &Cluster| c.parent.map_or(f64::INFINITY, |p| tree.clusters[p].energy);
                        prop_assert!(top(one) <= other.energy || top(other) <= one.energy);
                    }
                }
            }
        }
    }
}
