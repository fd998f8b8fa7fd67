//! Attraction–diffusion: chains in a magnetised landscape, each drawn to a state of its own.

#[cfg(feature = "burn")]
use burn::tensor::{Tensor, backend::Backend};
use ebm_core::{NoiseKey, States, StepSize, Temperature};

use crate::{LangevinError, Ula};

/// The smallest distance by which the offset is divided. At the target, where the offset is 0, the pull is thus 0 and
/// not 0/0.
pub const NO_DISTANCE: f32 = 1e-20;

/// Langevin dynamics on the magnetised potential F(X)/T + α‖X − X*‖₂ of a chain with the target X* (Hill, Nijkamp and
/// Zhu, "Building a telescope to look into high-dimensional image spaces", arXiv 1803.01043, section 3): X ← X −
/// (ε²/2)(∇F(X)/T + α (X − X*)/‖X − X*‖₂) + εZ, Z ~ N(0, I).
///
/// The pull has the same size α everywhere, so without noise a chain cannot climb a slope of U = F/T steeper than α
/// nats per unit of distance: whether it arrives says how steep the path is. At X* itself there is no pull. With ε = 0
/// the step is, as for [`Ula`], descent of the magnetised F: X ← X − ∇F(X) − αT (X − X*)/‖X − X*‖₂.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Attraction {
    ula: Ula,
    strength: f64,
    pull: f64,
}

impl Attraction {
    /// Steps of size ε on F/T, with a pull of α nats per unit of distance.
    ///
    /// # Errors
    /// [`LangevinError::AttractionStrength`] unless α ≥ 0 and αT, the pull in units of F, is less than 1e15.
    pub fn new(
        step_size: StepSize,
        temperature: Temperature,
        strength: f64,
    ) -> Result<Self, LangevinError> {
        /// Single precision holds more than this times the reciprocal of [`NO_DISTANCE`].
        const STRONGEST: f64 = 1e15;

        if !(strength >= 0.0 && strength * temperature.get() < STRONGEST) {
            return Err(LangevinError::AttractionStrength(strength));
        }
        Ok(Self {
            ula: Ula::new(step_size, temperature),
            strength,
            pull: strength * temperature.get(),
        })
    }

    /// α, in nats per unit of distance.
    #[must_use]
    pub fn strength(&self) -> f64 {
        self.strength
    }

    /// The Langevin step, for the gradient of the magnetised F.
    #[must_use]
    pub fn ula(&self) -> Ula {
        self.ula
    }

    /// αT, the pull in units of F: the magnetised F is F(X) + αT‖X − X*‖₂.
    #[must_use]
    pub fn pull(&self) -> f64 {
        self.pull
    }

    /// ∇F of the magnetised F, from ∇F, X − X* and ‖X − X*‖₂; shapes `[chains, channels, height, width]` and
    /// `[chains]`.
    #[cfg(feature = "burn")]
    pub(crate) fn gradient<B: Backend>(
        &self,
        gradient: Tensor<B, 4>,
        offset: Tensor<B, 4>,
        distance: Tensor<B, 1>,
    ) -> Tensor<B, 4> {
        let chains = distance.dims()[0];
        let factor = distance.clamp_min(NO_DISTANCE).recip() * self.pull;
        gradient + offset * factor.reshape([chains, 1, 1, 1])
    }
}

/// The conditions under which a chain's path ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ArrivalRule {
    /// δ: a chain has arrived when ‖X − X*‖₂ ≤ δ.
    pub resolution: f64,
    /// M: a chain gives up when its distance has not fallen below the smallest one for this number of steps.
    pub patience: u64,
}

/// How a path ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PathEnd {
    /// Within δ of the target.
    Arrived,
    /// It came no nearer for M steps, or F or the distance is not a number.
    GaveUp,
}

/// The record of a chain's path to its target. An engine looks at the state before every step. A path that is walked in
/// pieces keeps one record.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttractionPath {
    /// The highest F so far, until the end of the path.
    pub highest_energy: f32,
    /// The smallest ‖X − X*‖₂ so far.
    pub nearest: f32,
    /// The number of steps after which it was reached.
    pub nearest_step: u64,
    /// Steps that were begun or, once the path has ended, its length.
    pub steps: u64,
    /// Whether and how the path has ended. From then on nothing changes here, while the chain walks on.
    pub end: Option<PathEnd>,
}

impl Default for AttractionPath {
    fn default() -> Self {
        Self {
            highest_energy: f32::NEG_INFINITY,
            nearest: f32::INFINITY,
            nearest_step: 0,
            steps: 0,
            end: None,
        }
    }
}

impl AttractionPath {
    /// Records a state of the path: its F and ‖X − X*‖₂.
    pub fn observe(&mut self, rule: ArrivalRule, energy: f32, distance: f32) {
        if self.end.is_some() {
            return;
        }
        if !energy.is_finite() || !distance.is_finite() {
            self.end = Some(PathEnd::GaveUp);
            return;
        }
        self.highest_energy = self.highest_energy.max(energy);
        if distance < self.nearest {
            self.nearest = distance;
            self.nearest_step = self.steps;
        }
        if f64::from(distance) <= rule.resolution {
            self.end = Some(PathEnd::Arrived);
        } else if self.steps - self.nearest_step >= rule.patience {
            self.end = Some(PathEnd::GaveUp);
        } else {
            self.steps += 1;
        }
    }
}

/// A number of steps of attracted chains.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AttractionRun {
    /// The kernel.
    pub kernel: Attraction,
    /// When paths end.
    pub rule: ArrivalRule,
    /// How many steps.
    pub steps: u64,
    /// The number of the first step in the noise stream, as in [`crate::ChainRun`].
    pub first_step: u64,
    /// Where the noise comes from.
    pub noise: NoiseKey,
}

/// Checks that there is a target and a path for each chain.
///
/// # Errors
/// [`LangevinError::Targets`] otherwise.
pub fn check_targets(states: &States, targets: &States, paths: usize) -> Result<(), LangevinError> {
    let is_same = states.shape() == targets.shape() && states.len() == targets.len();
    if is_same && states.len() == paths {
        return Ok(());
    }
    let shape = |of: &States| of.shape().batch(of.len());
    Err(LangevinError::Targets {
        states: shape(states),
        targets: shape(targets),
        paths,
    })
}
