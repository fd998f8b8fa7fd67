//! A Gaussian with independent elements: a density whose normaliser is known, to begin annealing at.

use ebm_core::{NoiseKey, StateShape, States};

use crate::LangevinError;

/// N(mean, diag(deviation²)) over states.
#[derive(Debug, Clone, PartialEq)]
pub struct GaussianBase {
    shape: StateShape,
    means: Vec<f64>,
    deviations: Vec<f64>,
}

impl GaussianBase {
    /// A Gaussian with one mean and one standard deviation > 0 for each element of a state.
    ///
    /// # Errors
    /// [`LangevinError::Base`] for numbers that do not fit the shape, are not finite, or deviations ≤ 0.
    pub fn new(
        shape: impl Into<StateShape>,
        means: Vec<f64>,
        deviations: Vec<f64>,
    ) -> Result<Self, LangevinError> {
        let shape = shape.into();
        let problem = if means.len() != shape.size() || deviations.len() != shape.size() {
            format!(
                "it has {} means and {} deviations for states of {} elements",
                means.len(),
                deviations.len(),
                shape.size()
            )
        } else if !means.iter().all(|mean| mean.is_finite()) {
            "its means are not all finite".to_owned()
        } else if !deviations.iter().all(|d| *d > 0.0 && d.is_finite()) {
            "its deviations are not all finite and > 0".to_owned()
        } else {
            return Ok(Self {
                shape,
                means,
                deviations,
            });
        };
        Err(LangevinError::Base(problem))
    }

    /// Mean and standard deviation of each element of `data`; deviations below `least` become `least`, so that pixels
    /// that never change do not make the Gaussian singular.
    ///
    /// # Errors
    /// [`LangevinError::Base`] for no data, or values that are not finite.
    pub fn fitted(data: &States, least: f64) -> Result<Self, LangevinError> {
        if data.is_empty() {
            return Err(LangevinError::Base("there are no data to fit it to".into()));
        }
        let count = data.len() as f64;
        let length = data.shape().size();
        let mut means = vec![0.0; length];
        for state in data.iter() {
            for (mean, x) in means.iter_mut().zip(state) {
                *mean += f64::from(*x) / count;
            }
        }
        let mut squares = vec![0.0; length];
        for state in data.iter() {
            for ((square, mean), x) in squares.iter_mut().zip(&means).zip(state) {
                *square += (f64::from(*x) - mean).powi(2) / count;
            }
        }
        // NaN stays, and is refused.
        let deviation = |square: f64| match square.sqrt() {
            small if small < least => least,
            deviation => deviation,
        };
        let deviations = squares.into_iter().map(deviation).collect();
        Self::new(data.shape(), means, deviations)
    }

    /// The shape of a state.
    #[must_use]
    pub fn shape(&self) -> StateShape {
        self.shape
    }

    /// Standard deviations of the elements.
    #[must_use]
    pub fn deviations(&self) -> &[f64] {
        &self.deviations
    }

    /// log ∫ exp(−U₀) = Σ log(σᵢ√2π), in nats, for the [potential](Self::potential) U₀ without its constant.
    #[must_use]
    pub fn log_partition(&self) -> f64 {
        let half_log = 0.5 * (2.0 * std::f64::consts::PI).ln();
        self.deviations.iter().map(|d| d.ln() + half_log).sum()
    }

    /// U₀ = Σ (xᵢ − μᵢ)²/2σᵢ² of each state, in nats.
    #[must_use]
    pub fn potential(&self, states: &States) -> Vec<f64> {
        let of_state = |state: &[f32]| {
            let elements = state.iter().zip(&self.means).zip(&self.deviations);
            elements
                .map(|((x, mean), d)| 0.5 * ((f64::from(*x) - mean) / d).powi(2))
                .sum()
        };
        states.iter().map(of_state).collect()
    }

    /// ∇U₀, of the shape of the states.
    #[must_use]
    pub fn gradient(&self, states: &States) -> Vec<f64> {
        let of_state = |state: &'_ [f32]| {
            let elements = state.iter().zip(&self.means).zip(&self.deviations);
            let slopes = elements.map(|((x, mean), d)| (f64::from(*x) - mean) / (d * d));
            slopes.collect::<Vec<_>>()
        };
        states.iter().flat_map(of_state).collect()
    }

    /// `count` independent states.
    ///
    /// # Errors
    /// None that can occur.
    pub fn draw(&self, count: usize, noise: NoiseKey) -> Result<States, LangevinError> {
        let length = self.shape.size();
        let mut values = vec![0.0f32; count * length];
        noise.normals(0, 0, length, &mut values);
        for state in values.chunks_exact_mut(length.max(1)) {
            for ((x, mean), d) in state.iter_mut().zip(&self.means).zip(&self.deviations) {
                *x = (mean + d * f64::from(*x)) as f32;
            }
        }
        Ok(States::new(self.shape, values)?)
    }
}
