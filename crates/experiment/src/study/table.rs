//! The table of the variants of a study.

use ebm_diagnostics::verdict::{Convergence, Oscillation, Stability};
use ebm_figures::Table;

use super::StudyState;
use super::VariantResult;
use super::result::Spread;
use crate::diagnosis::short;
use crate::words::rounded;

/// Columns of words.
pub(crate) const LEFT: &[usize] = &[0, 3, 4, 5];

type Column = (&'static str, fn(&VariantResult) -> Option<String>);

/// The columns for a variant, in this order; a missing value is shown as a dash.
const COLUMNS: [Column; 9] = [
    ("iterations", |result| Some(result.iterations.to_string())),
    ("chain steps", |result| {
        Some(rounded(result.chain_steps as f64))
    }),
    ("stable?", |result| {
        if result.ran_away.is_some() {
            return Some("ran away".into());
        }
        let word = match result.stability? {
            Stability::Stable => "yes",
            Stability::Unstable => "no",
            Stability::Undecided => "undecided",
        };
        Some(word.into())
    }),
    ("oscillation", |result| {
        let word = match result.oscillation? {
            Oscillation::Weak => "weak",
            Oscillation::Strong => "strong",
            Oscillation::Wandering => "wandering",
            Oscillation::Undecided => "undecided",
        };
        Some(word.into())
    }),
    ("convergent?", |result| {
        let word = match result.convergence? {
            Convergence::Convergent => "yes",
            Convergence::NotConvergent => "no",
            Convergence::Undecided => "undecided",
        };
        Some(word.into())
    }),
    ("d: mean", |result| mean(result.energy_difference)),
    ("sd", |result| deviation(result.energy_difference)),
    ("r: mean", |result| mean(result.gradient_magnitude)),
    ("sd", |result| deviation(result.gradient_magnitude)),
];

/// The column in which a variant that has no result says why.
const STABLE: usize = 2;

fn mean(spread: Option<Spread>) -> Option<String> {
    Some(short(spread?.mean))
}

fn deviation(spread: Option<Spread>) -> Option<String> {
    Some(short(spread?.standard_deviation))
}

/// A row for each variant.
pub(crate) fn table(state: &StudyState) -> Table {
    let header = std::iter::once("variant").chain(COLUMNS.map(|(name, _)| name));
    let rows = state.variants.iter().map(|variant| {
        let cells = COLUMNS.map(|(_, cell)| variant.result.as_ref().and_then(cell));
        let mut cells = cells.map(|cell| cell.unwrap_or_else(|| "–".into()));
        if variant.failed.is_some() {
            cells[STABLE] = "failed".into();
        }
        std::iter::once(variant.name.clone()).chain(cells).collect()
    });
    Table {
        caption: format!(
            "The study {}; chain steps are those of all iterations as planned; d in nats, r in units of F per unit \
             of state, both over the settled iterations",
            state.name
        ),
        header: header.map(str::to_owned).collect(),
        rows: rows.collect(),
    }
}
