//! The non-local block's attention: every chain has its own matrices, so chains are the lanes of both operands.
//!
//! A few queries at a time, so that their scores stay in the nearest cache; the gradient computes them again, which
//! costs less than to store and fetch them.

#![allow(unsafe_code)]

use pulp::Simd;

use crate::bf16::{Factors, Terms, WithTerms};
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
    pub(crate) fn scratch(self, factors: Factors) -> usize {
        let [keys, queries] = [self.keys, QUERIES].map(|pixels| self.inner * (pixels + 1));
        let matrices = 4 * keys + 3 * queries + 2 * QUERIES * (self.keys + 1);
        if !factors.is_rounded() {
            return matrices * LANES;
        }
        // Factors that are rounded have places of their own, beside what they are rounded from.
        let [of_keys, of_queries] = [self.keys, QUERIES].map(|depth| depth * (self.inner + 1));
        let factors = 2 * keys + of_keys + 2 * queries + 2 * of_queries;
        let scores = self.keys * (QUERIES + 1) + 2 * QUERIES * (self.keys + 1);
        (matrices + factors + scores) * LANES
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

/// A matrix of vectors, wherever it is.
type View<'a> = (&'a [f32], Strides);

fn transposed((values, strides): View<'_>) -> View<'_> {
    (values, strides.transposed())
}

/// A matrix of vectors in scratch. Its rows are one vector longer than they need be: matrices whose sides are powers of
/// two would have all of a column in the same few places of the nearest cache.
struct Local<'a> {
    values: &'a mut [f32],
    strides: Strides,
}

impl<'a> Local<'a> {
    /// As [`Self::take`], if factors are rounded; otherwise nothing, because what is there is used as it is.
    fn take_rounded<S: Simd, T: Terms>(
        scratch: &mut &'a mut [f32],
        rows: usize,
        columns: usize,
    ) -> Self {
        let columns = if T::ARE_ROUNDED { columns } else { 0 };
        Self::take::<S>(scratch, rows, columns)
    }

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

    fn view(&self) -> View<'_> {
        (self.values, self.strides)
    }

    fn transposed(&self) -> View<'_> {
        transposed(self.view())
    }

    fn view_mut(&mut self) -> (&mut [f32], Strides) {
        (self.values, self.strides)
    }

    fn transposed_mut(&mut self) -> (&mut [f32], Strides) {
        (self.values, self.strides.transposed())
    }

    /// The factors of a product that has the columns of `matrix`, of [rows, columns], for its depth: as they are, or rounded
    /// and joined into this matrix.
    #[inline(always)]
    fn factors<'b, S: Simd, T: Terms>(
        &'b mut self,
        simd: S,
        matrix: View<'b>,
        [rows, depth]: [usize; 2],
    ) -> View<'b> {
        if !T::ARE_ROUNDED {
            return matrix;
        }
        let (from, strides) = matrix;
        strides.check::<S>(rows, depth, from.len());
        (self.strides).check::<S>(rows, depth.div_ceil(T::COUNT), self.values.len());
        for (column, first) in (0..depth).step_by(T::COUNT).enumerate() {
            for row in 0..rows {
                // SAFETY: `check` has seen the last place that is reached.
                let one = unsafe { load::<S>(from, strides.at(row, first)) };
                let next = if first + 1 < depth {
                    // SAFETY: as above.
                    unsafe { load::<S>(from, strides.at(row, first + 1)) }
                } else {
                    simd.splat_f32s(0.0)
                };
                let joined = T::join(simd, one, next);
                // SAFETY: as above.
                unsafe { store::<S>(self.values, self.strides.at(row, column), joined) };
            }
        }
        (self.values, self.strides)
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

