//! `score.html`: the scores of images and how well they tell two sets apart.

use std::fs;
use std::path::Path;

use ebm_diagnostics::Roc;
use ebm_figures::plot::{
    Figure, LineFigure, LineSeries, SpreadFigure, SpreadRow, line_figure, spread_figure,
};
use ebm_figures::{Report, Table};

use super::run::Set;
use super::{Measure, Scored};
use crate::ExperimentError;
use crate::json::write_json;
use crate::pictures::{SHOWN, grid, write_figure, write_grid};

pub(super) const PAGE: &str = "score.html";
/// Written last: a folder that has it holds scores.
pub(super) const RECORD: &str = "score.json";
/// The most images of a set that are drawn as dots.
const DRAWN: usize = 300;

pub(super) struct Page<'a> {
    pub(super) scored: &'a Scored,
    pub(super) sets: &'a [Set],
    pub(super) curves: &'a [(Measure, Roc)],
}

impl Page<'_> {
    /// Writes tables, pictures, page and record into the folder.
    pub(super) fn write(&self, out: &Path) -> Result<(), ExperimentError> {
        let scored = self.scored;
        let mut report = Report::new(format!("Scores under {}", scored.weights)).verdict(
            format!("{}.", scored.sentence),
            format!(
                "U = F/T with T = {:.4e}; the images carry noise of {}. A lower U means a higher density, where chains under \
                 the energy converge. Flat and simple images often have a low U whatever they show, so contrast and \
                 roughness of the images stand beside it.",
                scored.temperature, scored.data_noise,
            ),
        );
        for (number, set) in self.sets.iter().enumerate() {
            let name = ["data", "against"][number.min(1)];
            let path = out.join(format!("{name}.csv"));
            fs::write(&path, set.scores.to_csv())
                .map_err(|error| ExperimentError::io(&path, error))?;
            if set.states.shape().dims()[1] > 1 {
                report = ends(report, set, name, out)?;
            }
        }
        for (name, figure, caption) in [
            (
                "energies",
                self.energies(),
                "U of at most 300 images of each set.",
            ),
            (
                "roc",
                self.roc(),
                "ROC curves: how many strange images are found, by how many familiar ones are taken for strange.",
            ),
        ] {
            if let Some(figure) = figure {
                write_figure(&figure, out, name)?;
                report = report.figure(&figure, caption);
            }
        }
        report.table(self.table()).write_html(out.join(PAGE))?;
        write_json(&out.join(RECORD), scored)
    }

    fn energies(&self) -> Option<Figure> {
        let rows = self.sets.iter().map(|set| SpreadRow {
            name: set.name.clone(),
            values: set.scores.energies.iter().take(DRAWN).copied().collect(),
        });
        spread_figure(&SpreadFigure {
            title: Measure::Energy.name().to_owned(),
            rows: rows.collect(),
        })
        .ok()
    }

    fn roc(&self) -> Option<Figure> {
        if self.curves.is_empty() {
            return None;
        }
        let series = self.curves.iter().map(|(measure, roc)| LineSeries {
            name: format!("{}: {:.3}", measure.name(), roc.area),
            values: (0..=100)
                .map(|percent| 100.0 * roc.true_positives(f64::from(percent) / 100.0))
                .collect(),
        });
        line_figure(&LineFigure {
            title: "Strange images found (%)".to_owned(),
            x_label: "familiar images taken for strange (%)".to_owned(),
            first_step: 0,
            stride: 1,
            series: series.collect(),
            reference: None,
        })
        .ok()
    }

    fn table(&self) -> Table {
        let mut rows: Vec<Vec<String>> = self
            .scored
            .sets
            .iter()
            .zip(&self.scored.mean_energies)
            .map(|((name, count), mean)| {
                vec![
                    format!("mean U of {name} ({count} images)"),
                    format!("{mean:.2} nats"),
                ]
            })
            .collect();
        rows.extend(self.scored.separations.iter().map(|separation| {
            vec![
                format!("AUROC of {}", separation.measure),
                format!(
                    "{:.3}; finds {:.1} % when 5 % of the familiar images are taken for strange",
                    separation.area,
                    100.0 * separation.found_at_5_percent
                ),
            ]
        }));
        Table {
            caption: "Scores".into(),
            header: vec!["quantity".into(), "value".into()],
            rows,
        }
    }
}

/// The images with the lowest and the highest U of a set, side by side.
fn ends(report: Report, set: &Set, name: &str, out: &Path) -> Result<Report, ExperimentError> {
    let shape = set.states.shape().dims();
    let order = set.scores.by_likelihood();
    let shown = SHOWN.min(order.len());
    let highest: Vec<usize> = order.iter().rev().take(shown).copied().collect();
    let mut report = report;
    for (end, places) in [("lowest", &order[..shown]), ("highest", &highest[..])] {
        let states = set.states.gather(places);
        write_grid(
            states.values(),
            shape,
            &out.join(format!("{name}-{end}.png")),
        )?;
        let caption = format!(
            "{}: the {shown} images with the {end} U, from the {end} on.",
            set.name
        );
        report = report.image(&grid(states.values(), shape)?, &caption)?;
    }
    Ok(report.side_by_side(2))
}
