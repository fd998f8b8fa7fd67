//! Scalar summaries of groups of long chains: the data that decide the second axis.

use serde::{Deserialize, Serialize};

use crate::{DiagnosticsError, Result};

/// The least number of chains in a group whose spread can be judged. So few chains show only a large change.
pub(crate) const FEWEST_CHAINS: usize = 4;

/// Where the chains of a group start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ChainOrigin {
    /// Noise, as short-run samples of noise-initialised learning do.
    Noise,
    /// States of the data.
    Data,
    /// The bank of persistent chains.
    Bank,
}

impl ChainOrigin {
    /// The start in words, after "from".
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Data => "data",
            Self::Bank => "the bank",
        }
    }
}

/// One scalar of every chain at every recorded step, such as the mean of its pixels.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainSummary {
    /// What it is, such as "pixel mean"; groups are compared by this name.
    pub name: String,
    /// Values `[records, chains]`, the chains of the first record first.
    pub values: Vec<f64>,
}

/// Chains of one start, recorded at several Langevin steps.
///
/// The chains are independent of each other and each stays in its column. Steps are counted from the start of the
/// chain, so a short-run sample of training length L is the record at step L.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ChainGroup {
    /// Where the chains start.
    pub start: ChainOrigin,
    /// Number of chains, at least 4.
    pub chains: usize,
    /// Recorded steps, rising.
    pub steps: Vec<u64>,
    /// Learned energy `[records, chains]`: U in nats, or F; the judgement counts in spreads, so the unit cancels.
    pub energies: Vec<f64>,
    /// Further scalars of the states.
    pub state_summaries: Vec<ChainSummary>,
}

/// Name of the energies among the summaries.
pub(crate) const ENERGY: &str = "energy";

impl ChainGroup {
    /// Checks shapes. Values that are not finite are no error: diverging chains have them.
    ///
    /// # Errors
    /// [`DiagnosticsError::SeriesTooShort`] for no record, [`DiagnosticsError::Parameter`] for fewer than 4 chains, for
    /// steps that do not rise or for two summaries of one name, and [`DiagnosticsError::LengthsDiffer`] for values that
    /// are not `[records, chains]`.
    pub fn check(&self) -> Result<()> {
        if self.steps.is_empty() {
            return Err(DiagnosticsError::SeriesTooShort {
                what: "the records of a group of chains",
                length: 0,
                needed: 1,
            });
        }
        if self.chains < FEWEST_CHAINS {
            return Err(DiagnosticsError::Parameter {
                name: "chains",
                value: self.chains.to_string(),
                requirement: "a group needs at least 4 chains for its spread",
            });
        }
        if let Some(pair) = self.steps.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(DiagnosticsError::Parameter {
                name: "steps",
                value: format!("{} followed by {}", pair[0], pair[1]),
                requirement: "recorded steps have to rise",
            });
        }
        for (position, (name, values)) in self.summaries().enumerate() {
            if self
                .summaries()
                .skip(position + 1)
                .any(|(other, _)| other == name)
            {
                return Err(DiagnosticsError::Parameter {
                    name: "name of a summary",
                    value: format!("\"{name}\" twice"),
                    requirement: "every summary of a group needs a name of its own, and none may be \"energy\"",
                });
            }
            let expected = self.steps.len().saturating_mul(self.chains);
            if values.len() != expected {
                return Err(DiagnosticsError::LengthsDiffer {
                    what: "the values of a summary and its records times chains",
                    left: values.len(),
                    right: expected,
                });
            }
        }
        Ok(())
    }

    /// Energies first, then the further scalars.
    pub(crate) fn summaries(&self) -> impl Iterator<Item = (&str, &[f64])> {
        std::iter::once((ENERGY, self.energies.as_slice())).chain(
            self.state_summaries
                .iter()
                .map(|summary| (summary.name.as_str(), summary.values.as_slice())),
        )
    }

    /// Index of the record at `multiple` times the training length.
    pub(crate) fn record(&self, training_steps: u64, multiple: u64) -> Result<usize> {
        let step = training_steps.saturating_mul(multiple);
        self.steps
            .binary_search(&step)
            .map_err(|_| DiagnosticsError::MissingRecord {
                group: format!("from {}", self.start.name()),
                step,
                multiple,
            })
    }

    /// The values of all chains in one record.
    #[must_use]
    pub fn at<'a>(&self, values: &'a [f64], record: usize) -> &'a [f64] {
        &values[record * self.chains..(record + 1) * self.chains]
    }

    /// The records from `first` on, one series per chain.
    pub(crate) fn traces(&self, values: &[f64], first: usize) -> Vec<Vec<f64>> {
        (0..self.chains)
            .map(|chain| {
                (first..self.steps.len())
                    .map(|record| values[record * self.chains + chain])
                    .collect()
            })
            .collect()
    }
}
