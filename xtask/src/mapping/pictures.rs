//! The figures of a map, and grids of the members of its basins.

use ebm_diagnostics::Figure;
use ebm_diagnostics::plot::{
    Basin, Disconnectivity, LineFigure, LineSeries, Merge, Reference, disconnectivity_figure,
    line_figure,
};
use ebm_landscape::{DisconnectivityTree, Minimum};

use super::strength::MAY_COME_TOGETHER;
use super::summary::BasinRecord;
use super::{MapFolder, State};
use crate::diagnosis::short;
use crate::error::DriverError;
use crate::observers::write_figure;

/// Where figures lie.
const PLOTS: &str = "plots";

/// The basins `shown` (by number, as the tree counts them from 0) and what connects them.
///
/// # Errors
/// [`DriverError::Diagnostics`].
pub(super) fn write_tree(
    state: &State,
    folder: &MapFolder,
    minima: &[Minimum],
    basins: &[BasinRecord],
    shown: &[usize],
    tree: &DisconnectivityTree,
) -> Result<Figure, DriverError> {
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
/// [`DriverError::Diagnostics`].
pub(super) fn write_sweep(
    state: &State,
    folder: &MapFolder,
) -> Result<Option<Figure>, DriverError> {
    let Some(figure) = sweep_figure(state)? else {
        return Ok(None);
    };
    write_figure(&figure, &folder.make(PLOTS)?, "sweep")?;
    Ok(Some(figure))
}

fn sweep_figure(state: &State) -> Result<Option<Figure>, DriverError> {
    let (Some(sweep), Some(found)) = (&state.sweep, &state.found) else {
        return Ok(None);
    };
    let settings = &state.settings;
    let Some(strongest) = sweep.search.tried().last() else {
        return Ok(None);
    };
    // α of a pull of r.
    let whole = found.slope / settings.pull_of_one()?;
    let digits = (strongest / whole).log10().floor();
    if !digits.is_finite() || whole <= 0.0 {
        return Ok(None);
    }
    // So that the axis has from 100 to 1,000 places.
    let unit = 10f64.powf(digits - 2.0);
    let together = |place: u64| sweep.together(place as f64 * unit * whole);
    let last = (strongest / whole / unit).ceil() as u64;
    let mut series = vec![LineSeries {
        name: "all strengths tried".to_owned(),
        values: (0..=last).map(together).collect(),
    }];
    if let Some(strength) = state.strength {
        let chosen = (strength / whole / unit).round() as u64;
        series.push(LineSeries {
            name: format!("up to the chosen α = {}", short(strength)),
            values: (0..=chosen.min(last)).map(together).collect(),
        });
    }
    let in_unit = match digits as i64 {
        0 => "in % of r".to_owned(),
        other => format!("in units of 1e{} r", other - 2),
    };
    let pairs = sweep.search.pairs().len();
    let what = if sweep.are_different {
        "minima read as different digits"
    } else {
        "minima"
    };
    let figure = line_figure(&LineFigure {
        title: format!("{pairs} pairs of {what}: percent that come together"),
        x_label: format!(
            "pull αTτ {in_unit} = {}, the mean slope",
            short(found.slope)
        ),
        first_step: 0,
        stride: 1,
        series,
        reference: sweep.are_different.then(|| Reference {
            label: "as many as may come together".to_owned(),
            value: 100.0 * MAY_COME_TOGETHER,
        }),
    })?;
    Ok(Some(figure))
}
