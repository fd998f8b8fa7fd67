//! Concentric rings.

use std::f64::consts::{PI, TAU};

use ebm_core::{NoiseKey, States};
use serde::{Deserialize, Serialize};

use super::{PlotExtent, draws, log_sum_exp, pick_group};
use crate::error::DataError;

/// A mixture of equally weighted rings around the origin with radii radius·1, radius·2, …, radius·groups.
///
/// A point of ring k lies at a uniform angle and at the signed distance r ~ N(k·radius, sd²) from the origin. A
/// negative r is a point on the opposite side, so the distance ρ = |r| has a folded normal density, and the density
/// over the plane, with the Jacobian 1/ρ of polar coordinates, is
///
/// p(x) = Σₖ \[N(ρ; k·radius, sd²) + N(−ρ; k·radius, sd²)\] / (groups · 2πρ).
///
/// The second term makes this exact for any sd; at the published values it carries less than 1e-11 of the mass.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Rings {
    /// The number of rings.
    pub groups: usize,
    /// The standard deviation of each across the ring.
    pub sd: f64,
    /// The radius of the innermost ring and the distance between rings.
    pub radius: f64,
}

impl Default for Rings {
    fn default() -> Self {
        Self {
            groups: 4,
            sd: 0.15,
            radius: 1.0,
        }
    }
}

/// The density has an integrable pole at the origin; nearer than so many sd it is taken as constant.
const POLE: f64 = 1e-3;

impl Rings {
    /// The normalised log density at `x`, in nats. Within sd/1000 of the origin, where the density has an integrable
    /// pole, the value at that distance is returned.
    #[must_use]
    pub fn log_density(&self, x: [f64; 2]) -> f64 {
        let distance = x[0].hypot(x[1]).max(POLE * self.sd);
        let exponents = (0..2 * self.groups).map(|term| {
            let mean = self.ring(term / 2);
            let signed = if term % 2 == 0 { distance } else { -distance };
            -((signed - mean) / self.sd).powi(2) / 2.0
        });
        let normaliser = self.groups as f64 * self.sd * TAU.sqrt() * TAU * distance;
        log_sum_exp(exponents) - normaliser.ln()
    }

    /// `count` independent points.
    #[must_use]
    pub fn sample(&self, noise: &NoiseKey, count: usize) -> States {
        States::points(draws(noise, count).map(|([choice, turn], [normal, _])| {
            let mean = self.ring(pick_group(choice, self.groups));
            let signed = mean + self.sd * normal;
            let angle = TAU * turn - PI;
            [(signed * angle.cos()) as f32, (signed * angle.sin()) as f32]
        }))
    }

    /// The square to plot: the outermost ring and four standard deviations.
    #[must_use]
    pub fn plot_extent(&self) -> PlotExtent {
        PlotExtent {
            half_width: self.radius * self.groups as f64 + 4.0 * self.sd,
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] for a value out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        super::validate(self.groups, self.sd, self.radius)
    }

    pub(super) fn nearest_group(&self, x: [f64; 2]) -> usize {
        let ring = (x[0].hypot(x[1]) / self.radius).round().max(1.0);
        (ring as usize).min(self.groups) - 1
    }

    fn ring(&self, group: usize) -> f64 {
        self.radius * (group + 1) as f64
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::toy::Toy;
    use crate::toy::testing::{chi_square_of_samples, integral};
    use ebm_core::Stream;

    #[test]
    fn the_published_rings_have_their_closed_form() {
        let rings = Rings::default();
        for x in [[1.0, 0.0], [0.0, -2.0], [1.2, 1.6], [3.1, 0.2], [-2.5, 2.5]] {
            let distance = f64::hypot(x[0], x[1]);
            let density: f64 = (1..=4)
                .map(|ring| {
                    let z = (distance - f64::from(ring)) / 0.15;
                    0.25 * (-z * z / 2.0).exp() / (0.15 * TAU.sqrt()) / (TAU * distance)
                })
                .sum();
            assert!((rings.log_density(x) - density.ln()).abs() < 1e-9, "{x:?}");
        }
        assert!(rings.log_density([0.0, 0.0]).is_finite());
        assert!(rings.log_density([1e9, 1e9]).is_finite());
    }

    #[test]
    fn it_integrates_to_one_over_the_plot() {
        for rings in [
            Rings::default(),
            Rings {
                groups: 2,
                sd: 0.3,
                radius: 0.8,
            },
        ] {
            let mass = integral(&Toy::Rings(rings));
            assert!((mass - 1.0).abs() < 1e-3, "{mass}");
        }
    }

    /// The second one is so wide that 16 % of the signed distances are negative.
    #[test]
    fn samples_follow_the_density() {
        chi_square_of_samples(&Toy::Rings(Rings::default()));
        chi_square_of_samples(&Toy::Rings(Rings {
            groups: 1,
            sd: 1.0,
            radius: 1.0,
        }));
    }

    /// The mean distance is (1+2+3+4)/4 and its mean square 7.5 + sd², each within 5 standard errors (false-alarm rate
    /// over seeds about 1e-6; the seed is fixed).
    #[test]
    fn distances_have_the_moments_of_the_mixture() {
        let count = 100_000;
        let points = Rings::default().sample(&NoiseKey::new(3, Stream::DataBatch, 0), count);
        let distances = points.iter().map(|x| f64::from(x[0].hypot(x[1])));
        let (mut first, mut second, mut fourth) = (0.0, 0.0, 0.0);
        for distance in distances {
            first += distance / count as f64;
            second += distance.powi(2) / count as f64;
            fourth += distance.powi(4) / count as f64;
        }
        let standard_error = |variance: f64| (variance / count as f64).sqrt();
        assert!((first - 2.5).abs() < 5.0 * standard_error(second - first * first));
        assert!((second - 7.5 - 0.0225).abs() < 5.0 * standard_error(fourth - second * second));
    }
}
