//! Products of the non-local block: for every chain another pair of matrices, so chains are the lanes of both operands.

use pulp::{Arch, Simd, WithSimd};

use super::elementwise::{softmax, softmax_backward};
use super::vector::{check, load, starts, store};

/// Element (row, column) of a matrix of lanes is at `row · by_row + column · by_column`, in units of lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Layout {
    pub(crate) by_row: usize,
    pub(crate) by_column: usize,
}

impl Layout {
    pub(crate) fn new(by_row: usize, by_column: usize) -> Self {
        Self { by_row, by_column }
    }

    fn at(self, row: usize, column: usize) -> usize {
        row * self.by_row + column * self.by_column
    }
}

/// C[i][j] = Σₖ A[i][k] B[k][j] for every lane.
pub(crate) struct LaneProduct<'a> {
    pub(crate) a: (&'a [f32], Layout),
    pub(crate) b: (&'a [f32], Layout),
    pub(crate) c: (&'a mut [f32], Layout),
    /// Rows, depth and columns.
    pub(crate) size: [usize; 3],
    pub(crate) lanes: usize,
}

impl WithSimd for LaneProduct<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let [rows, depth, columns] = self.size;
        let lanes = self.lanes;
        check(lanes >= S::F32_LANES);
        check((self.a.1.at(rows - 1, depth - 1) + 1) * lanes <= self.a.0.len());
        check((self.b.1.at(depth - 1, columns - 1) + 1) * lanes <= self.b.0.len());
        check((self.c.1.at(rows - 1, columns - 1) + 1) * lanes <= self.c.0.len());
        for start in starts::<S>(lanes) {
            let mut i = 0;
            while i < rows {
                if i + 4 <= rows {
                    self.row::<S, 4>(simd, i, start);
                    i += 4;
                } else {
                    self.row::<S, 1>(simd, i, start);
                    i += 1;
                }
            }
        }
    }
}

impl LaneProduct<'_> {
    #[inline(always)]
    fn row<S: Simd, const M: usize>(&mut self, simd: S, i: usize, start: usize) {
        let columns = self.size[2];
        let mut j = 0;
        while j < columns {
            if j + 4 <= columns {
                self.tile::<S, M, 4>(simd, i, j, start);
                j += 4;
            } else {
                self.tile::<S, M, 1>(simd, i, j, start);
                j += 1;
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        i: usize,
        j: usize,
        start: usize,
    ) {
        let lanes = self.lanes;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        for k in 0..self.size[1] {
            let mut right = [simd.splat_f32s(0.0); N];
            for (q, value) in right.iter_mut().enumerate() {
                *value = load::<S>(self.b.0, self.b.1.at(k, j + q) * lanes + start);
            }
            for p in 0..M {
                let left = load::<S>(self.a.0, self.a.1.at(i + p, k) * lanes + start);
                for q in 0..N {
                    sums[p][q] = simd.mul_add_e_f32s(left, right[q], sums[p][q]);
                }
            }
        }
        for p in 0..M {
            for q in 0..N {
                let at = self.c.1.at(i + p, j + q) * lanes + start;
                store::<S>(self.c.0, at, sums[p][q]);
            }
        }
    }
}

/// Sizes of an attention: query pixels, key pixels, channels, lanes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sizes {
    pub(crate) queries: usize,
    pub(crate) keys: usize,
    pub(crate) inner: usize,
    pub(crate) lanes: usize,
}

/// weights[i][j] = softmaxⱼ Σₕ query[h][i] key[h][j]; mixed[h][i] = Σⱼ weights[i][j] value[h][j].
#[allow(clippy::too_many_arguments)]
pub(crate) fn attend(
    arch: Arch,
    sizes: Sizes,
    query: &[f32],
    key: &[f32],
    value: &[f32],
    weights: &mut [f32],
    mixed: &mut [f32],
    scratch: &mut [f32],
) {
    let Sizes {
        queries,
        keys,
        inner,
        lanes,
    } = sizes;
    arch.dispatch(LaneProduct {
        a: (query, Layout::new(1, queries)),
        b: (key, Layout::new(keys, 1)),
        c: (weights, Layout::new(keys, 1)),
        size: [queries, inner, keys],
        lanes,
    });
    arch.dispatch(
        #[inline(always)]
        || {
            for rows in weights.chunks_exact_mut(keys * lanes).take(queries) {
                softmax(rows, lanes, scratch);
            }
        },
    );
    arch.dispatch(LaneProduct {
        a: (value, Layout::new(keys, 1)),
        b: (weights, Layout::new(1, keys)),
        c: (mixed, Layout::new(queries, 1)),
        size: [inner, keys, queries],
        lanes,
    });
}

/// The gradients with respect to query, pooled key and pooled value. `score_gradient` is scratch as large as `weights`.
#[allow(clippy::too_many_arguments)]
pub(crate) fn attend_backward(
    arch: Arch,
    sizes: Sizes,
    query: &[f32],
    key: &[f32],
    value: &[f32],
    weights: &[f32],
    mixed_gradient: &[f32],
    score_gradient: &mut [f32],
    query_gradient: &mut [f32],
    key_gradient: &mut [f32],
    value_gradient: &mut [f32],
    scratch: &mut [f32],
) {
    let Sizes {
        queries,
        keys,
        inner,
        lanes,
    } = sizes;
    arch.dispatch(LaneProduct {
        a: (mixed_gradient, Layout::new(1, queries)),
        b: (value, Layout::new(keys, 1)),
        c: (score_gradient, Layout::new(keys, 1)),
        size: [queries, inner, keys],
        lanes,
    });
    arch.dispatch(LaneProduct {
        a: (mixed_gradient, Layout::new(queries, 1)),
        b: (weights, Layout::new(keys, 1)),
        c: (value_gradient, Layout::new(keys, 1)),
        size: [inner, queries, keys],
        lanes,
    });
    arch.dispatch(
        #[inline(always)]
        || {
            let rows = weights.chunks_exact(keys * lanes);
            for (gradient, weights) in score_gradient
                .chunks_exact_mut(keys * lanes)
                .zip(rows)
                .take(queries)
            {
                softmax_backward(gradient, weights, lanes, scratch);
            }
        },
    );
    arch.dispatch(LaneProduct {
        a: (key, Layout::new(keys, 1)),
        b: (score_gradient, Layout::new(1, keys)),
        c: (query_gradient, Layout::new(queries, 1)),
        size: [inner, keys, queries],
        lanes,
    });
    arch.dispatch(LaneProduct {
        a: (query, Layout::new(queries, 1)),
        b: (score_gradient, Layout::new(keys, 1)),
        c: (key_gradient, Layout::new(keys, 1)),
        size: [inner, queries, keys],
        lanes,
    });
}
