//! Several named series over a step index in one panel.

use plotters::style::RGBColor;

use super::Figure;
use super::canvas::{clean, draw_figure};
use super::panel::{Panel, counted, draw_legend, draw_line, draw_reference, join_notes, write};
use super::scale::{drawable, robust_range};
use super::style::{self, FAINT_INK};
use crate::Result;
use ebm_diagnostics::DiagnosticsError;

/// A named series of a [`LineFigure`].
#[derive(Debug, Clone, PartialEq)]
pub struct LineSeries {
    /// Name in the legend.
    pub name: String,
    /// Value at each step.
    pub values: Vec<f64>,
}

/// A line across the axes to compare with.
#[derive(Debug, Clone, PartialEq)]
pub struct Reference {
    /// What the line stands for.
    pub label: String,
    /// Where it lies.
    pub value: f64,
}

/// What a line figure shows, such as the mean energy of chains over Langevin steps.
#[derive(Debug, Clone, PartialEq)]
pub struct LineFigure {
    /// Title, with the unit of the values.
    pub title: String,
    /// Name of the step index.
    pub x_label: String,
    /// Step of the first value of every series.
    pub first_step: u64,
    /// Steps between two values.
    pub stride: u64,
    /// The series.
    pub series: Vec<LineSeries>,
    /// A line to compare them with.
    pub reference: Option<Reference>,
}

impl Default for LineFigure {
    fn default() -> Self {
        Self {
            title: String::new(),
            x_label: "step".to_owned(),
            first_step: 0,
            stride: 1,
            series: Vec::new(),
            reference: None,
        }
    }
}

/// Draws the series as lines on 1600 × 900 units, with the axis rules of
/// [`diagnostic_figure`](super::diagnostic_figure): few far values are marked at the edge, values
/// that are not finite are left out, and both are counted.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] when no series has 2 drawable values.
pub fn line_figure(figure: &LineFigure) -> Result<Figure> {
    let drawn: Vec<(Vec<(f64, f64)>, usize)> = figure
        .series
        .iter()
        .map(|series| {
            drawable(series.values.iter().enumerate().map(|(index, value)| {
                let step = figure.first_step as f64 + index as f64 * figure.stride as f64;
                (step, *value)
            }))
        })
        .collect();
    let points: Vec<(f64, f64)> = drawn
        .iter()
        .flat_map(|(points, _)| points)
        .copied()
        .collect();
    let longest = drawn
        .iter()
        .map(|(points, _)| points.len())
        .max()
        .unwrap_or(0);
    if longest < 2 {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the longest series of finite values",
            length: longest,
            needed: 2,
        }
        .into());
    }
    let values: Vec<f64> = points.iter().map(|(_, value)| *value).collect();
    let reference = figure.reference.as_ref().filter(|r| r.value.abs() <= 1e100);
    let always: Vec<f64> = reference.iter().map(|r| r.value).collect();
    let y = robust_range(&values, &always);
    let first = points
        .iter()
        .fold(f64::INFINITY, |m, (step, _)| m.min(*step));
    let last = points.iter().fold(first, |m, (step, _)| m.max(*step));
    let x = first..last.max(first + 1.0);

    let beyond = values.iter().filter(|value| !y.contains(value)).count();
    let dropped = drawn.iter().map(|(_, dropped)| dropped).sum();
    let dashed = reference.map_or_else(String::new, |r| format!("dashed: {}", clean(&r.label)));
    let note = join_notes(&[
        dashed,
        counted(beyond, "beyond the axis"),
        counted(dropped, "not finite"),
    ]);
    let title = clean(&figure.title);
    let x_label = clean(&figure.x_label);
    let names: Vec<String> = figure
        .series
        .iter()
        .map(|series| clean(&series.name))
        .collect();
    let description = format!("{title}: {} over {x_label}.", names.join(", "));
    draw_figure((1600, 900), description, |area| {
        let area = area.margin(20, 0, 10, 10);
        let panel = Panel {
            title: &title,
            note: "",
            x_label: &x_label,
            x: x.clone(),
            y: y.clone(),
        };
        let mut chart = panel.draw(&area)?;
        for (position, (points, _)) in drawn.iter().enumerate() {
            draw_line(&mut chart, points, &y, style::series_colour(position))?;
        }
        if let Some(reference) = reference {
            draw_reference(&mut chart, &x, reference.value)?;
        }
        let entries: Vec<(&str, RGBColor)> = names
            .iter()
            .enumerate()
            .map(|(position, name)| (name.as_str(), style::series_colour(position)))
            .collect();
        draw_legend(&area, &entries)?;
        write(
            &area,
            &note,
            (1550, 12),
            style::right(style::text(style::NOTE, FAINT_INK)),
        )?;
        Ok(Vec::new())
    })
}
