//! The quality of samples in numbers.
//!
//! [`FeatureQuality`] compares two sets of features, wherever they come from. [`DigitQuality`] takes them from the
//! digit classifier, says which digits it sees, and sets held-out data beside the samples for the scale.

mod digit_quality;
mod feature_quality;

pub(crate) use digit_quality::{DigitQuality, SAMPLES, digit_quality};
pub(crate) use feature_quality::FeatureQuality;
