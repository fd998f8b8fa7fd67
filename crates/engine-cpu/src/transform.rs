//! Small minimal-filtering transforms, F(outputs, taps) along one axis (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016; Toom–Cook at the points 0, ±1, ±2 and ∞).
//!
//! Written out term by term: as loops over constant matrices the compiler kept the loops, and they took ten times as
//! long.

use pulp::Simd;

/// F(`O`, taps) with `I` = `O` + taps − 1 products: y = Aᵀ[(G w) ∘ (Bᵀ x)].
pub(crate) trait Transform<const I: usize, const O: usize> {
    /// G, `I` × taps.
    const WEIGHT: [[f64; 3]; I];

    /// Bᵀ x.
    fn input<S: Simd>(simd: S, x: [S::f32s; I]) -> [S::f32s; I];
    /// B z.
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; I]) -> [S::f32s; I];
    /// Aᵀ m.
    fn output<S: Simd>(simd: S, m: [S::f32s; I]) -> [S::f32s; O];
    /// A g.
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; O]) -> [S::f32s; I];
}

/// The few operations that the transforms are made of.
#[derive(Clone, Copy)]
pub(crate) struct Arithmetic<S>(pub(crate) S);

impl<S: Simd> Arithmetic<S> {
    #[inline(always)]
    pub(crate) fn add(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.add_f32s(a, b)
    }

    #[inline(always)]
    pub(crate) fn sub(self, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.sub_f32s(a, b)
    }

    /// factor · a + b.
    #[inline(always)]
    pub(crate) fn fma(self, factor: f32, a: S::f32s, b: S::f32s) -> S::f32s {
        self.0.mul_add_e_f32s(a, self.0.splat_f32s(factor), b)
    }

    #[inline(always)]
    pub(crate) fn times(self, factor: f32, a: S::f32s) -> S::f32s {
        self.0.mul_f32s(a, self.0.splat_f32s(factor))
    }
}

/// F(2, 2): 3 products for 2 outputs of 2 taps, points 0, 1, ∞.
pub(crate) struct F22;

impl Transform<3, 2> for F22 {
    const WEIGHT: [[f64; 3]; 3] = [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0], [0.0, 1.0, 0.0]];

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::f32s; 3]) -> [S::f32s; 3] {
        let v = Arithmetic(simd);
        [v.sub(x[0], x[1]), x[1], v.sub(x[2], x[1])]
    }

    #[inline(always)]
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; 3]) -> [S::f32s; 3] {
        let v = Arithmetic(simd);
        [z[0], v.sub(z[1], v.add(z[0], z[2])), z[2]]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: [S::f32s; 3]) -> [S::f32s; 2] {
        let v = Arithmetic(simd);
        [v.add(m[0], m[1]), v.add(m[1], m[2])]
    }

    #[inline(always)]
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; 2]) -> [S::f32s; 3] {
        [g[0], Arithmetic(simd).add(g[0], g[1]), g[1]]
    }
}

/// F(4, 2): 5 products for 4 outputs of 2 taps, points 0, 1, −1, 2, ∞.
pub(crate) struct F42;

