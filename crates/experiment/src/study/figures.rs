//! The quality of the samples of all variants as figures.

use ebm_figures::plot::{Figure, SpreadFigure, SpreadRow, spread_figure};

use super::{RunResult, StudyState};
use crate::config::StudyConfig;

/// A file name, a title, and the value of a run.
type Quantity = (&'static str, &'static str, fn(&RunResult) -> Option<f64>);

const QUANTITIES: [Quantity; 5] = [
    (
        "frechet-distance",
        "Fréchet distance of short-run samples",
        |result| Some(result.samples?.frechet_distance),
    ),
    ("coverage", "coverage by short-run samples", |result| {
        Some(result.samples?.coverage)
    }),
    (
        "frechet-distance-from-noise",
        "Fréchet distance of longer chains from noise",
        |result| Some(result.from_noise?.frechet_distance),
    ),
    (
        "frechet-distance-from-data",
        "Fréchet distance of longer chains from data",
        |result| Some(result.from_data?.frechet_distance),
    ),
    (
        "kl-divergence",
        "KL(q‖p) of the learned density (nats)",
        |result| result.kl_divergence,
    ),
];

/// A figure for each quantity that a run has, with a row for each variant and a dot for each seed; each with the name of
/// its file.
pub(crate) fn figures(config: &StudyConfig, state: &StudyState) -> Vec<(&'static str, Figure)> {
    let figure = |(name, title, value): Quantity| {
        let rows = config.variants.iter().map(|variant| {
            let runs = config.runs_of(variant);
            let results = runs.iter().filter_map(|(name, _)| state.result(name));
            SpreadRow {
                name: variant.name.clone(),
                values: results.filter_map(value).collect(),
            }
        });
        // It cannot be drawn without values.
        let figure = spread_figure(&SpreadFigure {
            title: title.into(),
            rows: rows.collect(),
        });
        Some((name, figure.ok()?))
    };
    QUANTITIES.into_iter().filter_map(figure).collect()
}
