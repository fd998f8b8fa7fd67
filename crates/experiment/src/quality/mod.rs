//! The quality of samples in numbers.
//!
//! `FeatureQuality` compares two sets of features, wherever they come from. `DigitQuality` takes them from the digit
//! classifier, says which digits it sees, and sets held-out data beside the samples for the scale. A classifier of
//! digits sees a digit in everything, so its features say little of images that are none: look at the pictures too.

mod digit_quality;
mod feature_quality;
mod table;

pub use digit_quality::{DigitQuality, SetQuality};
pub(crate) use digit_quality::{SAMPLES, digit_quality, samples_to_judge};
pub use feature_quality::FeatureQuality;
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
