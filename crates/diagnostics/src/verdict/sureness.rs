//! The confidence of a conclusion from several intervals.

use super::convergence::ConvergenceOptions;
use super::estimate::Estimate;
use super::standardised::Standardised;

/// The smallest error rates of a single interval at which a conclusion would still stand.
pub(crate) struct Sureness {
    tolerance: f64,
    log_spread_tolerance: f64,
    /// For the conclusion that all lie within, the least sure one counts.
    pub(crate) inside: f64,
    /// For the conclusion that one lies beyond, the surest one counts.
    pub(crate) outside: f64,
}

impl Sureness {
    pub(crate) fn new(options: &ConvergenceOptions) -> Self {
        Self {
            tolerance: options.tolerance,
            log_spread_tolerance: options.spread_tolerance.ln(),
            inside: 0.0,
            outside: 1.0,
        }
    }

    pub(crate) fn add_standardised(&mut self, estimate: &Estimate, standardised: &Standardised) {
        // The end away from zero uses Student's distribution, so the rate for "within" does, too.
        self.add(
            estimate.rate_inside(self.tolerance),
            standardised.rate_outside(self.tolerance),
        );
    }

    pub(crate) fn add_log_ratio(&mut self, estimate: &Estimate) {
        let tolerance = self.log_spread_tolerance;
        self.add(
            estimate.rate_inside(tolerance),
            estimate.rate_outside(tolerance),
        );
    }

    fn add(&mut self, inside: f64, outside: f64) {
        self.inside = self.inside.max(inside);
        self.outside = self.outside.min(outside);
    }
}
