//! Energies with known densities, for tests and for trying samplers. All are potentials U in nats (temperature 1).

use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{Energy, device_tensor};

/// A Gaussian with independent coordinates of one standard deviation: U = |x − mean|² / (2 sd²), without the constant.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian {
    /// Mean of every coordinate.
    pub mean: f64,
    /// Standard deviation of every coordinate.
    pub standard_deviation: f64,
}

/// Equally wide Gaussians: U = −log Σ_k w_k N(x; c_k, sd² I), normalised, in any dimension.
///
/// # Panics
/// [`Energy::energy`] panics where a centre has another length than the states, or centres and weights differ in number.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianMixture {
    /// Centres, each with as many numbers as a state has elements.
    pub centers: Vec<Vec<f32>>,
    /// Weights, as many as centres; they are normalised.
    pub weights: Vec<f32>,
    /// Standard deviation of every component.
    pub standard_deviation: f64,
}

impl GaussianMixture {
    /// `groups` equal Gaussians on a circle of the given radius, at angles 2πk/groups: the paper's `gmm` with
    /// 8 groups, radius 1 and standard deviation 0.15.
    #[must_use]
    pub fn on_circle(groups: usize, radius: f64, standard_deviation: f64) -> Self {
        let angle = |k: usize| std::f64::consts::TAU * k as f64 / groups as f64;
        Self {
            centers: (0..groups)
                .map(|k| {
                    let (sine, cosine) = angle(k).sin_cos();
                    vec![(radius * cosine) as f32, (radius * sine) as f32]
                })
                .collect(),
            weights: vec![1.0; groups],
            standard_deviation,
        }
    }
}

/// A double well along the first element, U = height · (x₀² − 1)², harmonic in the others, + Σ xᵢ²/2: minima at
/// x₀ = ±1, barrier `height` nats.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoubleWell {
    /// The barrier between the wells, in nats.
    pub height: f64,
}

/// Equally weighted rings of radii spacing · 1..=groups in the plane with a Gaussian radial profile:
/// U = −log Σ_k N(ρ; k·spacing, sd²) / (groups · 2πρ), the paper's `rings` with 4 groups, spacing 1 and sd 0.15.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rings {
    /// How many rings.
    pub groups: usize,
    /// Radius of the innermost ring and distance between rings.
    pub spacing: f64,
    /// Radial standard deviation.
    pub standard_deviation: f64,
}

impl<B: Backend> Energy<B> for Gaussian {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let variance = self.standard_deviation * self.standard_deviation;
        let distances = (states.flatten::<2>(1, 3) - self.mean).powi_scalar(2);
        row_sums(distances) / (2.0 * variance)
    }
}

impl<B: Backend> Energy<B> for GaussianMixture {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let states = states.flatten::<2>(1, 3);
        let dimension = states.dims()[1];
        let device = states.device();
        let variance = self.standard_deviation * self.standard_deviation;
        let total: f32 = self.weights.iter().sum();
        let normaliser = 0.5 * dimension as f64 * (std::f64::consts::TAU * variance).ln();
        let groups = self.centers.len();
        let centers = device_tensor(self.centers.concat(), [1, groups, dimension], &device);
        let logarithms: Vec<f32> = self
            .weights
            .iter()
            .map(|weight| (weight / total).ln() - normaliser as f32)
            .collect();
        let logarithms: Tensor<B, 2> = device_tensor(logarithms, [1, groups], &device);
        let offsets = states.unsqueeze_dim::<3>(1) - centers;
        // [chains, groups]
        let exponents = offsets
            .powi_scalar(2)
            .sum_dim(2)
            .squeeze_dim::<2>(2)
            .div_scalar(-2.0 * variance)
            + logarithms;
        -log_sum_exp(exponents)
    }
}

impl<B: Backend> Energy<B> for DoubleWell {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let states = states.flatten::<2>(1, 3);
        let [chains, elements] = states.dims();
        let first = states.clone().narrow(1, 0, 1).reshape([chains]);
        let well = (first.powi_scalar(2) - 1.0).powi_scalar(2) * self.height;
        if elements == 1 {
            return well;
        }
        well + row_sums(states.narrow(1, 1, elements - 1).powi_scalar(2)) / 2.0
    }
}

impl<B: Backend> Energy<B> for Rings {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let states = states.flatten::<2>(1, 3);
        let device = states.device();
        let variance = self.standard_deviation * self.standard_deviation;
        let normaliser = 0.5 * (std::f64::consts::TAU * variance).ln()
            + (self.groups as f64 * std::f64::consts::TAU).ln();
        let radii: Vec<f32> = (1..=self.groups)
            .map(|ring| (ring as f64 * self.spacing) as f32)
            .collect();
        let radii: Tensor<B, 2> = device_tensor(radii, [1, self.groups], &device);
        // The square root has no derivative at the origin; a density has no need of one point.
        let radius = row_sums(states.powi_scalar(2)).add_scalar(1e-12).sqrt();
        let offsets = radius.clone().unsqueeze_dim::<2>(1) - radii;
        let exponents = offsets.powi_scalar(2).div_scalar(-2.0 * variance);
        -log_sum_exp(exponents) + radius.log() + normaliser
    }
}

fn row_sums<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 1> {
    rows.sum_dim(1).squeeze_dim::<1>(1)
}

/// log Σ exp over each row, without overflow.
fn log_sum_exp<B: Backend>(rows: Tensor<B, 2>) -> Tensor<B, 1> {
    let largest = rows.clone().max_dim(1).detach();
    let sums = (rows - largest.clone()).exp().sum_dim(1).log();
    (sums + largest).squeeze_dim::<1>(1)
}
