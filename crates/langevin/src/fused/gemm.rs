//! Products of a packed matrix with columns: C[m][n] = Σₖ A[m][k] B[k][n], columns across SIMD lanes.
//!
//! A (the weights) is packed once a run into panels of a few rows, whose entries are broadcast; B and C keep their rows
//! contiguous. A tile of rows × vectors of accumulators stays in registers over the whole sum, so that the two
//! FMA units see independent work. The order of the sum never depends on where the columns are cut.

use pulp::{Arch, Simd, WithSimd};

use super::vector::{check, load, prefetch, scalar, starts, store};

/// Rows of a panel on machines with 32 vector registers and with 16.
const ROWS: [usize; 2] = [8, 4];

/// How far ahead weights are asked for: hardware stops at the end of each page.
const AHEAD: usize = 768;

/// How many rows a tile has on this machine.
pub(crate) fn tile_rows(arch: Arch) -> usize {
    struct Registers;
    impl WithSimd for Registers {
        type Output = usize;
        #[inline(always)]
        fn with_simd<S: Simd>(self, _simd: S) -> usize {
            // AVX-512 and NEON have 32 registers, AVX2 16; scalar code spills either way.
            if S::F32_LANES == 8 { ROWS[1] } else { ROWS[0] }
        }
    }
    arch.dispatch(Registers)
}

/// A matrix in panels: of `tile_rows` rows, then of 4, 2 and 1 for what is left; each panel column by column.
#[derive(Debug, Clone)]
pub(crate) struct Packed {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    tile_rows: usize,
    values: Vec<f32>,
}

