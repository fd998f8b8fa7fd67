//! A bound to which values are clipped.

use serde::{Deserialize, Serialize};

use crate::LangevinError;

/// A bound c > 0: values beyond it are set to −c or c.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Bound(f64);

impl Bound {
    /// The bound c.
    ///
    /// # Errors
    /// [`LangevinError::Bound`] unless 0 < c < ∞, also as an f32, which states and gradients are.
    pub fn new(bound: f64) -> Result<Self, LangevinError> {
        let single = bound as f32;
        if single.is_finite() && single > 0.0 {
            Ok(Self(bound))
        } else {
            Err(LangevinError::Bound(bound))
        }
    }

    /// c.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Bound {
    type Error = LangevinError;

    fn try_from(bound: f64) -> Result<Self, LangevinError> {
        Self::new(bound)
    }
}

impl From<Bound> for f64 {
    fn from(bound: Bound) -> Self {
        bound.0
    }
}
