//! Samples against data, in the features of a classifier of a user's own classes.

use std::path::PathBuf;

use serde::Serialize;

use super::set_quality::{HEADER, SetQuality, rows};
use crate::classifier::ClassifierDescription;

/// Samples against data, and held-out data against the same for the scale, as in [`super::DigitQuality`].
///
/// A fifth of each class is held out, or every fifth datum where the data have no labels. The numbers compare only with
/// those of the same file of weights.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassQuality {
    /// The file of the classifier.
    pub classifier: PathBuf,
    /// What it says; `classes` are in the order of the counts below.
    pub description: ClassifierDescription,
    /// The samples.
    pub samples: SetQuality,
    /// As many held-out data.
    pub held_out: SetQuality,
}

impl ClassQuality {
    /// Header of [`Self::rows`].
    pub const HEADER: [&str; 3] = HEADER;

    /// The numbers with their names.
    #[must_use]
    pub fn rows(&self) -> Vec<[String; 3]> {
        rows(
            &self.samples,
            &self.held_out,
            Some(&self.description.classes),
        )
    }
}
