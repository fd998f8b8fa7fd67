//! eˣ, the sigmoid and the softmax on vectors.

#![allow(unsafe_code)]

use pulp::Simd;

use crate::vector::{check, load, store};

/// eˣ to a few units in the last place, without branches: 2ⁿ times the Taylor polynomial of the rest, |rest| ≤ ½ ln 2.
#[inline(always)]
pub(crate) fn exp<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    const ROUND: f32 = 12_582_912.0; // 1.5 · 2²³: adding and subtracting it rounds to an integer.
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    const SERIES: [f32; 7] = [
        1.0 / 720.0,
        1.0 / 120.0,
        1.0 / 24.0,
        1.0 / 6.0,
        0.5,
        1.0,
        1.0,
    ];
    let splat = |value: f32| simd.splat_f32s(value);
    // Below the smallest normal number the result is 0 to any use here; a NaN passes through both comparisons.
    let (low, high) = (splat(-87.0), splat(88.0));
    let x = simd.select_f32s(simd.less_than_f32s(x, low), low, x);
    let x = simd.select_f32s(simd.greater_than_f32s(x, high), high, x);
    let shifted = simd.mul_add_e_f32s(x, splat(std::f32::consts::LOG2_E), splat(ROUND));
    let power = simd.sub_f32s(shifted, splat(ROUND));
    let rest = simd.mul_add_e_f32s(power, splat(-LN_2_HIGH), x);
    let rest = simd.mul_add_e_f32s(power, splat(-LN_2_LOW), rest);
    let mut series = splat(1.0 / 5_040.0);
    for term in SERIES {
        series = simd.mul_add_e_f32s(series, rest, splat(term));
    }
    // The low bits of the shifted sum are the integer; moved to the exponent they are 2ⁿ.
    let offset = simd.splat_u32s(127u32.wrapping_sub(ROUND.to_bits()));
    let exponent = simd.add_u32s(simd.transmute_u32s_f32s(shifted), offset);
    let power = simd.wrapping_dyn_shl_u32s(exponent, simd.splat_u32s(23));
    simd.mul_f32s(series, simd.transmute_f32s_u32s(power))
}

/// 1 / (1 + e⁻ˣ).
#[inline(always)]
pub(crate) fn sigmoid<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let one = simd.splat_f32s(1.0);
    simd.div_f32s(one, simd.add_f32s(one, exp(simd, simd.neg_f32s(x))))
}

/// The softmax over a row of vectors, lane by lane, in place.
#[inline(always)]
pub(crate) fn softmax<S: Simd>(simd: S, row: &mut [f32]) {
    let length = row.len();
    check(length > 0 && length.is_multiple_of(S::F32_LANES));
    // SAFETY: the row was checked to be whole vectors.
    let mut peak = unsafe { load::<S>(row, 0) };
    for at in (0..length).step_by(S::F32_LANES) {
        // SAFETY: the row was checked to be whole vectors.
        let value = unsafe { load::<S>(row, at) };
        peak = simd.select_f32s(simd.greater_than_f32s(value, peak), value, peak);
    }
    let mut total = simd.splat_f32s(0.0);
    for at in (0..length).step_by(S::F32_LANES) {
        // SAFETY: the row was checked to be whole vectors.
        let value = exp(simd, simd.sub_f32s(unsafe { load::<S>(row, at) }, peak));
        unsafe { store::<S>(row, at, value) };
        total = simd.add_f32s(total, value);
    }
    let factor = simd.div_f32s(simd.splat_f32s(1.0), total);
    for at in (0..length).step_by(S::F32_LANES) {
        // SAFETY: the row was checked to be whole vectors.
        let value = unsafe { load::<S>(row, at) };
        unsafe { store::<S>(row, at, simd.mul_f32s(value, factor)) };
    }
}

/// gradient ← p ∘ (gradient − Σ p gradient), the softmax's transpose, for rows as in [`softmax`].
#[inline(always)]
pub(crate) fn softmax_backward<S: Simd>(simd: S, gradient: &mut [f32], weights: &[f32]) {
    let length = gradient.len().min(weights.len());
    check(length.is_multiple_of(S::F32_LANES));
    let mut total = simd.splat_f32s(0.0);
    for at in (0..length).step_by(S::F32_LANES) {
        // SAFETY: the row was checked to be whole vectors.
        total = simd.mul_add_e_f32s(
            unsafe { load::<S>(gradient, at) },
            unsafe { load::<S>(weights, at) },
            total,
        );
    }
    for at in (0..length).step_by(S::F32_LANES) {
        // SAFETY: the row was checked to be whole vectors.
        let centred = simd.sub_f32s(unsafe { load::<S>(gradient, at) }, total);
        unsafe { store::<S>(gradient, at, simd.mul_f32s(load::<S>(weights, at), centred)) };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scalar(x: f32) -> f32 {
        exp(pulp::Scalar::new(), x)
    }

    proptest! {
        /// Against the C library in f64, to 4e-7 relative (a few units in the last place).
        #[test]
        fn exp_matches_double_precision(x in -87.0f32..88.0) {
            let exact = f64::from(x).exp();
            prop_assert!((f64::from(scalar(x)) / exact - 1.0).abs() < 4e-7, "e^{x}");
        }
    }

    #[test]
    fn exp_is_finite_far_out_and_passes_nan_on() {
        assert!(scalar(-1e30) < 1e-37 && scalar(1e30).is_finite() && scalar(f32::NAN).is_nan());
        assert_eq!(scalar(0.0), 1.0);
    }
}
