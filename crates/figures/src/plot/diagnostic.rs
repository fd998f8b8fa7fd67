//! The four-panel figure of a run: `d`, `r` and their correlations.

use std::ops::Range;

use super::Figure;
use super::canvas::{Area, clean, draw_figure};
use super::correlations::draw_correlations;
use super::panel::{
    Panel, counted, draw_empty, draw_line, draw_reference, draw_zero, join_notes, write,
};
use super::scale::{drawable, robust_range};
use super::style::{self, BLUE, FAINT_INK, INK, ORANGE};
use crate::Result;
use ebm_diagnostics::number_format::{number, thousands};
use ebm_diagnostics::{DiagnosticsError, IterationMetrics, settled_window};

/// What the four-panel figure shows.
#[derive(Debug, Clone, PartialEq)]
pub struct DiagnosticOptions {
    /// Title above the panels, such as the name of the run.
    pub title: String,
    /// ε, drawn as a line with r. With 0 there is no line, and d is in F units.
    pub noise: f64,
    /// Number of coordinates of a state, when known: the length of the noise, ε√dim, becomes a
    /// second line with r, itself a length.
    pub state_dimension: Option<usize>,
    /// Number of latest iterations shown; the paper's plots use 2,000.
    pub window: usize,
    /// Largest lag of the correlations, fewer for a short series.
    pub max_lag: usize,
}

impl Default for DiagnosticOptions {
    fn default() -> Self {
        Self {
            title: String::new(),
            noise: 0.0,
            state_dimension: None,
            window: 2_000,
            max_lag: 15,
        }
    }
}

/// Draws d and r over the last `window` iterations, and over the [`settled_window`] of these the cross-correlation of
/// d and r and the autocorrelations of both (arXiv 1903.12370, section 3), on 1600 × 1200 units.
///
/// The d axis follows the bulk of the values: a few far ones are marked at the edge and counted.
/// Values that are not finite (or beyond 1e100) are left out and counted. For the correlations d
/// is scaled to unit mean square and r is standardised; the grey band is ±1.96/√n.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] for no record in the window. With a single one there are no correlations yet.
pub fn diagnostic_figure(
    metrics: &[IterationMetrics],
    options: &DiagnosticOptions,
) -> Result<Figure> {
    let window = &metrics[metrics.len().saturating_sub(options.window)..];
    if window.is_empty() {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the window of metrics",
            length: 0,
            needed: 1,
        }
        .into());
    }
    let description = format!(
        "Energy difference d, gradient magnitude r, their cross-correlation and their \
         autocorrelations over the last {} iterations.",
        thousands(window.len() as u64)
    );
    draw_figure((1600, 1200), description, |area| {
        let panels = titled_panels(area, options, window)?;
        draw_energy_difference(&panels[0], window, options)?;
        draw_gradient_magnitude(&panels[1], window, options)?;
        let settled = settled_window(metrics, options.window);
        draw_correlations(&panels[2], &panels[3], settled, options.max_lag)?;
        Ok(Vec::new())
    })
}

fn titled_panels<'a>(
    area: &Area<'a>,
    options: &DiagnosticOptions,
    window: &[IterationMetrics],
) -> Result<Vec<Area<'a>>> {
    let (head, body) = area.split_vertically(84);
    write(
        &head,
        &clean(&options.title),
        (40, 20),
        style::text(style::FIGURE_TITLE, INK),
    )?;
    let shown = format!("last {} iterations", thousands(window.len() as u64));
    let place = style::right(style::text(style::LABEL, FAINT_INK));
    write(&head, &shown, (1560, 32), place)?;
    Ok(body.margin(0, 10, 10, 10).split_evenly((2, 2)))
}

fn iterations(window: &[IterationMetrics]) -> Range<f64> {
    // Not the first and the last: a resumed run may have repeated some iterations.
    let first = window.iter().map(|m| m.iteration).min().unwrap_or(0) as f64;
    let last = window.iter().map(|m| m.iteration).max().unwrap_or(1) as f64;
    first..last.max(first + 1.0)
}

