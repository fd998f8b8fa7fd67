//! Loops over contiguous values that the compiler turns into vector code for the machine at hand.

use ebm_core::Activation;
use pulp::Arch;

/// gradient ← gradient · (1 where the stored leaky ReLU's output is positive, the slope elsewhere).
pub(crate) fn mask(arch: Arch, gradient: &mut [f32], stored: &[f32], slope: f32) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (gradient, stored) in gradient.iter_mut().zip(stored) {
                *gradient *= if *stored > 0.0 { 1.0 } else { slope };
            }
        },
    );
}

/// a ← a + b.
pub(crate) fn add(arch: Arch, a: &mut [f32], b: &[f32]) {
    arch.dispatch(
        #[inline(always)]
        || {
            for (a, b) in a.iter_mut().zip(b) {
                *a += b;
            }
        },
    );
}

/// output ← activation(input).
pub(crate) fn activate(arch: Arch, kind: Activation, input: &[f32], output: &mut [f32]) {
    let pairs = output.iter_mut().zip(input);
    match kind {
        Activation::LeakyRelu { slope } => arch.dispatch(
            #[inline(always)]
            || pairs.for_each(|(y, &x)| *y = if x > 0.0 { x } else { slope * x }),
        ),
        Activation::Silu => arch.dispatch(
            #[inline(always)]
            || pairs.for_each(|(y, &x)| *y = x * sigmoid(x)),
        ),
        Activation::Elu { alpha } => arch.dispatch(
            #[inline(always)]
            || pairs.for_each(|(y, &x)| *y = if x > 0.0 { x } else { alpha * (exp(x) - 1.0) }),
        ),
    }
}

/// gradient ← gradient · activation′(input).
pub(crate) fn activate_backward(arch: Arch, kind: Activation, input: &[f32], gradient: &mut [f32]) {
    match kind {
        Activation::LeakyRelu { slope } => mask(arch, gradient, input, slope),
        Activation::Silu => arch.dispatch(
            #[inline(always)]
            || {
                gradient.iter_mut().zip(input).for_each(|(g, &x)| {
                    let gate = sigmoid(x);
                    *g *= gate * (1.0 + x * (1.0 - gate));
                });
            },
        ),
        Activation::Elu { alpha } => arch.dispatch(
            #[inline(always)]
            || {
                let pairs = gradient.iter_mut().zip(input);
                pairs.for_each(|(g, &x)| *g *= if x > 0.0 { 1.0 } else { alpha * exp(x) });
            },
        ),
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// eˣ to a few units in the last place, without branches: 2ⁿ times the Taylor polynomial of the rest, |rest| ≤ ½ ln 2.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding and subtracting it rounds to an integer.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    // Below the smallest normal number the result is 0 to any use here; a NaN passes through both comparisons.
    let clamped = if x < -87.0 { -87.0 } else { x };
    let clamped = if clamped > 88.0 { 88.0 } else { clamped };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let power = shifted - ROUND;
    let rest = clamped - power * LN_2_HIGH - power * LN_2_LOW;
    let mut series = 1.0 / 5_040.0;
    series = series * rest + 1.0 / 720.0;
    series = series * rest + 1.0 / 120.0;
    series = series * rest + 1.0 / 24.0;
    series = series * rest + 1.0 / 6.0;
    series = series * rest + 0.5;
    series = series * rest + 1.0;
    series = series * rest + 1.0;
    // The low bits of the shifted sum are the integer; moved to the exponent they are 2ⁿ.
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    series * f32::from_bits(exponent.wrapping_add(127) << 23)
}

/// The softmax over `count` rows of `lanes` values each, lane by lane, in place. `scratch` holds 2 · lanes values.
#[inline(always)]
pub(crate) fn softmax(rows: &mut [f32], lanes: usize, scratch: &mut [f32]) {
    let (peak, total) = scratch.split_at_mut(lanes);
    peak.fill(f32::NEG_INFINITY);
    for row in rows.chunks_exact(lanes) {
        for (peak, &value) in peak.iter_mut().zip(row) {
            *peak = if value > *peak { value } else { *peak };
        }
    }
    total.fill(0.0);
    for row in rows.chunks_exact_mut(lanes) {
        for ((value, peak), total) in row.iter_mut().zip(peak.iter()).zip(total.iter_mut()) {
            *value = exp(*value - peak);
            *total += *value;
        }
    }
    for total in total.iter_mut() {
        *total = 1.0 / *total;
    }
    for row in rows.chunks_exact_mut(lanes) {
        for (value, total) in row.iter_mut().zip(total.iter()) {
            *value *= total;
        }
    }
}

/// gradient ← p ∘ (gradient − Σ p gradient), the softmax's transpose, over rows as in [`softmax`].
#[inline(always)]
pub(crate) fn softmax_backward(
    gradient: &mut [f32],
    weights: &[f32],
    lanes: usize,
    scratch: &mut [f32],
) {
    let total = &mut scratch[..lanes];
    total.fill(0.0);
    for (gradient, weights) in gradient
        .chunks_exact(lanes)
        .zip(weights.chunks_exact(lanes))
    {
        for ((total, g), p) in total.iter_mut().zip(gradient).zip(weights) {
            *total += g * p;
        }
    }
    for (gradient, weights) in gradient
        .chunks_exact_mut(lanes)
        .zip(weights.chunks_exact(lanes))
    {
        for ((g, p), total) in gradient.iter_mut().zip(weights).zip(total.iter()) {
            *g = p * (*g - total);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the C library in f64, to 4e-7 relative (a few units in the last place).
        #[test]
        fn exp_matches_double_precision(x in -87.0f32..88.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(exp(x)) / exact - 1.0).abs() < 4e-7, "e^{x}");
        }
    }

    #[test]
    fn exp_is_finite_far_out_and_passes_nan_on() {
        assert!(exp(-1e30) < 1e-37 && exp(1e30).is_finite() && exp(f32::NAN).is_nan());
        assert_eq!(exp(0.0), 1.0);
    }
}
