//! A number with an interval, and where it lies against a tolerance.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::distribution::{student_tail, student_upper_quantile};
use crate::number_format::number;

/// Degrees of freedom beyond which Student's distribution is a normal one for every purpose here.
const MOST_DEGREES: f64 = 1e6;

/// An estimated number with its standard error and the interval that the judgement uses.
///
/// Its [`Display`](fmt::Display) is `value ± half width of the interval`; the interval need not lie evenly about it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Estimate {
    /// The number.
    pub value: f64,
    /// Its standard error.
    pub standard_error: f64,
    /// Degrees of freedom of the Student distribution behind the interval; for a share the effective number of values
    /// behind Wilson's interval.
    pub degrees_of_freedom: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
}

/// Where an interval lies against ±tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Wholly within: shown to be negligible.
    Inside,
    /// Wholly beyond one side: shown to matter.
    Outside,
    /// Neither: more data would tell.
    Across,
}

impl Estimate {
    /// Stands for infinity, which JSON cannot hold: the size of a change of values that do not vary at all.
    pub const UNBOUNDED: f64 = f64::MAX;

    /// A number without error.
    pub(crate) fn exact(value: f64) -> Self {
        Self::new(value, 0.0, MOST_DEGREES, 0.5)
    }

    /// A number about which nothing is known.
    pub(crate) fn unknown() -> Self {
        Self {
            value: 0.0,
            standard_error: Self::UNBOUNDED,
            degrees_of_freedom: 1.0,
            low: -Self::UNBOUNDED,
            high: Self::UNBOUNDED,
        }
    }

    /// The two-sided interval that misses the true number with probability `error_rate`.
    pub(crate) fn new(value: f64, standard_error: f64, degrees: f64, error_rate: f64) -> Self {
        let degrees_of_freedom = degrees.clamp(1.0, MOST_DEGREES);
        let half = if standard_error == 0.0 {
            0.0
        } else {
            standard_error * student_upper_quantile(error_rate / 2.0, degrees_of_freedom)
        };
        Self {
            value,
            standard_error,
            degrees_of_freedom,
            low: value - half,
            high: value + half,
        }
    }

    /// Half the width of the interval.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        0.5 * self.high - 0.5 * self.low
    }

    pub(crate) fn place(&self, tolerance: f64) -> Place {
        if self.low >= -tolerance && self.high <= tolerance {
            Place::Inside
        } else if self.low > tolerance || self.high < -tolerance {
            Place::Outside
        } else {
            Place::Across
        }
    }

    /// The smallest error rate at which the interval would still lie within ±`tolerance`.
    pub(crate) fn rate_inside(&self, tolerance: f64) -> f64 {
        self.rate(tolerance - self.value.abs())
    }

    /// The smallest error rate at which the interval would still lie beyond `tolerance` on one side.
    pub(crate) fn rate_outside(&self, tolerance: f64) -> f64 {
        self.rate(self.value.abs() - tolerance)
    }

    fn rate(&self, room: f64) -> f64 {
        if room <= 0.0 {
            return 1.0;
        }
        if self.standard_error == 0.0 {
            return 0.0;
        }
        2.0 * student_tail(room / self.standard_error, self.degrees_of_freedom)
    }
}

impl fmt::Display for Estimate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ± {}", number(self.value), number(self.half_width()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rates_flip_the_place() {
        let estimate = |rate| Estimate::new(0.4, 0.2, 12.0, rate);
        let rate = estimate(0.1).rate_inside(1.0);
        assert_eq!(estimate(rate * 1.001).place(1.0), Place::Inside);
        assert_eq!(estimate(rate * 0.999).place(1.0), Place::Across);
        let rate = estimate(0.1).rate_outside(0.1);
        assert_eq!(estimate(rate * 1.001).place(0.1), Place::Outside);
        assert_eq!(estimate(rate * 0.999).place(0.1), Place::Across);
        assert_eq!(estimate(0.1).rate_inside(0.3), 1.0);
    }

    #[test]
    fn certain_numbers_have_no_width() {
        let zero = Estimate::new(0.0, 0.0, 5.0, 0.01);
        assert_eq!(zero.place(1.0), Place::Inside);
        assert_eq!((zero.rate_inside(1.0), zero.rate_outside(1.0)), (0.0, 1.0));
        assert_eq!(zero.to_string(), "0 ± 0");
    }
}
