//! A difference in units of a spread that is estimated as well.

use super::estimate::Estimate;
use crate::distribution::{chi_square_tail, student_tail, student_upper_quantile};
use crate::{DiagnosticsError, Result};

/// A difference with its standard error, and the spread that is its unit.
pub(crate) struct Standardised {
    /// The difference, in the unit of the summary.
    pub(crate) difference: f64,
    /// Standard error of the difference.
    pub(crate) error: f64,
    /// Degrees of freedom of `error`.
    pub(crate) degrees: f64,
    /// The spread.
    pub(crate) spread: f64,
    /// Degrees of freedom of the spread.
    pub(crate) spread_degrees: f64,
}

impl Standardised {
    /// The difference over the spread with an interval that misses the true ratio with probability `error_rate`.
    ///
    /// The end away from zero adds the error of the spread by the delta method. Towards zero that fails with few
    /// chains: the error grows with the difference, and t standard errors would reach zero however large it is. There
    /// the difference and the spread are bounded apart, each at half the rate of this end, the spread by its χ²
    /// distribution.
    ///
    /// # Errors
    /// [`DiagnosticsError::NotFinite`] when the numbers overflow.
    pub(crate) fn interval(&self, error_rate: f64) -> Result<Estimate> {
        if self.spread == 0.0 {
            return Ok(Estimate::exact(self.without_spread()));
        }
        let value = self.difference / self.spread;
        let standard_error =
            (self.error / self.spread).hypot(value / (2.0 * self.spread_degrees).sqrt());
        // A spread that overflows would make every change vanish.
        if !(value.is_finite() && standard_error.is_finite() && self.spread.is_finite()) {
            return Err(DiagnosticsError::NotFinite {
                what: "the change of a summary in spreads",
                index: 0,
            });
        }
        let mut estimate = Estimate::new(value, standard_error, self.degrees, error_rate);
        let least = self.least_size(error_rate / 4.0);
        if value >= 0.0 {
            estimate.low = least.unwrap_or(estimate.low.min(0.0));
        } else {
            estimate.high = least.map_or(estimate.high.max(0.0), |size| -size);
        }
        Ok(estimate)
    }

    /// Lower bound of the size of the ratio, from bounds of both parts at `tail` each; `None` when it reaches zero.
    fn least_size(&self, tail: f64) -> Option<f64> {
        let room = if self.error > 0.0 {
            self.error * student_upper_quantile(tail, self.degrees)
        } else {
            0.0
        };
        let least = self.difference.abs() - room;
        let shrink = (chi_square_lower_quantile(tail, self.spread_degrees) / self.spread_degrees)
            .min(1.0)
            .sqrt();
        (least > 0.0).then(|| least / self.spread * shrink)
    }

    /// The smallest error rate at which [`interval`](Self::interval) would still lie beyond `tolerance` on one side.
    pub(crate) fn rate_outside(&self, tolerance: f64) -> f64 {
        if self.spread == 0.0 {
            return if self.difference == 0.0 { 1.0 } else { 0.0 };
        }
        // At the bound x of χ² the spread may be at most spread·√(ν/x). The larger x, the more probable it is to be
        // missed and the more room is left to the difference: where both probabilities meet, the bound is sharp.
        let missed = |x: f64| 1.0 - chi_square_tail(x, self.spread_degrees);
        let difference_missed = |x: f64| {
            let needed = tolerance * self.spread * (self.spread_degrees / x).sqrt();
            let room = self.difference.abs() - needed;
            if room <= 0.0 {
                1.0
            } else if self.error == 0.0 {
                0.0
            } else {
                student_tail(room / self.error, self.degrees)
            }
        };
        let x = bisect(self.spread_degrees, |x| missed(x) < difference_missed(x));
        if difference_missed(x) > 0.25 && missed(x) > 0.25 {
            return 1.0;
        }
        (4.0 * missed(x)).min(1.0)
    }

    fn without_spread(&self) -> f64 {
        if self.difference == 0.0 {
            0.0
        } else {
            Estimate::UNBOUNDED.copysign(self.difference)
        }
    }
}

/// The x with P(X ≤ x) = `probability` for a χ² variable X, at most its mean.
fn chi_square_lower_quantile(probability: f64, degrees: f64) -> f64 {
    bisect(degrees, |x| 1.0 - chi_square_tail(x, degrees) < probability)
}

/// Where `is_below` turns false between 0 and `high`.
fn bisect(high: f64, is_below: impl Fn(f64) -> bool) -> f64 {
    let (mut low, mut high) = (0.0, high);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if is_below(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    high
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::super::estimate::Place;
    use super::*;

    fn of(difference: f64, chains: f64) -> Standardised {
        Standardised {
            difference,
            error: 1.0 / chains.sqrt(),
            degrees: chains - 1.0,
            spread: 1.0,
            spread_degrees: chains - 1.0,
        }
    }

    #[test]
    fn a_large_change_of_few_chains_is_beyond_the_tolerance() {
        for chains in [4.0, 5.0, 8.0] {
            for difference in [-40.0, 40.0] {
                let interval = of(difference, chains).interval(0.01).unwrap();
                assert_eq!(interval.place(1.0), Place::Outside, "{interval:?}");
            }
        }
    }

    #[test]
    fn the_rate_flips_the_place() {
        for (difference, chains) in [(40.0, 5.0), (3.0, 30.0), (-2.0, 200.0)] {
            let change = of(difference, chains);
            let rate = change.rate_outside(1.0);
            assert!(rate > 0.0 && rate < 1.0, "{rate}");
            let place = |rate| change.interval(rate).unwrap().place(1.0);
            assert_eq!(place(rate * 1.01), Place::Outside);
            assert_eq!(place(rate * 0.99), Place::Across);
        }
        assert_eq!(of(0.5, 30.0).rate_outside(1.0), 1.0);
    }

    #[test]
    fn without_spread_every_difference_is_beyond_every_tolerance() {
        let change = |difference| Standardised {
            spread: 0.0,
            error: 0.0,
            ..of(difference, 5.0)
        };
        let interval = change(-1e-9).interval(0.01).unwrap();
        assert_eq!(interval.value, -Estimate::UNBOUNDED);
        assert_eq!(interval.place(1.0), Place::Outside);
        assert_eq!(change(0.0).interval(0.01).unwrap().value, 0.0);
    }

    #[test]
    fn quantiles_of_chi_square_are_those_of_tables() {
        // P(χ² ≤ 0.297) = 0.01 with 4 degrees of freedom.
        assert!((chi_square_lower_quantile(0.01, 4.0) - 0.2971).abs() < 1e-4);
    }
}
