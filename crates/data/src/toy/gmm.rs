//! Gaussians on a circle.

use std::f64::consts::TAU;

use ebm_core::{NoiseKey, States};
use serde::{Deserialize, Serialize};

use super::{PlotExtent, draws, log_sum_exp, pick_group};
use crate::error::DataError;

/// A mixture of equally weighted round Gaussians on a circle around the origin, the k-th at angle 2πk/groups.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Gmm {
    /// The number of Gaussians.
    pub groups: usize,
    /// The standard deviation of each along each axis.
    pub sd: f64,
    /// The radius of the circle of means.
    pub radius: f64,
}

impl Default for Gmm {
    fn default() -> Self {
        Self {
            groups: 8,
            sd: 0.15,
            radius: 1.0,
        }
    }
}

impl Gmm {
    /// The normalised log density at `x`, in nats.
    #[must_use]
    pub fn log_density(&self, x: [f64; 2]) -> f64 {
        let variance = self.sd * self.sd;
        let exponents = (0..self.groups).map(|group| {
            let [mean_x, mean_y] = self.mean(group);
            -((x[0] - mean_x).powi(2) + (x[1] - mean_y).powi(2)) / (2.0 * variance)
        });
        log_sum_exp(exponents) - (self.groups as f64 * TAU * variance).ln()
    }

    /// `count` independent points.
    #[must_use]
    pub fn sample(&self, noise: &NoiseKey, count: usize) -> States {
        States::points(draws(noise, count).map(|([choice, _], normals)| {
            let mean = self.mean(pick_group(choice, self.groups));
            [0, 1].map(|axis| (mean[axis] + self.sd * normals[axis]) as f32)
        }))
    }

    /// The square to plot: the circle and four standard deviations.
    #[must_use]
    pub fn plot_extent(&self) -> PlotExtent {
        PlotExtent {
            half_width: self.radius + 4.0 * self.sd,
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
        // Means lie on a circle, so the angle alone decides.
        let turns = x[1].atan2(x[0]) / TAU;
        let nearest = (turns * self.groups as f64).round();
        nearest.rem_euclid(self.groups as f64) as usize
    }

    /// The mean of a Gaussian.
    #[must_use]
    pub fn mean(&self, group: usize) -> [f64; 2] {
        let angle = TAU * group as f64 / self.groups as f64;
        [self.radius * angle.cos(), self.radius * angle.sin()]
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use crate::toy::Toy;
    use crate::toy::testing::{chi_square_of_samples, integral};

    #[test]
    fn one_group_is_a_normal_density() {
        let gmm = Gmm {
            groups: 1,
            sd: 0.5,
            radius: 2.0,
        };
        let x = [2.3, -0.4];
        let expected = -(0.3f64.powi(2) + 0.4f64.powi(2)) / 0.5 - (TAU * 0.25).ln();
        assert!((gmm.log_density(x) - expected).abs() < 1e-12);
    }

    /// At a mean the other Gaussians hardly count (the nearest is 0.765 away, more than five sd), in the middle all
    /// count alike.
    #[test]
    fn the_published_mixture_has_its_closed_form_at_symmetric_points() {
        let gmm = Gmm::default();
        let variance = 0.15f64 * 0.15;
        let at_mean = -(8.0 * TAU * variance).ln();
        let diagonal = 0.5f64.sqrt();
        for mean in [[1.0, 0.0], [0.0, -1.0], [diagonal, diagonal]] {
            assert!((gmm.log_density(mean) - at_mean).abs() < 1e-5);
        }
        let in_the_middle = -1.0 / (2.0 * variance) - (TAU * variance).ln();
        assert!((gmm.log_density([0.0, 0.0]) - in_the_middle).abs() < 1e-12);
        assert!(gmm.log_density([1e9, 1e9]).is_finite());
    }

    #[test]
    fn it_integrates_to_one_over_the_plot() {
        for gmm in [
            Gmm::default(),
            Gmm {
                groups: 3,
                sd: 0.4,
                radius: 0.7,
            },
        ] {
            let mass = integral(&Toy::Gmm(gmm));
            assert!((mass - 1.0).abs() < 1e-3, "{mass}");
        }
    }

    #[test]
    fn samples_follow_the_density() {
        chi_square_of_samples(&Toy::Gmm(Gmm::default()));
        chi_square_of_samples(&Toy::Gmm(Gmm {
            groups: 3,
            sd: 0.4,
            radius: 0.7,
        }));
    }
}
