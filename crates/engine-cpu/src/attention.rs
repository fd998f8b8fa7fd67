//! The non-local block's attention: every chain has its own matrices, so chains are the lanes of both operands.
//!
//! A few queries at a time, so that their scores stay in the nearest cache; the gradient computes them again, which
//! costs less than to store and fetch them.

#![allow(unsafe_code)]

use pulp::{Simd, WithSimd};

use crate::exponential::{softmax, softmax_backward};
use crate::vector::{LANES, check, load, starts, store};

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
        let [keys, queries] = [self.keys, QUERIES].map(|pixels| self.inner * (pixels + 1));
        (4 * keys + 3 * queries + 2 * QUERIES * (self.keys + 1)) * LANES
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

    /// Stops when a matrix of this size does not fit into `length` values.
    #[inline(always)]
    #[track_caller]
    fn check<S: Simd>(self, rows: usize, columns: usize, length: usize) {
        check(self.at(rows - 1, columns - 1) + S::F32_LANES <= length);
    }
}

/// A matrix of vectors in scratch. Its rows are one vector longer than they need be: matrices whose sides are powers of
/// two would have all of a column in the same few places of the nearest cache.
struct Local<'a> {
    values: &'a mut [f32],
    strides: Strides,
}

impl<'a> Local<'a> {
    /// `[columns][rows]` vectors from the start of `scratch`, which loses them.
    fn take<S: Simd>(scratch: &mut &'a mut [f32], rows: usize, columns: usize) -> Self {
        let strides = Strides {
            row: S::F32_LANES,
            column: (rows + 1) * S::F32_LANES,
        };
        let (values, rest) = std::mem::take(scratch).split_at_mut(columns * strides.column);
        *scratch = rest;
        Self { values, strides }
    }

    fn view(&self) -> (&[f32], Strides) {
        (self.values, self.strides)
    }

    fn transposed(&self) -> (&[f32], Strides) {
        (self.values, self.strides.transposed())
    }

    fn view_mut(&mut self) -> (&mut [f32], Strides) {
        (self.values, self.strides)
    }

    fn transposed_mut(&mut self) -> (&mut [f32], Strides) {
        (self.values, self.strides.transposed())
    }

    /// The first vectors of the column, contiguous.
    fn column<S: Simd>(&self, column: usize, rows: usize) -> &[f32] {
        &self.values[column * self.strides.column..][..rows * S::F32_LANES]
    }

