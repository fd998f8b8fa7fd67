//! `evaluation.html`: what the chains did.

use ebm_figures::plot::{Figure, LineFigure, LineSeries, line_figure};
use ebm_figures::{Report, Table};
use ebm_langevin::Swaps;

use super::walk::picture_name;
use super::{Efficiency, EvaluationEnd, EvaluationFolder, EvaluationSettings, Record};
use crate::ExperimentError;
use crate::diagnosis::short;
use crate::pictures::write_figure;

/// All that is shown.
pub(crate) struct Page<'a> {
    pub(crate) settings: &'a EvaluationSettings,
    pub(crate) folder: &'a EvaluationFolder,
    pub(crate) records: &'a [Record],
    pub(crate) efficiency: Option<&'a Efficiency>,
    pub(crate) ended: EvaluationEnd,
}

impl Page<'_> {
    /// One sentence on the outcome of the chains.
    pub(crate) fn sentence(&self) -> String {
        let settings = self.settings;
        let (Some(first), Some(last)) = (self.records.first(), self.records.last()) else {
            return "The chains became NaN or infinite at once.".to_owned();
        };
        let mut sentence = match self.ended {
            EvaluationEnd::Finished => format!("After {} steps of {}", last.step, settings.kernel),
            EvaluationEnd::Stopped { .. } => format!(
                "After {} of {} steps of {}",
                last.step, settings.steps, settings.kernel
            ),
            EvaluationEnd::RanAway { step } => format!(
                "The chains became NaN or infinite before step {step}; after {} steps of {}",
                last.step, settings.kernel
            ),
        };
        sentence += &format!(
            " mean U went from {} to {} nats",
            short(first.mean_energy),
            short(last.mean_energy)
        );
        let tenth = self.settings.milestones().iter().rev().nth(1).copied();
        let tenth = tenth.and_then(|step| self.records.iter().find(|r| r.step == step));
        if let Some(tenth) = tenth.filter(|tenth| tenth.step > 0 && tenth.step < last.step) {
            let change = (last.mean_energy - tenth.mean_energy) / last.energy_spread;
            // A single chain, or chains that are all the same, have no spread.
            if change.is_finite() {
                sentence += &format!(
                    ", {change:+.2} spreads over the chains since step {}",
                    tenth.step
                );
            }
        }
        if let Some(rate) = self.acceptance_rate() {
            sentence += &format!("; {:.1} % of the proposals were accepted", 100.0 * rate);
        }
        if let Some([lowest, highest]) = self.swap_rates() {
            sentence += &format!(
                "; neighbours of {} temperatures up to {:.2} T exchanged {:.0} to {:.0} % of their states",
                settings.rungs(),
                settings.ladder.last().copied().unwrap_or(1.0),
                100.0 * lowest,
                100.0 * highest,
            );
        }
        if let Some(efficiency) = self.efficiency {
            sentence += &format!("; {}", efficiency.in_words());
        }
        if self.is_image() {
            sentence += &format!(
                "; {:.1} % of the pixels lie beyond ±1.5",
                100.0 * last.saturation
            );
        }
        sentence + "."
    }

    /// Writes figures and page.
    pub(crate) fn write(&self) -> Result<(), ExperimentError> {
        let settings = self.settings;
        let temperature = settings.temperature()?.get();
        let learned = match settings.training_epsilon {
            0.0 => "1, since it learned without noise".to_owned(),
            epsilon => format!("ε₀²/2 with ε₀ = {epsilon}"),
        };
        let text = format!(
            "{} chains from {} under {}. Step size ε = {}, temperature T = {temperature:.4e}: {} times that of the \
             training, {learned}. Energies are U = F/T.",
            settings.chains,
            settings.start,
            settings.weights,
            settings.epsilon,
            settings.temperature_factor,
        );
        let mut report = Report::new(format!("Long chains under {}", settings.weights))
            .verdict(self.sentence(), text);
        let mut pictures = 0;
        for step in settings.milestones() {
            let path = self.folder.path(&picture_name(step));
            if !self.is_image() || !path.is_file() {
                continue;
            }
            let png = std::fs::read(&path).map_err(|error| ExperimentError::io(&path, error))?;
            report = report.png(&png, &format!("After {step} steps."));
            pictures += 1;
        }
        if pictures > 0 {
            report = report.side_by_side(pictures);
        }
        for (name, figure, caption) in self.figures() {
            write_figure(&figure, self.folder.root(), name)?;
            report = report.figure(&figure, caption);
        }
        let json = serde_json::to_string_pretty(settings).unwrap_or_default();
        Ok(report
            .table(self.table())
            .config(json)
            .command(&settings.command)
            .write_html(self.folder.page())?)
    }

    fn is_image(&self) -> bool {
        self.settings.state_shape[1] > 1
    }

    /// Over all steps.
    fn acceptance_rate(&self) -> Option<f64> {
        let mut before = 0;
        let (mut accepted, mut proposed) = (0.0, 0.0);
        for record in self.records {
            let steps = (record.step - before) as f64;
            before = record.step;
            if let Some(rate) = record.acceptance_rate {
                accepted += rate * steps;
                proposed += steps;
            }
        }
        (proposed > 0.0).then(|| accepted / proposed)
    }

    /// The lowest and the highest share of exchanges over the pairs of neighbouring temperatures, over all steps.
    fn swap_rates(&self) -> Option<[f64; 2]> {
        let mut sums = Vec::new();
        for record in self.records {
            Swaps::accumulate(&mut sums, &record.swaps);
        }
        let rates = sums.into_iter().filter_map(Swaps::rate);
        let range = rates.fold([f64::INFINITY, f64::NEG_INFINITY], |[low, high], rate| {
            [low.min(rate), high.max(rate)]
        });
        range[0].is_finite().then_some(range)
    }

    /// The figures that have something to show.
    fn figures(&self) -> Vec<(&'static str, Figure, &'static str)> {
        let every = self.settings.record_every.max(1);
        let regular = self.records.iter().filter(|r| r.step.is_multiple_of(every));
        let figure = |title: &str, first_step, series: Vec<(&str, Vec<f64>)>| {
            let series = series.into_iter().map(|(name, values)| LineSeries {
                name: name.to_owned(),
                values,
            });
            line_figure(&LineFigure {
                title: title.to_owned(),
                x_label: "Langevin step".to_owned(),
                first_step,
                stride: every,
                series: series.collect(),
                reference: None,
            })
        };
        let quantile = |place: usize| -> Vec<f64> {
            regular.clone().map(|r| r.energy_quantiles[place]).collect()
        };
        let later = |value: fn(&Record) -> Option<f64>| -> Vec<f64> {
            regular.clone().filter_map(value).collect()
        };
        let energies = vec![
            ("90 %", quantile(2)),
            ("median", quantile(1)),
            ("10 %", quantile(0)),
        ];
        let drawn = [
            (
                "energies",
                figure("Energy U (nats): quantiles over the chains", 0, energies),
                "Learned energy of the chains. Level means that they have reached a steady state, or a metastable one.",
            ),
            (
                "gradients",
                figure(
                    "r, mean ‖∇F‖₂ since the record before",
                    every,
                    vec![("r", later(|r| r.gradient_magnitude))],
                ),
                "How far the gradient moves a state in a step of the training.",
            ),
            (
                "acceptance",
                figure(
                    "Acceptance rate since the record before",
                    every,
                    vec![("accepted", later(|r| r.acceptance_rate))],
                ),
                "Accepted proposals over all proposals.",
            ),
        ];
        // One record alone makes no line, and ULA accepts nothing.
        drawn
            .into_iter()
            .filter_map(|(name, figure, caption)| Some((name, figure.ok()?, caption)))
            .collect()
    }

    fn table(&self) -> Table {
        let milestones = self.settings.milestones();
        let rows = self
            .records
            .iter()
            .filter(|record| milestones.contains(&record.step))
            .map(|record| {
                let optional = |value: Option<f64>| {
                    value.map_or_else(|| "–".to_owned(), |v| format!("{v:.4}"))
                };
                vec![
                    record.step.to_string(),
                    short(record.mean_energy),
                    short(record.energy_spread),
                    optional(record.gradient_magnitude),
                    optional(record.acceptance_rate),
                    format!("{:.1} %", 100.0 * record.saturation),
                ]
            });
        Table {
            caption: "The chains on the way".into(),
            header: [
                "step",
                "mean U (nats)",
                "spread of U",
                "r",
                "acceptance rate",
                "elements beyond ±1.5",
            ]
            .map(String::from)
            .to_vec(),
            rows: rows.collect(),
        }
    }
}
