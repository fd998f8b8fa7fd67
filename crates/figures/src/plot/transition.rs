//! A percentage as a function of a strength, over the logarithm of the strength.

use plotters::prelude::*;

use super::canvas::{clean, draw_figure, drawing_error};
use super::panel::{Panel, draw_reference, join_notes};
use super::scale::with_margin;
use super::style;
use super::{Figure, Reference};
use crate::Result;
use ebm_diagnostics::DiagnosticsError;

/// What a transition figure shows, such as the percentage of pairs that come together under a pull.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Transition<'a> {
    /// Title, with what the percentages are of.
    pub title: &'a str,
    /// Name of the strength.
    pub x_label: &'a str,
    /// Strengths, each with a percentage from 0 to 100.
    pub shares: &'a [(f64, f64)],
    /// A percentage to compare with.
    pub reference: Option<&'a Reference>,
    /// A strength to mark, such as the chosen one.
    pub mark: Option<&'a Reference>,
}

/// Draws the shares as points joined by a line on 1600 × 900 units, the strength on a logarithmic axis.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] without a strength that is finite and positive with a finite percentage.
pub fn transition_figure(transition: &Transition<'_>) -> Result<Figure> {
    let is_drawable = |(strength, share): &(f64, f64)| {
        *strength > 0.0 && strength.is_finite() && share.is_finite()
    };
    let points: Vec<(f64, f64)> = transition
        .shares
        .iter()
        .filter(|point| is_drawable(point))
        .map(|(strength, share)| (strength.log10(), *share))
        .collect();
    if points.is_empty() {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the series of strengths",
            length: points.len(),
            needed: 1,
        }
        .into());
    }
    let mark = transition
        .mark
        .filter(|mark| mark.value > 0.0 && mark.value.is_finite());
    let places = points.iter().map(|(place, _)| *place);
    let places = places.chain(mark.map(|mark| mark.value.log10()));
    let (low, high) = places.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), place| {
        (low.min(place), high.max(place))
    });
    let x = with_margin(low, high);
    let y = -4.0..104.0;
    let title = clean(transition.title);
    let x_label = clean(transition.x_label);
    let note = join_notes(&[
        mark.map_or_else(String::new, |mark| clean(&mark.label)),
        transition
            .reference
            .map_or_else(String::new, |it| format!("dashed: {}", clean(&it.label))),
    ]);
    let description = format!("{title}, over {x_label}.");
    draw_figure((1600, 900), description, |area| {
        let area = area.margin(20, 0, 10, 10);
        let panel = Panel {
            title: &title,
            note: &note,
            x_label: &x_label,
            x: x.clone(),
            y: y.clone(),
        };
        let mut chart = panel.draw_over_logarithms(&area)?;
        if let Some(reference) = transition.reference {
            draw_reference(&mut chart, &x, reference.value)?;
        }
        if let Some(mark) = mark {
            let place = mark.value.log10();
            let ends = [(place, y.start), (place, y.end)];
            let line = LineSeries::new(ends, style::ORANGE.stroke_width(4));
            chart.draw_series(line).map_err(drawing_error)?;
        }
        let line = LineSeries::new(points.iter().copied(), style::BLUE.stroke_width(3));
        chart.draw_series(line).map_err(drawing_error)?;
        let dots = points
            .iter()
            .map(|point| Circle::new(*point, 7, style::BLUE.filled()));
        chart.draw_series(dots).map_err(drawing_error)?;
        Ok(Vec::new())
    })
}
