//! Where chains start (arXiv 1903.12370, section 2.3).

use ebm_core::{NoiseKey, StateShape, States};
use serde::{Deserialize, Serialize};

use crate::LangevinError;

/// The initial states of the chains of a learning iteration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChainStart {
    /// Uniform noise in (−factor, factor): noise-initialised, non-persistent.
    Uniform,
    /// Gaussian noise of standard deviation `factor`: noise-initialised, non-persistent.
    Gaussian,
    /// The data of the iteration with their noise: contrastive divergence.
    Data,
    /// A random batch of the persistent bank, written back after the run: persistent contrastive divergence.
    Persistent,
}

impl ChainStart {
    /// The noise distribution of this start, if it is one.
    #[must_use]
    pub fn noise(self) -> Option<NoiseStart> {
        match self {
            Self::Uniform => Some(NoiseStart::Uniform),
            Self::Gaussian => Some(NoiseStart::Gaussian),
            Self::Data | Self::Persistent => None,
        }
    }
}

/// A distribution of noise that chains can start from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NoiseStart {
    /// U(−1, 1) × factor.
    Uniform,
    /// N(0, 1) × factor.
    Gaussian,
}

impl NoiseStart {
    /// `chains` states.
    ///
    /// # Errors
    /// [`LangevinError::StartFactor`] unless the factor is positive and finite.
    pub fn draw(
        self,
        factor: f64,
        key: NoiseKey,
        chains: usize,
        shape: impl Into<StateShape>,
    ) -> Result<States, LangevinError> {
        if !(factor.is_finite() && factor > 0.0) {
            return Err(LangevinError::StartFactor(factor));
        }
        let mut states = States::zeros(shape, chains);
        let size = states.shape().size();
        let values = states.values_mut();
        match self {
            Self::Uniform => {
                key.uniforms(0, 0, size, values);
                for value in values.iter_mut() {
                    *value = 2.0 * *value - 1.0;
                }
            }
            Self::Gaussian => key.normals(0, 0, size, values),
        }
        for value in values {
            *value *= factor as f32;
        }
        Ok(states)
    }
}
