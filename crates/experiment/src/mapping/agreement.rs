//! The agreement of groupings with each other, and of basins with the digits read in their minima.

use ebm_diagnostics::{
    DiagnosticsError, FeatureMatrix, KMeansOptions, adjusted_rand_index, k_means,
    normalised_mutual_information, purity,
};
use ebm_figures::Table;
use ebm_landscape::Minimum;
use serde::Serialize;

use super::State;
use super::state::Found;
use crate::ExperimentError;
use crate::quality::or_warning;

/// Two groupings with different seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GroupingAgreement {
    /// Their numbers.
    pub groupings: [usize; 2],
    /// 1 when they are the same, 0 on average for groups filled at random.
    pub adjusted_rand_index: f64,
}

impl GroupingAgreement {
    /// Of all pairs of groupings.
    pub(super) fn of(state: &State) -> Result<Vec<Self>, ExperimentError> {
        let groups: Vec<_> = state
            .groupings
            .iter()
            .map(|grouping| grouping.groups())
            .collect();
        let mut found = Vec::new();
        for (a, one) in groups.iter().enumerate() {
            for (b, other) in groups.iter().enumerate().skip(a + 1) {
                found.push(Self {
                    groupings: [a, b],
                    adjusted_rand_index: adjusted_rand_index(one, other)?,
                });
            }
        }
        Ok(found)
    }
}

/// A partition of the minima against the digits read in them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Agreement {
    /// Groups.
    pub groups: usize,
    /// Groups of a single minimum, which are pure whatever they hold.
    pub singletons: usize,
    /// Share of minima read as the digit that is most frequent in their group.
    pub purity: f64,
    /// The same over the minima of groups of two and more; none without such groups.
    pub purity_without_singletons: Option<f64>,
    /// 1 when groups are digits, 0 on average for groups filled at random.
    pub adjusted_rand_index: f64,
    /// Mutual information over the mean entropy; many small groups raise it.
    pub normalised_mutual_information: f64,
}

impl Agreement {
    /// # Errors
    /// [`DiagnosticsError::LengthsDiffer`] unless every minimum has a group and a label.
    pub(super) fn of(groups: &[usize], labels: &[usize]) -> Result<Self, DiagnosticsError> {
        let mut members = vec![0; groups.iter().max().map_or(0, |last| last + 1)];
        for group in groups {
            members[*group] += 1;
        }
        let shared = |place: &usize| members[groups[*place]] > 1;
        let places: Vec<usize> = (0..groups.len()).filter(shared).collect();
        let of = |values: &[usize]| -> Vec<usize> { places.iter().map(|p| values[*p]).collect() };
        Ok(Self {
            groups: members.iter().filter(|count| **count > 0).count(),
            singletons: members.iter().filter(|count| **count == 1).count(),
            purity: purity(groups, labels)?,
            purity_without_singletons: if places.is_empty() {
                None
            } else {
                Some(purity(&of(groups), &of(labels))?)
            },
            adjusted_rand_index: adjusted_rand_index(groups, labels)?,
            normalised_mutual_information: normalised_mutual_information(groups, labels)?,
        })
    }
}

/// Basins and groups of k-means against the digits that the classifier reads in the minima.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DigitAgreement {
    /// The basins of the first grouping.
    pub basins: Agreement,
    /// As many groups of k-means on the pixels of the same minima; none if it cannot make that many.
    pub k_means: Option<Agreement>,
}

impl DigitAgreement {
    /// None if no digits were read in the minima.
    ///
    /// # Errors
    /// What does not lie in the values.
    pub(super) fn of(
        state: &State,
        minima: &[Minimum],
        groups: &[usize],
    ) -> Result<Option<Self>, ExperimentError> {
        let Some(labels) = state.found.as_ref().and_then(Found::digits) else {
            return Ok(None);
        };
        let basins = Agreement::of(groups, &labels)?;
        let pixels = Minimum::states(state.settings.state_shape, minima)?.into_values();
        let options = KMeansOptions {
            seed: state.settings.seed,
            ..KMeansOptions::default()
        };
        let compared = FeatureMatrix::new(&pixels, state.settings.state_size())
            .and_then(|rows| k_means(&rows, basins.groups, &options))
            .and_then(|found| Agreement::of(&found.groups, &labels));
        let k_means = or_warning(
            "comparison with k-means",
            compared.map(Some).map_err(ExperimentError::from),
        )?;
        Ok(Some(Self { basins, k_means }))
    }

    /// One sentence.
    pub(super) fn sentence(&self) -> String {
        if self.basins.purity_without_singletons.is_none() {
            return "No basin has a second minimum, so the digits read in them say nothing."
                .to_owned();
        }
        let mut sentence = format!(
            "The digits that the classifier reads in the minima agree with the basins to a purity of {:.2}",
            self.basins.purity
        );
        if let Some(without) = self.basins.purity_without_singletons {
            sentence += &format!(" ({without:.2} without basins of one minimum)");
        }
        if let Some(k_means) = &self.k_means {
            sentence += &format!(
                ", with as many groups of k-means on pixels to {:.2}",
                k_means.purity
            );
            if let Some(without) = k_means.purity_without_singletons {
                sentence += &format!(" ({without:.2})");
            }
        }
        sentence + "."
    }

    pub(super) fn table(&self) -> Table {
        let of = |value: fn(&Agreement) -> Option<String>| {
            let cell = |agreement: Option<&Agreement>| {
                agreement.and_then(value).unwrap_or_else(|| "–".to_owned())
            };
            [cell(Some(&self.basins)), cell(self.k_means.as_ref())]
        };
        let rows = [
            ("groups", of(|it| Some(it.groups.to_string()))),
            (
                "of these with one minimum only",
                of(|it| Some(it.singletons.to_string())),
            ),
            (
                "purity: share of minima read as the most frequent digit of their group",
                of(|it| Some(format!("{:.3}", it.purity))),
            ),
            (
                "the same without groups of one minimum, which are always pure",
                of(|it| {
                    it.purity_without_singletons
                        .map(|purity| format!("{purity:.3}"))
                }),
            ),
            (
                "adjusted Rand index: 1 for groups that are digits, 0 for chance",
                of(|it| Some(format!("{:.3}", it.adjusted_rand_index))),
            ),
            (
                "normalised mutual information: rises with many small groups",
                of(|it| Some(format!("{:.3}", it.normalised_mutual_information))),
            ),
        ];
        Table {
            caption: "Groups of minima against the digits that the classifier reads in them; a reading is not a label \
                given by a person, and the classifier sees a digit in everything".into(),
            header: ["quantity", "basins", "k-means on pixels"].map(String::from).to_vec(),
            rows: rows
                .into_iter()
                .map(|(name, [basins, k_means])| vec![name.to_owned(), basins, k_means])
                .collect(),
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn singletons_are_counted_and_left_out() {
        let agreement = Agreement::of(&[0, 0, 0, 1, 2, 2], &[7, 7, 1, 4, 1, 1]).unwrap();
        assert_eq!((agreement.groups, agreement.singletons), (3, 1));
        assert!((agreement.purity - 5.0 / 6.0).abs() < 1e-12);
        let without = agreement.purity_without_singletons.unwrap();
        assert!((without - 4.0 / 5.0).abs() < 1e-12);
        let alone = Agreement::of(&[0, 1], &[3, 4]).unwrap();
        assert_eq!((alone.purity, alone.purity_without_singletons), (1.0, None));
    }
}
