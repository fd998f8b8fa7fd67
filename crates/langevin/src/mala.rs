//! The Metropolis-adjusted Langevin algorithm.

use ebm_core::{StepSize, Temperature};

use crate::{LangevinError, Ula};

/// Langevin proposals with a Metropolis-Hastings decision, which leave p(x) ∝ exp(−F(x)/T) exactly invariant for any ε
/// (Roberts and Tweedie, "Exponential convergence of Langevin distributions and their discrete approximations",
/// Bernoulli 2, 1996).
///
/// The proposal X' = X − (ε²/2T)∇F(X) + εZ, Z ~ N(0, I), is the step of [`Ula`]; it is accepted with probability
/// min(1, exp(−(F(X') − F(X))/T) · q(X|X')/q(X'|X)), where q is the density of the proposal; otherwise the chain stays.
///
/// For a net trained with noise ε₀, T is its own temperature ε₀²/2 ([`StepSize::learned_temperature`]); ε is free,
/// and has to be smaller than ε₀ for proposals to be accepted. [`crate::find_step_size`] looks for it.
///
/// The bounds that [`Ula`] may have do not exist here: with them q would be another density, and the chains no longer
/// exact.
///
/// # Precision
/// Differences of energies, of states and of gradients are taken and summed in f64, but engines compute F in f32. An
/// error of F by n units in its last place is up to n · 2⁻²³ · |F|/T nats of the logarithm of the acceptance ratio.
/// Measured for the vanilla net on 3×32×32 states with ε = 2e-3 and T = 5e-5, against f64: n is about 10 for tensor
/// operations and 35 for the fused engine, in the root mean square, so 0.004 and 0.02 nats at |F| = 0.2, 0.04 and
/// 0.14 at |F| = 1.6, and whole nats where |F| is a hundred. Such errors lower the acceptance rate, because rough
/// energies are harder to follow, but cost no validity: the chain is exact for exp(−F̃/T), F̃ being F as computed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mala {
    proposal: Ula,
    temperature: Temperature,
}

/// The quantities of a proposal X → X' of one chain on which its acceptance depends, all in units of F.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Move {
    /// F(X') − F(X).
    pub energy_change: f64,
    /// (X' − X) · (∇F(X) + ∇F(X')), twice the trapezoidal rule for the same difference.
    pub work: f64,
    /// ‖∇F(X')‖² − ‖∇F(X)‖².
    pub square_change: f64,
}

impl Mala {
    /// Proposals of size ε for the density exp(−F/T).
    ///
    /// # Errors
    /// [`LangevinError::NoStepSize`] for ε = 0: the proposal would have no density.
    pub fn new(step_size: StepSize, temperature: Temperature) -> Result<Self, LangevinError> {
        if step_size.get() == 0.0 {
            return Err(LangevinError::NoStepSize("MALA"));
        }
        Ok(Self {
            proposal: Ula::new(step_size, temperature),
            temperature,
        })
    }

    /// The Langevin step that makes the proposal.
    #[must_use]
    pub fn proposal(&self) -> Ula {
        self.proposal
    }

    /// T.
    #[must_use]
    pub fn temperature(&self) -> Temperature {
        self.temperature
    }

    /// The logarithm of exp(−(F(X') − F(X))/T) · q(X|X')/q(X'|X), in nats.
    ///
    /// With q(X'|X) ∝ exp(−‖X' − X + (ε²/2T)∇F(X)‖²/2ε²) the squares of X' − X cancel, which leaves −(F(X') − F(X) −
    /// ½(X' − X)·(∇F(X) + ∇F(X')))/T − (ε²/8T²)(‖∇F(X')‖² − ‖∇F(X)‖²). The move back has the negative of it, to the
    /// last bit, and it needs no Z: X' counts as it is, rounded.
    #[must_use]
    pub fn log_ratio(&self, to: Move) -> f64 {
        let temperature = self.temperature.get();
        let drift = self.proposal.drift();
        let bend = to.energy_change - 0.5 * to.work;
        // ε²/8T² is the drift over 4T.
        -(bend + 0.25 * drift * to.square_change) / temperature
    }

    /// Whether a move is made, for a `decision` uniform in (0, 1). A ratio that is not a number, as where F is not
    /// one, is a rejection.
    #[must_use]
    pub fn accepts(&self, to: Move, decision: f64) -> bool {
        let log_ratio = self.log_ratio(to);
        // Most decisions do not need the logarithm.
        log_ratio >= 0.0 || decision.ln() <= log_ratio
    }
}
