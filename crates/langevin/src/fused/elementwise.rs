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
    let pairs = gradient.iter_mut().zip(input);
    match kind {
        Activation::LeakyRelu { slope } => arch.dispatch(
            #[inline(always)]
            || pairs.for_each(|(g, &x)| *g *= if x > 0.0 { 1.0 } else { slope }),
        ),
        Activation::Silu => arch.dispatch(
            #[inline(always)]
            || {
                pairs.for_each(|(g, &x)| {
                    let gate = sigmoid(x);
                    *g *= gate * (1.0 + x * (1.0 - gate));
                });
            },
        ),
        Activation::Elu { alpha } => arch.dispatch(
            #[inline(always)]
            || pairs.for_each(|(g, &x)| *g *= if x > 0.0 { 1.0 } else { alpha * exp(x) }),
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

/// Maximum over windows of `size`: `[channels][height][width][lanes]` → the same with sides divided.
pub(crate) fn max_pool(
    arch: Arch,
    [channels, height, width]: [usize; 3],
    size: usize,
    lanes: usize,
    input: &[f32],
    output: &mut [f32],
) {
    let [rows, columns] = [height / size, width / size];
    arch.dispatch(
        #[inline(always)]
        || {
            for (pixel, peak) in output
                .chunks_exact_mut(lanes)
                .take(channels * rows * columns)
                .enumerate()
            {
                let corner = window_corner(pixel, rows, columns, height, width, size);
                peak.copy_from_slice(&input[corner * lanes..][..lanes]);
                for place in 1..size * size {
                    let at = corner + place / size * width + place % size;
                    for (peak, &value) in peak.iter_mut().zip(&input[at * lanes..][..lanes]) {
                        *peak = if value > *peak { value } else { *peak };
                    }
                }
            }
        },
    );
}

/// The gradient of [`max_pool`]: it goes to the first place of the window that holds the maximum.
#[allow(clippy::too_many_arguments)] // Two images before and two after.
pub(crate) fn max_pool_backward(
    arch: Arch,
    [channels, height, width]: [usize; 3],
    size: usize,
    lanes: usize,
    input: &[f32],
    output: &[f32],
    gradient: &[f32],
    input_gradient: &mut [f32],
) {
    let [rows, columns] = [height / size, width / size];
    if height % size != 0 || width % size != 0 {
        input_gradient[..channels * height * width * lanes].fill(0.0);
    }
    arch.dispatch(
        #[inline(always)]
        || {
            let mut rest = vec![0.0f32; lanes];
            for pixel in 0..channels * rows * columns {
                let corner = window_corner(pixel, rows, columns, height, width, size);
                let peak = &output[pixel * lanes..][..lanes];
                rest.copy_from_slice(&gradient[pixel * lanes..][..lanes]);
                for place in 0..size * size {
                    let at = (corner + place / size * width + place % size) * lanes;
                    let values = &input[at..][..lanes];
                    let outs = &mut input_gradient[at..][..lanes];
                    for (((out, &value), &peak), rest) in
                        outs.iter_mut().zip(values).zip(peak).zip(rest.iter_mut())
                    {
                        let is_peak = value == peak;
                        *out = if is_peak { *rest } else { 0.0 };
                        *rest = if is_peak { 0.0 } else { *rest };
                    }
                }
            }
        },
    );
}

#[inline(always)]
fn window_corner(
    pixel: usize,
    rows: usize,
    columns: usize,
    height: usize,
    width: usize,
    size: usize,
) -> usize {
    let [channel, row, column] = [
        pixel / (rows * columns),
        pixel / columns % rows,
        pixel % columns,
    ];
    (channel * height + row * size) * width + column * size
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
