//! Energies of groups of long chains over the Langevin steps.

use std::ops::Range;

use plotters::prelude::*;

use super::Figure;
use super::canvas::{clean, draw_figure, drawing_error};
use super::panel::{
    Chart, Panel, counted, draw_legend, draw_line, draw_reference, join_notes, write,
};
use super::scale::robust_range;
use super::style::{self, FAINT_INK, INK};
use crate::Result;
use ebm_diagnostics::DiagnosticsError;
use ebm_diagnostics::number_format::thousands;
use ebm_diagnostics::quantile;
use ebm_diagnostics::verdict::ChainGroup;

/// What the figure of energies shows.
#[derive(Debug, Clone, PartialEq)]
pub struct ChainEnergies<'a> {
    /// Title, with the unit of the energies.
    pub title: String,
    /// The groups, one colour each; checked as [`ChainGroup::check`] does.
    pub groups: &'a [ChainGroup],
    /// L, marked by a vertical line, when known.
    pub training_steps: Option<u64>,
    /// Mean energy of the data, drawn as a dashed line, when known.
    pub data_energy: Option<f64>,
}

/// Median and 10–90 % band of one group at each drawn step.
struct Bands {
    /// Common logarithms of the steps.
    places: Vec<f64>,
    low: Vec<f64>,
    median: Vec<f64>,
    high: Vec<f64>,
}

/// Draws the median energy of each group over a logarithmic axis of steps, with the band from the 10 % to the 90 %
/// quantile over its chains, on 1600 × 900 units.
///
/// A record at step 0 has no place on the axis and is left out and counted; so are energies that are not finite. The
/// energy axis follows the bulk of the values, as in [`line_figure`](super::line_figure).
///
/// # Errors
/// Those of [`ChainGroup::check`], [`DiagnosticsError::SeriesTooShort`] for no group or when none has 2 records beyond
/// step 0.
pub fn chain_energy_figure(figure: &ChainEnergies<'_>) -> Result<Figure> {
    for group in figure.groups {
        group.check()?;
    }
    let bands: Vec<Bands> = figure.groups.iter().map(Bands::of).collect();
    let longest = bands.iter().map(|b| b.places.len()).max().unwrap_or(0);
    if longest < 2 {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the longest group of chains, without step 0,",
            length: longest,
            needed: 2,
        }
        .into());
    }
    let at_zero = figure.groups.iter().filter(|g| g.steps[0] == 0).count();
    let not_finite = figure
        .groups
        .iter()
        .flat_map(|group| &group.energies)
        .filter(|energy| !energy.is_finite())
        .count();
    let places = bands.iter().flat_map(|b| &b.places);
    let first = places.clone().fold(f64::INFINITY, |m, x| m.min(*x));
    let last = places.fold(f64::NEG_INFINITY, |m, x| m.max(*x));
    let x = first..last.max(first + 0.1);
    let reference = figure.data_energy.filter(|value| value.abs() <= 1e100);
    let values: Vec<f64> = bands
        .iter()
        .flat_map(|b| b.low.iter().chain(&b.high))
        .copied()
        .filter(|value| value.abs() <= 1e100)
        .collect();
    let y = robust_range(&values, &reference.into_iter().collect::<Vec<_>>());

    let training = figure
        .training_steps
        .filter(|steps| *steps > 0)
        .map(|steps| (steps, (steps as f64).log10()))
        .filter(|(_, place)| x.contains(place));
    let note = join_notes(&[
        "line: median; band: 10 to 90 %".to_owned(),
        training.map_or_else(String::new, |(steps, _)| {
            format!("upright: training length {}", thousands(steps))
        }),
        reference.map_or_else(String::new, |_| "dashed: mean over the data".to_owned()),
        counted(at_zero, "starts at step 0 not shown"),
        counted(not_finite, "energies not finite"),
    ]);
    let title = clean(&figure.title);
    let names: Vec<String> = figure
        .groups
        .iter()
        .map(|g| {
            format!(
                "from {} ({} chains)",
                g.start.name(),
                thousands(g.chains as u64)
            )
        })
        .collect();
    let description = format!("{title}: {} over Langevin steps.", names.join(", "));
    draw_figure((1600, 900), description, |area| {
        let area = area.margin(20, 0, 10, 10);
        let panel = Panel {
            title: &title,
            note: "",
            x_label: "Langevin step",
            x: x.clone(),
            y: y.clone(),
        };
        let mut chart = panel.draw_over_decades(&area)?;
        for (position, bands) in bands.iter().enumerate() {
            bands.draw_band(&mut chart, &y, style::series_colour(position))?;
        }
        if let Some((_, place)) = training {
            let upright = [(place, y.start), (place, y.end)];
            chart
                .draw_series(LineSeries::new(upright, FAINT_INK.stroke_width(2)))
                .map_err(drawing_error)?;
        }
        for (position, bands) in bands.iter().enumerate() {
            let points: Vec<(f64, f64)> = bands
                .places
                .iter()
                .zip(&bands.median)
                .map(|(x, y)| (*x, *y))
                .collect();
            draw_line(&mut chart, &points, &y, style::series_colour(position))?;
        }
        if let Some(value) = reference {
            draw_reference(&mut chart, &x, value)?;
        }
        let entries: Vec<(&str, RGBColor)> = names
            .iter()
            .enumerate()
            .map(|(position, name)| (name.as_str(), style::series_colour(position)))
            .collect();
        draw_legend(&area, &entries)?;
        let small = style::right(style::text(style::NOTE, INK));
        write(&area, &note, (1550, 12), small)?;
        Ok(Vec::new())
    })
}

impl Bands {
    fn of(group: &ChainGroup) -> Self {
        let mut bands = Self {
            places: Vec::new(),
            low: Vec::new(),
            median: Vec::new(),
            high: Vec::new(),
        };
        for (record, step) in group
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| **step > 0)
        {
            let mut sorted = group.at(&group.energies, record).to_vec();
            sorted.retain(|energy| energy.is_finite());
            if sorted.is_empty() {
                continue;
            }
            sorted.sort_by(f64::total_cmp);
            bands.places.push((*step as f64).log10());
            bands.low.push(quantile(&sorted, 0.1));
            bands.median.push(quantile(&sorted, 0.5));
            bands.high.push(quantile(&sorted, 0.9));
        }
        bands
    }

    fn draw_band(&self, chart: &mut Chart<'_, '_>, y: &Range<f64>, colour: RGBColor) -> Result<()> {
        let along = |edge: &[f64]| -> Vec<(f64, f64)> {
            self.places
                .iter()
                .zip(edge)
                .map(|(x, value)| (*x, value.clamp(y.start, y.end)))
                .collect()
        };
        let mut outline = along(&self.low);
        outline.extend(along(&self.high).into_iter().rev());
        chart
            .draw_series(std::iter::once(Polygon::new(
                outline,
                colour.mix(0.18).filled(),
            )))
            .map_err(drawing_error)?;
        Ok(())
    }
}
