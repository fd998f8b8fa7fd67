//! The figures of a map, and grids of the members of its basins.

use ebm_figures::Figure;
use ebm_figures::plot::{
    Basin, Disconnectivity, Merge, Plane, PlanePoint, Reference, Transition,
    disconnectivity_figure, plane_figure, transition_figure,
};
use ebm_landscape::{DisconnectivityTree, Minimum};

use super::strength::MAY_COME_TOGETHER;
use super::summary::BasinRecord;
use super::{MapFolder, State};
use crate::ExperimentError;
use crate::diagnosis::short;
use crate::pictures::write_figure;

/// Where figures lie.
const PLOTS: &str = "plots";

/// Basins in a plane with their numbers.
const MOST_LABELLED: usize = 40;

/// The basins `shown` (by number, as the tree counts them from 0) and the barriers between them.
///
/// # Errors
/// [`ExperimentError::Diagnostics`].
pub(super) fn write_tree(
    state: &State,
    folder: &MapFolder,
    minima: &[Minimum],
    basins: &[BasinRecord],
    shown: &[usize],
    tree: &DisconnectivityTree,
) -> Result<Figure, ExperimentError> {
    let shape = state.settings.state_shape;
    // Pictures have one channel or three.
    let has_pictures = state.settings.is_image() && matches!(shape[0], 1 | 3);
    let leaf = |number: &usize| {
        let basin = &basins[*number];
        Basin {
            label: number.to_string(),
            energy: basin.energy,
            members: basin.members.len(),
            pixels: has_pictures.then(|| &minima[basin.representative].state[..]),
        }
    };
    let leaves: Vec<Basin<'_>> = shown.iter().map(leaf).collect();
    let merge = |merge: &ebm_landscape::Merge| Merge {
        clusters: [merge.a, merge.b],
        barrier: merge.energy,
    };
    let merges: Vec<Merge> = tree.merges.iter().map(merge).collect();
    let of_all = if shown.len() < basins.len() {
        format!(": the {} largest of {}", shown.len(), basins.len())
    } else {
        String::new()
    };
    let figure = disconnectivity_figure(&Disconnectivity {
        title: format!("Basins of U and the barriers between them{of_all}"),
        basins: &leaves,
        merges: &merges,
        state_shape: has_pictures.then_some(shape),
    })?;
    write_figure(&figure, &folder.make(PLOTS)?, "disconnectivity")?;
    Ok(figure)
}

/// The share of pairs together over α; none without a sweep.
///
/// # Errors
/// [`ExperimentError::Diagnostics`].
pub(super) fn write_sweep(
    state: &State,
    folder: &MapFolder,
) -> Result<Option<Figure>, ExperimentError> {
    let Some(figure) = sweep_figure(state)? else {
        return Ok(None);
    };
    write_figure(&figure, &folder.make(PLOTS)?, "sweep")?;
    Ok(Some(figure))
}

fn sweep_figure(state: &State) -> Result<Option<Figure>, ExperimentError> {
    let (Some(sweep), Some(found)) = (&state.sweep, &state.found) else {
        return Ok(None);
    };
    let tried = sweep.search.tried();
    if tried.is_empty() {
        return Ok(None);
    }
    let shares: Vec<(f64, f64)> = tried
        .iter()
        .map(|alpha| (*alpha, sweep.together(*alpha)))
        .collect();
    let what = if sweep.are_different {
        "minima read as different digits"
    } else {
        "minima"
    };
    let pairs = sweep.search.pairs().len();
    let slope = found.slope / state.settings.pull_of_one()?;
    let tolerated = Reference {
        label: "as many as may come together".to_owned(),
        value: 100.0 * MAY_COME_TOGETHER,
    };
    let chosen = state.strength.map(|alpha| Reference {
        label: format!("α = {} (chosen)", short(alpha)),
        value: alpha,
    });
    let figure = transition_figure(&Transition {
        title: &format!("{pairs} pairs of {what}: percent that come together"),
        x_label: &format!(
            "α (a pull as strong as the mean slope r is α = {})",
            short(slope)
        ),
        shares: &shares,
        reference: sweep.are_different.then_some(&tolerated),
        mark: chosen.as_ref(),
    })?;
    Ok(Some(figure))
}

/// The minima in the plane, each in the colour of its basin; none for states that are no points of it.
///
/// # Errors
/// [`ExperimentError::Diagnostics`].
pub(super) fn write_plane(
    folder: &MapFolder,
    minima: &[Minimum],
    basins: &[BasinRecord],
) -> Result<Option<Figure>, ExperimentError> {
    let mut points = Vec::new();
    for (group, basin) in basins.iter().enumerate() {
        for member in &basin.members {
            let [x, y] = minima[*member].state[..] else {
                return Ok(None);
            };
            points.push(PlanePoint {
                place: [x.into(), y.into()],
                group,
                is_labelled: *member == basin.representative,
            });
        }
    }
    // If every minimum is a basin, labels would hide everything.
    if basins.len() > MOST_LABELLED {
        points
            .iter_mut()
            .for_each(|point| point.is_labelled = false);
    }
    let figure = plane_figure(&Plane {
        title: &format!("{} minima in {} basins", points.len(), basins.len()),
        points: &points,
    })?;
    write_figure(&figure, &folder.make(PLOTS)?, "plane")?;
    Ok(Some(figure))
}
