//! One record per learning iteration, as lines of `metrics.jsonl`.

use std::io::{BufRead, BufReader};
use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};

use crate::{DiagnosticsError, Result};

/// What was measured in one learning iteration; one line of `metrics.jsonl`.
///
/// JSON has no number for NaN or infinity: they are written as `null`, and `null` is read back as
/// NaN, so a diverged iteration stays visible in the file (the sign of an infinity is lost). A
/// missing field, but for the acceptance rate, or an unknown one is an error.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IterationMetrics {
    /// Learning iteration, counted from 1.
    pub iteration: u64,
    /// d: (2/ε²)·(mean F of the data − mean F of the samples), in U units (nats); without the
    /// factor when ε = 0. Negative: the update expands the gap; positive: it contracts it.
    #[serde(deserialize_with = "null_is_nan")]
    pub energy_difference: f64,
    /// r: ‖∇F(X)‖₂ averaged over the Langevin steps and the chains, in F units per unit of state.
    #[serde(deserialize_with = "null_is_nan")]
    pub gradient_magnitude: f64,
    /// Mean F of the data batch.
    #[serde(deserialize_with = "null_is_nan")]
    pub energy_data: f64,
    /// Mean F of the sampled states.
    #[serde(deserialize_with = "null_is_nan")]
    pub energy_samples: f64,
    /// Learning rate of this iteration's update.
    #[serde(deserialize_with = "null_is_nan")]
    pub learning_rate: f64,
    /// The fraction of proposals that were accepted; `None` for chains that take every step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub acceptance_rate: Option<f64>,
}

impl IterationMetrics {
    /// The record as one line of JSON, without the line end.
    ///
    /// # Errors
    /// [`DiagnosticsError::Encode`] when the JSON writer fails.
    pub fn to_json_line(&self) -> Result<String> {
        serde_json::to_string(self).map_err(DiagnosticsError::Encode)
    }
}

fn null_is_nan<'de, D: Deserializer<'de>>(deserializer: D) -> std::result::Result<f64, D::Error> {
    Ok(Option::<f64>::deserialize(deserializer)?.unwrap_or(f64::NAN))
}

/// The content of a metrics file that may still be growing or may have been cut off.
#[derive(Debug, Clone, PartialEq)]
pub struct MetricsFile {
    /// The complete records, in file order.
    pub records: Vec<IterationMetrics>,
    /// 1-based number of a torn last line, when there is one.
    pub torn_line: Option<usize>,
}

/// Reads every record of a JSON-lines file. Blank lines are skipped.
///
/// # Errors
/// [`DiagnosticsError::Read`] when the file cannot be read, [`DiagnosticsError::MalformedLine`]
/// for a line that is no record, and [`DiagnosticsError::TornLastLine`] when the file ends within
/// a record.
pub fn read_metrics(path: impl AsRef<Path>) -> Result<Vec<IterationMetrics>> {
    let path = path.as_ref();
    let file = read_complete_metrics(path)?;
    match file.torn_line {
        None => Ok(file.records),
        Some(line) => Err(DiagnosticsError::TornLastLine {
            path: path.to_path_buf(),
            line,
        }),
    }
}

