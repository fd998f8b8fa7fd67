//! The quality of samples in numbers.
//!
//! `FeatureQuality` compares two sets of features, wherever they come from. `SetQuality` takes them from a classifier
//! and says which classes it sees. `DigitQuality` and `ClassQuality`, with the classifier of digits and one of a user's
//! own classes, set held-out data beside the samples for the scale. A classifier sees one of its classes in everything,
//! so its features say little of images of none: look at the pictures too.

mod class_quality;
mod data;
mod digit_quality;
mod feature_quality;
mod nearest;
mod set_quality;
mod table;

pub use class_quality::ClassQuality;
pub use digit_quality::DigitQuality;
pub(crate) use digit_quality::{SAMPLES, digit_quality, samples_to_judge};
pub use feature_quality::FeatureQuality;
pub use nearest::NearestData;
pub use set_quality::SetQuality;
pub use table::{QualitySubject, QualityTable};

use crate::ExperimentError;

/// The measured quality, or none with a warning if samples or data cannot be measured; the results that it belongs to
/// are then kept without it.
///
/// # Errors
/// Errors that do not come from the values.
pub(crate) fn or_warning<T>(
    what: &str,
    measured: Result<Option<T>, ExperimentError>,
) -> Result<Option<T>, ExperimentError> {
    match measured {
        Err(ExperimentError::Diagnostics(error)) if error.lies_in_the_values() => {
            tracing::warn!("no {what}: {error}");
            Ok(None)
        }
        measured => measured,
    }
}
