//! The files of a diagnosis: figures, pictures of chains, `verdict.json` and `diagnosis.html`.

use std::path::Path;

use ebm_diagnostics::verdict::ChainGroup;
use ebm_figures::plot::{
    ChainEnergies, CorrelationOptions, Figure, chain_energy_figure, correlation_figure,
};
use ebm_figures::{Report, Table, write_png};

use super::{Diagnosis, GroupRecord, LongChains, PlaneQuality, RECORD, Subject};
use crate::ExperimentError;
use crate::json::write_json;
use crate::landscape::CAPTION;
use crate::likelihood::Likelihood;
use crate::pictures::{grid, write_figure};

/// The page that shows everything.
pub(crate) const PAGE: &str = "diagnosis.html";

/// Everything that is shown.
pub(crate) struct Page<'a> {
    pub(crate) diagnosis: &'a Diagnosis,
    pub(crate) subject: &'a Subject,
    pub(crate) records: &'a [GroupRecord],
    /// Densities of a toy run.
    pub(crate) landscape: Option<&'a Figure>,
    /// The likelihood of the data, if it was estimated.
    pub(crate) likelihood: Option<Likelihood>,
    /// The command that repeats it.
    pub(crate) command: String,
}

impl Page<'_> {
    /// Writes all files into `out`, each whole or not at all.
    pub(crate) fn write(&self, out: &Path) -> Result<(), ExperimentError> {
        std::fs::create_dir_all(out).map_err(|error| ExperimentError::io(out, error))?;
        let title = format!("Diagnosis of {}", self.subject.folder.root().display());
        let mut report =
            Report::new(title).verdict(&self.diagnosis.sentence, self.details().join("\n"));
        if let Some(figure) = self.energies()? {
            write_figure(&figure, out, "energies")?;
            report = report.figure(
                &figure,
                "Learned energy U of the chains. A net whose short-run samples are near its steady state keeps them \
                 level from L on.",
            );
        }
        report = self.grids(report, out)?;
        if let Some(figure) = self.landscape {
            write_figure(figure, out, "landscape")?;
            report = report.figure(figure, CAPTION);
        }
        let options = CorrelationOptions {
            title: self.diagnosis.learning.sentence(),
            ..CorrelationOptions::default()
        };
        // A run of one or two iterations has no correlations and is no reason to fail.
        if let Ok(figure) = correlation_figure(&self.subject.metrics, &options) {
            write_figure(&figure, out, "correlations")?;
            report = report.figure(&figure, "Correlations of d and r between iterations.");
        }
        for table in self.tables() {
            report = report.table(table);
        }
        let config = std::fs::read_to_string(self.subject.folder.config())
            .map_err(|error| ExperimentError::io(self.subject.folder.config(), error))?;
        report
            .config(config)
            .command(&self.command)
            .write_html(out.join(PAGE))?;
        // Written last, so that a folder that has it has everything.
        write_json(&out.join(RECORD), self.diagnosis)
    }

    /// The numbers behind the first axis, and how often learning had to go back, a line each.
    fn details(&self) -> Vec<String> {
        let recoveries = self.diagnosis.recoveries.iter();
        let mut lines = self.diagnosis.learning.details();
        lines.extend(recoveries.map(|recovery| format!("Learning {recovery}.")));
        lines
    }

    /// Energies over steps; none when all chains ran away before the second record.
    fn energies(&self) -> Result<Option<Figure>, ExperimentError> {
        let groups: Vec<ChainGroup> = self
            .records
            .iter()
            .map(|record| record.group.clone())
            .filter(|group| group.steps.len() > 1)
            .collect();
        if groups.is_empty() {
            return Ok(None);
        }
        Ok(Some(chain_energy_figure(&ChainEnergies {
            title: "energy U of long chains (nats)".into(),
            groups: &groups,
            training_steps: Some(self.diagnosis.training_steps),
            data_energy: self.diagnosis.data_energy,
        })?))
    }

    fn grids(&self, mut report: Report, out: &Path) -> Result<Report, ExperimentError> {
        let shape = self.subject.config.data.shape();
        if self.subject.config.is_toy() {
            return Ok(report);
        }
        for record in self.records {
            for (multiple, states) in &record.kept {
                let picture = grid(states, shape)?;
                let start = record.start.as_str();
                write_png(&picture, out.join(format!("{start}-{multiple}L.png")))?;
                let steps = multiple * self.diagnosis.training_steps;
                let times = if *multiple == 1 {
                    "L".to_owned()
                } else {
                    format!("{multiple}·L")
                };
                report = report.image(
                    &picture,
                    &format!("From {start} after {times} = {steps} steps."),
                )?;
            }
            report = report.side_by_side(record.kept.len());
        }
        Ok(report)
    }

    fn tables(&self) -> Vec<Table> {
        let mut tables = Vec::new();
        if let LongChains::Judged(test) = &self.diagnosis.convergence {
            tables.push(table(
                "Change of the chains from L, in spreads over the chains at L; the intervals of this and the next \
                 table hold together with 95 %",
                ["start", "quantity", "steps", "mean at L", "mean there", "change"],
                test.changes.iter().map(|change| {
                    [
                        change.start.name().to_owned(),
                        change.summary.clone(),
                        format!("{}·L", change.multiple),
                        short(change.mean_before),
                        short(change.mean_after),
                        change.spreads.to_string(),
                    ]
                }),
            ));
            tables.push(table(
                "Distance of the groups at the end, in spreads over the chains",
                [
                    "starts",
                    "quantity",
                    "mean of the first",
                    "mean of the second",
                    "distance",
                ],
                test.distances.iter().map(|distance| {
                    [
                        format!(
                            "{} and {}",
                            distance.starts[0].name(),
                            distance.starts[1].name()
                        ),
                        distance.summary.clone(),
                        short(distance.means[0]),
                        short(distance.means[1]),
                        distance.spreads.to_string(),
                    ]
                }),
            ));
            tables.push(table(
                "Mixing over the second half of the chains; does not decide",
                [
                    "start",
                    "quantity",
                    "split R̂",
                    "bulk effective size",
                    "tail effective size",
                ],
                test.mixing.iter().map(|mixing| {
                    [
                        mixing.start.name().to_owned(),
                        mixing.summary.clone(),
                        mixing
                            .split_rhat
                            .map_or("infinite".into(), |rhat| format!("{rhat:.3}")),
                        format!("{:.0}", mixing.bulk_effective_size),
                        format!("{:.0}", mixing.tail_effective_size),
                    ]
                }),
            ));
        }
        if let Some(plane) = &self.diagnosis.plane {
            tables.push(table(
                "Against the true density",
                ["quantity", "value"],
                plane.rows(),
            ));
        }
        if let Some(digits) = &self.diagnosis.digits {
            tables.push(digits.table(&self.diagnosis.samples()));
        }
        for judged in &self.diagnosis.judged {
            let name = format!("{} steps from {}", judged.steps, judged.start.as_str());
            tables.push(judged.quality.table(&name));
        }
        if let Some(likelihood) = &self.likelihood {
            tables.push(table(
                "Likelihood, as it was estimated for this run",
                ["quantity", "value"],
                [
                    [
                        "log p of data of learning (nats each)".into(),
                        likelihood.in_short(),
                    ],
                    ["under".into(), likelihood.whose()],
                ],
            ));
        }
        tables.push(self.settings());
        tables.retain(|table| !table.rows.is_empty());
        tables
    }

    fn settings(&self) -> Table {
        let it = self.diagnosis;
        table(
            "Settings",
            ["quantity", "value"],
            [
                ["net".to_owned(), self.subject.weights.display().to_string()],
                ["learning iterations of it".into(), it.iteration.to_string()],
                ["chains from each start".into(), it.chains.to_string()],
                ["L".into(), it.training_steps.to_string()],
                ["step size ε".into(), it.epsilon.to_string()],
                ["temperature T of U = F/T".into(), short(it.temperature)],
                ["seed".into(), it.seed.to_string()],
                [
                    "backend, engine".into(),
                    format!("{}, {}", it.backend, it.engine),
                ],
                ["version".into(), it.version.clone()],
            ],
        )
    }
}

