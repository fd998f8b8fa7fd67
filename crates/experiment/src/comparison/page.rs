//! `compare.html`.

use std::path::Path;

use ebm_diagnostics::IterationMetrics;
use ebm_figures::plot::{Figure, LineFigure, LineSeries, Reference, line_figure};
use ebm_figures::{Report, Table};

use super::{ComparedRun, differing_settings};
use crate::diagnosis::short;
use crate::landscape::{Divergences, divergence_figure};
use crate::{ExperimentError, Supervisor};

/// The page.
pub(crate) const PAGE: &str = "compare.html";

/// Points of a series beyond which a figure shows every n-th.
const MOST_POINTS: usize = 2_000;

/// What a study adds to the page.
pub(crate) struct StudyPart {
    /// What the page shows.
    pub(crate) headline: String,
    /// A row for each variant.
    pub(crate) table: Table,
    /// The quality of all variants.
    pub(crate) figures: Vec<(&'static str, Figure)>,
}

/// Writes the page into `out`.
pub(crate) fn write_page(
    runs: &[ComparedRun],
    study: Option<StudyPart>,
    command: String,
    out: &Path,
    supervisor: &dyn Supervisor,
) -> Result<(), ExperimentError> {
    let verdicts: Vec<String> = runs
        .iter()
        .map(|run| format!("{}: {}", run.name, run.verdict(supervisor)))
        .collect();
    let headline = match &study {
        Some(study) => study.headline.clone(),
        None => format!("{} runs side by side.", runs.len()),
    };
    let mut report = Report::new("Comparison of runs").verdict(headline, verdicts.join("\n"));
    for (_, figure) in study.iter().flat_map(|study| &study.figures) {
        report = report.figure(figure, "A dot for each run.");
    }
    report = samples(report, runs)?;
    let curves: Vec<_> = runs
        .iter()
        .filter(|run| !run.landscape.is_empty())
        .map(|run| Divergences {
            name: &run.name,
            every: run.config.landscape.map_or(1, |plots| plots.every),
            records: &run.landscape,
        })
        .collect();
    if let Some(figure) = divergence_figure(&curves) {
        report = report.figure(
            &figure,
            "How far the learned densities are from the true one while learning goes on.",
        );
    }
    report = series(report, runs, "d", "energy difference d (nats)", |m| {
        m.energy_difference
    });
    report = series(report, runs, "r", "gradient magnitude r", |m| {
        m.gradient_magnitude
    });
    if let Some(study) = study {
        report = report.table(study.table);
    }
    Ok(report
        .table(Table {
            caption: "Settings that differ".into(),
            header: header("key", runs),
            rows: differing_settings(runs),
        })
        .table(numbers(runs))
        .command(command)
        .write_html(out.join(PAGE))?)
}

fn header(first: &str, runs: &[ComparedRun]) -> Vec<String> {
    std::iter::once(first.to_owned())
        .chain(runs.iter().map(|run| run.name.clone()))
        .collect()
}

/// Samples of image runs, densities of toy runs; a run that has neither yet is left out.
fn samples(mut report: Report, runs: &[ComparedRun]) -> Result<Report, ExperimentError> {
    let mut shown = 0;
    for run in runs {
        let picture = if run.config.is_toy() {
            "plots/landscape.png"
        } else {
            "samples.png"
        };
        let path = run.root.join(picture);
        if path.is_file() {
            let png = std::fs::read(&path).map_err(|error| ExperimentError::io(&path, error))?;
            report = report.png(&png, &format!("{}: {picture}", run.name));
            shown += 1;
        }
    }
    Ok(report.side_by_side(shown))
}

/// One series as small multiples, each with its own axes: d of one run is often a thousand times that of another.
fn series(
    mut report: Report,
    runs: &[ComparedRun],
    symbol: &str,
    title: &str,
    value: impl Fn(&IterationMetrics) -> f64,
) -> Report {
    let mut shown = 0;
    for run in runs {
        // A run of one iteration, or without a finite value, has no line.
        if let Some(figure) = line(run, symbol, title, &value) {
            report = report.figure(
                &figure,
                &format!("{}: {symbol} of each iteration.", run.name),
            );
            shown += 1;
        }
    }
    report.side_by_side(shown)
}

fn line(
    run: &ComparedRun,
    symbol: &str,
    title: &str,
    value: impl Fn(&IterationMetrics) -> f64,
) -> Option<Figure> {
    let stride = run.metrics.len().div_ceil(MOST_POINTS).max(1);
    let values = run.metrics.iter().step_by(stride).map(value).collect();
    let shown = if stride == 1 {
        String::new()
    } else {
        format!(", one of {stride}")
    };
    line_figure(&LineFigure {
        title: title.to_owned(),
        x_label: format!("iteration{shown}"),
        first_step: run.metrics.first()?.iteration,
        stride: stride as u64,
        series: vec![LineSeries {
            name: run.name.clone(),
            values,
        }],
        reference: (symbol == "d").then(|| Reference {
            label: "balance".into(),
            value: 0.0,
        }),
    })
    .ok()
}

fn numbers(runs: &[ComparedRun]) -> Table {
    let row = |name: &str, value: &dyn Fn(&ComparedRun) -> Option<String>| {
        let values = runs.iter().map(|run| value(run).unwrap_or("–".into()));
        std::iter::once(name.to_owned())
            .chain(values)
            .collect::<Vec<_>>()
    };
    let mut rows = vec![
        row("iterations", &|run| Some(run.iterations().to_string())),
        row("settled iterations", &|run| {
            Some(run.summary?.iterations.to_string())
        }),
        row("d over these: mean (nats)", &|run| {
            Some(short(run.summary?.energy_difference.mean))
        }),
        row("d: standard deviation", &|run| {
            Some(short(run.summary?.energy_difference.standard_deviation))
        }),
        row("share of expanding iterations (d < 0)", &|run| {
            Some(format!("{:.3}", run.summary?.expanding_fraction))
        }),
        row("autocorrelation of d at lag 1", &|run| {
            Some(format!(
                "{:.3}",
                run.summary?.energy_difference.first_lag_autocorrelation
            ))
        }),
        row("r: mean", &|run| {
            Some(short(run.summary?.gradient_magnitude.mean))
        }),
        row("r: standard deviation", &|run| {
            Some(short(run.summary?.gradient_magnitude.standard_deviation))
        }),
    ];
    let acceptance = |run: &ComparedRun| run.summary?.acceptance_rate;
    if runs.iter().any(|run| acceptance(run).is_some()) {
        rows.push(row("acceptance rate", &|run| {
            Some(format!("{:.3}", acceptance(run)?))
        }));
    }
    if runs.iter().any(|run| run.config.is_toy()) {
        let plane = |run: &ComparedRun| run.diagnosis.as_ref()?.plane.clone();
        rows.extend([
            row(
                "KL(q‖p) of the learned density (nats), from the diagnosis",
                &|run| Some(plane(run)?.kl()),
            ),
            row("modes that short-run samples reach", &|run| {
                let modes = plane(run)?.modes;
                Some(format!("{} of {}", modes.covered, modes.shares.len()))
            }),
        ]);
    }
    let likelihood = |run: &ComparedRun| run.likelihood.clone();
    if runs.iter().any(|run| run.likelihood.is_some()) {
        rows.extend([
            row("log p of data of learning (nats each)", &|run| {
                Some(likelihood(run)?.in_short())
            }),
            row("under", &|run| Some(likelihood(run)?.whose())),
        ]);
    }
    let digits = |run: &ComparedRun| run.diagnosis.as_ref()?.digits.clone();
    if runs.iter().any(|run| digits(run).is_some()) {
        let of_samples = |run: &ComparedRun| Some(digits(run)?.samples.features);
        rows.extend([
            row("digits judged by the diagnosis", &|run| {
                digits(run)?;
                Some(run.diagnosis.as_ref()?.samples())
            }),
            row("their Fréchet distance, in digit features", &|run| {
                let it = of_samples(run)?;
                Some(short(it.frechet.value) + &it.doubt())
            }),
            row("density of them", &|run| {
                Some(format!("{:.3}", of_samples(run)?.neighbours.density))
            }),
            row("coverage by them", &|run| {
                Some(format!("{:.3}", of_samples(run)?.neighbours.coverage))
            }),
            row("how many they are", &|run| {
                Some(of_samples(run)?.frechet.samples[1].to_string())
            }),
            row("Fréchet distance of as many held-out data", &|run| {
                Some(short(digits(run)?.held_out.features.frechet.value))
            }),
        ]);
    }
    Table {
        caption: "Numbers".into(),
        header: header("quantity", runs),
        rows,
    }
}
