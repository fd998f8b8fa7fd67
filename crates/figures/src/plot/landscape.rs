//! The six-panel figure of a two-dimensional run: densities and their logarithms.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, PlacedImage, clean, draw_figure, drawing_error};
use super::panel::write;
use super::raster::{colour_bar, density_image};
use super::style::{self, FAINT_INK, INK};
use crate::Result;
use ebm_diagnostics::DensityGrid;
use ebm_diagnostics::number_format::{number, tick_label};

/// Log densities are shown down to this many nats below their maximum: deep enough for the
/// valleys between modes, shallow enough to tell the modes apart.
const DEPTH: f64 = 12.0;

const SIDE: u32 = 440;
const LEFT: i32 = 100;
const COLUMN: i32 = 540;
const TOP: i32 = 160;
const ROW: i32 = 570;

/// The densities of a landscape figure. Each has its own grid.
#[derive(Debug, Clone, Copy)]
pub struct Landscape<'a> {
    /// Title above the panels, such as the name of the run.
    pub title: &'a str,
    /// Density of the data.
    pub truth: &'a DensityGrid,
    /// exp(−U) of the learned energy, normalised on its grid.
    pub learned: &'a DensityGrid,
    /// Kernel density of short-run samples.
    pub short_run: &'a DensityGrid,
}

/// Draws the true density, the learned density and the kernel density of short-run samples, and
/// their logarithms (the negative energies) below, on 1800 × 1250 units (arXiv 1903.12370,
/// figures on the two-dimensional toy data).
///
/// Each density is shaded from 0 to its own maximum, which is noted; each log density from 12 nats
/// below its maximum up to it.
///
/// # Errors
/// [`FiguresError::Drawing`](crate::FiguresError::Drawing) and
/// [`FiguresError::Png`](crate::FiguresError::Png) when drawing fails.
pub fn density_figure(landscape: &Landscape<'_>) -> Result<Figure> {
    let description = "True density, learned density and kernel density of short-run samples in \
                       the plane, and their logarithms."
        .to_owned();
    let columns = [
        ("true density", landscape.truth),
        ("learned density", landscape.learned),
        ("short-run samples (KDE)", landscape.short_run),
    ];
    draw_figure((1800, 1250), description, |area| {
        let title = clean(landscape.title);
        write(
            area,
            &title,
            (LEFT, 28),
            style::text(style::FIGURE_TITLE, INK),
        )?;
        let mut images = Vec::new();
        for (column, (name, grid)) in (0..).zip(columns) {
            let highest = grid.log_values().iter().fold(f64::MIN, |m, v| m.max(*v));
            let maximum = format!("max {}", number(highest.exp()));
            let logarithm = format!("log of the {name}");
            let logarithm = if column == 2 {
                "log of the short-run KDE"
            } else {
                &logarithm
            };
            let left = LEFT + column * COLUMN;
            let density = |value: f64| (value - highest).exp();
            let depth = |value: f64| (value - highest) / DEPTH + 1.0;
            draw_axes(area, (left, TOP), grid.half_width(), name, &maximum)?;
            images.push(density_image(grid, (left, TOP), SIDE, density)?);
            draw_axes(area, (left, TOP + ROW), grid.half_width(), logarithm, "")?;
            images.push(density_image(grid, (left, TOP + ROW), SIDE, depth)?);
        }
        images.push(draw_scale(area, TOP, ("max", "0"))?);
        let floor = format!("−{DEPTH} nats");
        images.push(draw_scale(area, TOP + ROW, ("max", &floor))?);
        Ok(images)
    })
}

/// Draws the frame around a square image, with ticks, the title and a note.
fn draw_axes(
    area: &Area<'_>,
    (left, top): (i32, i32),
    half_width: f64,
    title: &str,
    note: &str,
) -> Result<()> {
    write(
        area,
        title,
        (left, top - 46),
        style::text(style::PANEL_TITLE, INK),
    )?;
    let side = SIDE as i32;
    let note_place = style::right(style::text(style::NOTE, FAINT_INK));
    write(area, note, (left + side, top - 40), note_place)?;
    let frame = Rectangle::new(
        [(left - 1, top - 1), (left + side + 1, top + side + 1)],
        FAINT_INK.stroke_width(2),
    );
    area.draw(&frame).map_err(drawing_error)?;
    let step = tick_step(half_width);
    let count = (half_width / step).floor() as i32;
    for tick in -count..=count {
        let value = f64::from(tick) * step;
        let offset = (f64::from(side) * (value / half_width + 1.0) / 2.0).round() as i32;
        let (x, y) = (left + offset, top + side - offset);
        let label = tick_label(value, 2.0 * half_width);
        let below = style::text(style::NOTE, INK);
        let beside = below.clone();
        write(area, &label, (x, top + side + 28), style::centred(below))?;
        write(area, &label, (left - 14, y), style::right_centred(beside))?;
        for mark in [
            [(x, top + side), (x, top + side + 8)],
            [(left - 8, y), (left, y)],
        ] {
            let mark = PathElement::new(mark, FAINT_INK.stroke_width(2));
            area.draw(&mark).map_err(drawing_error)?;
        }
    }
    Ok(())
}

/// A round step (1, 2 or 5 times a power of ten) that gives 3 to 7 ticks on ±`half_width`.
fn tick_step(half_width: f64) -> f64 {
    let power = 10_f64.powf((half_width / 2.0).log10().floor());
    let fits = |multiple: &f64| {
        multiple * power <= half_width / 1.3 && 3.0 * multiple * power >= half_width * 0.99
    };
    [1.0, 2.0, 5.0].into_iter().find(fits).unwrap_or(5.0) * power
}

/// Draws the colour scale beside a row, with the texts of its two ends.
fn draw_scale(area: &Area<'_>, top: i32, (high, low): (&str, &str)) -> Result<PlacedImage> {
    let left = LEFT + 2 * COLUMN + SIDE as i32 + 30;
    write(
        area,
        high,
        (left, top - 40),
        style::text(style::NOTE, FAINT_INK),
    )?;
    write(
        area,
        low,
        (left, top + SIDE as i32 + 8),
        style::text(style::NOTE, FAINT_INK),
    )?;
    colour_bar((left, top), 24, SIDE)
}
