//! Stabilisers of earlier work, all off by default: arXiv 1903.12370 learns without any.

mod gradient;
mod spectral;

use ebm_langevin::{Bound, Ula};
use serde::{Deserialize, Serialize};

pub(crate) use gradient::adjusted;
pub(crate) use spectral::project;

use crate::TrainerError;
use crate::config::positive;

/// Which stabilisers of earlier work are added to plain maximum likelihood, each off where it is `None`.
///
/// Whatever concerns the loss is in units of F, as in the works it comes from: as if the loss were mean F(x⁺) − mean
/// F(x⁻) = T·d instead of d, with T = ε²/2. So values from the literature need no conversion by T. Their effect still
/// depends on ε, because the F that describes the same data grows with T. In each iteration the gradient of the loss
/// with its penalty is clipped, then weight decay is added, then the optimiser steps, then the weights are projected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Stabilisers {
    /// α of the energy penalty α·(mean F(x⁺)² + mean F(x⁻)²) in the loss, in units of 1/F. Its gradient moves
    /// parameters only; the chains run on F. The d of the metrics is without it. Du and Mordatch, "Implicit
    /// generation and modeling with energy based models" (arXiv 1903.08689), with α = 1 in their code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub energy_penalty: Option<f64>,
    /// The largest 2-norm of the gradient of the loss over all parameters together; a longer one is scaled down to
    /// it. Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks" (arXiv 1211.5063).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parameter_gradient_clip: Option<f64>,
    /// λ of L2 weight decay: λθ is added to the gradient of the loss, for every parameter, before Adam's moments or the
    /// descent see it. This is the coupled form, PyTorch's `weight_decay` of `Adam` and `SGD`, not AdamW's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
    /// c, the largest singular value σ(W) that a weight may have, for every parameter of two or more axes that is
    /// learned: W ← W / max(1, σ(W)/c) after every update, and once before the first. This is the projection of Gouk
    /// and others ("Regularisation of neural networks by enforcing Lipschitz continuity", arXiv 1804.04368), not
    /// spectral normalisation, which divides by σ(W) whatever it is, inside the net. A convolution kernel counts as
    /// the matrix `[first axis, all others]`, as in spectral normalisation (Miyato and others, arXiv 1802.05957) but
    /// with its exact σ; Gouk and others take the norm of the convolution itself. A convolution of stride 1 with
    /// kernels of k×k stretches its input by at most k·σ(W).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spectral_norm_bound: Option<f64>,
    /// The bound of the elements of ∇F(X) in a Langevin step: [`Ula::with_gradient_clip`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub langevin_gradient_clip: Option<Bound>,
    /// The bound of the elements of X after a Langevin step: [`Ula::with_state_clamp`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state_clamp: Option<Bound>,
}

impl Stabilisers {
    /// Whether all are off: the plain method.
    #[must_use]
    pub fn is_plain(&self) -> bool {
        *self == Self::default()
    }

    /// `kernel` with the bounds that these settings give a step.
    #[must_use]
    pub fn bounded(&self, kernel: Ula) -> Ula {
        kernel
            .with_gradient_clip(self.langevin_gradient_clip)
            .with_state_clamp(self.state_clamp)
    }

    /// Whether [`Self::bounded`] gives a step bounds.
    #[must_use]
    pub fn bounds_steps(&self) -> bool {
        self.langevin_gradient_clip.is_some() || self.state_clamp.is_some()
    }

    pub(crate) fn validate(&self) -> Result<(), TrainerError> {
        for (key, value) in [
            ("stabilisers.energy_penalty", self.energy_penalty),
            (
                "stabilisers.parameter_gradient_clip",
                self.parameter_gradient_clip,
            ),
            ("stabilisers.weight_decay", self.weight_decay),
            ("stabilisers.spectral_norm_bound", self.spectral_norm_bound),
        ] {
            value.map_or(Ok(()), |value| positive(key, value))?;
        }
        Ok(())
    }
}
