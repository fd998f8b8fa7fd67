//! Two-dimensional densities known in closed form (paper section 4.1).

mod gmm;
mod rings;
#[cfg(test)]
mod testing;

use ebm_core::{NoiseKey, States};

pub use gmm::Gmm;
pub use rings::Rings;

use crate::error::DataError;

/// The square on which a toy density is plotted and normalised: [−half_width, half_width]².
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlotExtent {
    /// Half the side of the square, in the units of the data.
    pub half_width: f64,
}

/// A density over the plane that can be evaluated and sampled exactly.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Toy {
    /// Gaussians on a circle.
    Gmm(Gmm),
    /// Concentric rings.
    Rings(Rings),
}

impl Toy {
    /// The normalised log density at `x`, in nats.
    #[must_use]
    pub fn log_density(&self, x: [f64; 2]) -> f64 {
        match self {
            Self::Gmm(gmm) => gmm.log_density(x),
            Self::Rings(rings) => rings.log_density(x),
        }
    }

    /// `count` independent points.
    #[must_use]
    pub fn sample(&self, noise: &NoiseKey, count: usize) -> States {
        match self {
            Self::Gmm(gmm) => gmm.sample(noise, count),
            Self::Rings(rings) => rings.sample(noise, count),
        }
    }

    /// The square on which the density is plotted; nearly all of its mass lies within.
    #[must_use]
    pub fn plot_extent(&self) -> PlotExtent {
        match self {
            Self::Gmm(gmm) => gmm.plot_extent(),
            Self::Rings(rings) => rings.plot_extent(),
        }
    }

    /// The number of Gaussians or rings.
    #[must_use]
    pub fn groups(&self) -> usize {
        match self {
            Self::Gmm(gmm) => gmm.groups,
            Self::Rings(rings) => rings.groups,
        }
    }

    /// The Gaussian or ring that is nearest to `x`, from 0.
    #[must_use]
    pub fn nearest_group(&self, x: [f64; 2]) -> usize {
        match self {
            Self::Gmm(gmm) => gmm.nearest_group(x),
            Self::Rings(rings) => rings.nearest_group(x),
        }
    }

    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] for a value out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        match self {
            Self::Gmm(gmm) => gmm.validate(),
            Self::Rings(rings) => rings.validate(),
        }
    }
}

/// Evaluating the density costs time in proportion.
const MOST_GROUPS: usize = 1000;

fn validate(groups: usize, sd: f64, radius: f64) -> Result<(), DataError> {
    if !(1..=MOST_GROUPS).contains(&groups) {
        return Err(DataError::Config {
            key: "groups",
            problem: format!("{groups} is not between 1 and {MOST_GROUPS}"),
            fix: "set the number of Gaussians or rings, such as 8 or 4",
        });
    }
    for (key, value) in [("sd", sd), ("radius", radius)] {
        // Beyond these bounds single precision, in which chains run, loses the density.
        if !(1e-6..=1e6).contains(&value) {
            return Err(DataError::Config {
                key,
                problem: format!("{value} is not between 1e-6 and 1e6"),
                fix: "set a positive length, such as 0.15 for \"sd\" or 1 for \"radius\"",
            });
        }
    }
    Ok(())
}

/// Two uniform and two normal numbers for each of `count` points.
fn draws(noise: &NoiseKey, count: usize) -> impl Iterator<Item = ([f64; 2], [f64; 2])> {
    let mut uniforms = vec![0.0; 2 * count];
    let mut normals = vec![0.0; 2 * count];
    noise.uniforms(0, 0, 2, &mut uniforms);
    noise.normals(1, 0, 2, &mut normals);
    (0..count).map(move |index| {
        let pair = |values: &[f32]| [values[2 * index], values[2 * index + 1]].map(f64::from);
        (pair(&uniforms), pair(&normals))
    })
}

/// A group in 0..groups, each equally likely, from a uniform number in [0, 1).
fn pick_group(uniform: f64, groups: usize) -> usize {
    (uniform * groups as f64) as usize
}

/// ln Σ exp(term), without overflow.
fn log_sum_exp(terms: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = terms.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + terms.map(|term| (term - largest).exp()).sum::<f64>().ln()
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn log_sum_exp_does_not_overflow() {
        let sum = |terms: &[f64]| log_sum_exp(terms.iter().copied());
        assert!((sum(&[1000.0, 1000.0]) - (1000.0 + 2f64.ln())).abs() < 1e-12);
        assert_eq!(sum(&[f64::NEG_INFINITY; 2]), f64::NEG_INFINITY);
    }

    #[test]
    fn points_at_a_group_are_nearest_to_it() {
        let (groups, sd, radius) = (5, 0.1, 2.0);
        let gmm = Toy::Gmm(Gmm { groups, sd, radius });
        let rings = Toy::Rings(Rings { groups, sd, radius });
        for group in 0..groups {
            let angle = std::f64::consts::TAU * group as f64 / groups as f64;
            let away = radius * 1.2;
            assert_eq!(
                gmm.nearest_group([away * angle.cos(), away * angle.sin()]),
                group
            );
            let ring = radius * (group as f64 + 0.6);
            assert_eq!(
                rings.nearest_group([ring * angle.cos(), ring * angle.sin()]),
                group
            );
        }
        assert_eq!((gmm.groups(), rings.groups()), (groups, groups));
        // Inside the first ring and outside the last one.
        assert_eq!(rings.nearest_group([0.0, 0.0]), 0);
        assert_eq!(rings.nearest_group([1e9, 0.0]), groups - 1);
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        let broken = [
            (0, 0.1, 1.0, "groups"),
            (1, 0.0, 1.0, "sd"),
            (1, f64::NAN, 1.0, "sd"),
            (4, 0.1, -1.0, "radius"),
        ];
        for (groups, sd, radius, key) in broken {
            for toy in [
                Toy::Gmm(Gmm { groups, sd, radius }),
                Toy::Rings(Rings { groups, sd, radius }),
            ] {
                let error = toy.validate().unwrap_err().to_string();
                assert!(error.contains(&format!("\"{key}\"")), "{error}");
            }
        }
    }
}