impl Transform<5, 4> for F42 {
    const WEIGHT: [[f64; 3]; 5] = [
        [0.5, 0.0, 0.0],
        [-0.5, -0.5, 0.0],
        [-1.0 / 6.0, 1.0 / 6.0, 0.0],
        [1.0 / 6.0, 2.0 / 6.0, 0.0],
        [0.0, 1.0, 0.0],
    ];

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::f32s; 5]) -> [S::f32s; 5] {
        let v = Arithmetic(simd);
        let t = v.sub(x[3], x[1]);
        [
            v.fma(2.0, v.sub(x[0], x[2]), t),
            v.fma(-2.0, x[1], v.sub(x[3], x[2])),
            v.fma(2.0, x[1], v.fma(-3.0, x[2], x[3])),
            t,
            v.fma(-2.0, t, v.sub(x[4], x[2])),
        ]
    }

    #[inline(always)]
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; 5]) -> [S::f32s; 5] {
        let v = Arithmetic(simd);
        let outer = v.add(z[0], z[3]);
        let twice = v.add(v.sub(z[2], z[1]), z[4]);
        [
            v.add(z[0], z[0]),
            v.sub(v.add(twice, twice), outer),
            v.fma(
                -3.0,
                z[2],
                v.fma(-2.0, z[0], v.times(-1.0, v.add(z[1], z[4]))),
            ),
            v.fma(-2.0, z[4], v.add(outer, v.add(z[1], z[2]))),
            z[4],
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: [S::f32s; 5]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        let (even, odd) = (v.add(m[1], m[2]), v.sub(m[1], m[2]));
        [
            v.add(m[0], v.add(even, m[3])),
            v.fma(2.0, m[3], odd),
            v.fma(4.0, m[3], even),
            v.fma(8.0, m[3], v.add(odd, m[4])),
        ]
    }

    #[inline(always)]
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; 4]) -> [S::f32s; 5] {
        let v = Arithmetic(simd);
        let (even, odd) = (v.add(g[0], g[2]), v.add(g[1], g[3]));
        [
            g[0],
            v.add(even, odd),
            v.sub(even, odd),
            v.fma(2.0, v.fma(4.0, g[3], g[1]), v.fma(4.0, g[2], g[0])),
            g[3],
        ]
    }
}

/// F(2, 3): 4 products for 2 outputs of 3 taps, points 0, 1, −1, ∞.
pub(crate) struct F23;

impl Transform<4, 2> for F23 {
    const WEIGHT: [[f64; 3]; 4] = [
        [-1.0, 0.0, 0.0],
        [0.5, 0.5, 0.5],
        [0.5, -0.5, 0.5],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::f32s; 4]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        [
            v.sub(x[2], x[0]),
            v.add(x[1], x[2]),
            v.sub(x[2], x[1]),
            v.sub(x[3], x[1]),
        ]
    }

    #[inline(always)]
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; 4]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        [
            v.times(-1.0, z[0]),
            v.sub(v.sub(z[1], z[2]), z[3]),
            v.add(z[0], v.add(z[1], z[2])),
            z[3],
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: [S::f32s; 4]) -> [S::f32s; 2] {
        let v = Arithmetic(simd);
        [
            v.add(m[0], v.add(m[1], m[2])),
            v.add(v.sub(m[1], m[2]), m[3]),
        ]
    }

    #[inline(always)]
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; 2]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        [g[0], v.add(g[0], g[1]), v.sub(g[0], g[1]), g[1]]
    }
}

/// F(4, 3): 6 products for 4 outputs of 3 taps, points 0, 1, −1, 2, −2, ∞.
pub(crate) struct F43;

