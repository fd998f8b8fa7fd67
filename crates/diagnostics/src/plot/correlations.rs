//! The two correlation panels of the diagnostic figure.

use plotters::prelude::*;

use super::canvas::{Area, drawing_error};
use super::panel::{Chart, Panel, draw_empty, draw_legend, draw_zero};
use super::style::{BAND, BLUE, ORANGE};
use crate::correlation::{
    autocorrelation, cross_correlation, standardise, unit_mean_square, white_noise_band,
};
use crate::number_format::thousands;
use crate::{IterationMetrics, Result};

/// Draws the cross-correlation of d and r and the autocorrelations of both.
pub(crate) fn draw_correlations(
    cross_area: &Area<'_>,
    auto_area: &Area<'_>,
    window: &[IterationMetrics],
    max_lag: usize,
) -> Result<()> {
    let over = format!("last {} iterations", thousands(window.len() as u64));
    let cross_title = &format!("cross-correlation of d and r, {over}");
    let auto_title = &format!("autocorrelations, {over}");
    // Each lag relates two iterations, so both series keep the same iterations.
    let (d, r): (Vec<f64>, Vec<f64>) = window
        .iter()
        .map(|m| (m.energy_difference, m.gradient_magnitude))
        .filter(|(d, r)| d.is_finite() && r.is_finite())
        .unzip();
    if d.len() < 2 {
        draw_empty(cross_area, cross_title, "too few finite values")?;
        return draw_empty(auto_area, auto_title, "too few finite values");
    }
    // The band and the stems of a handful of lags stay readable up to a few hundred.
    let max_lag = max_lag.clamp(1, 200).min(d.len() - 1);
    let band = white_noise_band(d.len());
    let (d, r) = (unit_mean_square(&d)?, standardise(&r)?);

    let lags = max_lag as f64;
    let cross: Vec<(f64, f64)> = cross_correlation(&d, &r, max_lag)?
        .into_iter()
        .enumerate()
        .map(|(index, value)| (index as f64 - lags, value))
        .collect();
    let reach = cross.iter().fold(band, |m, (_, value)| m.max(value.abs()));
    let reach = (1.15 * reach).clamp(0.2, 1.1);
    let panel = Panel {
        title: cross_title,
        note: "at a positive lag d comes first; grey: 95 % band of white noise",
        x_label: "lag (iterations)",
        x: -lags - 0.7..lags + 0.7,
        y: -reach..reach,
    };
    draw_stems(
        &mut panel.draw(cross_area)?,
        &panel,
        band,
        &[(BLUE, 0.0, cross)],
    )?;

    let shifted =
        |values: Vec<f64>| -> Vec<(f64, f64)> { (0..).map(f64::from).zip(values).collect() };
    let stems = [
        (BLUE, -0.14, shifted(autocorrelation(&d, max_lag)?)),
        (ORANGE, 0.14, shifted(autocorrelation(&r, max_lag)?)),
    ];
    let lowest = stems
        .iter()
        .flat_map(|(_, _, values)| values)
        .fold(-band, |m, (_, value)| m.min(*value));
    let panel = Panel {
        title: auto_title,
        note: "",
        x_label: "lag (iterations)",
        x: -0.7..lags + 0.7,
        y: (1.15 * lowest).clamp(-1.1, -0.15)..1.1,
    };
    let mut chart = panel.draw(auto_area)?;
    draw_stems(&mut chart, &panel, band, &stems)?;
    draw_legend(
        auto_area,
        &[("d, not centred", BLUE), ("r, standardised", ORANGE)],
    )
}

/// Stems of a colour, moved sideways by a fraction of a lag.
type Stems = (RGBColor, f64, Vec<(f64, f64)>);

fn draw_stems(
    chart: &mut Chart<'_, '_>,
    panel: &Panel<'_>,
    band: f64,
    all: &[Stems],
) -> Result<()> {
    let (top, bottom) = (band.min(panel.y.end), (-band).max(panel.y.start));
    chart
        .draw_series(std::iter::once(Rectangle::new(
            [(panel.x.start, top), (panel.x.end, bottom)],
            BAND.mix(0.6).filled(),
        )))
        .map_err(drawing_error)?;
    draw_zero(chart, &panel.x)?;
    for (colour, sideways, stems) in all {
        let points = stems.iter().map(|(lag, value)| (lag + sideways, *value));
        chart
            .draw_series(points.clone().map(|(x, value)| {
                PathElement::new(vec![(x, 0.0), (x, value)], colour.stroke_width(4))
            }))
            .map_err(drawing_error)?;
        chart
            .draw_series(points.map(|point| Circle::new(point, 6, colour.filled())))
            .map_err(drawing_error)?;
    }
    Ok(())
}
