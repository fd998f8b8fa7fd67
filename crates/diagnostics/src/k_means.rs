//! K-means: groups of rows around their means, as a baseline for groups that were found in another way.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::check::check_series;
use crate::features::{FeatureMatrix, squared_distance};
use crate::split_mix::SplitMix;
use crate::{DiagnosticsError, Result};

/// The settings of the search.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KMeansOptions {
    /// Searches from different first centres; the one with the least inertia counts.
    pub restarts: usize,
    /// Largest number of moves of the centres in one search.
    pub max_iterations: usize,
    /// Seed of the first centres. The same rows, options and seed give the same groups on any number of threads.
    pub seed: u64,
}

impl Default for KMeansOptions {
    fn default() -> Self {
        Self {
            restarts: 10,
            max_iterations: 300,
            seed: 1,
        }
    }
}

/// Groups of rows, each row in the group whose centre is nearest.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KMeans {
    /// Group of each row, below the number of groups asked for.
    pub groups: Vec<usize>,
    /// Centres of the groups, `[groups, dimension]`, row by row. Once converged each is the mean of its rows.
    pub centres: Vec<f64>,
    /// Sum of the squared distances of the rows to the centres of their groups, in squared units of the features.
    pub inertia: f64,
    /// Moves of the centres in the search that counts.
    pub iterations: usize,
    /// Whether the search converged: its last move changed no row's group. If not, allow more iterations.
    pub converged: bool,
}

/// Splits `rows`, such as the pixels of states, into at most `groups` groups of small inertia.
///
/// Lloyd's algorithm ("Least squares quantization in PCM", 1982) from first centres drawn as in k-means++ (Arthur and
/// Vassilvitskii, 2007): each next one is a row, with probability in proportion to its squared distance from the
/// nearest centre so far. A group that loses all its rows restarts at the row farthest from its centre. What is found
/// is a local minimum; more restarts find a lower one or the same. Time is restarts · iterations · rows · groups ·
/// dimension.
///
/// # Errors
/// [`DiagnosticsError::Parameter`] for no group, no restart, no iteration or fewer different rows than groups, and
/// [`DiagnosticsError::NotFinite`] where squared distances overflow.
pub fn k_means<T: Copy + Into<f64> + Sync>(
    rows: &FeatureMatrix<'_, T>,
    groups: usize,
    options: &KMeansOptions,
) -> Result<KMeans> {
    for (name, value) in [
        ("groups", groups),
        ("restarts", options.restarts),
        ("max_iterations", options.max_iterations),
    ] {
        if value == 0 {
            return Err(DiagnosticsError::Parameter {
                name,
                value: value.to_string(),
                requirement: "it has to be at least 1",
            });
        }
    }
    let mut random = SplitMix::new(options.seed);
    let mut best = search(rows, groups, options, &mut random)?;
    for _ in 1..options.restarts {
        let other = search(rows, groups, options, &mut random)?;
        if other.inertia < best.inertia {
            best = other;
        }
    }
    Ok(best)
}

/// One search from fresh centres.
fn search<T: Copy + Into<f64> + Sync>(
    rows: &FeatureMatrix<'_, T>,
    groups: usize,
    options: &KMeansOptions,
    random: &mut SplitMix,
) -> Result<KMeans> {
    let mut centres = first_centres(rows, groups, random)?;
    let mut nearest = Nearest::of(rows, &centres)?;
    let mut converged = false;
    let mut iterations = 0;
    while !converged && iterations < options.max_iterations {
        centres = means(rows, groups, &nearest);
        let moved = Nearest::of(rows, &centres)?;
        converged = moved.groups == nearest.groups;
        nearest = moved;
        iterations += 1;
    }
    Ok(KMeans {
        inertia: nearest.distances.iter().sum(),
        groups: nearest.groups,
        centres,
        iterations,
        converged,
    })
}

