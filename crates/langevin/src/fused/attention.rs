//! The non-local block's attention: every chain has its own matrices, so chains are the lanes of both operands.
//!
//! A few queries at a time, so that their scores stay in the nearest cache; the gradient computes them again, which
//! costs less than to store and fetch them.

use pulp::{Arch, Simd, WithSimd};

use super::exponential::{softmax, softmax_backward};
use super::vector::{LANES, check, load, starts, store};

/// Queries whose scores are kept at a time.
const QUERIES: usize = 8;

/// Sizes of an attention: query pixels, key pixels, channels, lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) inner: usize,
    pub(crate) lanes: usize,
}

impl Sizes {
    /// Values of scratch that [`Attend`] and [`AttendBackward`] need.
    pub(crate) fn scratch(self) -> usize {
        2 * QUERIES * self.keys * LANES
    }

    /// The places of pixel and channel in `[inner][pixels][lanes]`.
    fn pixels(self, pixels: usize) -> Strides {
        Strides {
            row: self.lanes,
            column: pixels * self.lanes,
        }
    }
}

/// How far apart the rows and columns of a matrix of vectors are.
#[derive(Debug, Clone, Copy)]
struct Strides {
    row: usize,
    column: usize,
}

impl Strides {
    fn transposed(self) -> Self {
        Self {
            row: self.column,
            column: self.row,
        }
    }

    fn at(self, row: usize, column: usize) -> usize {
        row * self.row + column * self.column
    }
}

/// weights[i][j] = softmaxⱼ Σₕ query[h][i] key[h][j]; mixed[h][i] = Σⱼ weights[i][j] value[h][j].
pub(crate) struct Attend<'a> {
    pub(crate) sizes: Sizes,
    pub(crate) query: &'a [f32],
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
    pub(crate) mixed: &'a mut [f32],
    pub(crate) scratch: &'a mut [f32],
}

impl WithSimd for Attend<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let sizes = self.sizes;
        let [pixel, key_pixel] = [sizes.queries, sizes.keys].map(|pixels| sizes.pixels(pixels));
        let (weights, _) = split::<S>(self.scratch, sizes);
        for start in starts::<S>(sizes.lanes) {
            let [key, value] = [self.key, self.value].map(|values| &values[start..]);
            for first in (0..sizes.queries).step_by(QUERIES) {
                let count = QUERIES.min(sizes.queries - first);
                let at = first * sizes.lanes + start;
                attention_weights::<S>(simd, sizes, count, &self.query[at..], key, weights);
                product::<S, false>(
                    simd,
                    (weights, weight_strides::<S>(sizes)),
                    (value, key_pixel),
                    (&mut self.mixed[at..], pixel),
                    [count, sizes.keys, sizes.inner],
                );
            }
        }
    }
}

/// The gradients with respect to query, pooled key and pooled value.
pub(crate) struct AttendBackward<'a> {
    pub(crate) sizes: Sizes,
    pub(crate) query: &'a [f32],
    pub(crate) key: &'a [f32],
    pub(crate) value: &'a [f32],
    pub(crate) mixed_gradient: &'a [f32],
    pub(crate) query_gradient: &'a mut [f32],
    pub(crate) key_gradient: &'a mut [f32],
    pub(crate) value_gradient: &'a mut [f32],
    pub(crate) scratch: &'a mut [f32],
}

impl WithSimd for AttendBackward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let sizes = self.sizes;
        let Sizes { keys, inner, .. } = sizes;
        let [pixel, key_pixel] = [sizes.queries, keys].map(|pixels| sizes.pixels(pixels));
        let weight = weight_strides::<S>(sizes);
        let (weights, scores) = split::<S>(self.scratch, sizes);
        self.key_gradient.fill(0.0);
        self.value_gradient.fill(0.0);
        for start in starts::<S>(sizes.lanes) {
            let [key, value] = [self.key, self.value].map(|values| &values[start..]);
            for first in (0..sizes.queries).step_by(QUERIES) {
                let count = QUERIES.min(sizes.queries - first);
                let at = first * sizes.lanes + start;
                let (query, gradient) = (&self.query[at..], &self.mixed_gradient[at..]);
                attention_weights::<S>(simd, sizes, count, query, key, weights);
                product::<S, false>(
                    simd,
                    (gradient, pixel),
                    (value, key_pixel.transposed()),
                    (scores, weight),
                    [count, inner, keys],
                );
                for query in 0..count {
                    let row = query * weight.row..(query + 1) * weight.row;
                    softmax_backward(simd, &mut scores[row.clone()], &weights[row]);
                }
                product::<S, false>(
                    simd,
                    (scores, weight),
                    (key, key_pixel),
                    (&mut self.query_gradient[at..], pixel),
                    [count, keys, inner],
                );
                product::<S, true>(
                    simd,
                    (scores, weight.transposed()),
                    (query, pixel),
                    (&mut self.key_gradient[start..], key_pixel),
                    [keys, count, inner],
                );
                product::<S, true>(
                    simd,
                    (weights, weight.transposed()),
                    (gradient, pixel),
                    (&mut self.value_gradient[start..], key_pixel),
                    [keys, count, inner],
                );
            }
        }
    }
}

