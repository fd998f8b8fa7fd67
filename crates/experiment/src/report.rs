//! The end of a run on paper: plots, `report.html`, and three lines for a person.

use ebm_core::{NoiseKey, Stream};
use ebm_data::LoadedData;
use ebm_diagnostics::RunSummary;
use ebm_figures::plot::{
    CorrelationOptions, DiagnosticOptions, Figure, correlation_figure, diagnostic_figure,
};
use ebm_figures::{Report, Table, write_png};
use ebm_trainer::LearnerView;

use crate::config::ExperimentConfig;
use crate::diagnosis::LearningOutcome;
use crate::landscape::CAPTION;
use crate::learning::Shown;
use crate::observers::LandscapePlots;
use crate::pictures::{grid, write_figure};
use crate::run_folder::{RunFolder, RunInfo};
use crate::words::as_typed;
use crate::{ExperimentError, NextStep, Supervisor};

/// How the run ended.
pub(crate) enum Ending<'a> {
    /// All iterations are done.
    Finished,
    /// It goes on, or was stopped.
    Unfinished,
    /// It ran away.
    Diverged(&'a str),
}

/// What samples are called that were drawn for the report.
const FRESH: &str = "Fresh short-run samples";

/// What those are called that learning left.
const LAST: &str = "Short-run samples of the last iteration";

/// Everything a report is made of.
pub(crate) struct ReportMaker<'a> {
    pub(crate) folder: &'a RunFolder,
    pub(crate) info: &'a RunInfo,
    pub(crate) config: &'a ExperimentConfig,
    pub(crate) dataset: &'a LoadedData,
    pub(crate) landscape: Option<&'a LandscapePlots>,
    pub(crate) shown: &'a Shown,
    pub(crate) supervisor: &'a dyn Supervisor,
}

