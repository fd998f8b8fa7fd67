//! The table of a study: a row for each variant, over its seeds.

use ebm_diagnostics::verdict::{Convergence, Oscillation, Stability};
use ebm_figures::Table;

use super::result::Spread;
use super::{RunResult, StudyState};
use crate::config::StudyConfig;
use crate::diagnosis::short;
use crate::words::rounded;

/// Columns of words.
pub(crate) const LEFT: &[usize] = &[0, 3, 4, 5];

/// What a column says of one run.
enum Cell {
    Word(String),
    Number(f64),
}

type Column = (&'static str, fn(&RunResult) -> Option<Cell>);

/// The columns, in this order; a missing value is shown as a dash.
const COLUMNS: [Column; 9] = [
    ("iterations", |result| word(result.iterations)),
    ("gradients", |result| word(rounded(result.gradients as f64))),
    ("stable?", |result| {
        if result.ran_away.is_some() {
            return word("ran away");
        }
        word(match result.stability? {
            Stability::Stable => "yes",
            Stability::Unstable => "no",
            Stability::Undecided => "undecided",
        })
    }),
    ("oscillation", |result| {
        word(match result.oscillation? {
            Oscillation::Weak => "weak",
            Oscillation::Strong => "strong",
            Oscillation::Wandering => "wandering",
            Oscillation::Undecided => "undecided",
        })
    }),
    ("convergent?", |result| {
        word(match result.convergence? {
            Convergence::Convergent => "yes",
            Convergence::NotConvergent => "no",
            Convergence::Undecided => "undecided",
        })
    }),
    ("d: mean", |result| {
        number(result.energy_difference, |spread| spread.mean)
    }),
    ("sd", |result| {
        number(result.energy_difference, |s| s.standard_deviation)
    }),
    ("r: mean", |result| {
        number(result.gradient_magnitude, |spread| spread.mean)
    }),
    ("sd", |result| {
        number(result.gradient_magnitude, |s| s.standard_deviation)
    }),
];

/// Further columns, each shown if a run has its value.
const QUALITY: [Column; 9] = [
    ("acceptance rate", |result| {
        number(result.acceptance_rate, |rate| rate)
    }),
    ("Fréchet distance", |result| {
        number(result.samples, |samples| samples.frechet_distance)
    }),
    ("coverage", |result| {
        number(result.samples, |samples| samples.coverage)
    }),
    ("digit probability", |result| {
        number(result.samples, |samples| samples.mean_probability)
    }),
    ("longer from noise: Fréchet", |result| {
        number(result.from_noise, |samples| samples.frechet_distance)
    }),
    ("longer from noise: coverage", |result| {
        number(result.from_noise, |samples| samples.coverage)
    }),
    ("longer from data: Fréchet", |result| {
        number(result.from_data, |samples| samples.frechet_distance)
    }),
    ("longer from data: coverage", |result| {
        number(result.from_data, |samples| samples.coverage)
    }),
    ("KL", |result| {
        number(result.kl_divergence, |divergence| divergence)
    }),
];

/// The column in which a variant that has no result says why.
const STABLE: usize = 2;

fn word(word: impl ToString) -> Option<Cell> {
    Some(Cell::Word(word.to_string()))
}

fn number<T>(of: Option<T>, value: impl Fn(T) -> f64) -> Option<Cell> {
    of.map(|of| Cell::Number(value(of)))
}

/// A row for each variant.
pub(crate) fn table(config: &StudyConfig, state: &StudyState) -> Table {
    let results = || state.runs.iter().filter_map(|run| run.result.as_ref());
    let quality = QUALITY
        .into_iter()
        .filter(|(_, cell)| results().any(|result| cell(result).is_some()));
    let columns: Vec<Column> = COLUMNS.into_iter().chain(quality).collect();
    let rows = config.variants.iter().map(|variant| {
        let runs: Vec<_> = config
            .runs_of(variant)
            .iter()
            .filter_map(|(name, _)| state.runs.iter().find(|run| run.name == *name))
            .collect();
        let mut cells: Vec<String> = columns
            .iter()
            .map(|(_, cell)| {
                let results = runs.iter().filter_map(|run| run.result.as_ref());
                over_seeds(results.filter_map(cell).collect(), runs.len())
            })
            .collect();
        let failed = runs.iter().filter(|run| run.failed.is_some()).count();
        if failed > 0 {
            cells[STABLE] = match runs.len() {
                1 => "failed".into(),
                count => format!("failed {failed} of {count}"),
            };
        }
        std::iter::once(variant.name.clone()).chain(cells).collect()
    });
    let header = std::iter::once("variant").chain(columns.iter().map(|(name, _)| *name));
    let seeds = match &config.seeds[..] {
        [] | [_] => String::new(),
        seeds => format!(
            "; mean ± standard deviation over {} runs with the seeds {}, in brackets how many have a value if not all; words with how often they occur",
            seeds.len(),
            seeds
                .iter()
                .map(u64::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        ),
    };
    Table {
        caption: format!(
            "The study {}; chain steps are those of all iterations as planned; d in nats, r in units of F per unit \
             of state, both over the settled iterations{seeds}",
            state.name
        ),
        header: header.map(str::to_owned).collect(),
        rows: rows.collect(),
    }
}

/// The cell of a variant with `count` runs.
fn over_seeds(cells: Vec<Cell>, count: usize) -> String {
    let mut words: Vec<(String, usize)> = Vec::new();
    let mut numbers = Vec::new();
    for cell in cells {
        match cell {
            Cell::Number(value) => numbers.push(value),
            Cell::Word(word) => match words.iter_mut().find(|(known, _)| *known == word) {
                Some((_, times)) => *times += 1,
                None => words.push((word, 1)),
            },
        }
    }
    match (&numbers[..], &words[..]) {
        ([], []) => "–".to_owned(),
        ([], [(word, times)]) if *times == count => word.clone(),
        ([], words) => {
            let tally = words.iter().map(|(word, times)| format!("{word} {times}"));
            tally.collect::<Vec<_>>().join(", ")
        }
        (numbers, _) => {
            let text = match Spread::over(numbers) {
                Some(spread) => format!(
                    "{} ± {}",
                    short(spread.mean),
                    short(spread.standard_deviation)
                ),
                None => short(numbers[0]),
            };
            if numbers.len() == count {
                text
            } else {
                format!("{text} ({})", numbers.len())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cell_shows_mean_and_spread_over_seeds() {
        let numbers = |values: &[f64], count| {
            over_seeds(values.iter().map(|v| Cell::Number(*v)).collect(), count)
        };
        assert_eq!(numbers(&[1.5], 1), short(1.5));
        // The sample standard deviation of 1, 2 and 3 is 1.
        let spread = format!("{} ± {}", short(2.0), short(1.0));
        assert_eq!(numbers(&[1.0, 2.0, 3.0], 3), spread);
        assert_eq!(numbers(&[1.0, 2.0, 3.0], 4), format!("{spread} (3)"));
        assert_eq!(numbers(&[], 3), "–");

        let words = |words: &[&str], count| {
            over_seeds(words.iter().copied().filter_map(word).collect(), count)
        };
        assert_eq!(words(&["yes", "yes"], 2), "yes");
        assert_eq!(words(&["yes", "no", "yes"], 3), "yes 2, no 1");
        assert_eq!(words(&["yes"], 2), "yes 1");
    }
}
