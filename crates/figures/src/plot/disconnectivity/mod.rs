//! The basins of an energy and the barriers between them, as a disconnectivity graph.

mod leaf;
mod sheet;
mod tree;

use serde::{Deserialize, Serialize};

use self::sheet::Sheet;
use self::tree::Tree;
use super::Figure;
use super::canvas::{clean, draw_figure};
use super::scale::LARGEST_DRAWN;
use crate::Result;
use ebm_diagnostics::DiagnosticsError;
use ebm_diagnostics::number_format::{number, thousands};

/// More would be wider than a picture can be.
const LARGEST_COUNT: usize = 100;

/// A basin of the energy, a leaf of the graph.
#[derive(Debug, Clone, PartialEq)]
pub struct Basin<'a> {
    /// Name below the leaf, such as a number.
    pub label: String,
    /// Lowest energy U of the basin, in nats.
    pub energy: f64,
    /// Number of states found to be in it.
    pub members: usize,
    /// A state that stands for the basin, `[channels, height, width]` with values in [−1, 1], for a picture of it.
    /// Values outside are clamped and NaN becomes black.
    pub pixels: Option<&'a [f32]>,
}

/// Two clusters of basins become one at the barrier between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Merge {
    /// The two clusters, numbered as in SciPy's `linkage`: 0 to n − 1 are the n basins, and n + k is what merge k
    /// makes.
    pub clusters: [usize; 2],
    /// Energy U in nats from which on both are one: the highest energy on the lowest path found between them.
    pub barrier: f64,
}

/// What a disconnectivity graph shows.
#[derive(Debug, Clone, PartialEq)]
pub struct Disconnectivity<'a> {
    /// Title above the graph.
    pub title: String,
    /// The basins, from 1 to 100.
    pub basins: &'a [Basin<'a>],
    /// The merges from the lowest barrier up; each names only clusters before it, and each cluster is named once at
    /// most. With fewer than n − 1 of them for n basins the graph falls into several trees, which are not connected.
    pub merges: &'a [Merge],
    /// Shape `[channels, height, width]` of the states, with 1 (grey) or 3 (colour) channels, when basins have pixels.
    pub state_shape: Option<[usize; 3]>,
}

/// Draws the basins and the barriers between them as a disconnectivity graph (Becker and Karplus, "The topology of
/// multidimensional potential energy surfaces", 1997), as Hill, Nijkamp and Zhu draw the energy of a ConvNet
/// ("Building a telescope to look into high-dimensional image spaces", arXiv 1803.01043).
///
/// Energy is the vertical axis, in nats. A basin is a line that rises from a circle at its minimum; lines join where
/// the lowest barrier found between their basins is passed. The area of a circle is in proportion to the members,
/// down to a dot that can still be seen, and their number stands below it. The deepest basin of each cluster is on
/// the left, and no two lines cross. Trees that no merge connects end in dashed lines at the top: no connection was
/// found, at any energy. The figure is 1200 units wide, more for many basins or wide pictures.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] for no basin, [`DiagnosticsError::NotFinite`] for an energy or barrier that
/// is not finite, and [`DiagnosticsError::Parameter`] for more than 100 basins, energies beyond ±1e100, a basin
/// without members, and pixels that do not fit the shape of the states or have none.
/// [`FiguresError::Merge`](crate::FiguresError::Merge) for a merge of clusters that do not exist yet, are merged
/// already or are the same, and for a barrier below the minimum or barrier of what it joins: the path leads through
/// both, so its highest energy cannot lie lower. Where energies were rounded differently, let the barrier be the
/// maximum of all of them.
pub fn disconnectivity_figure(figure: &Disconnectivity<'_>) -> Result<Figure> {
    check_basins(figure.basins, figure.state_shape)?;
    let minima: Vec<f64> = figure.basins.iter().map(|basin| basin.energy).collect();
    let tree = Tree::new(&minima, figure.merges)?;
    let sheet = Sheet::new(figure, &tree)?;
    draw_figure(sheet.size(), description(figure, &tree), |area| {
        sheet.draw(area)
    })
}

fn check_basins(basins: &[Basin<'_>], state_shape: Option<[usize; 3]>) -> Result<()> {
    let wrong = |name, value, requirement| {
        Err(DiagnosticsError::Parameter {
            name,
            value,
            requirement,
        }
        .into())
    };
    if basins.len() > LARGEST_COUNT {
        return wrong(
            "the number of basins",
            basins.len().to_string(),
            "the figure has place for 100; leave out the smallest or those with the highest minima",
        );
    }
    for (index, basin) in basins.iter().enumerate() {
        if basin.energy.is_finite() && basin.energy.abs() > LARGEST_DRAWN {
            return wrong(
                "energy",
                format!("{:e} for basin {index}", basin.energy),
                "no axis can show energies beyond ±1e100",
            );
        }
        if basin.members == 0 {
            return wrong(
                "members",
                format!("0 for basin {index}"),
                "a basin has at least one; leave empty ones out",
            );
        }
        let Some(pixels) = basin.pixels else {
            continue;
        };
        let Some(shape) = state_shape else {
            return wrong(
                "state_shape",
                format!("not given, and basin {index} has pixels"),
                "pixels need it; give channels, height and width",
            );
        };
        let size = shape
            .iter()
            .try_fold(1_usize, |product, axis| product.checked_mul(*axis));
        if size != Some(pixels.len()) {
            return wrong(
                "pixels",
                format!(
                    "{} values for basin {index} and the shape {shape:?}",
                    pixels.len()
                ),
                "a state has one value for each channel, row and column",
            );
        }
    }
    Ok(())
}

/// The figure in one sentence.
fn description(figure: &Disconnectivity<'_>, tree: &Tree) -> String {
    let range = |values: &mut dyn Iterator<Item = f64>| {
        let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
        for value in values {
            (low, high) = (low.min(value), high.max(value));
        }
        if low == high {
            format!("at {} nats", number(low))
        } else {
            format!("from {} to {} nats", number(low), number(high))
        }
    };
    let many = |count: usize, one: &str, more: &str| {
        let noun = if count == 1 { one } else { more };
        format!("{} {noun}", thousands(count as u64))
    };
    let members = figure
        .basins
        .iter()
        .fold(0_usize, |sum, basin| sum.saturating_add(basin.members));
    let mut sentence = format!(
        "disconnectivity graph of {} with {}, minima of U {}",
        many(figure.basins.len(), "basin", "basins"),
        many(members, "member", "members"),
        range(&mut figure.basins.iter().map(|basin| basin.energy)),
    );
    if !figure.merges.is_empty() {
        sentence.push_str(&format!(
            ", joined by {} {}",
            many(figure.merges.len(), "barrier", "barriers"),
            range(&mut figure.merges.iter().map(|merge| merge.barrier)),
        ));
    }
    if tree.roots.len() > 1 {
        sentence.push_str(&format!(
            ", in {} parts without a connection found between them",
            tree.roots.len()
        ));
    }
    let title = clean(&figure.title);
    if title.is_empty() {
        // The first letter is an ASCII one.
        return format!("D{}.", &sentence[1..]);
    }
    format!("{title}: {sentence}.")
}