fn series(
    window: &[IterationMetrics],
    value: impl Fn(&IterationMetrics) -> f64,
) -> (Vec<(f64, f64)>, usize) {
    drawable(window.iter().map(|m| (m.iteration as f64, value(m))))
}

fn values(points: &[(f64, f64)]) -> Vec<f64> {
    points.iter().map(|(_, value)| *value).collect()
}

fn count_notes(points: &[(f64, f64)], dropped: usize, y: &Range<f64>) -> [String; 2] {
    let beyond = points.iter().filter(|(_, v)| !y.contains(v)).count();
    [
        counted(beyond, "beyond the axis"),
        counted(dropped, "not finite"),
    ]
}

fn draw_energy_difference(
    area: &Area<'_>,
    window: &[IterationMetrics],
    options: &DiagnosticOptions,
) -> Result<()> {
    let unit = if options.noise > 0.0 { "U, nats" } else { "F" };
    let title = &format!("d: energy difference, data − samples ({unit})");
    let (points, dropped) = series(window, |m| m.energy_difference);
    if points.is_empty() {
        return draw_empty(area, title, "no values to draw");
    }
    let y = robust_range(&values(&points), &[0.0]);
    let x = iterations(window);
    let mut notes = vec!["negative: the update expands; positive: it contracts".to_owned()];
    notes.extend(count_notes(&points, dropped, &y));
    let note = join_notes(&notes);
    let panel = Panel {
        title,
        note: &note,
        x_label: "learning iteration",
        x: x.clone(),
        y: y.clone(),
    };
    let mut chart = panel.draw(area)?;
    draw_line(&mut chart, &points, &y, BLUE)?;
    draw_zero(&mut chart, &x)
}

/// The levels of the noise to compare r with.
fn noise_lines(options: &DiagnosticOptions) -> Vec<(&'static str, f64)> {
    let length = options
        .state_dimension
        .map(|dimension| ("ε√dim", options.noise * (dimension as f64).sqrt()));
    std::iter::once(("ε", options.noise))
        .chain(length)
        .filter(|(_, value)| *value > 0.0 && value.is_finite())
        .collect()
}

fn draw_gradient_magnitude(
    area: &Area<'_>,
    window: &[IterationMetrics],
    options: &DiagnosticOptions,
) -> Result<()> {
    let title = "r: gradient magnitude along the Langevin steps (F)";
    let (points, dropped) = series(window, |m| m.gradient_magnitude);
    if points.is_empty() {
        return draw_empty(area, title, "no values to draw");
    }
    let bulk = robust_range(&values(&points), &[]);
    // A line is worth an axis up to three times the one that r needs, not more.
    let shows = |value: f64| {
        let range = robust_range(&values(&points), &[value]);
        range.end - range.start <= 3.0 * (bulk.end - bulk.start)
    };
    let lines = noise_lines(options);
    let shown: Vec<f64> = lines
        .iter()
        .map(|(_, value)| *value)
        .filter(|v| shows(*v))
        .collect();
    let y = robust_range(&values(&points), &shown);
    let mut notes: Vec<String> = lines
        .iter()
        .map(|(name, value)| {
            let label = format!("{name} = {}", number(*value));
            match (shown.contains(value), *value < y.start) {
                (true, _) => format!("dashed: {label}"),
                (false, true) => format!("{label} lies below the axis"),
                (false, false) => format!("{label} lies above the axis"),
            }
        })
        .collect();
    notes.extend(count_notes(&points, dropped, &y));
    let note = join_notes(&notes);
    let x = iterations(window);
    let panel = Panel {
        title,
        note: &note,
        x_label: "learning iteration",
        x: x.clone(),
        y: y.clone(),
    };
    let mut chart = panel.draw(area)?;
    draw_line(&mut chart, &points, &y, ORANGE)?;
    for value in shown {
        draw_reference(&mut chart, &x, value)?;
    }
    Ok(())
}
