//! Samples of digits against data, in the features of the digit classifier.

use ebm_diagnostics::{ClassSummary, FeatureMatrix, class_summary};
use ebm_figures::Table;
use serde::{Deserialize, Serialize};

use super::FeatureQuality;
use super::feature_quality::spread;
use crate::digits::{CLASSES, DigitImages, FEATURES, held_out, kept};
use crate::{Compute, ExperimentError};

/// The default number of samples: the least for which a distance in 64 features has a small bias.
pub(crate) const SAMPLES: usize = 1000;

/// The number of samples to draw for `data` data: [`SAMPLES`], or fewer if not all would be judged.
pub(crate) fn samples_to_judge(data: usize) -> usize {
    SAMPLES.min(held_out(data).len())
}

/// The largest number of data to compare with; with more data the time grows and the numbers hardly change.
const MOST_DATA: usize = 8000;

/// Samples of digits against data, and held-out data against the same for the scale.
///
/// Every fifth datum is held out and the others are the reference. All is measured in the features of the classifier
/// that comes with the program, so the numbers compare with others of the same version only. All numbers depend on how
/// many images they are of, so as many samples as held-out data are judged: all of the smaller set, and as many of the
/// larger, evenly spread.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DigitQuality {
    /// The samples.
    pub samples: SetQuality,
    /// As many held-out data.
    pub held_out: SetQuality,
}

/// One set of images.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetQuality {
    /// Against the reference.
    #[serde(flatten)]
    pub features: FeatureQuality,
    /// The digits that the classifier sees.
    pub classes: ClassSummary,
    /// How many images there are; `frechet.samples[1]` of them are judged.
    #[serde(default)]
    pub available: usize,
    /// Share of the pixels of all of them that lie outside [−1, 1] and are clamped.
    #[serde(default)]
    pub clamped: f64,
}

/// Judges `samples` by `data`. Give both at one size, so that resampling to the size of the classifier affects both
/// alike.
///
/// # Errors
/// [`ExperimentError::Diagnostics`] when samples or data are too few for that many neighbours.
pub(crate) fn digit_quality(
    samples: DigitImages<'_>,
    data: DigitImages<'_>,
    neighbours: usize,
    compute: &dyn Compute,
) -> Result<DigitQuality, ExperimentError> {
    let read = |images: DigitImages<'_>, from: Vec<usize>, most: usize| {
        let indices: Vec<_> = spread(from.len(), most).map(|place| from[place]).collect();
        compute.read_digits(&images.at_classifier_size(&indices))
    };
    let (count, data_count) = (samples.count(), data.count());
    let reference = read(data, kept(data_count), MOST_DATA)?;
    let held_out = held_out(data_count);
    let equal = count.min(held_out.len());
    let judge = |images: DigitImages<'_>, from: Vec<usize>| {
        let available = from.len();
        let reading = read(images, from, equal)?;
        let probabilities = FeatureMatrix::new(&reading.probabilities, CLASSES)?;
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
    Ok(DigitQuality {
        samples: judge(samples, (0..count).collect())?,
        held_out: judge(data, held_out)?,
    })
}

impl DigitQuality {
    /// Header of [`Self::rows`].
    pub const HEADER: [&str; 3] = ["quantity", "samples", "held-out data"];

    /// The numbers with their names.
    pub fn rows(&self) -> Vec<[String; 3]> {
        self.samples
            .rows()
            .into_iter()
            .zip(self.held_out.rows())
            .map(|([name, samples], [_, held_out])| [name, samples, held_out])
            .collect()
    }

    /// The same for a page, of samples that are called `what`.
    pub fn table(&self, what: &str) -> Table {
        Table {
            caption: format!("Digits, in the features of a digit classifier: {what}"),
            header: Self::HEADER.map(str::to_owned).to_vec(),
            rows: self.rows().into_iter().map(Vec::from).collect(),
        }
    }

    /// One sentence on samples that are called `what`.
    pub fn sentence(&self, what: &str) -> String {
        let (it, scale) = (&self.samples.features, &self.held_out.features);
        format!(
            "{} {what} (as many held-out data): Fréchet distance {:.1} ({:.1}) to {} data{}, density {:.2} ({:.2}), \
             coverage {:.2} ({:.2}).",
            self.samples.how_many(),
            it.frechet.value,
            scale.frechet.value,
            it.frechet.samples[0],
            it.doubt(),
            it.neighbours.density,
            scale.neighbours.density,
            it.neighbours.coverage,
            scale.neighbours.coverage,
        )
    }
}

impl SetQuality {
    /// How many are judged, and of how many, if these are more.
    fn how_many(&self) -> String {
        let judged = self.features.frechet.samples[1];
        if self.available > judged {
            format!("{judged} of {}", self.available)
        } else {
            judged.to_string()
        }
    }

    fn rows(&self) -> Vec<[String; 2]> {
        let ClassSummary {
            counts,
            entropy,
            mean_top_probability,
        } = &self.classes;
        let total: usize = counts.iter().sum();
        let shares: Vec<_> = counts
            .iter()
            .map(|count| format!("{:.0}", 100.0 * *count as f64 / total.max(1) as f64))
            .collect();
        let mut rows = self.features.rows(self.how_many());
        rows.extend([
            [
                format!(
                    "entropy of the digits seen (nats, at most {:.3})",
                    (CLASSES as f64).ln()
                ),
                format!("{entropy:.3}"),
            ],
            ["shares of 0 to 9 (%)".into(), shares.join(" ")],
            [
                "mean probability of the digit seen".into(),
                format!("{mean_top_probability:.3}"),
            ],
            [
                "pixels outside [−1, 1], clamped (%)".into(),
                format!("{:.1}", 100.0 * self.clamped),
            ],
        ]);
        rows
    }
}