/// Scratch for weights and for their gradient.
fn split<S: Simd>(scratch: &mut [f32], sizes: Sizes) -> (&mut [f32], &mut [f32]) {
    let length = QUERIES * sizes.keys * S::F32_LANES;
    scratch[..2 * length].split_at_mut(length)
}

/// Of `[queries][keys][one vector]`.
fn weight_strides<S: Simd>(sizes: Sizes) -> Strides {
    Strides {
        row: sizes.keys * S::F32_LANES,
        column: S::F32_LANES,
    }
}

/// The softmax over the keys for `count` queries.
#[inline(always)]
fn attention_weights<S: Simd>(
    simd: S,
    sizes: Sizes,
    count: usize,
    query: &[f32],
    key: &[f32],
    weights: &mut [f32],
) {
    let strides = weight_strides::<S>(sizes);
    product::<S, false>(
        simd,
        (query, sizes.pixels(sizes.queries)),
        (key, sizes.pixels(sizes.keys).transposed()),
        (weights, strides),
        [count, sizes.inner, sizes.keys],
    );
    for row in weights.chunks_exact_mut(strides.row).take(count) {
        softmax(simd, row);
    }
}

/// C[i][j] = Σₖ A[i][k] B[k][j], or added to what is there, for one vector of lanes; sizes are rows, depth and columns.
#[inline(always)]
fn product<S: Simd, const ADD: bool>(
    simd: S,
    a: (&[f32], Strides),
    b: (&[f32], Strides),
    c: (&mut [f32], Strides),
    size @ [rows, depth, columns]: [usize; 3],
) {
    let fits = |strides: Strides, rows: usize, columns: usize, length: usize| {
        check(strides.at(rows - 1, columns - 1) + S::F32_LANES <= length);
    };
    fits(a.1, rows, depth, a.0.len());
    fits(b.1, depth, columns, b.0.len());
    fits(c.1, rows, columns, c.0.len());
    // Columns outside: what a tile of B fetches from afar serves all rows.
    let whole = [rows / 4 * 4, columns / 4 * 4];
    for j in (0..whole[1]).step_by(4) {
        for i in (0..whole[0]).step_by(4) {
            tile::<S, 4, 4, ADD>(simd, a, b, (&mut *c.0, c.1), size, i, j);
        }
        for i in whole[0]..rows {
            tile::<S, 1, 4, ADD>(simd, a, b, (&mut *c.0, c.1), size, i, j);
        }
    }
    for j in whole[1]..columns {
        for i in (0..whole[0]).step_by(4) {
            tile::<S, 4, 1, ADD>(simd, a, b, (&mut *c.0, c.1), size, i, j);
        }
        for i in whole[0]..rows {
            tile::<S, 1, 1, ADD>(simd, a, b, (&mut *c.0, c.1), size, i, j);
        }
    }
}

#[inline(always)]
fn tile<S: Simd, const M: usize, const N: usize, const ADD: bool>(
    simd: S,
    a: (&[f32], Strides),
    b: (&[f32], Strides),
    c: (&mut [f32], Strides),
    size: [usize; 3],
    i: usize,
    j: usize,
) {
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    if ADD {
        for p in 0..M {
            for q in 0..N {
                sums[p][q] = load::<S>(c.0, c.1.at(i + p, j + q));
            }
        }
    }
    for k in 0..size[1] {
        let mut right = [simd.splat_f32s(0.0); N];
        for (q, value) in right.iter_mut().enumerate() {
            *value = load::<S>(b.0, b.1.at(k, j + q));
        }
        for p in 0..M {
            let left = load::<S>(a.0, a.1.at(i + p, k));
            for q in 0..N {
                sums[p][q] = simd.mul_add_e_f32s(left, right[q], sums[p][q]);
            }
        }
    }
    for p in 0..M {
        for q in 0..N {
            store::<S>(c.0, c.1.at(i + p, j + q), sums[p][q]);
        }
    }
}
