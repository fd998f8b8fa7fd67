//! One panel of a figure: a title, axes and the marks that figures share.

use std::ops::Range;

use plotters::chart::ChartContext;
use plotters::coord::types::RangedCoordf64;
use plotters::prelude::*;

use super::canvas::{Area, drawing_error};
use super::scale::thin;
use super::style::{self, FAINT_INK, GRID, INK};
use crate::Result;
use ebm_diagnostics::number_format::{number, thousands, tick_label};

/// Axes on which a panel is drawn.
pub(crate) type Chart<'a, 'b> =
    ChartContext<'a, SVGBackend<'b>, Cartesian2d<RangedCoordf64, RangedCoordf64>>;

/// Left end of the texts above the axes.
const TITLE_LEFT: i32 = 30;
/// Top of the small print under the title.
const NOTE_TOP: i32 = 46;
/// Space for the tick labels and the description left of the axes.
const LEFT: u32 = 130;
/// Points along the width of a panel that can be told apart.
const BUCKETS: usize = 1200;

/// Texts and ranges of a panel.
pub(crate) struct Panel<'t> {
    pub(crate) title: &'t str,
    /// Small print under the title, such as what was left out.
    pub(crate) note: &'t str,
    pub(crate) x_label: &'t str,
    pub(crate) x: Range<f64>,
    pub(crate) y: Range<f64>,
}

impl Panel<'_> {
    /// Draws the title, the grid and the axes.
    pub(crate) fn draw<'a, 'b>(&self, area: &'a Area<'b>) -> Result<Chart<'a, 'b>> {
        self.draw_with(area, 7, count_label)
    }

    /// The same with common logarithms along x; the labels show the numbers themselves.
    pub(crate) fn draw_over_decades<'a, 'b>(&self, area: &'a Area<'b>) -> Result<Chart<'a, 'b>> {
        self.draw_with(area, 12, decade_label)
    }

    /// The same with common logarithms along x, each tick labelled by what it is the logarithm of.
    pub(crate) fn draw_over_logarithms<'a, 'b>(&self, area: &'a Area<'b>) -> Result<Chart<'a, 'b>> {
        self.draw_with(area, 10, |place| number(10_f64.powf(place)))
    }

    /// The same with real numbers along x.
    pub(crate) fn draw_in_plane<'a, 'b>(&self, area: &'a Area<'b>) -> Result<Chart<'a, 'b>> {
        let x_span = self.x.end - self.x.start;
        self.draw_with(area, 7, |value| tick_label(value, x_span))
    }

    fn draw_with<'a, 'b>(
        &self,
        area: &'a Area<'b>,
        x_labels: usize,
        x_label: impl Fn(f64) -> String,
    ) -> Result<Chart<'a, 'b>> {
        write(
            area,
            self.title,
            (TITLE_LEFT, 4),
            style::text(style::PANEL_TITLE, INK),
        )?;
        write(
            area,
            self.note,
            (TITLE_LEFT, NOTE_TOP),
            style::text(style::NOTE, FAINT_INK),
        )?;
        let mut chart = ChartBuilder::on(area)
            .margin_top(90)
            .margin_right(40)
            .margin_bottom(30)
            .set_label_area_size(LabelAreaPosition::Left, LEFT)
            .set_label_area_size(LabelAreaPosition::Bottom, 76)
            .build_cartesian_2d(self.x.clone(), self.y.clone())
            .map_err(drawing_error)?;
        let y_span = self.y.end - self.y.start;
        chart
            .configure_mesh()
            .light_line_style(TRANSPARENT)
            .bold_line_style(GRID.stroke_width(2))
            .axis_style(FAINT_INK.stroke_width(2))
            .set_all_tick_mark_size(8)
            .label_style(style::text(style::LABEL, INK))
            .axis_desc_style(style::text(style::LABEL, INK))
            .x_desc(self.x_label)
            .x_labels(x_labels)
            .y_labels(6)
            .x_label_formatter(&|value| x_label(*value))
            .y_label_formatter(&|value| tick_label(*value, y_span))
            .draw()
            .map_err(drawing_error)?;
        Ok(chart)
    }
}

/// Whole numbers only: a tick between two iterations has no label.
fn count_label(value: f64) -> String {
    if (value - value.round()).abs() > 1e-6 {
        return String::new();
    }
    let digits = thousands(value.abs().round() as u64);
    if value <= -0.5 {
        format!("−{digits}")
    } else {
        digits
    }
}

