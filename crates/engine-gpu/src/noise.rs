//! The project's noise inside a kernel: Philox4×32-10 and Box–Muller, the numbers of [`ebm_core::NoiseKey`] to
//! rounding.
//!
//! Logarithm and sine are the polynomials of `ebm_core`, not the device's functions, which differ from card to card.

use std::f32::consts::{LN_2, TAU};

use cubecl::prelude::*;
use ebm_core::NoiseKey;

const MULTIPLIER_0: u32 = 0xD251_1F53;
const MULTIPLIER_1: u32 = 0xCD9E_8D57;
const WEYL_0: u32 = 0x9E37_79B9;
const WEYL_1: u32 = 0xBB67_AE85;
const TWO_POW_MINUS_32: f32 = 1.0 / 4_294_967_296.0;
/// The bits of √½.
const ROOT_OF_HALF: u32 = 0x3f35_04f3;

/// Which numbers a launch draws: the Philox key and the number of its first step.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Draws {
    pub(super) key0: u32,
    pub(super) key1: u32,
    pub(super) step_low: u32,
    pub(super) step_high: u32,
}

/// The arguments of the numbers from step `first` on. The high word is the same for a whole launch, so no launch may
/// go beyond a multiple of 2³².
pub(super) fn draws_arguments<R: Runtime>(noise: NoiseKey, first: u64) -> DrawsLaunch<R> {
    let [key0, key1] = noise.philox_key();
    DrawsLaunch::new(key0, key1, first as u32, (first >> 32) as u32)
}

/// The N(0, 1) numbers of elements 4 `block`..4 `block` + 4 of a chain, so many steps after the first.
#[cube]
pub(super) fn normals(draws: &Draws, block: u32, chain: u32, steps: u32, values: &mut Array<f32>) {
    let words = philox(draws, block, chain, steps);
    let first = radius(words.word0);
    let second = radius(words.word2);
    values[0] = first * sine_or_cosine(words.word1, 0u32);
    values[1] = first * sine_or_cosine(words.word1, 1u32);
    values[2] = second * sine_or_cosine(words.word3, 0u32);
    values[3] = second * sine_or_cosine(words.word3, 1u32);
}

/// A block of random bits.
#[derive(CubeType)]
struct Words {
    word0: u32,
    word1: u32,
    word2: u32,
    word3: u32,
}

#[cube]
fn philox(draws: &Draws, block: u32, chain: u32, steps: u32) -> Words {
    let mut word0 = block;
    let mut word1 = chain;
    let mut word2 = draws.step_low + steps;
    let mut word3 = draws.step_high;
    let mut round_key0 = draws.key0;
    let mut round_key1 = draws.key1;
    #[unroll]
    for _ in 0..10 {
        let high0 = u32::mul_hi(word0, MULTIPLIER_0);
        let low0 = word0 * MULTIPLIER_0;
        let high1 = u32::mul_hi(word2, MULTIPLIER_1);
        let low1 = word2 * MULTIPLIER_1;
        word0 = high1 ^ word1 ^ round_key0;
        word1 = low1;
        word2 = high0 ^ word3 ^ round_key1;
        word3 = low0;
        round_key0 += WEYL_0;
        round_key1 += WEYL_1;
    }
    Words {
        word0,
        word1,
        word2,
        word3,
    }
}

/// Box and Muller's radius.
#[cube]
fn radius(word: u32) -> f32 {
    let uniform = f32::cast_from(word) * TWO_POW_MINUS_32 + 0.5 * TWO_POW_MINUS_32;
    f32::max(-2.0 * logarithm(uniform), 0.0).sqrt()
}

/// ln x for normal x in (0, 1].
#[cube]
fn logarithm(x: f32) -> f32 {
    // x = 2^exponent · mantissa with mantissa in [√½, √2).
    let shifted = u32::reinterpret(x) - ROOT_OF_HALF;
    let exponent = f32::cast_from(i32::reinterpret(shifted) >> 23);
    let mantissa = f32::reinterpret((shifted & 0x007f_ffff) + ROOT_OF_HALF);
    let t = mantissa - 1.0;
    let square = t * t;
    let mut series = 7.037_683_6e-2 * t - 1.151_461e-1;
    series = series * t + 1.167_699_9e-1;
    series = series * t - 1.242_014_1e-1;
    series = series * t + 1.424_932_3e-1;
    series = series * t - 1.666_805_8e-1;
    series = series * t + 2.000_071_5e-1;
    series = series * t - 2.499_999_4e-1;
    series = series * t + 3.333_333e-1;
    t + (series * t * square - 0.5 * square) + exponent * LN_2
}

/// The cosine (`which` = 0) or sine (1) of 2π · word / 2³².
#[cube]
fn sine_or_cosine(word: u32, which: u32) -> f32 {
    // The nearest quarter turn is subtracted in integers, exactly: |rest| ≤ 1/8 turn. A cosine is the sine a quarter
    // turn on.
    let quadrant = (word + 0x2000_0000) >> 30;
    let rest = i32::reinterpret(word - (quadrant << 30));
    let angle = f32::cast_from(rest) * (TWO_POW_MINUS_32 * TAU);
    let square = angle * angle;
    let sine = angle
        + angle * square * ((-1.951_529_6e-4 * square + 8.332_161e-3) * square - 1.666_665_5e-1);
    let cosine = 1.0 - 0.5 * square
        + square * square * ((2.443_315_7e-5 * square - 1.388_731_6e-3) * square + 4.166_664_6e-2);
    let turned = quadrant + 1 - which;
    let value = select(turned % 2 == 1, cosine, sine);
    select(turned & 2 == 2, -value, value)
}