impl PlaneQuality {
    /// The numbers with their names.
    #[must_use]
    pub fn rows(&self) -> Vec<[String; 2]> {
        let modes = &self.modes;
        vec![
            ["KL(q‖p) of the learned density (nats)".into(), self.kl()],
            [
                "its total variation from q".into(),
                format!("{:.4}", self.learned_total_variation),
            ],
            [
                format!("total variation of {} short-run samples", self.samples),
                format!("{:.4}", self.sampled_total_variation),
            ],
            [
                "modes that they reach".into(),
                format!("{} of {}", modes.covered, modes.shares.len()),
            ],
            [
                "share of them outside all modes".into(),
                format!("{:.4}", modes.outside),
            ],
        ]
    }

    /// The divergence as text.
    pub(crate) fn kl(&self) -> String {
        self.kl_divergence
            .map_or("infinite".into(), |kl| format!("{kl:.4}"))
    }
}

fn table<const COLUMNS: usize>(
    caption: &str,
    header: [&str; COLUMNS],
    rows: impl IntoIterator<Item = [String; COLUMNS]>,
) -> Table {
    Table {
        caption: caption.to_owned(),
        header: header.map(str::to_owned).to_vec(),
        rows: rows.into_iter().map(Vec::from).collect(),
    }
}

/// A number with four or five digits.
pub(crate) fn short(number: f64) -> String {
    let size = number.abs();
    if size != 0.0 && !(1e-3..1e6).contains(&size) {
        format!("{number:.3e}")
    } else if size >= 100.0 {
        format!("{number:.1}")
    } else {
        format!("{number:.4}")
    }
}
