//! Transforms for factors that are rounded to BF16.
//!
//! Rounding a transformed tile and a transformed kernel leaves errors that the output transform adds up. How much of them
//! stays depends on the points of the transform. At 0, ±1, 2 and ∞ the error of F(4, 2) along both axes is 1.3 % of the
//! output, in the root mean square, where rounded factors without a transform leave 0.24 %; at ±1/2, ±5/4 and ∞ it is
//! 0.6 %. For F(4, 3) it goes from 2.1 % at 0, ±1, ±2 and ∞ to 1.0 % at 0, ±5/8, ±3/2 and ∞. (64 and 256 channels of
//! Gaussian weights and leaky Gaussian inputs; of the pairs of points a and b in eighths these do best.)

use pulp::Simd;

use crate::transform::{Arithmetic, Transform};

/// The points of F(4, 2) and their squares; the transforms below hold for any.
const NEAR: f32 = 0.5;
const FAR: f32 = 1.25;
const NEAR_SQUARE: f32 = NEAR * NEAR;
const FAR_SQUARE: f32 = FAR * FAR;

/// The entries of G for the points ±p, where q is the other point: 1 and ±p over ±2 p (p² − q²).
const fn weights_of(p: f64, q: f64, sign: f64) -> [f64; 3] {
    let scale = 1.0 / (2.0 * sign * p * (p * p - q * q));
    [scale, sign * p * scale, 0.0]
}

/// F(4, 2) at the points ±1/2, ±5/4 and ∞.
pub(crate) struct F42Rounded;

impl Transform<5, 4> for F42Rounded {
    const WEIGHT: [[f64; 3]; 5] = [
        weights_of(NEAR as f64, FAR as f64, 1.0),
        weights_of(NEAR as f64, FAR as f64, -1.0),
        weights_of(FAR as f64, NEAR as f64, 1.0),
        weights_of(FAR as f64, NEAR as f64, -1.0),
        [0.0, 1.0, 0.0],
    ];

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::f32s; 5]) -> [S::f32s; 5] {
        let v = Arithmetic(simd);
        let (even, odd) = (
            v.fma(-FAR_SQUARE, x[0], x[2]),
            v.fma(-FAR_SQUARE, x[1], x[3]),
        );
        let (other_even, other_odd) = (
            v.fma(-NEAR_SQUARE, x[0], x[2]),
            v.fma(-NEAR_SQUARE, x[1], x[3]),
        );
        [
            v.fma(NEAR, even, odd),
            v.fma(-NEAR, even, odd),
            v.fma(FAR, other_even, other_odd),
            v.fma(-FAR, other_even, other_odd),
            v.fma(
                NEAR_SQUARE * FAR_SQUARE,
                x[0],
                v.fma(-(NEAR_SQUARE + FAR_SQUARE), x[2], x[4]),
            ),
        ]
    }

    #[inline(always)]
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; 5]) -> [S::f32s; 5] {
        let v = Arithmetic(simd);
        let (near, far) = (v.add(z[0], z[1]), v.add(z[2], z[3]));
        let near_even = v.times(NEAR, v.sub(z[0], z[1]));
        let far_even = v.times(FAR, v.sub(z[2], z[3]));
        [
            v.fma(
                NEAR_SQUARE * FAR_SQUARE,
                z[4],
                v.fma(-FAR_SQUARE, near_even, v.times(-NEAR_SQUARE, far_even)),
            ),
            v.fma(-FAR_SQUARE, near, v.times(-NEAR_SQUARE, far)),
            v.fma(
                -(NEAR_SQUARE + FAR_SQUARE),
                z[4],
                v.add(near_even, far_even),
            ),
            v.add(near, far),
            z[4],
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: [S::f32s; 5]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        let (near, far) = (v.add(m[0], m[1]), v.add(m[2], m[3]));
        let near_odd = v.times(NEAR, v.sub(m[0], m[1]));
        let far_odd = v.times(FAR, v.sub(m[2], m[3]));
        [
            v.add(near, far),
            v.add(near_odd, far_odd),
            v.fma(FAR_SQUARE, far, v.times(NEAR_SQUARE, near)),
            v.fma(FAR_SQUARE, far_odd, v.fma(NEAR_SQUARE, near_odd, m[4])),
        ]
    }

    #[inline(always)]
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; 4]) -> [S::f32s; 5] {
        let v = Arithmetic(simd);
        let (even, odd) = (
            v.fma(NEAR_SQUARE, g[2], g[0]),
            v.fma(NEAR_SQUARE, g[3], g[1]),
        );
        let (far_even, far_odd) = (v.fma(FAR_SQUARE, g[2], g[0]), v.fma(FAR_SQUARE, g[3], g[1]));
        [
            v.fma(NEAR, odd, even),
            v.fma(-NEAR, odd, even),
            v.fma(FAR, far_odd, far_even),
            v.fma(-FAR, far_odd, far_even),
            g[3],
        ]
    }
}

