//! `likelihood.html`: both sides of log Z and what they say of the data.

use std::path::Path;

use ebm_figures::plot::{Figure, SpreadFigure, SpreadRow, spread_figure};
use ebm_figures::{Report, Table};

use super::{Agreement, Likelihood, Side};
use crate::ExperimentError;
use crate::json::write_json;
use crate::pictures::write_figure;
use crate::words::duration;

pub(super) const PAGE: &str = "likelihood.html";
/// Written last: a folder that has it holds an estimate.
pub(super) const RECORD: &str = "likelihood.json";
/// The most data of a set that are drawn.
const DRAWN: usize = 200;

/// The outcome in words; `gap` is reverse minus forward.
pub(super) fn sentence(found: &Likelihood, gap: Option<f64>) -> String {
    let sides = [&found.forward, &found.reverse];
    let [below, above] = sides.map(|side| side.log_partition.unwrap_or(f64::NAN));
    let [low, high] = sides.map(|side| side.standard_error.unwrap_or(f64::NAN));
    let fewest = sides
        .map(|side| side.effective_chains.unwrap_or(0.0))
        .into_iter()
        .fold(f64::INFINITY, f64::min);
    match found.agreement {
        Agreement::Agree => {
            let learned = found.sets.first().map_or(f64::NAN, |set| -set.mean_energy);
            format!(
                "Both sides of log Z agree ({below:.2} ± {low:.2} nats from below, {above:.2} ± {high:.2} from above), and the data \
                 of learning have {:.2} nats each",
                learned - f64::midpoint(below, above),
            )
        }
        Agreement::Apart => format!(
            "log Z is not known: {below:.1} nats from below, {above:.1} from above, with weights worth {fewest:.1} chains. A longer \
             path brings the two sides together, if the chains converge"
        ),
        Agreement::Contradict => format!(
            "The two sides of log Z contradict each other by {:.1} nats: the chains of the reverse ({}) did not begin at samples \
             of exp(−U). Where these are the data or the bank, the energy is no density of the data",
            gap.unwrap_or(f64::NAN).abs(),
            found.start,
        ),
        Agreement::Unknown => {
            "log Z is not finite: chains left for places where U falls without end, so that exp(−U) is no density"
                .to_owned()
        }
    }
}

pub(super) struct Page<'a> {
    pub(super) found: &'a Likelihood,
}

impl Page<'_> {
    /// Writes figure, page and record into the folder.
    pub(super) fn write(&self, out: &Path) -> Result<(), ExperimentError> {
        let found = self.found;
        let mut report = Report::new(format!("Likelihood under {}", found.weights)).verdict(
            format!("{}.", found.sentence),
            format!(
                "log p(x) = −U(x) − log Z with U = F/T, T = {:.4e}. log Z by annealed importance sampling: {} chains a side, \
                 {} steps of β with {} leapfrog steps each; the reverse began at {} and took {} trajectories under the energy \
                 first. {} gradients of F in {} on {} ({}).",
                found.temperature,
                found.chains,
                found.rungs,
                found.leapfrogs,
                found.start,
                found.burn_in,
                found.gradients,
                duration(found.seconds),
                found.backend,
                found.engine,
            ),
        );
        if let Some(figure) = self.figure() {
            write_figure(&figure, out, "log-likelihoods")?;
            report = report.figure(
                &figure,
                "Each dot is a datum, at most 200 of each set. Data carry the noise of learning.",
            );
        }
        let settings = serde_json::json!({
            "start": found.start, "burn_in": found.burn_in, "chains": found.chains, "rungs": found.rungs,
            "leapfrogs": found.leapfrogs, "seed": found.seed,
        });
        report
            .table(self.sides())
            .table(self.sets())
            .config(format!("{settings:#}"))
            .write_html(out.join(PAGE))?;
        write_json(&out.join(RECORD), found)
    }

    /// log p of the data by the middle between the sides, or −U where log Z is not known.
    fn figure(&self) -> Option<Figure> {
        let found = self.found;
        let is_known = found.agreement == Agreement::Agree;
        let log_partition = if is_known {
            f64::midpoint(found.forward.log_partition?, found.reverse.log_partition?)
        } else {
            0.0
        };
        let rows = found.sets.iter().map(|set| SpreadRow {
            name: set.name.clone(),
            values: set
                .energies
                .iter()
                .take(DRAWN)
                .map(|energy| -energy - log_partition)
                .collect(),
        });
        spread_figure(&SpreadFigure {
            title: if is_known {
                "log p of each datum (nats)".to_owned()
            } else {
                "−U of each datum (nats); log Z is not known".to_owned()
            },
            rows: rows.collect(),
        })
        .ok()
    }

    fn sides(&self) -> Table {
        let found = self.found;
        let row = |name: &str, side: &Side| {
            let number = |value: Option<f64>, digits: usize| {
                value.map_or_else(
                    || "not finite".to_owned(),
                    |value| format!("{value:.digits$}"),
                )
            };
            vec![
                name.to_owned(),
                number(side.log_partition, 3),
                number(side.standard_error, 3),
                number(side.effective_chains, 1),
                format!("{:.2}", side.acceptance_rate),
            ]
        };
        let mut rows = vec![
            row("forward, from below", &found.forward),
            row("reverse, from above", &found.reverse),
        ];
        if let Some(grid) = found.grid_log_partition {
            let dash = || "–".to_owned();
            rows.push(vec![
                "sum over a grid".to_owned(),
                format!("{grid:.3}"),
                dash(),
                dash(),
                dash(),
            ]);
        }
        Table {
            caption: "log Z".into(),
            header: [
                "side",
                "log Z (nats)",
                "standard error",
                "effective chains",
                "acceptance rate",
            ]
            .map(String::from)
            .to_vec(),
            rows,
        }
    }

    fn sets(&self) -> Table {
        // Where the sides contradict each other, they bound nothing.
        let is_bounded = self.found.agreement != Agreement::Contradict;
        let bound = |value: Option<f64>| {
            let value = value.filter(|_| is_bounded);
            value.map_or_else(|| "–".to_owned(), |value| format!("{value:.2}"))
        };
        let rows = self.found.sets.iter().map(|set| {
            vec![
                set.name.clone(),
                set.energies.len().to_string(),
                format!("{:.2} ± {:.2}", set.mean_energy, set.standard_error),
                bound(set.log_likelihood[0]),
                bound(set.log_likelihood[1]),
            ]
        });
        Table {
            caption: "Mean log p of data".into(),
            header: [
                "data",
                "number",
                "mean U (nats)",
                "nats each, log Z from above",
                "nats each, log Z from below",
            ]
            .map(String::from)
            .to_vec(),
            rows: rows.collect(),
        }
    }
}