    fn column_mut<S: Simd>(&mut self, column: usize, rows: usize) -> &mut [f32] {
        &mut self.values[column * self.strides.column..][..rows * S::F32_LANES]
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
        let Sizes { keys, inner, .. } = sizes;
        let [pixel, key_pixel] = [sizes.queries, keys].map(|pixels| sizes.pixels(pixels));
        let mut scratch = self.scratch;
        let mut key = Local::take::<S>(&mut scratch, keys, inner);
        let mut value = Local::take::<S>(&mut scratch, keys, inner);
        let mut query = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut mixed = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut weights = Local::take::<S>(&mut scratch, keys, QUERIES);
        for start in starts::<S>(sizes.lanes) {
            copy::<S>(
                (&self.key[start..], key_pixel),
                key.view_mut(),
                [keys, inner],
            );
            copy::<S>(
                (&self.value[start..], key_pixel),
                value.view_mut(),
                [keys, inner],
            );
            for first in (0..sizes.queries).step_by(QUERIES) {
                let count = QUERIES.min(sizes.queries - first);
                let at = first * sizes.lanes + start;
                copy::<S>((&self.query[at..], pixel), query.view_mut(), [count, inner]);
                attention_weights::<S>(simd, sizes, count, &query, &key, &mut weights);
                product::<S, false>(
                    simd,
                    weights.transposed(),
                    value.view(),
                    mixed.view_mut(),
                    [count, keys, inner],
                );
                copy::<S>(mixed.view(), (&mut self.mixed[at..], pixel), [count, inner]);
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
        let mut scratch = self.scratch;
        let mut key = Local::take::<S>(&mut scratch, keys, inner);
        let mut value = Local::take::<S>(&mut scratch, keys, inner);
        let mut key_gradient = Local::take::<S>(&mut scratch, keys, inner);
        let mut value_gradient = Local::take::<S>(&mut scratch, keys, inner);
        let mut query = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut gradient = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut query_gradient = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut weights = Local::take::<S>(&mut scratch, keys, QUERIES);
        let mut scores = Local::take::<S>(&mut scratch, keys, QUERIES);
        for start in starts::<S>(sizes.lanes) {
            copy::<S>(
                (&self.key[start..], key_pixel),
                key.view_mut(),
                [keys, inner],
            );
            copy::<S>(
                (&self.value[start..], key_pixel),
                value.view_mut(),
                [keys, inner],
            );
            key_gradient.values.fill(0.0);
            value_gradient.values.fill(0.0);
            for first in (0..sizes.queries).step_by(QUERIES) {
                let count = QUERIES.min(sizes.queries - first);
                let at = first * sizes.lanes + start;
                let size = [count, inner];
                copy::<S>((&self.query[at..], pixel), query.view_mut(), size);
                copy::<S>(
                    (&self.mixed_gradient[at..], pixel),
                    gradient.view_mut(),
                    size,
                );
                attention_weights::<S>(simd, sizes, count, &query, &key, &mut weights);
                product::<S, false>(
                    simd,
                    gradient.view(),
                    value.transposed(),
                    scores.transposed_mut(),
                    [count, inner, keys],
                );
                for query in 0..count {
                    let weights = weights.column::<S>(query, keys);
                    softmax_backward(simd, scores.column_mut::<S>(query, keys), weights);
                }
                product::<S, false>(
                    simd,
                    scores.transposed(),
                    key.view(),
                    query_gradient.view_mut(),
                    [count, keys, inner],
                );
                copy::<S>(
                    query_gradient.view(),
                    (&mut self.query_gradient[at..], pixel),
                    size,
                );
                product::<S, true>(
                    simd,
                    scores.view(),
                    query.view(),
                    key_gradient.view_mut(),
                    [keys, count, inner],
                );
                product::<S, true>(
                    simd,
                    weights.view(),
                    gradient.view(),
                    value_gradient.view_mut(),
                    [keys, count, inner],
                );
            }
            let to = (&mut self.key_gradient[start..], key_pixel);
            copy::<S>(key_gradient.view(), to, [keys, inner]);
            let to = (&mut self.value_gradient[start..], key_pixel);
            copy::<S>(value_gradient.view(), to, [keys, inner]);
        }
    }
}

/// Of each of `count` queries the softmax over the keys.
#[inline(always)]
fn attention_weights<S: Simd>(
    simd: S,
    sizes: Sizes,
    count: usize,
    query: &Local<'_>,
    key: &Local<'_>,
    weights: &mut Local<'_>,
) {
    product::<S, false>(
        simd,
        query.view(),
        key.transposed(),
        weights.transposed_mut(),
        [count, sizes.inner, sizes.keys],
    );
    for query in 0..count {
        softmax(simd, weights.column_mut::<S>(query, sizes.keys));
    }
}

/// Copies `rows` × `columns` vectors.
#[inline(always)]
fn copy<S: Simd>(from: (&[f32], Strides), to: (&mut [f32], Strides), [rows, columns]: [usize; 2]) {
    from.1.check::<S>(rows, columns, from.0.len());
    to.1.check::<S>(rows, columns, to.0.len());
    for column in 0..columns {
        for row in 0..rows {
            // SAFETY: `with_simd` has checked the last place that is reached.
            let value = unsafe { load::<S>(from.0, from.1.at(row, column)) };
            unsafe { store::<S>(to.0, to.1.at(row, column), value) };
        }
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
    a.1.check::<S>(rows, depth, a.0.len());
    b.1.check::<S>(depth, columns, b.0.len());
    c.1.check::<S>(rows, columns, c.0.len());
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
                // SAFETY: `with_simd` has checked the last place that is reached.
                sums[p][q] = unsafe { load::<S>(c.0, c.1.at(i + p, j + q)) };
            }
        }
    }
    for k in 0..size[1] {
        let mut right = [simd.splat_f32s(0.0); N];
        for (q, value) in right.iter_mut().enumerate() {
            // SAFETY: `with_simd` has checked the last place that is reached.
            *value = unsafe { load::<S>(b.0, b.1.at(k, j + q)) };
        }
        for p in 0..M {
            // SAFETY: `with_simd` has checked the last place that is reached.
            let left = unsafe { load::<S>(a.0, a.1.at(i + p, k)) };
            for q in 0..N {
                sums[p][q] = simd.mul_add_e_f32s(left, right[q], sums[p][q]);
            }
        }
    }
    for p in 0..M {
        for q in 0..N {
            // SAFETY: `with_simd` has checked the last place that is reached.
            unsafe { store::<S>(c.0, c.1.at(i + p, j + q), sums[p][q]) };
        }
    }
}