impl ReportMaker<'_> {
    /// Draws the plots and writes `report.html`; returns the summary of d and r, where there are enough iterations
    /// for one.
    pub(crate) fn write(
        &self,
        learner: &dyn LearnerView,
        ending: &Ending<'_>,
    ) -> Result<Option<RunSummary>, ExperimentError> {
        let config = self.config;
        let noise = config.langevin.epsilon.get();
        let state_dimension = Some(learner.dataset().shape().size());
        let metrics = self.folder.read_metrics()?;
        // Too few iterations for a summary are no reason to have no report.
        let summary = RunSummary::from_metrics(&metrics, &config.summary_options()).ok();
        let learning = LearningOutcome::of(&metrics);
        // Where learning ran away, the learner may have gone back further than to the last sound iteration.
        let last = metrics.last().map_or(0, |last| last.iteration);
        let done = last.max(learner.iteration());
        let mut report = Report::new(format!("{} — {}", self.info.experiment, config.description))
            .verdict(
                self.headline(learner, ending, done),
                self.verdict(&learning, summary.as_ref()),
            );
        report = self.pictures(report, learner)?;
        if let Some(landscape) = self.landscape.and_then(LandscapePlots::last) {
            self.save_figure(&landscape.figure, "landscape")?;
            report = report.figure(&landscape.figure, CAPTION);
        }
        if let Some(figure) = self.landscape.and_then(LandscapePlots::divergences) {
            self.save_figure(&figure, "divergence")?;
            report = report.figure(
                &figure,
                "How far the learned density is from the true one while learning goes on.",
            );
        }
        if let Some(figure) = self.landscape.and_then(LandscapePlots::weights) {
            self.save_figure(&figure, "weights")?;
            report = report.figure(
                &figure,
                "The Gaussians or rings of the data have equal weights. Where learned density and samples stay further apart \
                 than a few samples can tell, chains do not reach the weights that the density gives the modes.",
            );
        }
        if !metrics.is_empty() {
            let title = format!(
                "{}: what the sampler does to the learning",
                self.info.experiment
            );
            let figure = diagnostic_figure(
                &metrics,
                &DiagnosticOptions {
                    title,
                    noise,
                    state_dimension,
                    ..DiagnosticOptions::default()
                },
            )?;
            self.save_figure(&figure, "diagnostics")?;
            report = report.figure(
                &figure,
                "d: energy difference between data and samples; below 0 the update expands the gap, above it \
                 contracts. r: mean norm of the gradient that moves a chain.",
            );
        }
        let options = CorrelationOptions {
            title: learning.sentence(),
            ..CorrelationOptions::default()
        };
        // Missing only where a single iteration, or none, has finite numbers.
        if let Ok(figure) = correlation_figure(&metrics, &options) {
            self.save_figure(&figure, "correlations")?;
            report = report.figure(
                &figure,
                "Correlations between iterations. Strong oscillation: d is negatively correlated with itself a few \
                 iterations before.",
            );
        }
        report = self.long_runs(report)?;
        let json =
            serde_json::to_string_pretty(config).map_err(|error| ExperimentError::RunFolder {
                path: self.folder.report(),
                problem: error.to_string(),
            })?;
        report = report.table(self.numbers(done, summary.as_ref()));
        if let Some(quality) = &self.shown.quality {
            report = report.table(quality.table("fresh short-run samples"));
        }
        report = report.config(json);
        let config = self.folder.config();
        if let Some(command) = self.supervisor.command(NextStep::Learn { config: &config }) {
            report = report.command(command);
        }
        report.write_html(self.folder.report())?;
        Ok(summary)
    }

    fn save_figure(&self, figure: &Figure, name: &str) -> Result<(), ExperimentError> {
        write_figure(figure, &self.folder.make("plots")?, name)
    }

    fn headline(&self, learner: &dyn LearnerView, ending: &Ending<'_>, done: u64) -> String {
        let total = learner.config().iterations;
        match ending {
            Ending::Finished => format!("{done} iterations done."),
            Ending::Unfinished => format!("{done} of {total} iterations done so far."),
            Ending::Diverged(cause) => {
                format!("Ran away after {done} of {total} iterations: {cause}")
            }
        }
    }

    /// The first axis with its numbers, and where the second comes from.
    fn verdict(&self, learning: &LearningOutcome, summary: Option<&RunSummary>) -> String {
        let mut lines = Vec::new();
        if let LearningOutcome::Judged(verdict) = learning {
            lines.push(format!("{verdict}."));
        }
        lines.extend(learning.details());
        let recoveries = self.info.recoveries.iter();
        lines.extend(recoveries.map(|recovery| format!("Learning {recovery}.")));
        lines.extend(summary.map(ToString::to_string));
        let run = self.folder.root();
        let how = self.supervisor.command(NextStep::Diagnose { run });
        let how = how.unwrap_or_else(|| "a diagnosis".to_owned());
        lines.push(format!(
            "Whether the samples are near the steady state of the net takes long chains: {how}"
        ));
        lines.join("\n")
    }

    fn pictures(
        &self,
        report: Report,
        learner: &dyn LearnerView,
    ) -> Result<Report, ExperimentError> {
        let LoadedData::Images { images, .. } = self.dataset else {
            return Ok(report);
        };
        let shape = learner.dataset().shape().dims();
        let steps = self.config.langevin.steps;
        let mut report = report;
        let samples = &self.shown.states;
        if !samples.is_empty() {
            let picture = grid(samples, shape)?;
            write_png(&picture, self.folder.root().join("samples.png"))?;
            let start = format!("{:?}", self.config.langevin.start).to_lowercase();
            let what = if self.shown.are_fresh { FRESH } else { LAST };
            let caption = format!(
                "{what} after iteration {}: {steps} Langevin steps from the start \"{start}\".",
                learner.iteration()
            );
            report = report.image(&picture, &caption)?;
        }
        let key = NoiseKey::new(self.config.seed, Stream::WatchStart, 0);
        let shown = key.choose(64.min(images.count()), images.count());
        let caption = "Data for comparison, without the noise that learning adds.";
        Ok(report.image(
            &grid(images.states.gather(&shown).values(), shape)?,
            caption,
        )?)
    }

    /// The first and last states of the newest long run.
    fn long_runs(&self, mut report: Report) -> Result<Report, ExperimentError> {
        let folder = self.folder.root().join("longrun");
        let Ok(entries) = std::fs::read_dir(&folder) else {
            return Ok(report);
        };
        let mut grids: Vec<_> = entries
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.extension().is_some_and(|ending| ending == "png"))
            .collect();
        grids.sort();
        // "…-end.png" sorts before "…-start.png" of the same iteration.
        for (path, what) in grids.iter().rev().take(2).zip(["First", "Last"]) {
            let png = std::fs::read(path).map_err(|error| ExperimentError::io(path, error))?;
            let caption = format!("{what} states of the newest long run ({}).", path.display());
            report = report.png(&png, &caption);
        }
        Ok(report)
    }

    fn numbers(&self, done: u64, summary: Option<&RunSummary>) -> Table {
        let noise = [
            self.config.data_noise,
            self.config.learning().data_noise_at(done),
        ];
        let noise = match noise.map(|noise| as_typed(noise, 4)) {
            [first, last] if first == last => first,
            [first, last] => format!("{first}, falling to {last}"),
        };
        let mut rows = vec![
            ["iterations".to_owned(), done.to_string()],
            [
                "Langevin steps each, L".into(),
                self.config.langevin.steps.to_string(),
            ],
            [
                "step size ε".into(),
                self.config.langevin.epsilon.get().to_string(),
            ],
            ["data noise ε_data".into(), noise],
            [
                "backend, engine".into(),
                format!("{}, {}", self.info.backend, self.info.engine),
            ],
            ["seed".into(), self.info.seed.to_string()],
            [
                "version, burn".into(),
                format!("{}, {}", self.info.version, self.info.burn),
            ],
        ];
        if let Some(summary) = summary {
            let (d, r) = (&summary.energy_difference, &summary.gradient_magnitude);
            rows.extend([
                [
                    format!(
                        "d over the last {} iterations (U, nats)",
                        summary.iterations
                    ),
                    format!("mean {:.3e}, sd {:.3e}", d.mean, d.standard_deviation),
                ],
                [
                    "share of expanding iterations (d < 0)".into(),
                    format!("{:.3}", summary.expanding_fraction),
                ],
                [
                    "autocorrelation of d at lag 1".into(),
                    format!("{:.3}", d.first_lag_autocorrelation),
                ],
                [
                    "r over the same iterations".into(),
                    format!("mean {:.5}, sd {:.5}", r.mean, r.standard_deviation),
                ],
            ]);
            if let Some(rate) = summary.acceptance_rate {
                rows.push(["acceptance rate over the same".into(), format!("{rate:.3}")]);
            }
        }
        if let Some(landscape) = self.landscape.and_then(LandscapePlots::last) {
            let record = &landscape.record;
            let at = record.iteration;
            let averaged = record.average.as_ref();
            let densities = [
                (
                    format!("learned density after iteration {at}"),
                    Some(&record.learned),
                ),
                ("the same with the average of θ".to_owned(), averaged),
            ];
            for (what, distance) in densities {
                if let Some(distance) = distance {
                    let numbers = format!(
                        "KL(q‖p) {:.4} nats, total variation {:.4}",
                        distance.divergence(),
                        distance.total_variation
                    );
                    rows.push([what, numbers]);
                }
            }
            rows.push([
                format!("short-run samples after iteration {at}"),
                format!(
                    "total variation of their density estimate {:.4}",
                    record.sampled_total_variation
                ),
            ]);
        }
        Table {
            caption: "Settings and results".into(),
            header: vec!["quantity".into(), "value".into()],
            rows: rows.into_iter().map(Vec::from).collect(),
        }
    }
}
