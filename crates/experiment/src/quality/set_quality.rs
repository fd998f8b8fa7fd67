//! The quality of sets of images in the features of a classifier.

use ebm_diagnostics::{ClassSummary, FeatureMatrix, class_summary};
use serde::{Deserialize, Serialize};

use super::FeatureQuality;
use super::feature_quality::spread;
use crate::classifier::{Classifier, FEATURES, ImageView, Split};
use crate::{Compute, ExperimentError};

/// The largest number of data to compare with; with more data the time grows and the numbers hardly change.
const MOST_DATA: usize = 8000;

/// One set of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetQuality {
    /// Against the reference.
    #[serde(flatten)]
    pub features: FeatureQuality,
    /// The classes that the classifier sees.
    pub classes: ClassSummary,
    /// How many images there are; `frechet.samples[1]` of them are judged.
    #[serde(default)]
    pub available: usize,
    /// Share of the pixels of all of them that lie outside [−1, 1] and are clamped.
    #[serde(default)]
    pub clamped: f64,
}

/// Judges `samples` by the data that are not held out, and beside them as many held-out data. Both have the channels
/// of the classifier. Give both at one size, so that resampling to the size of the classifier affects both alike.
///
/// # Errors
/// [`ExperimentError::Diagnostics`] when samples or data are too few for that many neighbours.
pub(super) fn judge(
    classifier: &Classifier,
    samples: ImageView<'_>,
    data: ImageView<'_>,
    split: Split,
    neighbours: usize,
    compute: &dyn Compute,
) -> Result<[SetQuality; 2], ExperimentError> {
    let read = |images: ImageView<'_>, from: Vec<usize>, most: usize| {
        let indices: Vec<_> = spread(from.len(), most).map(|place| from[place]).collect();
        let [_, side] = classifier.input();
        compute.classify(classifier, &images.at_side(side, &indices))
    };
    let count = samples.count();
    let reference = read(data, split.kept, MOST_DATA)?;
    let equal = count.min(split.held_out.len());
    let judge = |images: ImageView<'_>, from: Vec<usize>| {
        let available = from.len();
        let reading = read(images, from, equal)?;
        let probabilities = FeatureMatrix::new(&reading.probabilities, classifier.classes().len())?;
        Ok::<_, ExperimentError>(SetQuality {
            features: FeatureQuality::new(
                &reading.features,
                &reference.features,
                FEATURES,
                neighbours,
            )?,
            classes: class_summary(&probabilities),
            available,
            clamped: images.share_outside(),
        })
    };
    Ok([
        judge(samples, (0..count).collect())?,
        judge(data, split.held_out)?,
    ])
}

/// Header of [`rows`].
pub(super) const HEADER: [&str; 3] = ["quantity", "samples", "held-out data"];

/// The numbers of samples and of held-out data with their names. The classes are digits where no names are given.
pub(super) fn rows(
    samples: &SetQuality,
    held_out: &SetQuality,
    names: Option<&[String]>,
) -> Vec<[String; 3]> {
    samples
        .rows(names)
        .into_iter()
        .zip(held_out.rows(names))
        .map(|([name, samples], [_, held_out])| [name, samples, held_out])
        .collect()
}

impl SetQuality {
    /// How many are judged, and of how many, if these are more.
    pub(super) fn how_many(&self) -> String {
        let judged = self.features.frechet.samples[1];
        if self.available > judged {
            format!("{judged} of {}", self.available)
        } else {
            judged.to_string()
        }
    }

    fn rows(&self, names: Option<&[String]>) -> Vec<[String; 2]> {
        let ClassSummary {
            counts,
            entropy,
            mean_top_probability,
            confident_share,
        } = &self.classes;
        let total: usize = counts.iter().sum();
        let shares = counts
            .iter()
            .map(|count| format!("{:.0}", 100.0 * *count as f64 / total.max(1) as f64));
        let (one, many) = match names {
            None => ("digit", "digits"),
            Some(_) => ("class", "classes"),
        };
        let mut rows = self.features.rows(self.how_many());
        rows.push([
            format!(
                "entropy of the {many} seen (nats, at most {:.3})",
                (counts.len() as f64).ln()
            ),
            format!("{entropy:.3}"),
        ]);
        match names {
            None => rows.push([
                "shares of 0 to 9 (%)".into(),
                shares.collect::<Vec<_>>().join(" "),
            ]),
            Some(names) => rows.extend(
                names
                    .iter()
                    .zip(shares)
                    .map(|(name, share)| [format!("share of {name} (%)"), share]),
            ),
        }
        rows.extend([
            [
                format!("mean probability of the {one} seen"),
                format!("{mean_top_probability:.3}"),
            ],
            [
                "read with a probability above 0.8 (%)".into(),
                format!("{:.1}", 100.0 * confident_share),
            ],
            [
                "pixels outside [−1, 1], clamped (%)".into(),
                format!("{:.1}", 100.0 * self.clamped),
            ],
        ]);
        rows
    }
}