/// The points of F(4, 3) beside 0 and ∞.
const INNER: f32 = 0.625;
const OUTER: f32 = 1.5;
const INNER_SQUARE: f32 = INNER * INNER;
const OUTER_SQUARE: f32 = OUTER * OUTER;

/// The entries of G for the point p of ±p, where q is the other point and 0 is one too: 1, p and p² over
/// 2 p² (p² − q²).
const fn weights_beside_zero(p: f64, q: f64) -> [f64; 3] {
    let scale = 1.0 / (2.0 * p * p * (p * p - q * q));
    [scale, p * scale, p * p * scale]
}

/// F(4, 3) at the points 0, ±5/8, ±3/2 and ∞.
pub(crate) struct F43Rounded;

impl Transform<6, 4> for F43Rounded {
    const WEIGHT: [[f64; 3]; 6] = {
        let (a, b) = (INNER as f64, OUTER as f64);
        let (near, far) = (weights_beside_zero(a, b), weights_beside_zero(b, a));
        [
            [1.0 / (a * a * b * b), 0.0, 0.0],
            near,
            [near[0], -near[1], near[2]],
            far,
            [far[0], -far[1], far[2]],
            [0.0, 0.0, 1.0],
        ]
    };

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::f32s; 6]) -> [S::f32s; 6] {
        let v = Arithmetic(simd);
        let both = -(INNER_SQUARE + OUTER_SQUARE);
        let product = INNER_SQUARE * OUTER_SQUARE;
        let (a, b) = (
            v.fma(-OUTER_SQUARE, x[2], x[4]),
            v.fma(-OUTER_SQUARE, x[1], x[3]),
        );
        let (c, d) = (
            v.fma(-INNER_SQUARE, x[2], x[4]),
            v.fma(-INNER_SQUARE, x[1], x[3]),
        );
        [
            v.fma(product, x[0], v.fma(both, x[2], x[4])),
            v.fma(INNER, b, a),
            v.fma(-INNER, b, a),
            v.fma(OUTER, d, c),
            v.fma(-OUTER, d, c),
            v.fma(product, x[1], v.fma(both, x[3], x[5])),
        ]
    }

    #[inline(always)]
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; 6]) -> [S::f32s; 6] {
        let v = Arithmetic(simd);
        let both = -(INNER_SQUARE + OUTER_SQUARE);
        let product = INNER_SQUARE * OUTER_SQUARE;
        let (near, far) = (v.add(z[1], z[2]), v.add(z[3], z[4]));
        let left = v.times(INNER, v.sub(z[1], z[2]));
        let right = v.times(OUTER, v.sub(z[3], z[4]));
        [
            v.times(product, z[0]),
            v.fma(
                product,
                z[5],
                v.fma(-OUTER_SQUARE, left, v.times(-INNER_SQUARE, right)),
            ),
            v.fma(
                both,
                z[0],
                v.fma(-OUTER_SQUARE, near, v.times(-INNER_SQUARE, far)),
            ),
            v.fma(both, z[5], v.add(left, right)),
            v.add(z[0], v.add(near, far)),
            z[5],
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        let (near, far) = (v.add(m[1], m[2]), v.add(m[3], m[4]));
        let left = v.times(INNER, v.sub(m[1], m[2]));
        let right = v.times(OUTER, v.sub(m[3], m[4]));
        [
            v.add(m[0], v.add(near, far)),
            v.add(left, right),
            v.fma(OUTER_SQUARE, far, v.times(INNER_SQUARE, near)),
            v.fma(OUTER_SQUARE, right, v.fma(INNER_SQUARE, left, m[5])),
        ]
    }

    #[inline(always)]
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; 4]) -> [S::f32s; 6] {
        let v = Arithmetic(simd);
        let (even, odd) = (
            v.fma(INNER_SQUARE, g[2], g[0]),
            v.fma(INNER_SQUARE, g[3], g[1]),
        );
        let (wide, tall) = (
            v.fma(OUTER_SQUARE, g[2], g[0]),
            v.fma(OUTER_SQUARE, g[3], g[1]),
        );
        [
            g[0],
            v.fma(INNER, odd, even),
            v.fma(-INNER, odd, even),
            v.fma(OUTER, tall, wide),
            v.fma(-OUTER, tall, wide),
            g[3],
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transform::tests::is_a_convolution;

    #[test]
    fn every_transform_is_a_convolution_and_its_transposes_are_exact() {
        is_a_convolution::<5, 4, F42Rounded>();
        is_a_convolution::<6, 4, F43Rounded>();
    }
}
