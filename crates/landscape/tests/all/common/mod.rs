//! Energies whose minima and saddles are known, as tensors and in f64.
#![allow(missing_docs, unreachable_pub, dead_code, clippy::unwrap_used)]

use burn::backend::{Autodiff, Flex};
use burn::tensor::{Tensor, TensorData, activation::log_softmax, backend::Backend};
use ebm_core::{Energy, NoiseKey, States, StepSize, Stream, Temperature};
use ebm_landscape::{Descent, Diffusion, Grouping, Minimum, Surface};
use ebm_langevin::{Chains, TensorChains, TensorEngine};

pub type B = Autodiff<Flex>;
pub fn bound<E: Energy<B> + Sync>(energy: &E, dimensions: usize) -> TensorChains<B, &E> {
    TensorEngine::default().bind(energy, dimensions, &Default::default())
}

pub fn surface(chains: &dyn Chains) -> Surface<'_> {
    Surface::new(chains, Temperature::ONE)
}

/// Points of the plane, or of `dimensions`.
pub fn states(dimensions: usize, values: &[f32]) -> States {
    States::new(dimensions, values.to_vec()).unwrap()
}

/// U = −log Σ w_k exp(−|x − c_k|²/2s²).
pub struct Mixture {
    pub centres: Vec<Vec<f64>>,
    pub weights: Vec<f64>,
    pub sd: f64,
}

impl Mixture {
    pub fn dimensions(&self) -> usize {
        self.centres[0].len()
    }

    fn logits(&self, x: &[f64]) -> Vec<f64> {
        let logit = |(centre, weight): (&Vec<f64>, &f64)| {
            let square: f64 = x.iter().zip(centre).map(|(x, c)| (x - c) * (x - c)).sum();
            weight.ln() - square / (2.0 * self.sd * self.sd)
        };
        self.centres.iter().zip(&self.weights).map(logit).collect()
    }

    pub fn potential(&self, x: &[f64]) -> f64 {
        let logits = self.logits(x);
        let top = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        -top - logits.iter().map(|l| (l - top).exp()).sum::<f64>().ln()
    }

    fn shares(&self, x: &[f64]) -> Vec<f64> {
        let bottom = self.potential(x);
        self.logits(x).iter().map(|l| (l + bottom).exp()).collect()
    }

    pub fn gradient(&self, x: &[f64]) -> Vec<f64> {
        let shares = self.shares(x);
        let slope = |axis: usize| {
            let pull = |(share, centre): (&f64, &Vec<f64>)| share * (x[axis] - centre[axis]);
            shares.iter().zip(&self.centres).map(pull).sum::<f64>() / (self.sd * self.sd)
        };
        (0..x.len()).map(slope).collect()
    }

    /// Second derivatives in the plane, by central differences of the gradient.
    fn curvature(&self, x: &[f64; 2]) -> [[f64; 2]; 2] {
        let step = 1e-5;
        std::array::from_fn(|axis| {
            let (mut up, mut down) = (*x, *x);
            up[axis] += step;
            down[axis] -= step;
            let (up, down) = (self.gradient(&up), self.gradient(&down));
            std::array::from_fn(|other| (up[other] - down[other]) / (2.0 * step))
        })
    }

    /// Newton's method for ∇U = 0 in the plane: the point, and whether it is a saddle.
    pub fn stationary_point(&self, start: [f64; 2]) -> ([f64; 2], bool) {
        let mut x = start;
        for _ in 0..100 {
            let slope = self.gradient(&x);
            let [[a, b], [c, d]] = self.curvature(&x);
            let determinant = a * d - b * c;
            x[0] -= (d * slope[0] - b * slope[1]) / determinant;
            x[1] -= (a * slope[1] - c * slope[0]) / determinant;
        }
        assert!(self.gradient(&x).iter().all(|slope| slope.abs() < 1e-8));
        let [[a, b], [c, d]] = self.curvature(&x);
        (x, a * d - b * c < 0.0)
    }