/// Draws rows as centres, `[groups, dimension]`.
fn first_centres<T: Copy + Into<f64> + Sync>(
    rows: &FeatureMatrix<'_, T>,
    groups: usize,
    random: &mut SplitMix,
) -> Result<Vec<f64>> {
    let mut centres = Vec::new();
    // The first is any row, the next ones those far from all before.
    let mut weights = vec![1.0; rows.samples()];
    for group in 0..groups {
        let Some(row) = random.weighted(&weights) else {
            return Err(DiagnosticsError::Parameter {
                name: "groups",
                value: format!("{groups} for {group} different rows"),
                requirement: "each group needs a row that differs from those of the others; ask for fewer groups",
            });
        };
        let centre: Vec<f64> = rows.row(row).iter().map(|x| (*x).into()).collect();
        let distances: Vec<f64> = (0..rows.samples())
            .into_par_iter()
            .map(|row| squared_distance(rows.row(row), &centre))
            .collect();
        for (weight, distance) in weights.iter_mut().zip(distances) {
            *weight = if group == 0 {
                distance
            } else {
                weight.min(distance)
            };
        }
        check_distances(&weights)?;
        centres.extend(centre);
    }
    Ok(centres)
}

/// The nearest centre of each row.
struct Nearest {
    groups: Vec<usize>,
    /// Squared distances to it.
    distances: Vec<f64>,
}

impl Nearest {
    /// Among equally near centres the first counts.
    fn of<T: Copy + Into<f64> + Sync>(
        rows: &FeatureMatrix<'_, T>,
        centres: &[f64],
    ) -> Result<Self> {
        let (groups, distances): (Vec<usize>, Vec<f64>) = (0..rows.samples())
            .into_par_iter()
            .map(|row| {
                let (mut nearest, mut least) = (0, f64::INFINITY);
                for (group, centre) in centres.chunks_exact(rows.dimension()).enumerate() {
                    let distance = squared_distance(rows.row(row), centre);
                    if distance < least {
                        (nearest, least) = (group, distance);
                    }
                }
                (nearest, least)
            })
            .unzip();
        check_distances(&distances)?;
        Ok(Self { groups, distances })
    }
}

/// Errors where a distance or their sum is no number: such groups would be arbitrary.
fn check_distances(distances: &[f64]) -> Result<()> {
    let what = "the squared distance of a row to its centre";
    check_series(what, distances, 1)?;
    check_series(
        "the sum of the squared distances",
        &[distances.iter().sum()],
        1,
    )
}

/// Mean of the rows of each group. A group without rows gets the row farthest from its centre, the next such group the
/// next one: that cannot raise the inertia, and leaves no centre unused.
fn means<T: Copy + Into<f64> + Sync>(
    rows: &FeatureMatrix<'_, T>,
    groups: usize,
    nearest: &Nearest,
) -> Vec<f64> {
    let dimension = rows.dimension();
    let mut centres = vec![0.0; groups * dimension];
    let mut counts = vec![0_usize; groups];
    for (row, group) in nearest.groups.iter().enumerate() {
        counts[*group] += 1;
        let sums = &mut centres[group * dimension..(group + 1) * dimension];
        for (sum, value) in sums.iter_mut().zip(rows.row(row)) {
            *sum += (*value).into();
        }
    }
    let mut farthest: Vec<usize> = Vec::new();
    if counts.contains(&0) {
        farthest = (0..rows.samples()).collect();
        farthest.sort_by(|a, b| nearest.distances[*b].total_cmp(&nearest.distances[*a]));
    }
    let mut farthest = farthest.into_iter();
    for (centre, count) in centres.chunks_exact_mut(dimension).zip(counts) {
        if count > 0 {
            centre.iter_mut().for_each(|sum| *sum /= count as f64);
        } else if let Some(row) = farthest.next() {
            for (value, feature) in centre.iter_mut().zip(rows.row(row)) {
                *value = (*feature).into();
            }
        }
    }
    centres
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_group_without_rows_restarts_far_away() {
        // All rows are nearer to the first centre; the second one is used by none.
        let values = [0.0, 1.0, 5.0];
        let rows = FeatureMatrix::new(&values, 1).unwrap();
        let nearest = Nearest::of(&rows, &[1.0, 100.0]).unwrap();
        assert_eq!(nearest.groups, [0, 0, 0]);
        assert_eq!(means(&rows, 2, &nearest), [2.0, 5.0]);
    }
}
