//! Uniform words to normal numbers: the Box–Muller transform in branch-free f32 arithmetic.
//!
//! The logarithm and the sine are written out (range reduction and minimax polynomials of Cephes' single-precision
//! coefficients) instead of calling the C library, so that every platform and every engine draws the same numbers,
//! and loops over them become vector code.

use std::f32::consts::{LN_2, TAU};

const TWO_POW_MINUS_32: f32 = 1.0 / 4_294_967_296.0;

/// A word to a number in [0, 1), 24 bits.
#[inline(always)]
pub(crate) fn uniform(word: u32) -> f32 {
    (word >> 8) as f32 * (1.0 / 16_777_216.0)
}

/// Two words to two independent N(0, 1) numbers; the largest possible magnitude is √(2 ln 2³³) ≈ 6.76.
#[inline(always)]
pub(crate) fn normal_pair(word0: u32, word1: u32) -> (f32, f32) {
    // In (0, 1]: small words keep their full precision, which is what the tail of the normal is made of.
    let radius_uniform = word0 as f32 * TWO_POW_MINUS_32 + 0.5 * TWO_POW_MINUS_32;
    let radius = (-2.0 * ln_unit(radius_uniform)).max(0.0).sqrt();
    let (sine, cosine) = sin_cos_turn(word1);
    (radius * cosine, radius * sine)
}

/// ln x for normal x in (0, 1].
#[inline(always)]
fn ln_unit(x: f32) -> f32 {
    // x = 2^exponent · mantissa with mantissa in [√½, √2); 0x3f3504f3 is √½.
    let bits = x.to_bits();
    let shifted = bits.wrapping_sub(0x3f35_04f3);
    let exponent = ((shifted as i32) >> 23) as f32;
    let mantissa = f32::from_bits((shifted & 0x007f_ffff).wrapping_add(0x3f35_04f3));
    let t = mantissa - 1.0;
    let square = t * t;
    let mut series = 7.037_683_6e-2;
    series = series * t - 1.151_461e-1;
    series = series * t + 1.167_699_9e-1;
    series = series * t - 1.242_014_1e-1;
    series = series * t + 1.424_932_3e-1;
    series = series * t - 1.666_805_8e-1;
    series = series * t + 2.000_071_5e-1;
    series = series * t - 2.499_999_4e-1;
    series = series * t + 3.333_333e-1;
    t + (series * t * square - 0.5 * square) + exponent * LN_2
}

/// Sine and cosine of 2π · word / 2³².
#[inline(always)]
fn sin_cos_turn(word: u32) -> (f32, f32) {
    // The nearest eighth-turn boundary is subtracted in integers, exactly: |rest| ≤ 1/8 turn.
    let quadrant = word.wrapping_add(1 << 29) >> 30;
    let rest = word.wrapping_sub(quadrant << 30) as i32;
    let angle = rest as f32 * (TWO_POW_MINUS_32 * TAU);
    let square = angle * angle;
    let sine = angle
        + angle * square * ((-1.951_529_6e-4 * square + 8.332_161e-3) * square - 1.666_665_5e-1);
    let cosine = 1.0 - 0.5 * square
        + square * square * ((2.443_315_7e-5 * square - 1.388_731_6e-3) * square + 4.166_664_6e-2);
    let (swapped_sine, swapped_cosine) = if quadrant & 1 == 1 {
        (cosine, sine)
    } else {
        (sine, cosine)
    };
    let sine_sign = if quadrant & 2 == 2 { -1.0 } else { 1.0 };
    let cosine_sign = if quadrant.wrapping_add(1) & 2 == 2 {
        -1.0
    } else {
        1.0
    };
    (swapped_sine * sine_sign, swapped_cosine * cosine_sign)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Against the C library in f64: 2e-7 of absolute or 4e-7 of relative error, a few units in the last place.
        #[test]
        fn logarithm_matches_double_precision(word in any::<u32>()) {
            let x = word as f32 * TWO_POW_MINUS_32 + 0.5 * TWO_POW_MINUS_32;
            let exact = f64::from(x).ln();
            let error = (f64::from(ln_unit(x)) - exact).abs();
            prop_assert!(error <= 2e-7 + 4e-7 * exact.abs(), "ln {x}: off by {error}");
        }

        #[test]
        fn sine_and_cosine_match_double_precision(word in any::<u32>()) {
            let angle = f64::from(word) / 4_294_967_296.0 * std::f64::consts::TAU;
            let (sine, cosine) = sin_cos_turn(word);
            prop_assert!((f64::from(sine) - angle.sin()).abs() < 3e-7);
            prop_assert!((f64::from(cosine) - angle.cos()).abs() < 3e-7);
        }
    }

    #[test]
    fn extremes_are_finite() {
        for word0 in [0, 1, u32::MAX - 1, u32::MAX] {
            for word1 in [0, 1 << 29, 1 << 30, 1 << 31, u32::MAX] {
                let (first, second) = normal_pair(word0, word1);
                assert!(first.is_finite() && second.is_finite());
                assert!(first.abs() < 6.8 && second.abs() < 6.8);
            }
        }
        assert!(uniform(u32::MAX) < 1.0);
    }
}