    /// The highest point of the straight line between two centres. With other components far away it is the saddle.
    pub fn top_of_line(&self, from: usize, to: usize) -> f64 {
        let at = |share: f64| {
            let (a, b) = (&self.centres[from], &self.centres[to]);
            let x: Vec<f64> = a.iter().zip(b).map(|(a, b)| a + share * (b - a)).collect();
            self.potential(&x)
        };
        (0..=10_000)
            .map(|i| at(f64::from(i) / 1e4))
            .fold(f64::NEG_INFINITY, f64::max)
    }
}

impl<B: Backend> Energy<B> for Mixture {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let x = states.flatten::<2>(1, 3);
        let [chains, dimensions] = x.dims();
        let groups = self.centres.len();
        let device = x.device();
        let values: Vec<f32> = self.centres.iter().flatten().map(|c| *c as f32).collect();
        let centres = TensorData::new(values, [1, groups, dimensions]);
        let weights: Vec<f32> = self.weights.iter().map(|w| w.ln() as f32).collect();
        let weights = Tensor::<B, 2>::from_data(TensorData::new(weights, [1, groups]), &device);
        let offset = x.reshape([chains, 1, dimensions]) - Tensor::from_data(centres, &device);
        let square = offset.powi_scalar(2).sum_dim(2).squeeze_dim::<2>(2);
        let logits = weights - square / (2.0 * self.sd * self.sd);
        // log Σ exp = logit − log softmax, of any component.
        let sum = logits.clone() - log_softmax(logits, 1);
        -sum.narrow(1, 0, 1).squeeze_dim::<1>(1)
    }
}

/// A bowl |x|²/2 with ripples: A Σ (1 − cos k xᵢ).
pub struct Ripples {
    pub height: f64,
    pub wave_number: f64,
}

impl<B: Backend> Energy<B> for Ripples {
    fn energy(&self, states: Tensor<B, 4>) -> Tensor<B, 1> {
        let x = states.flatten::<2>(1, 3);
        let ripples = (x.clone() * self.wave_number).cos() * -self.height + self.height;
        (x.powi_scalar(2) / 2.0 + ripples)
            .sum_dim(1)
            .squeeze_dim::<1>(1)
    }
}

/// Starting points of descents: normal numbers times `spread`.
pub fn scattered(count: usize, dimensions: usize, spread: f32) -> States {
    let mut states = States::zeros(dimensions, count);
    let values = states.values_mut();
    NoiseKey::new(5, Stream::WatchStart, 0).normals(0, 0, dimensions, values);
    values.iter_mut().for_each(|value| *value *= spread);
    states
}

/// Little noise, so that paths stay near the bottom of their valleys.
pub fn quiet(drift: f64, resolution: f64) -> Diffusion {
    let temperature_factor = 0.01;
    Diffusion {
        step_size: StepSize::new((2.0 * drift * temperature_factor).sqrt()).unwrap(),
        temperature_factor,
        resolution,
        patience: 200,
        most_steps: 5000,
        trials: 2,
        batch: 4096,
        seed: 11,
    }
}

/// α for a pull of `slope` nats of U per unit of distance.
pub fn strength(diffusion: &Diffusion, slope: f64) -> f64 {
    slope / diffusion.temperature_factor
}

pub fn minima(surface: &Surface<'_>, starts: &States, first_factor: f64) -> Vec<Minimum> {
    let descent = Descent {
        first_factor,
        tolerance: 1e-6,
        ..Descent::default()
    };
    descent.run(surface, starts).unwrap()
}

pub fn grouped(
    surface: &Surface<'_>,
    minima: &[Minimum],
    diffusion: &Diffusion,
    strength: f64,
) -> Grouping {
    let mut grouping = Grouping::new(minima, strength).unwrap();
    while grouping
        .advance(surface, minima, diffusion, &mut |_| true)
        .unwrap()
    {}
    grouping
}
