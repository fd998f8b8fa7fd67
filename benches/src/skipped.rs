//! What has no figure.

use serde::Serialize;

/// Something that is not measured, or that failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Skipped {
    /// What.
    pub what: String,
    /// Why.
    pub reason: String,
}

impl Skipped {
    /// Puts it on a list, once.
    pub(crate) fn note(list: &mut Vec<Self>, what: impl Into<String>, reason: impl Into<String>) {
        let left = Self {
            what: what.into(),
            reason: reason.into(),
        };
        if !list.contains(&left) {
            list.push(left);
        }
    }
}