/// Powers of ten only: a tick between two decades has no label.
fn decade_label(place: f64) -> String {
    if (place - place.round()).abs() > 1e-6 || !(-0.5..18.5).contains(&place) {
        return String::new();
    }
    thousands(10_u64.pow(place.round() as u32))
}

/// Draws a line of text at a place in the area.
pub(crate) fn write(
    area: &Area<'_>,
    text: &str,
    place: (i32, i32),
    style: TextStyle<'_>,
) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    area.draw(&Text::new(text.to_owned(), place, style))
        .map_err(drawing_error)
}

/// Draws a series as a line, kept inside the axes; values beyond them get a mark at the edge.
/// Returns how many those are.
pub(crate) fn draw_line(
    chart: &mut Chart<'_, '_>,
    points: &[(f64, f64)],
    y: &Range<f64>,
    colour: RGBColor,
) -> Result<usize> {
    // The line is thin, so that a dense series does not become a solid area.
    let width = if points.len() > 600 { 1 } else { 2 };
    let inside = thin(points.to_vec(), BUCKETS)
        .into_iter()
        .map(|(x, value)| (x, value.clamp(y.start, y.end)));
    chart
        .draw_series(LineSeries::new(inside, colour.stroke_width(width)))
        .map_err(drawing_error)?;
    let beyond: Vec<(f64, f64)> = points
        .iter()
        .filter(|(_, value)| !y.contains(value))
        .copied()
        .collect();
    let marks = thin(beyond.clone(), 30).into_iter().map(|(x, value)| {
        // A triangle that points out of the axes.
        let (edge, height) = if value < y.start {
            (y.start, -14)
        } else {
            (y.end, 14)
        };
        EmptyElement::at((x, edge))
            + Polygon::new(vec![(-8, height), (8, height), (0, 0)], style::RED.filled())
    });
    chart.draw_series(marks).map_err(drawing_error)?;
    Ok(beyond.len())
}

/// The line of zero across the axes.
pub(crate) fn draw_zero(chart: &mut Chart<'_, '_>, x: &Range<f64>) -> Result<()> {
    chart
        .draw_series(LineSeries::new(
            [(x.start, 0.0), (x.end, 0.0)],
            INK.stroke_width(2),
        ))
        .map_err(drawing_error)?;
    Ok(())
}

/// A dashed horizontal line across the axes. Its meaning is written above the axes, where it hides no data.
pub(crate) fn draw_reference(chart: &mut Chart<'_, '_>, x: &Range<f64>, value: f64) -> Result<()> {
    let ends = [(x.start, value), (x.end, value)];
    chart
        .draw_series(DashedLineSeries::new(ends, 10, 8, INK.stroke_width(2)))
        .map_err(drawing_error)?;
    Ok(())
}

/// Names of series in their colours, in the place of the small print.
pub(crate) fn draw_legend(area: &Area<'_>, entries: &[(&str, RGBColor)]) -> Result<()> {
    let mut left = TITLE_LEFT;
    for (name, colour) in entries {
        area.draw(&Circle::new((left + 8, 57), 7, colour.filled()))
            .map_err(drawing_error)?;
        let style = style::text(style::NOTE, *colour);
        let (width, _) = area
            .estimate_text_size(name, &style)
            .map_err(drawing_error)?;
        write(area, name, (left + 24, NOTE_TOP), style)?;
        left += width as i32 + 60;
    }
    Ok(())
}

/// A sentence in the middle of a panel that has nothing to draw.
pub(crate) fn draw_empty(area: &Area<'_>, title: &str, reason: &str) -> Result<()> {
    write(
        area,
        title,
        (TITLE_LEFT, 4),
        style::text(style::PANEL_TITLE, INK),
    )?;
    let (width, height) = area.dim_in_pixel();
    let middle = (width as i32 / 2, height as i32 / 2);
    write(
        area,
        reason,
        middle,
        style::centred(style::text(style::LABEL, FAINT_INK)),
    )
}

/// Joins the notes that are not empty.
pub(crate) fn join_notes(notes: &[String]) -> String {
    let told: Vec<&str> = notes
        .iter()
        .map(String::as_str)
        .filter(|n| !n.is_empty())
        .collect();
    told.join("; ")
}

/// `count` with a text, or nothing for zero.
pub(crate) fn counted(count: usize, text: &str) -> String {
    if count == 0 {
        return String::new();
    }
    format!("{} {text}", thousands(count as u64))
}
