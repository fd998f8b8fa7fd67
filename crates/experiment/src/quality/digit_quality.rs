//! Samples of digits against data, in the features of the digit classifier.

use ebm_figures::Table;
use serde::{Deserialize, Serialize};

use super::set_quality::{HEADER, SetQuality, judge, rows};
use crate::classifier::{Classifier, ImageView, Split};
use crate::{Compute, ExperimentError};

/// The default number of samples: the least for which a distance in 64 features has a small bias.
pub(crate) const SAMPLES: usize = 1000;

/// The number of samples to draw for `data` data: [`SAMPLES`], or fewer if not all would be judged.
pub(crate) fn samples_to_judge(data: usize) -> usize {
    SAMPLES.min(Split::of_all(data).held_out.len())
}

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

/// Judges `samples` by `data`, both of one channel. Give both at one size, so that resampling to the size of the
/// classifier affects both alike.
///
/// # Errors
/// [`ExperimentError::Diagnostics`] when samples or data are too few for that many neighbours.
pub(crate) fn digit_quality(
    samples: ImageView<'_>,
    data: ImageView<'_>,
    neighbours: usize,
    compute: &dyn Compute,
) -> Result<DigitQuality, ExperimentError> {
    let split = Split::of_all(data.count());
    let [samples, held_out] = judge(
        &Classifier::of_digits(),
        samples,
        data,
        split,
        neighbours,
        compute,
    )?;
    Ok(DigitQuality { samples, held_out })
}

impl DigitQuality {
    /// Header of [`Self::rows`].
    pub const HEADER: [&str; 3] = HEADER;

    /// The numbers with their names.
    pub fn rows(&self) -> Vec<[String; 3]> {
        rows(&self.samples, &self.held_out, None)
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
