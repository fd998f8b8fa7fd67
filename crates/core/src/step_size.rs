//! Step size ε and temperature T: the two numbers that relate F, U and the chains.

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// The Langevin step size ε, which is also the noise's standard deviation; ε ≥ 0.
///
/// One step is X ← X − (ε²/2)∇U(X) + εZ, Z ~ N(0, I). ε = 0 is allowed and means plain gradient descent on F.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct StepSize(f64);

impl Default for StepSize {
    /// ε = 0.01, that of most image experiments of arXiv 1903.12370.
    fn default() -> Self {
        Self(0.01)
    }
}

impl StepSize {
    /// ε = 0: steps without noise, X ← X − ∇F(X).
    pub const ZERO: Self = Self(0.0);

    /// The step size ε.
    ///
    /// # Errors
    /// [`CoreError::StepSize`] unless 0 ≤ ε < ∞.
    pub fn new(epsilon: f64) -> Result<Self, CoreError> {
        if epsilon.is_finite() && epsilon >= 0.0 {
            Ok(Self(epsilon))
        } else {
            Err(CoreError::StepSize(epsilon))
        }
    }

    /// ε.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }

    /// The temperature T = ε²/2 at which a net trained with this ε is its own learned energy, U = F/T.
    /// For ε = 0, U = F and T = 1 (arXiv 1903.12370, appendix on noise).
    #[must_use]
    pub fn learned_temperature(self) -> Temperature {
        if self.0 == 0.0 {
            Temperature(1.0)
        } else {
            Temperature(self.0 * self.0 / 2.0)
        }
    }
}

impl TryFrom<f64> for StepSize {
    type Error = CoreError;

    fn try_from(epsilon: f64) -> Result<Self, CoreError> {
        Self::new(epsilon)
    }
}

impl From<StepSize> for f64 {
    fn from(step_size: StepSize) -> Self {
        step_size.0
    }
}

/// The temperature T > 0 that turns the net's output F into an energy in nats, U = F/T.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64", into = "f64")]
pub struct Temperature(f64);

impl Temperature {
    /// T = 1: F already is the potential U in nats, as for analytic energies.
    pub const ONE: Self = Self(1.0);

    /// The temperature T.
    ///
    /// # Errors
    /// [`CoreError::Temperature`] unless 0 < T < ∞.
    pub fn new(temperature: f64) -> Result<Self, CoreError> {
        if temperature.is_finite() && temperature > 0.0 {
            Ok(Self(temperature))
        } else {
            Err(CoreError::Temperature(temperature))
        }
    }

    /// T.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Temperature {
    type Error = CoreError;

    fn try_from(temperature: f64) -> Result<Self, CoreError> {
        Self::new(temperature)
    }
}

impl From<Temperature> for f64 {
    fn from(temperature: Temperature) -> Self {
        temperature.0
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn learned_temperature_is_half_epsilon_squared_and_one_without_noise() {
        let temperature = StepSize::new(0.125).unwrap().learned_temperature();
        assert!((temperature.get() - 0.0078125).abs() < 1e-15);
        assert_eq!(
            StepSize::new(0.0).unwrap().learned_temperature(),
            Temperature::ONE
        );
    }

    #[test]
    fn impossible_values_are_refused() {
        for epsilon in [-1e-9, f64::NAN, f64::INFINITY] {
            assert!(StepSize::new(epsilon).is_err());
            assert!(Temperature::new(epsilon).is_err());
        }
        assert!(Temperature::new(0.0).is_err());
    }
}
