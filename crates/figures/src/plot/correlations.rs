//! The two correlation panels of the diagnostic figure, and a figure of all correlations.

use plotters::prelude::*;

use super::Figure;
use super::canvas::{Area, clean, draw_figure, drawing_error};
use super::panel::{Chart, Panel, draw_empty, draw_legend, draw_zero, write};
use super::style::{self, BAND, BLUE, FAINT_INK, INK, ORANGE};
use crate::Result;
use ebm_diagnostics::finite_pairs;
use ebm_diagnostics::number_format::thousands;
use ebm_diagnostics::{DiagnosticsError, IterationMetrics, settled_window};
use ebm_diagnostics::{
    autocorrelation, cross_correlation, partial_autocorrelation, standardise, unit_mean_square,
    white_noise_band,
};

/// Both series of the same iterations, scaled for correlations.
struct Series {
    d: Vec<f64>,
    r: Vec<f64>,
    max_lag: usize,
}

impl Series {
    /// d not centred, as the paper draws it. `None` when fewer than 2 iterations have finite values.
    fn as_drawn(window: &[IterationMetrics], max_lag: usize) -> Result<Option<Self>> {
        Self::of(window, max_lag, unit_mean_square)
    }

    /// d centred, so that a swing about a mean shows. `None` when fewer than 2 iterations have finite values.
    fn centred(window: &[IterationMetrics], max_lag: usize) -> Result<Option<Self>> {
        Self::of(window, max_lag, standardise)
    }

    fn of(
        window: &[IterationMetrics],
        max_lag: usize,
        scale_d: fn(&[f64]) -> ebm_diagnostics::Result<Vec<f64>>,
    ) -> Result<Option<Self>> {
        // Each lag relates two iterations, so both series keep the same iterations.
        let (d, r) = finite_pairs(window);
        if d.len() < 2 {
            return Ok(None);
        }
        Ok(Some(Self {
            // The band and the stems of a handful of lags stay readable up to a few hundred.
            max_lag: max_lag.clamp(1, 200).min(d.len() - 1),
            d: scale_d(&d)?,
            r: standardise(&r)?,
        }))
    }

    fn draw_cross_correlation(&self, area: &Area<'_>, title: &str) -> Result<()> {
        let band = white_noise_band(self.d.len());
        let lags = self.max_lag as f64;
        let cross: Vec<(f64, f64)> = cross_correlation(&self.d, &self.r, self.max_lag)?
            .into_iter()
            .enumerate()
            .map(|(index, value)| (index as f64 - lags, value))
            .collect();
        let reach = cross.iter().fold(band, |m, (_, value)| m.max(value.abs()));
        let reach = (1.15 * reach).clamp(0.2, 1.1);
        let panel = Panel {
            title,
            note: "at a positive lag d comes first; grey: 95 % band of white noise",
            x_label: "lag (iterations)",
            x: -lags - 0.7..lags + 0.7,
            y: -reach..reach,
        };
        draw_stems(&mut panel.draw(area)?, &panel, band, &[(BLUE, 0.0, cross)])
    }

    /// Stems of values at lags 0, 1, …, each set in its colour and moved sideways.
    fn draw_lags(
        &self,
        area: &Area<'_>,
        title: &str,
        note: &str,
        values: Vec<(RGBColor, f64, Vec<f64>)>,
    ) -> Result<()> {
        let band = white_noise_band(self.d.len());
        let stems: Vec<Stems> = values
            .into_iter()
            .map(|(colour, sideways, values)| {
                let lags = (0..).map(f64::from).zip(values).collect();
                (colour, sideways, lags)
            })
            .collect();
        let lowest = stems
            .iter()
            .flat_map(|(_, _, values)| values)
            .fold(-band, |m, (_, value)| m.min(*value));
        let panel = Panel {
            title,
            note,
            x_label: "lag (iterations)",
            x: -0.7..self.max_lag as f64 + 0.7,
            y: (1.15 * lowest).clamp(-1.1, -0.15)..1.1,
        };
        draw_stems(&mut panel.draw(area)?, &panel, band, &stems)
    }
}

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
    let Some(series) = Series::as_drawn(window, max_lag)? else {
        draw_empty(cross_area, cross_title, "too few finite values")?;
        return draw_empty(auto_area, auto_title, "too few finite values");
    };
    series.draw_cross_correlation(cross_area, cross_title)?;
    let values = vec![
        (BLUE, -0.14, autocorrelation(&series.d, series.max_lag)?),
        (ORANGE, 0.14, autocorrelation(&series.r, series.max_lag)?),
    ];
    series.draw_lags(auto_area, auto_title, "", values)?;
    draw_legend(
        auto_area,
        &[("d, not centred", BLUE), ("r, standardised", ORANGE)],
    )
}