/// Reads the complete records of a JSON-lines file and reports a torn last line without failing,
/// for runs that are still going or were interrupted.
///
/// # Errors
/// As [`read_metrics`], except for the torn last line.
pub fn read_complete_metrics(path: impl AsRef<Path>) -> Result<MetricsFile> {
    let path = path.as_ref();
    let read_error = |source| DiagnosticsError::Read {
        path: path.to_path_buf(),
        source,
    };
    let mut reader = BufReader::new(std::fs::File::open(path).map_err(read_error)?);
    let mut records = Vec::new();
    let mut bytes = Vec::new();
    for line in 1.. {
        bytes.clear();
        // Bytes and not text: a torn line may end within a character.
        if reader.read_until(b'\n', &mut bytes).map_err(read_error)? == 0 {
            break;
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        match serde_json::from_slice(&bytes) {
            Ok(record) => records.push(record),
            // Only the last line can lack its line end, and it is torn only if it ends early.
            Err(source) if source.is_eof() && bytes.last() != Some(&b'\n') => {
                return Ok(MetricsFile {
                    records,
                    torn_line: Some(line),
                });
            }
            Err(source) => {
                return Err(DiagnosticsError::MalformedLine {
                    path: path.to_path_buf(),
                    line,
                    source,
                });
            }
        }
    }
    Ok(MetricsFile {
        records,
        torn_line: None,
    })
}

/// The last `window` iterations, but never the first half of a run: at the start learning has not settled, and
/// statistics would mix its start with its balance. Runs of more than twice the window are not affected.
pub fn settled_window(metrics: &[IterationMetrics], window: usize) -> &[IterationMetrics] {
    let count = window
        .min(metrics.len().div_ceil(2).max(2))
        .min(metrics.len());
    &metrics[metrics.len() - count..]
}

/// d and r of the iterations in which both are finite.
#[must_use]
pub fn finite_pairs(window: &[IterationMetrics]) -> (Vec<f64>, Vec<f64>) {
    window
        .iter()
        .map(|m| (m.energy_difference, m.gradient_magnitude))
        .filter(|(d, r)| d.is_finite() && r.is_finite())
        .unzip()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn record(iteration: u64) -> IterationMetrics {
        IterationMetrics {
            iteration,
            energy_difference: -0.1 + 0.2,
            gradient_magnitude: 0.8,
            energy_data: 1.5,
            energy_samples: 1.25,
            learning_rate: 1e-4,
            acceptance_rate: None,
        }
    }

    fn file_with(content: &str) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), content).unwrap();
        file
    }

    #[test]
    fn records_survive_the_round_trip_exactly() {
        let lines = format!(
            "{}\n\n{}",
            record(1).to_json_line().unwrap(),
            record(2).to_json_line().unwrap()
        );
        assert_eq!(
            read_metrics(file_with(&lines).path()).unwrap(),
            [record(1), record(2)]
        );
    }

    #[test]
    fn non_finite_values_come_back_as_nan() {
        let diverged = IterationMetrics {
            energy_difference: f64::NEG_INFINITY,
            gradient_magnitude: f64::NAN,
            ..record(3)
        };
        let line = diverged.to_json_line().unwrap();
        assert!(line.contains("\"energy_difference\":null"), "{line}");
        let back = read_metrics(file_with(&line).path()).unwrap();
        assert!(back[0].energy_difference.is_nan() && back[0].gradient_magnitude.is_nan());
        assert_eq!(back[0].energy_data, 1.5);
    }

    #[test]
    fn a_torn_last_line_is_reported_as_such() {
        let whole = record(1).to_json_line().unwrap();
        let file = file_with(&format!("{whole}\n{}", &whole[..whole.len() - 9]));
        let error = read_metrics(file.path()).unwrap_err();
        assert!(matches!(
            error,
            DiagnosticsError::TornLastLine { line: 2, .. }
        ));
        let partial = read_complete_metrics(file.path()).unwrap();
        assert_eq!(partial.records, [record(1)]);
        assert_eq!(partial.torn_line, Some(2));
    }

    #[test]
    fn malformed_lines_are_named() {
        let whole = record(1).to_json_line().unwrap();
        let extra = whole.replace('}', ",\"momentum\":0.9}");
        let missing = whole.replace(",\"learning_rate\":0.0001", "");
        for (bad, word) in [
            (extra.as_str(), "momentum"),
            (missing.as_str(), "learning_rate"),
            ("nonsense", "expected"),
        ] {
            let file = file_with(&format!("{whole}\n{bad}\n{whole}\n"));
            let message = read_metrics(file.path()).unwrap_err().to_string();
            assert!(
                message.contains("line 2") && message.contains(word),
                "{message}"
            );
        }
    }

    #[test]
    fn a_settled_window_is_never_more_than_the_second_half() {
        let metrics: Vec<_> = (1..=10)
            .map(|iteration| IterationMetrics {
                iteration,
                energy_difference: 0.0,
                gradient_magnitude: 0.0,
                energy_data: 0.0,
                energy_samples: 0.0,
                learning_rate: 0.0,
                acceptance_rate: None,
            })
            .collect();
        let first = |count: usize, window| settled_window(&metrics[..count], window)[0].iteration;
        assert_eq!((first(10, 2000), first(10, 3), first(9, 2000)), (6, 8, 5));
        // Two iterations are the least that statistics need.
        assert_eq!((first(2, 2000), first(1, 2000)), (1, 1));
        assert!(settled_window(&[], 5).is_empty());
    }
}