impl Transform<6, 4> for F43 {
    const WEIGHT: [[f64; 3]; 6] = [
        [0.25, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];

    #[inline(always)]
    fn input<S: Simd>(simd: S, x: [S::f32s; 6]) -> [S::f32s; 6] {
        let v = Arithmetic(simd);
        let (a, b) = (v.fma(-4.0, x[2], x[4]), v.fma(-4.0, x[1], x[3]));
        let (c, d) = (v.sub(x[4], x[2]), v.sub(x[3], x[1]));
        [
            v.fma(4.0, x[0], v.fma(-5.0, x[2], x[4])),
            v.add(a, b),
            v.sub(a, b),
            v.fma(2.0, d, c),
            v.fma(-2.0, d, c),
            v.fma(4.0, x[1], v.fma(-5.0, x[3], x[5])),
        ]
    }

    #[inline(always)]
    fn input_transposed<S: Simd>(simd: S, z: [S::f32s; 6]) -> [S::f32s; 6] {
        let v = Arithmetic(simd);
        let (near, far) = (v.add(z[1], z[2]), v.add(z[3], z[4]));
        let (left, right) = (v.sub(z[1], z[2]), v.sub(z[3], z[4]));
        [
            v.times(4.0, z[0]),
            v.fma(-2.0, right, v.times(4.0, v.sub(z[5], left))),
            v.sub(v.fma(-4.0, near, v.times(-5.0, z[0])), far),
            v.fma(-5.0, z[5], v.fma(2.0, right, left)),
            v.add(z[0], v.add(near, far)),
            z[5],
        ]
    }

    #[inline(always)]
    fn output<S: Simd>(simd: S, m: [S::f32s; 6]) -> [S::f32s; 4] {
        let v = Arithmetic(simd);
        let (near, far) = (v.add(m[1], m[2]), v.add(m[3], m[4]));
        let (left, right) = (v.sub(m[1], m[2]), v.sub(m[3], m[4]));
        [
            v.add(m[0], v.add(near, far)),
            v.fma(2.0, right, left),
            v.fma(4.0, far, near),
            v.fma(8.0, right, v.add(left, m[5])),
        ]
    }

    #[inline(always)]
    fn output_transposed<S: Simd>(simd: S, g: [S::f32s; 4]) -> [S::f32s; 6] {
        let v = Arithmetic(simd);
        let (even, odd) = (v.add(g[0], g[2]), v.add(g[1], g[3]));
        let (wide, tall) = (v.fma(4.0, g[2], g[0]), v.fma(4.0, g[3], g[1]));
        [
            g[0],
            v.add(even, odd),
            v.sub(even, odd),
            v.fma(2.0, tall, wide),
            v.fma(-2.0, tall, wide),
            g[3],
        ]
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use pulp::Scalar;

    /// The columns of a linear map of `FROM` scalars: its matrix, transposed.
    fn columns<const FROM: usize, const TO: usize>(
        map: impl Fn([f32; FROM]) -> [f32; TO],
    ) -> [[f32; TO]; FROM] {
        std::array::from_fn(|from| {
            let mut unit = [0.0; FROM];
            unit[from] = 1.0;
            map(unit)
        })
    }

    fn is_transposed<const N: usize, const M: usize>(a: [[f32; M]; N], b: [[f32; N]; M]) -> bool {
        (0..N).all(|n| (0..M).all(|m| a[n][m] == b[m][n]))
    }

    /// Against the definition, in exact small integers scaled by the weights' denominators: y[o] = Σ w[t] x[o + t].
    pub(crate) fn is_a_convolution<const I: usize, const O: usize, T: Transform<I, O>>() {
        let scalar = Scalar::new();
        let weights = [3.0, -2.0, 5.0];
        let inputs: [f32; I] = std::array::from_fn(|i| [1.0, -4.0, 2.0, 7.0, -3.0, 6.0][i]);
        let transformed = T::input(scalar, inputs);
        // The output matrix in f64: the products have denominators that f32 rounds.
        let output = columns(|m| T::output(scalar, m));
        let taps = I + 1 - O;
        for o in 0..O {
            let direct: f64 = (0..taps)
                .map(|t| weights[t] * f64::from(inputs[o + t]))
                .sum();
            let sum: f64 = (0..I)
                .map(|index| {
                    let weight: f64 = (0..taps).map(|t| T::WEIGHT[index][t] * weights[t]).sum();
                    f64::from(output[index][o]) * weight * f64::from(transformed[index])
                })
                .sum();
            assert!((sum - direct).abs() < 1e-12, "{sum} is not {direct}");
        }
        assert!(is_transposed(
            columns(|x| T::input(scalar, x)),
            columns(|z| T::input_transposed(scalar, z))
        ));
        assert!(is_transposed(
            output,
            columns(|g| T::output_transposed(scalar, g))
        ));
    }

    #[test]
    fn every_transform_is_a_convolution_and_its_transposes_are_exact() {
        is_a_convolution::<3, 2, F22>();
        is_a_convolution::<5, 4, F42>();
        is_a_convolution::<4, 2, F23>();
        is_a_convolution::<6, 4, F43>();
    }
}