impl Packed {
    /// Packs the matrix whose entries `entry(row, k)` gives.
    pub(crate) fn new(
        arch: Arch,
        rows: usize,
        depth: usize,
        entry: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let tile_rows = tile_rows(arch);
        let mut values = Vec::with_capacity(rows * depth);
        let mut row = 0;
        while row < rows {
            let height = panel_height(rows - row, tile_rows);
            for k in 0..depth {
                for i in 0..height {
                    values.push(entry(row + i, k));
                }
            }
            row += height;
        }
        Self {
            rows,
            depth,
            tile_rows,
            values,
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

fn panel_height(left: usize, tile_rows: usize) -> usize {
    if left >= tile_rows {
        return tile_rows;
    }
    match left {
        4.. => 4,
        2..=3 => 2,
        _ => 1,
    }
}

/// What happens to a sum before it is written.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Epilogue<'a> {
    /// Nothing.
    None,
    /// Row i gets bias i added.
    Bias(&'a [f32]),
    /// Bias, then leaky ReLU of the slope.
    BiasLeaky(&'a [f32], f32),
    /// Times 1 where the stored activation (laid out as C) is positive, times the slope elsewhere.
    Mask(&'a [f32], f32),
}

/// C = A·B with an epilogue.
pub(crate) struct Product<'a> {
    pub(crate) a: &'a Packed,
    /// `[depth][columns]`, rows `b_stride` apart.
    pub(crate) b: &'a [f32],
    pub(crate) b_stride: usize,
    /// `[rows][columns]`, rows `c_stride` apart.
    pub(crate) c: &'a mut [f32],
    pub(crate) c_stride: usize,
    pub(crate) columns: usize,
    pub(crate) epilogue: Epilogue<'a>,
}

impl WithSimd for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        let columns = self.columns;
        check(columns >= S::F32_LANES);
        let extent = |rows: usize, stride: usize| (rows - 1) * stride + columns;
        let c_extent = extent(self.a.rows, self.c_stride);
        check(extent(self.a.depth, self.b_stride) <= self.b.len() && c_extent <= self.c.len());
        match self.epilogue {
            Epilogue::Bias(bias) | Epilogue::BiasLeaky(bias, _) => check(bias.len() >= self.a.rows),
            Epilogue::Mask(stored, _) => check(stored.len() >= c_extent),
            Epilogue::None => {}
        }
        let vectors = starts::<S>(columns).count();
        let mut first = 0;
        while first < vectors {
            let left = vectors - first;
            // Three vectors at a time, but four as two and two: a lone vector leaves the FMA units waiting.
            let width = if left == 4 { 2 } else { left.min(3) };
            let start = |vector: usize| (vector * S::F32_LANES).min(columns - S::F32_LANES);
            match width {
                3 => self.panels::<S, 3>(simd, [start(first), start(first + 1), start(first + 2)]),
                2 => self.panels::<S, 2>(simd, [start(first), start(first + 1)]),
                _ => self.panels::<S, 1>(simd, [start(first)]),
            }
            first += width;
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn panels<S: Simd, const N: usize>(&mut self, simd: S, columns: [usize; N]) {
        let rows = self.a.rows;
        let mut row = 0;
        while row < rows {
            let height = panel_height(rows - row, self.a.tile_rows);
            match height {
                8 => self.tile::<S, 8, N>(simd, row, columns),
                4 => self.tile::<S, 4, N>(simd, row, columns),
                2 => self.tile::<S, 2, N>(simd, row, columns),
                _ => self.tile::<S, 1, N>(simd, row, columns),
            }
            row += height;
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(
        &mut self,
        simd: S,
        row: usize,
        columns: [usize; N],
    ) {
        let depth = self.a.depth;
        let panel = &self.a.values[row * depth..(row + M) * depth];
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let mut at = 0usize;
        for weights in panel.chunks_exact(M) {
            prefetch(weights, AHEAD);
            let vectors = columns.map(|column| load::<S>(self.b, at.wrapping_add(column)));
            at = at.wrapping_add(self.b_stride);
            for i in 0..M {
                let weight = simd.splat_f32s(weights[i]);
                for j in 0..N {
                    sums[i][j] = simd.mul_add_e_f32s(weight, vectors[j], sums[i][j]);
                }
            }
        }
        let zero = simd.splat_f32s(0.0);
        for i in 0..M {
            for j in 0..N {
                let at = (row + i) * self.c_stride + columns[j];
                let sum = sums[i][j];
                let value = match self.epilogue {
                    Epilogue::None => sum,
                    Epilogue::Bias(bias) => {
                        simd.add_f32s(sum, simd.splat_f32s(scalar(bias, row + i)))
                    }
                    Epilogue::BiasLeaky(bias, slope) => {
                        let sum = simd.add_f32s(sum, simd.splat_f32s(scalar(bias, row + i)));
                        let scaled = simd.mul_f32s(sum, simd.splat_f32s(slope));
                        simd.select_f32s(simd.greater_than_f32s(sum, zero), sum, scaled)
                    }
                    Epilogue::Mask(stored, slope) => {
                        let positive = simd.greater_than_f32s(load::<S>(stored, at), zero);
                        let scaled = simd.mul_f32s(sum, simd.splat_f32s(slope));
                        simd.select_f32s(positive, sum, scaled)
                    }
                };
                store::<S>(self.c, at, value);
            }
        }
    }
}

/// D[i][j] += Σₙ A[i][n] B[j][n]: the sums over states and pixels of parameter gradients. `columns` is a multiple of 16.
pub(crate) struct Outer<'a> {
    /// `[rows][columns]`, rows `a_stride` apart.
    pub(crate) a: &'a [f32],
    pub(crate) a_stride: usize,
    /// `[depth][columns]`, rows `b_stride` apart.
    pub(crate) b: &'a [f32],
    pub(crate) b_stride: usize,
    /// `[rows][depth]`.
    pub(crate) d: &'a mut [f32],
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    pub(crate) columns: usize,
}

impl WithSimd for Outer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        check(self.columns.is_multiple_of(S::F32_LANES));
        check((self.rows - 1) * self.a_stride + self.columns <= self.a.len());
        check((self.depth - 1) * self.b_stride + self.columns <= self.b.len());
        check(self.rows * self.depth <= self.d.len());
        let mut j = 0;
        while j < self.depth {
            if j + 4 <= self.depth {
                self.rows::<S, 4>(simd, j);
                j += 4;
            } else {
                self.rows::<S, 1>(simd, j);
                j += 1;
            }
        }
    }
}

impl Outer<'_> {
    #[inline(always)]
    fn rows<S: Simd, const N: usize>(&mut self, simd: S, j: usize) {
        let mut i = 0;
        while i < self.rows {
            if i + 4 <= self.rows {
                self.tile::<S, 4, N>(simd, i, j);
                i += 4;
            } else {
                self.tile::<S, 1, N>(simd, i, j);
                i += 1;
            }
        }
    }

    #[inline(always)]
    fn tile<S: Simd, const M: usize, const N: usize>(&mut self, simd: S, i: usize, j: usize) {
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        let mut n = 0;
        while n < self.columns {
            let mut right = [simd.splat_f32s(0.0); N];
            for (q, value) in right.iter_mut().enumerate() {
                *value = load::<S>(self.b, (j + q) * self.b_stride + n);
            }
            for p in 0..M {
                let left = load::<S>(self.a, (i + p) * self.a_stride + n);
                for q in 0..N {
                    sums[p][q] = simd.mul_add_e_f32s(left, right[q], sums[p][q]);
                }
            }
            n += S::F32_LANES;
        }
        for p in 0..M {
            for q in 0..N {
                self.d[(i + p) * self.depth + j + q] += simd.reduce_sum_f32s(sums[p][q]);
            }
        }
    }
}
