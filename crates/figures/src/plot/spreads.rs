//! Values of several runs for each of several settings, a row each.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, clean, draw_figure, drawing_error};
use super::panel::{counted, join_notes, write};
use super::scale::{drawable, with_margin};
use super::style::{self, BAND, FAINT_INK, GRID, INK};
use crate::Result;
use ebm_diagnostics::DiagnosticsError;
use ebm_diagnostics::number_format::{number, tick_label};

/// The largest value must be this many times the smallest before the axis is logarithmic.
const WIDE: f64 = 20.0;
const WIDTH: u32 = 1600;
const ROW: u32 = 56;
/// Space above and below the rows, for the title, the note and the axis.
const REST: u32 = 200;

/// A row of a [`SpreadFigure`].
#[derive(Debug, Clone, PartialEq)]
pub struct SpreadRow {
    /// Name of the setting.
    pub name: String,
    /// One value for each run.
    pub values: Vec<f64>,
}

/// One quantity under several settings, each tried more than once.
#[derive(Debug, Clone, PartialEq)]
pub struct SpreadFigure {
    /// Title: the quantity with its unit.
    pub title: String,
    /// The settings, from top to bottom. The first is what the others are compared with.
    pub rows: Vec<SpreadRow>,
}

/// Draws each value as a dot and the mean of a row as a line through it. A band shows the range of the first row. The
/// axis is logarithmic where all values are positive and the largest is more than 20 times the smallest. Values that are
/// not finite are left out and counted; a row without values says so.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] when no row has a value.
pub fn spread_figure(figure: &SpreadFigure) -> Result<Figure> {
    let mut dropped = 0;
    let rows: Vec<(String, Vec<f64>)> = figure
        .rows
        .iter()
        .map(|row| {
            let (kept, left_out) = drawable(row.values.iter().map(|value| (0.0, *value)));
            dropped += left_out;
            let values = kept.into_iter().map(|(_, value)| value).collect();
            (clean(&row.name), values)
        })
        .collect();
    let all = rows.iter().flat_map(|(_, values)| values.iter().copied());
    let Some((lowest, highest)) = extent(all) else {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the longest row of finite values",
            length: 0,
            needed: 1,
        }
        .into());
    };
    let is_logarithmic = lowest > 0.0 && highest > WIDE * lowest;
    let place = |value: f64| {
        if is_logarithmic { value.log10() } else { value }
    };
    let x = with_margin(place(lowest), place(highest));
    let span = x.end - x.start;
    let x_label = |value: f64| {
        if is_logarithmic {
            number(10_f64.powf(value))
        } else {
            tick_label(value, span)
        }
    };
    let count = rows.len();
    let title = clean(&figure.title);
    let names: Vec<&str> = rows.iter().map(|(name, _)| &**name).collect();
    let description = format!("{title}, for {}.", names.join(", "));
    let first = &rows[0];
    let band = match &first.1[..] {
        [] => String::new(),
        _ => format!("band: range of {}", first.0),
    };
    let note = [
        "line: mean of a row".to_owned(),
        band,
        counted(dropped, "not finite"),
    ];
    let note = join_notes(&note);

    draw_figure(
        (WIDTH, REST + ROW * count as u32),
        description,
        |area: &Area<'_>| {
            let area = area.margin(20, 0, 10, 10);
            write(&area, &title, (30, 4), style::text(style::PANEL_TITLE, INK))?;
            write(&area, &note, (30, 46), style::text(style::NOTE, FAINT_INK))?;
            let widest = names
                .iter()
                .filter_map(|name| {
                    area.estimate_text_size(name, &style::text(style::LABEL, INK))
                        .ok()
                })
                .map(|(width, _)| width)
                .max()
                .unwrap_or(0);
            // Long names may take half of the figure.
            let left = (widest + 40).min(WIDTH / 2);
            // Rows are numbered from the top.
            let y_of = |row: usize| (count - row) as f64 - 0.5;
            let mut chart = ChartBuilder::on(&area)
                .margin_top(90)
                .margin_right(40)
                .margin_bottom(20)
                .set_label_area_size(LabelAreaPosition::Left, left)
                .set_label_area_size(LabelAreaPosition::Bottom, 50)
                .build_cartesian_2d(x.clone(), 0.0..count as f64)
                .map_err(drawing_error)?;
            chart
                .configure_mesh()
                .disable_y_mesh()
                .disable_y_axis()
                .light_line_style(TRANSPARENT)
                .bold_line_style(GRID.stroke_width(2))
                .axis_style(FAINT_INK.stroke_width(2))
                .label_style(style::text(style::LABEL, INK))
                .x_labels(9)
                .x_label_formatter(&|value| x_label(*value))
                .draw()
                .map_err(drawing_error)?;
            if let Some((low, high)) = extent(first.1.iter().copied()) {
                let corners = [(place(low), 0.0), (place(high), count as f64)];
                chart
                    .draw_series([Rectangle::new(corners, BAND.filled())])
                    .map_err(drawing_error)?;
            }
            for (row, (_, values)) in rows.iter().enumerate() {
                let y = y_of(row);
                let colour = style::series_colour(usize::from(row > 0));
                if !values.is_empty() {
                    let mean = place(values.iter().sum::<f64>() / values.len() as f64);
                    let line = [(mean, y - 0.3), (mean, y + 0.3)];
                    chart
                        .draw_series(LineSeries::new(line, colour.stroke_width(4)))
                        .map_err(drawing_error)?;
                }
                let dots = values
                    .iter()
                    .map(|value| Circle::new((place(*value), y), 7, colour.mix(0.7).filled()));
                chart.draw_series(dots).map_err(drawing_error)?;
            }
            for (row, (name, values)) in rows.iter().enumerate() {
                let at = chart.backend_coord(&(x.start, y_of(row)));
                // Coordinates of the sheet, into which the margins of the area are counted.
                let at = (
                    at.0 - 10 - area.get_pixel_range().0.start,
                    at.1 - area.get_pixel_range().1.start,
                );
                write(
                    &area,
                    name,
                    at,
                    style::right_centred(style::text(style::LABEL, INK)),
                )?;
                if values.is_empty() {
                    let at = (at.0 + 30, at.1 - style::NOTE / 2);
                    write(&area, "no value", at, style::text(style::NOTE, FAINT_INK))?;
                }
            }
            Ok(Vec::new())
        },
    )
}

