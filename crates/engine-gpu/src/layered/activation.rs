//! Activations and their derivatives in kernels.

use cubecl::prelude::*;
use ebm_core::Activation;

/// What a kernel is compiled for; the number that goes with it, slope or α, is an argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Curve {
    /// None.
    Identity,
    LeakyRelu,
    Elu,
    Silu,
}

impl Curve {
    /// The curve and its number.
    pub(super) fn of(activation: Option<Activation>) -> (Self, f32) {
        match activation {
            None => (Self::Identity, 1.0),
            Some(Activation::LeakyRelu { slope }) => (Self::LeakyRelu, slope),
            Some(Activation::Elu { alpha }) => (Self::Elu, alpha),
            Some(Activation::Silu) => (Self::Silu, 1.0),
        }
    }

    /// Whether the derivative follows from the activation's output; otherwise its input is kept too.
    pub(super) fn is_invertible(self) -> bool {
        self != Self::Silu
    }
}

/// The activation of `value`.
#[cube]
pub(super) fn activated(value: f32, number: f32, #[comptime] curve: Curve) -> f32 {
    match comptime!(curve) {
        Curve::Identity => value,
        Curve::LeakyRelu => select(value > 0.0, value, value * number),
        Curve::Elu => {
            // Not of large numbers, whose exponential is infinite.
            let curved = number * (f32::exp(f32::min(value, 0.0)) - 1.0);
            select(value > 0.0, value, curved)
        }
        Curve::Silu => value / (1.0 + f32::exp(-value)),
    }
}

/// Its derivative, from what was kept: the output, or for SiLU the input.
#[cube]
pub(super) fn derivative(kept: f32, number: f32, #[comptime] curve: Curve) -> f32 {
    match comptime!(curve) {
        Curve::Identity => 1.0f32.runtime(),
        Curve::LeakyRelu => select(kept > 0.0, 1.0, number),
        Curve::Elu => select(kept > 0.0, 1.0, kept + number),
        Curve::Silu => {
            let sigmoid = 1.0 / (1.0 + f32::exp(-kept));
            sigmoid * (1.0 + kept * (1.0 - sigmoid))
        }
    }
}
