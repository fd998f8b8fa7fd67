//! The quality of samples in numbers.
//!
//! [`FeatureQuality`] compares two sets of features, wherever they come from. [`DigitQuality`] takes them from the
//! digit classifier, says which digits it sees, and sets held-out data beside the samples for the scale. A classifier of
//! digits sees a digit in everything, so its features say little of images that are none: look at the pictures too.

mod digit_quality;
mod feature_quality;

pub(crate) use digit_quality::{DigitQuality, SAMPLES, digit_quality, samples_to_judge};
pub(crate) use feature_quality::FeatureQuality;

use crate::error::DriverError;

/// What was measured, or none with a warning where samples or data cannot be measured: what it belongs to stands without.
///
/// # Errors
/// All that does not lie in the values.
pub(crate) fn or_warning<T>(
    what: &str,
    measured: Result<Option<T>, DriverError>,
) -> Result<Option<T>, DriverError> {
    match measured {
        Err(DriverError::Diagnostics(error)) if error.lies_in_the_values() => {
            tracing::warn!("no {what}: {error}");
            Ok(None)
        }
        measured => measured,
    }
}