/// The smallest and the largest value.
fn extent(values: impl Iterator<Item = f64>) -> Option<(f64, f64)> {
    values
        .map(|value| (value, value))
        .reduce(|(low, high), (value, _)| (low.min(value), high.max(value)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn rows(values: &[&[f64]]) -> SpreadFigure {
        SpreadFigure {
            title: "distance".into(),
            rows: values
                .iter()
                .enumerate()
                .map(|(row, values)| SpreadRow {
                    name: format!("setting {row}"),
                    values: values.to_vec(),
                })
                .collect(),
        }
    }

    /// Where the dots lie along x.
    fn centres(svg: &str) -> Vec<f64> {
        svg.split("<circle cx=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect()
    }

    /// One circle for each finite value, at places in the order of the values.
    #[test]
    fn every_value_has_a_dot() {
        let figure = spread_figure(&rows(&[&[1.0, 2.0], &[], &[3.0, f64::NAN]])).unwrap();
        let svg = figure.to_svg();
        let centres = centres(&svg);
        assert_eq!(centres.len(), 3, "{svg}");
        assert!(centres.is_sorted());
        // Evenly spaced values have evenly spaced dots.
        assert!((centres[2] - 2.0 * centres[1] + centres[0]).abs() <= 2.0);
        for text in [
            "setting 1",
            "no value",
            "1 not finite",
            "range of setting 0",
        ] {
            assert!(svg.contains(text), "no {text:?}");
        }
    }

    #[test]
    fn a_wide_range_has_a_logarithmic_axis() {
        let svg = spread_figure(&rows(&[&[1.0], &[10.0], &[100.0]])).unwrap();
        let centres = centres(&svg.to_svg());
        assert!((centres[2] - 2.0 * centres[1] + centres[0]).abs() <= 2.0);
    }

    #[test]
    fn no_values_are_an_error() {
        assert!(spread_figure(&rows(&[&[], &[f64::INFINITY]])).is_err());
        assert!(spread_figure(&rows(&[])).is_err());
    }
}