impl WithTerms for Attend<'_> {
    #[inline(always)]
    fn with_terms<S: Simd, T: Terms>(self, simd: S) {
        let sizes = self.sizes;
        let Sizes { keys, inner, .. } = sizes;
        let [pixel, key_pixel] = [sizes.queries, keys].map(|pixels| sizes.pixels(pixels));
        let mut scratch = self.scratch;
        let mut key = Local::take::<S>(&mut scratch, keys, inner);
        let mut value = Local::take::<S>(&mut scratch, keys, inner);
        let mut query = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut mixed = Local::take::<S>(&mut scratch, QUERIES, inner);
        let mut weights = Local::take::<S>(&mut scratch, keys, QUERIES);
        let mut key_factors = Local::take_rounded::<S, T>(&mut scratch, keys, inner);
        let mut value_factors = Local::take_rounded::<S, T>(&mut scratch, inner, keys);
        let mut query_factors = Local::take_rounded::<S, T>(&mut scratch, QUERIES, inner);
        let mut weight_factors = Local::take_rounded::<S, T>(&mut scratch, QUERIES, keys);
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
            let key_factors = key_factors.factors::<S, T>(simd, key.view(), [keys, inner]);
            let values = value.transposed();
            let value_factors = value_factors.factors::<S, T>(simd, values, [inner, keys]);
            for first in (0..sizes.queries).step_by(QUERIES) {
                let count = QUERIES.min(sizes.queries - first);
                let at = first * sizes.lanes + start;
                copy::<S>((&self.query[at..], pixel), query.view_mut(), [count, inner]);
                let query = query_factors.factors::<S, T>(simd, query.view(), [count, inner]);
                attention_weights::<S, T>(simd, sizes, count, query, key_factors, &mut weights);
                let weights = weights.transposed();
                product::<S, T, false>(
                    simd,
                    weight_factors.factors::<S, T>(simd, weights, [count, keys]),
                    transposed(value_factors),
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

impl WithTerms for AttendBackward<'_> {
    #[inline(always)]
    fn with_terms<S: Simd, T: Terms>(self, simd: S) {
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
        // By the depth of the products: channels, keys and queries.
        let mut key_by_channel = Local::take_rounded::<S, T>(&mut scratch, keys, inner);
        let mut value_by_channel = Local::take_rounded::<S, T>(&mut scratch, keys, inner);
        let mut key_by_key = Local::take_rounded::<S, T>(&mut scratch, inner, keys);
        let mut query_by_channel = Local::take_rounded::<S, T>(&mut scratch, QUERIES, inner);
        let mut gradient_by_channel = Local::take_rounded::<S, T>(&mut scratch, QUERIES, inner);
        let mut scores_by_key = Local::take_rounded::<S, T>(&mut scratch, QUERIES, keys);
        let mut query_by_query = Local::take_rounded::<S, T>(&mut scratch, inner, QUERIES);
        let mut gradient_by_query = Local::take_rounded::<S, T>(&mut scratch, inner, QUERIES);
        let mut scores_by_query = Local::take_rounded::<S, T>(&mut scratch, keys, QUERIES);
        let mut weights_by_query = Local::take_rounded::<S, T>(&mut scratch, keys, QUERIES);
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
            let key_by_channel = key_by_channel.factors::<S, T>(simd, key.view(), [keys, inner]);
            let values = value.view();
            let value_by_channel = value_by_channel.factors::<S, T>(simd, values, [keys, inner]);
            let key_by_key = key_by_key.factors::<S, T>(simd, key.transposed(), [inner, keys]);
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
                attention_weights::<S, T>(
                    simd,
                    sizes,
                    count,
                    query_by_channel.factors::<S, T>(simd, query.view(), size),
                    key_by_channel,
                    &mut weights,
                );
                product::<S, T, false>(
                    simd,
                    gradient_by_channel.factors::<S, T>(simd, gradient.view(), size),
                    transposed(value_by_channel),
                    scores.transposed_mut(),
                    [count, inner, keys],
                );
                for query in 0..count {
                    let weights = weights.column::<S>(query, keys);
                    softmax_backward(simd, scores.column_mut::<S>(query, keys), weights);
                }
                product::<S, T, false>(
                    simd,
                    scores_by_key.factors::<S, T>(simd, scores.transposed(), [count, keys]),
                    transposed(key_by_key),
                    query_gradient.view_mut(),
                    [count, keys, inner],
                );
                copy::<S>(
                    query_gradient.view(),
                    (&mut self.query_gradient[at..], pixel),
                    size,
                );
                let size = [inner, count];
                let query = query_by_query.factors::<S, T>(simd, query.transposed(), size);
                product::<S, T, true>(
                    simd,
                    scores_by_query.factors::<S, T>(simd, scores.view(), [keys, count]),
                    transposed(query),
                    key_gradient.view_mut(),
                    [keys, count, inner],
                );
                let gradient = gradient.transposed();
                let gradient = gradient_by_query.factors::<S, T>(simd, gradient, size);
                product::<S, T, true>(
                    simd,
                    weights_by_query.factors::<S, T>(simd, weights.view(), [keys, count]),
                    transposed(gradient),
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
fn attention_weights<S: Simd, T: Terms>(
    simd: S,
    sizes: Sizes,
    count: usize,
    query: View<'_>,
    key: View<'_>,
    weights: &mut Local<'_>,
) {
    product::<S, T, false>(
        simd,
        query,
        transposed(key),
        weights.transposed_mut(),
        [count, sizes.inner, sizes.keys],
    );
    for query in 0..count {
        softmax(simd, weights.column_mut::<S>(query, sizes.keys));
    }
}

/// Copies `rows` × `columns` vectors.
#[inline(always)]
fn copy<S: Simd>(from: View<'_>, to: (&mut [f32], Strides), [rows, columns]: [usize; 2]) {
    from.1.check::<S>(rows, columns, from.0.len());
    to.1.check::<S>(rows, columns, to.0.len());
    for column in 0..columns {
        for row in 0..rows {
            // SAFETY: `check` has seen the last place that is reached.
            let value = unsafe { load::<S>(from.0, from.1.at(row, column)) };
            unsafe { store::<S>(to.0, to.1.at(row, column), value) };
        }
    }
}

/// C[i][j] = Σₖ A[i][k] B[k][j], or added to what is there, for one vector of lanes; sizes are rows, depth and columns. A and
/// B are factors that [`Local::factors`] has made ready.
#[inline(always)]
fn product<S: Simd, T: Terms, const ADD: bool>(
    simd: S,
    a: View<'_>,
    b: View<'_>,
    c: (&mut [f32], Strides),
    [rows, depth, columns]: [usize; 3],
) {
    let depth = depth.div_ceil(T::COUNT);
    a.1.check::<S>(rows, depth, a.0.len());
    b.1.check::<S>(depth, columns, b.0.len());
    c.1.check::<S>(rows, columns, c.0.len());
    // Columns outside: what a tile of B fetches from afar serves all rows.
    let whole = [rows / 4 * 4, columns / 4 * 4];
    for j in (0..whole[1]).step_by(4) {
        for i in (0..whole[0]).step_by(4) {
            tile::<S, T, 4, 4, ADD>(simd, a, b, (&mut *c.0, c.1), depth, [i, j]);
        }
        for i in whole[0]..rows {
            tile::<S, T, 1, 4, ADD>(simd, a, b, (&mut *c.0, c.1), depth, [i, j]);
        }
    }
    for j in whole[1]..columns {
        for i in (0..whole[0]).step_by(4) {
            tile::<S, T, 4, 1, ADD>(simd, a, b, (&mut *c.0, c.1), depth, [i, j]);
        }
        for i in whole[0]..rows {
            tile::<S, T, 1, 1, ADD>(simd, a, b, (&mut *c.0, c.1), depth, [i, j]);
        }
    }
}

#[inline(always)]
fn tile<S: Simd, T: Terms, const M: usize, const N: usize, const ADD: bool>(
    simd: S,
    a: View<'_>,
    b: View<'_>,
    c: (&mut [f32], Strides),
    depth: usize,
    [i, j]: [usize; 2],
) {
    let mut sums = [[simd.splat_f32s(0.0); N]; M];
    if ADD {
        for p in 0..M {
            for q in 0..N {
                // SAFETY: `product` has checked the last place that is reached.
                sums[p][q] = unsafe { load::<S>(c.0, c.1.at(i + p, j + q)) };
            }
        }
    }
    for k in 0..depth {
        let mut right = [simd.splat_f32s(0.0); N];
        for (q, value) in right.iter_mut().enumerate() {
            // SAFETY: `product` has checked the last place that is reached.
            *value = unsafe { load::<S>(b.0, b.1.at(k, j + q)) };
        }
        for p in 0..M {
            // SAFETY: `product` has checked the last place that is reached.
            let left = unsafe { load::<S>(a.0, a.1.at(i + p, k)) };
            for q in 0..N {
                sums[p][q] = T::add(simd, left, right[q], sums[p][q]);
            }
        }
    }
    for p in 0..M {
        for q in 0..N {
            // SAFETY: `product` has checked the last place that is reached.
            unsafe { store::<S>(c.0, c.1.at(i + p, j + q), sums[p][q]) };
        }
    }
}
