//! Descent from states to local minima of U, without noise.

use ebm_core::{StateShape, States};
use serde::{Deserialize, Serialize};

use crate::{LandscapeError, Surface};

/// Gradient descent that only ever goes down: a step of a state is taken if U falls by at least a quarter of what the
/// slope promises, and then the next one is longer; otherwise it is tried again at half the length. A step may pass
/// over a ridge that is narrower than itself, so the first one should suit the energy.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Descent {
    /// The factor of ∇F in the first step. 1 suits a net that was trained with noise ε, whose Langevin steps have it
    /// too.
    pub first_factor: f64,
    /// A state is at rest when a window of evaluations, steps among them, lowered U by less than this, in nats.
    /// Engines compute F in single precision, so U = F/T has steps of about 1e-7·|F|/T itself.
    pub tolerance: f64,
    /// Evaluations of a window.
    pub window: u64,
    /// The largest number of evaluations. A state that is not at rest by then is returned as it is and marked.
    pub most_evaluations: u64,
}

impl Default for Descent {
    fn default() -> Self {
        Self {
            first_factor: 1.0,
            tolerance: 1e-3,
            window: 50,
            most_evaluations: 5000,
        }
    }
}

/// The end of a descent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Minimum {
    /// The number of the state where the descent began.
    pub origin: usize,
    /// U in nats.
    pub energy: f64,
    /// Whether it came to rest before the last evaluation.
    pub is_at_rest: bool,
    /// The state.
    pub state: Vec<f32>,
}

/// A state that descends.
struct Descending {
    minimum: Minimum,
    slope: Vec<f32>,
    factor: f64,
    /// U at the start of the window.
    before: f64,
    /// Whether since then a step was taken, or became too short to change the state.
    has_settled: bool,
}

impl Descent {
    /// Takes all states down at once. States whose U or ∇F is not finite are left out of the result, which is sorted
    /// by energy, the lowest first; `origin` is the number of the state from which each came.
    ///
    /// # Errors
    /// [`LandscapeError::Setting`], [`LandscapeError::States`], and the engine's.
    pub fn run(
        &self,
        surface: &Surface<'_>,
        states: &States,
    ) -> Result<Vec<Minimum>, LandscapeError> {
        self.check()?;
        let (energies, slopes) = surface.energies_and_slopes(states)?;
        let mut descents: Vec<Descending> = energies
            .into_iter()
            .zip(states)
            .zip(&slopes)
            .enumerate()
            .map(|(origin, ((energy, state), slope))| Descending {
                minimum: Minimum {
                    origin,
                    energy,
                    is_at_rest: false,
                    state: state.to_vec(),
                },
                slope: slope.to_vec(),
                factor: self.first_factor,
                before: energy,
                has_settled: false,
            })
            .filter(|descent| descent.minimum.energy.is_finite() && is_finite(&descent.slope))
            .collect();
        for evaluation in 1..=self.most_evaluations {
            let mut moving: Vec<&mut Descending> = descents
                .iter_mut()
                .filter(|descent| !descent.minimum.is_at_rest)
                .collect();
            if moving.is_empty() {
                break;
            }
            let trials: Vec<f32> = moving.iter().flat_map(|descent| descent.trial()).collect();
            let trials = States::new(surface.shape(), trials)?;
            let (energies, slopes) = surface.energies_and_slopes(&trials)?;
            let places = trials.iter().zip(&slopes);
            for ((descent, energy), (state, slope)) in moving.iter_mut().zip(energies).zip(places) {
                descent.consider(state, energy, slope, surface.temperature().get());
                if evaluation.is_multiple_of(self.window) {
                    // Otherwise the search for the length of the step still goes on.
                    descent.minimum.is_at_rest = descent.has_settled
                        && descent.before - descent.minimum.energy < self.tolerance;
                    (descent.before, descent.has_settled) = (descent.minimum.energy, false);
                }
            }
        }
        let mut minima: Vec<Minimum> = descents
            .into_iter()
            .map(|descent| descent.minimum)
            .collect();
        minima.sort_by(|a, b| a.energy.total_cmp(&b.energy).then(a.origin.cmp(&b.origin)));
        Ok(minima)
    }

    fn check(&self) -> Result<(), LandscapeError> {
        let name = "the first factor of the descent";
        LandscapeError::unless_positive(name, self.first_factor)?;
        LandscapeError::unless_positive("the tolerance of the descent", self.tolerance)?;
        if self.window == 0 {
            return Err(LandscapeError::setting(
                "the window of the descent",
                0,
                "must be at least 1 evaluation",
            ));
        }
        Ok(())
    }
}

impl Minimum {
    /// The states of minima.
    ///
    /// # Errors
    /// [`LandscapeError::States`] when they are not of this shape.
    pub fn states(shape: impl Into<StateShape>, minima: &[Self]) -> Result<States, LandscapeError> {
        let mut states = States::none(shape);
        for minimum in minima {
            states.push(&minimum.state)?;
        }
        Ok(states)
    }
}

impl Descending {
    fn trial(&self) -> impl Iterator<Item = f32> {
        let factor = self.factor as f32;
        let places = self.minimum.state.iter().zip(&self.slope);
        places.map(move |(x, slope)| x - factor * slope)
    }

    fn consider(&mut self, state: &[f32], energy: f64, slope: &[f32], temperature: f64) {
        /// A step must lower U by at least this share of what the slope promises (Armijo's rule).
        const SHARE: f64 = 0.25;

        let square: f64 = self
            .slope
            .iter()
            .map(|s| f64::from(*s) * f64::from(*s))
            .sum();
        let least = SHARE * self.factor * square / temperature;
        let falls = energy < self.minimum.energy && self.minimum.energy - energy >= least;
        if falls && energy.is_finite() && is_finite(slope) {
            self.has_settled = true;
            self.minimum.state.copy_from_slice(state);
            self.minimum.energy = energy;
            self.slope.copy_from_slice(slope);
            self.factor *= 1.3;
        } else {
            self.has_settled |= state == self.minimum.state;
            self.factor *= 0.5;
        }
    }
}

fn is_finite(values: &[f32]) -> bool {
    values.iter().all(|value| value.is_finite())
}
