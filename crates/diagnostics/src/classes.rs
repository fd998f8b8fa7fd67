//! The output of a classifier for a set of samples: over which classes they are spread, and how sure the classifier
//! is.

use serde::{Deserialize, Serialize};

use crate::FeatureMatrix;

/// How samples are spread over classes. Each counts for its most probable class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassSummary {
    /// How many samples of each class.
    pub counts: Vec<usize>,
    /// Entropy of these shares in nats: 0 when all are of one class, ln(classes) when all classes are equally many.
    /// An estimate from few samples is too low, by about (classes − 1) / (2·samples).
    pub entropy: f64,
    /// Mean probability of the most probable class, from 1/classes to 1. A classifier can be sure of a sample that
    /// belongs to no class, so this number alone does not measure quality.
    pub mean_top_probability: f64,
    /// Share of the samples whose most probable class is more probable than 0.8; 0 in records of older versions.
    #[serde(default)]
    pub confident_share: f64,
}

/// The probability above which a sample counts as clearly of a class.
const CONFIDENT: f64 = 0.8;

/// Sums up the probabilities of classes, `[samples, classes]`, that a classifier gives to samples. Among equal
/// probabilities the first class counts.
#[must_use]
pub fn class_summary<T: Copy + Into<f64> + Sync>(
    probabilities: &FeatureMatrix<'_, T>,
) -> ClassSummary {
    let samples = probabilities.samples();
    let mut counts = vec![0; probabilities.dimension()];
    let (mut tops, mut confident) = (0.0, 0usize);
    for sample in 0..samples {
        let (mut class, mut top) = (0, f64::NEG_INFINITY);
        for (other, probability) in probabilities.row(sample).iter().enumerate() {
            let probability: f64 = (*probability).into();
            if probability > top {
                (class, top) = (other, probability);
            }
        }
        counts[class] += 1;
        tops += top;
        confident += usize::from(top > CONFIDENT);
    }
    let share = |count: &usize| *count as f64 / samples as f64;
    let entropy: f64 = counts
        .iter()
        .map(share)
        .filter(|share| *share > 0.0)
        .map(|share| -share * share.ln())
        .sum();
    ClassSummary {
        // One class alone sums up to −0.
        entropy: entropy.max(0.0),
        mean_top_probability: tops / samples as f64,
        confident_share: confident as f64 / samples as f64,
        counts,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(values: &[f64], classes: usize) -> ClassSummary {
        class_summary(&FeatureMatrix::new(values, classes).unwrap())
    }

    #[test]
    fn a_few_samples_count_by_hand() {
        let summary = of(
            &[0.7, 0.2, 0.1, 0.1, 0.8, 0.1, 0.6, 0.4, 0.0, 0.5, 0.5, 0.0],
            3,
        );
        assert_eq!(summary.counts, [3, 1, 0]);
        assert!((summary.mean_top_probability - 0.65).abs() < 1e-12);
        // 0.8 is not above itself.
        assert_eq!(summary.confident_share, 0.0);
        assert_eq!(of(&[0.9, 0.1, 0.3, 0.7], 2).confident_share, 0.5);
        let expected = -0.75 * 0.75_f64.ln() - 0.25 * 0.25_f64.ln();
        assert!((summary.entropy - expected).abs() < 1e-12);
        assert_eq!(of(&[0.0, 1.0, 0.0, 1.0], 2).entropy.to_bits(), 0);
    }

    proptest! {
        #[test]
        fn entropy_and_probability_keep_their_bounds(
            values in prop::collection::vec(0.01_f64..1.0, 5..200),
        ) {
            let whole = &values[..values.len() / 5 * 5];
            let rows: Vec<f64> = whole
                .chunks(5)
                .flat_map(|row| {
                    let sum: f64 = row.iter().sum();
                    row.iter().map(move |x| x / sum)
                })
                .collect();
            let summary = of(&rows, 5);
            prop_assert_eq!(summary.counts.iter().sum::<usize>(), rows.len() / 5);
            prop_assert!((0.0..=5_f64.ln() + 1e-12).contains(&summary.entropy));
            prop_assert!((0.2 - 1e-12..=1.0).contains(&summary.mean_top_probability));
        }
    }
}