/// What the figure of correlations shows.
#[derive(Debug, Clone, PartialEq)]
pub struct CorrelationOptions {
    /// Title above the panels, such as the verdict on the oscillation.
    pub title: String,
    /// Number of latest iterations that count, never more than half of the run; the paper's plots use 2,000.
    pub window: usize,
    /// Largest lag, fewer for a short series.
    pub max_lag: usize,
}

impl Default for CorrelationOptions {
    fn default() -> Self {
        Self {
            title: String::new(),
            window: 2_000,
            max_lag: 15,
        }
    }
}

/// Draws the autocorrelation and the partial autocorrelation of d, the autocorrelation of r and the cross-correlation
/// of both over the [`settled_window`], on 1600 × 1200 units.
///
/// Both series are standardised: d is centred here, as in
/// [`test_oscillation`](ebm_diagnostics::verdict::test_oscillation), which tests the correlations of their ranks. The
/// grey band is ±1.96/√n, within which 95 % of the correlations of white noise lie.
///
/// # Errors
/// [`DiagnosticsError::SeriesTooShort`] for fewer than 2 records with finite d and r in the window.
pub fn correlation_figure(
    metrics: &[IterationMetrics],
    options: &CorrelationOptions,
) -> Result<Figure> {
    let window = settled_window(metrics, options.window);
    let finite = window
        .iter()
        .filter(|m| m.energy_difference.is_finite() && m.gradient_magnitude.is_finite())
        .count();
    let Some(series) = Series::centred(window, options.max_lag)? else {
        return Err(DiagnosticsError::SeriesTooShort {
            what: "the window of finite metrics",
            length: finite,
            needed: 2,
        }
        .into());
    };
    let iterations = thousands(finite as u64);
    let over = if finite == window.len() {
        format!("last {iterations} iterations")
    } else {
        format!(
            "{iterations} finite of the last {} iterations",
            thousands(window.len() as u64)
        )
    };
    let description = format!(
        "Autocorrelation and partial autocorrelation of d, autocorrelation of r and cross-correlation of both over \
         {iterations} iterations."
    );
    draw_figure((1600, 1200), description, |area| {
        let (head, body) = area.split_vertically(84);
        let title = style::text(style::FIGURE_TITLE, INK);
        write(&head, &clean(&options.title), (40, 20), title)?;
        let place = style::right(style::text(style::LABEL, FAINT_INK));
        write(&head, &over, (1560, 32), place)?;
        let panels = body.margin(0, 10, 10, 10).split_evenly((2, 2));
        let lags = series.max_lag;
        for (panel, title, note, colour, values) in [
            (
                &panels[0],
                "autocorrelation of d",
                "centred; grey: 95 % band of white noise",
                BLUE,
                autocorrelation(&series.d, lags)?,
            ),
            (
                &panels[1],
                "partial autocorrelation of d",
                "what a lag adds to the shorter ones",
                BLUE,
                partial_autocorrelation(&series.d, lags)?,
            ),
            (
                &panels[2],
                "autocorrelation of r",
                "standardised",
                ORANGE,
                autocorrelation(&series.r, lags)?,
            ),
        ] {
            series.draw_lags(panel, title, note, vec![(colour, 0.0, values)])?;
        }
        series.draw_cross_correlation(&panels[3], "cross-correlation of d and r")?;
        Ok(Vec::new())
    })
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
