//! Sums of outer products: D[i][j] += Σₙ A[i][n] B[j][n], where parameter gradients sum over states and pixels.
//!
//! Rows of both operands run along n. Dot products along them would leave lanes to add up at the end of every short
//! row; instead panels of both are turned round in the nearest cache, and a tile of D stays in registers over n.

#![allow(unsafe_code)]

use std::ops::Range;

use pulp::{Simd, WithSimd};

use crate::buffer::Buffer;
use crate::gemm::{WIDEST, has_few_registers, tile_width};
use crate::vector::{LANES, check, load, store, unrolled};

/// Columns that are turned round together.
const DEPTH: usize = 128;

/// An operand of one block, `[rows][columns]`, rows `stride` apart.
#[derive(Clone, Copy)]
pub(crate) struct Operand<'a> {
    pub(crate) values: &'a [f32],
    pub(crate) stride: usize,
    pub(crate) rows: usize,
}

/// D += A·Bᵀ, or D ← A·Bᵀ, summed over blocks in their order.
pub(crate) struct Outer<'a> {
    /// A and B of every block.
    pub(crate) blocks: &'a [[Operand<'a>; 2]],
    /// `[rows of A][rows of B]`, rows [`padded`] values apart.
    pub(crate) d: &'a mut [f32],
    /// Columns of every block.
    pub(crate) columns: usize,
    /// Whether D holds nothing yet.
    pub(crate) is_first: bool,
}

/// Values from one row of D to the next, for so many rows of B.
pub(crate) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(LANES)
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let Some([a, b]) = self.blocks.first() else {
            return;
        };
        let (a_rows, b_rows) = (a.rows, b.rows);
        for [a, b] in self.blocks {
            check(a.rows == a_rows && b.rows == b_rows);
        }
        check(self.d.len() >= a_rows * padded(b_rows));
        let height = if has_few_registers::<S>() { 4 } else { 8 };
        let vectors = padded(b_rows) / S::F32_LANES;
        let all = self.blocks.len() * self.columns;
        let chunk = all.min(DEPTH);
        let mut a = Buffer::zeros(a_rows.next_multiple_of(height) * chunk);
        let mut b = Buffer::zeros(WIDEST * S::F32_LANES * chunk);
        for start in (0..all).step_by(DEPTH) {
            let columns = start..(start + DEPTH).min(all);
            for row in (0..a_rows).step_by(height) {
                let panel = &mut a[row * chunk..][..height * columns.len()];
                self.turn(0, row..row + height, columns.clone(), panel);
            }
            let mut first = 0;
            while first < vectors {
                let width = tile_width(vectors - first);
                let from = first * S::F32_LANES;
                let panel = &mut b[..width * S::F32_LANES * columns.len()];
                let rows = from..from + width * S::F32_LANES;
                self.turn(1, rows, columns.clone(), panel);
                for row in (0..a_rows).step_by(height) {
                    let a = &a[row * chunk..][..height * columns.len()];
                    match (height, width) {
                        (8, 3) => self.tile::<S, 8, 3>(simd, row, from, a, panel),
                        (8, 2) => self.tile::<S, 8, 2>(simd, row, from, a, panel),
                        (8, _) => self.tile::<S, 8, 1>(simd, row, from, a, panel),
                        (_, 3) => self.tile::<S, 4, 3>(simd, row, from, a, panel),
                        (_, 2) => self.tile::<S, 4, 2>(simd, row, from, a, panel),
                        _ => self.tile::<S, 4, 1>(simd, row, from, a, panel),
                    }
                }
                first += width;
            }
            self.is_first = false;
        }
    }
}

impl Outer<'_> {
    /// `to[n][row]` ← rows of operand `which`, zero beyond the last; columns are counted over all blocks.
    #[inline(always)]
    fn turn(&self, which: usize, rows: Range<usize>, columns: Range<usize>, to: &mut [f32]) {
        let height = rows.len();
        let mut start = columns.start;
        while start < columns.end {
            let operand = self.blocks[start / self.columns][which];
            let within = start % self.columns;
            let count = (self.columns - within).min(columns.end - start);
            let to = &mut to[(start - columns.start) * height..][..count * height];
            for (i, row) in rows.clone().enumerate() {
                let to = to[i..].iter_mut().step_by(height);
                if row < operand.rows {
                    let from = &operand.values[row * operand.stride + within..][..count];
                    to.zip(from).for_each(|(to, from)| *to = *from);
                } else {
                    to.for_each(|to| *to = 0.0);
                }
            }
            start += count;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        row: usize,
        from: usize,
        a: &[f32],
        b: &[f32],
    ) {
        let [a_rows, b_rows] = self.blocks[0].map(|operand| operand.rows);
        let stride = padded(b_rows);
        let rows = M.min(a_rows - row);
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let mut at = 0usize;
        for a in a.chunks_exact(M) {
            let mut right = [simd.splat_f32s(0.0); N];
            unrolled!(J < N, {
                // SAFETY: panels are whole vectors, and D was checked in `with_simd`.
                right[J] = unsafe { load::<S>(b, at + J * S::F32_LANES) };
            });
            at += N * S::F32_LANES;
            unrolled!(I < M, {
                let left = simd.splat_f32s(a[I]);
                unrolled!(J < N, {
                    sums[I][J] = simd.mul_add_e_f32s(left, right[J], sums[I][J]);
                });
            });
        }
        unrolled!(I < M, {
            if I < rows {
                unrolled!(J < N, {
                    let at = (row + I) * stride + from + J * S::F32_LANES;
                    // SAFETY: panels are whole vectors, and D was checked in `with_simd`.
                    let mut sum = sums[I][J];
                    if !self.is_first {
                        sum = simd.add_f32s(unsafe { load::<S>(self.d, at) }, sum);
                    }
                    // SAFETY: as above.
                    unsafe { store::<S>(self.d, at, sum) };
                });
            }
        });
    }
}
