//! Points of the plane in groups, such as the minima of a two-dimensional energy in their basins.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{clean, draw_figure, drawing_error};
use super::panel::Panel;
use super::scale::with_margin;
use super::style::{self, INK};
use crate::Result;
use ebm_diagnostics::DiagnosticsError;

/// A point of a [`Plane`].
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlanePoint {
    /// Its coordinates.
    pub place: [f64; 2],
    /// The number of its group.
    pub group: usize,
    /// Whether the number is written beside it.
    pub is_labelled: bool,
}

/// What a plane figure shows.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plane<'a> {
    /// Title.
    pub title: &'a str,
    /// The points. Those that are not finite are left out.
    pub points: &'a [PlanePoint],
}

/// Draws the points on 1200 × 1226 units, with the same scale on both axes. A group has one colour; there are six, so
/// that groups whose numbers differ by six share one, and the labels tell them apart.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] without a finite point.
pub fn plane_figure(plane: &Plane<'_>) -> Result<Figure> {
    let is_drawable = |point: &&PlanePoint| point.place.iter().all(|x| x.abs() <= 1e100);
    let points: Vec<&PlanePoint> = plane.points.iter().filter(is_drawable).collect();
    let farthest = points
        .iter()
        .flat_map(|point| point.place)
        .map(f64::abs)
        .reduce(f64::max)
        .ok_or(DiagnosticsError::SeriesTooShort {
            what: "the list of finite points",
            length: 0,
            needed: 1,
        })?;
    let axis = if farthest > 0.0 {
        with_margin(-farthest, farthest)
    } else {
        -1.0..1.0
    };
    let title = clean(plane.title);
    let description = format!("{title}: {} points of the plane.", points.len());
    draw_figure((1200, 1226), description, |area| {
        let panel = Panel {
            title: &title,
            note: "",
            x_label: "",
            x: axis.clone(),
            y: axis,
        };
        let mut chart = panel.draw_in_plane(area)?;
        let dots = points.iter().map(|point| {
            let colour = style::series_colour(point.group).mix(0.6);
            Circle::new(point.place.into(), 6, colour.filled())
        });
        chart.draw_series(dots).map_err(drawing_error)?;
        let labels = points.iter().filter(|point| point.is_labelled);
        let labels = labels.map(|point| {
            let [x, y] = point.place;
            EmptyElement::at((x, y))
                + Circle::new((0, 0), 10, INK.stroke_width(3))
                + Text::new(
                    point.group.to_string(),
                    (14, -34),
                    style::text(style::LABEL, INK),
                )
        });
        chart.draw_series(labels).map_err(drawing_error)?;
        Ok(Vec::new())
    })
}
