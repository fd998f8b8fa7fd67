//! Products of a packed matrix with columns: C[m][n] = Σₖ A[m][k] B[k][n], columns across SIMD lanes.
//!
//! A (the weights) is packed once a run into panels of a few rows, whose entries are broadcast; B and C keep their rows
//! contiguous. A tile of rows × vectors of accumulators stays in registers over the whole sum, so that the two
//! FMA units see independent work. The order of the sum never depends on where the columns are cut.

#![allow(unsafe_code)]

use std::ops::Range;
use std::sync::Arc;

use pulp::{Arch, Simd};

use crate::bf16::{self, Factors, Terms, WithTerms};
use crate::buffer::{Buffer, Spare};
use crate::elementwise::Mask;
use crate::vector::{LANES, check, load, prefetch, scalar, starts, store, unrolled};

/// Rows of a panel. Instructions with 16 registers instead of 32 take it in two halves.
const PANEL: usize = 8;

/// How far ahead weights are asked for: hardware stops at the end of each page.
const AHEAD: usize = 768;

/// Whether the instructions have too few registers for a tile of a whole panel: AVX2 does; AVX-512 and NEON have 32,
/// and scalar code spills either way.
pub(crate) fn has_few_registers<S: Simd>() -> bool {
    S::F32_LANES == 8
}

/// Lanes of a column of B that are used together: what three vectors of them take leaves half of the nearest
/// cache to the weights.
const DEPTH: usize = 128;

/// A matrix in panels: blocks of at most [`DEPTH`] columns; in each, panels of [`PANEL`] rows, then of 4 and
/// of what is left; in each, column by column. Where a lane holds a pair, a column here is two of the matrix.
#[derive(Debug)]
pub(crate) struct Packed {
    pub(crate) rows: usize,
    pub(crate) depth: usize,
    factors: Factors,
    /// Columns of a block; the last has what is left.
    block: usize,
    values: Buffer,
}

impl Packed {
    /// Packs the matrix whose entries `entry(row, k)` gives.
    pub(crate) fn new(
        factors: Factors,
        [rows, depth]: [usize; 2],
        entry: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let fill = by_entry(entry);
        Self::in_blocks(factors, [rows, depth], DEPTH, Buffer::zeros, fill)
    }

    /// Packs in a single block, however deep.
    pub(crate) fn whole(
        factors: Factors,
        [rows, depth]: [usize; 2],
        entry: impl Fn(usize, usize) -> f32,
    ) -> Self {
        let fill = by_entry(entry);
        Self::in_blocks(factors, [rows, depth], depth.max(1), Buffer::zeros, fill)
    }

    /// Packs the matrix whose rows `row` gives, in memory from `spare`.
    pub(crate) fn from_rows<'r>(
        factors: Factors,
        sizes: [usize; 2],
        spare: &Arc<Spare>,
        row: impl Fn(usize) -> &'r [f32],
    ) -> Self {
        let lend = |values| spare.lend(values);
        Self::in_blocks(factors, sizes, DEPTH, lend, |panel| {
            let height = panel.rows.len();
            if height == PANEL {
                let rows: [usize; PANEL] = std::array::from_fn(|i| panel.rows.start + i);
                let rows = rows.map(|index| &row(index)[panel.columns.clone()]);
                interleave(rows, panel.values);
                return;
            }
            for (i, index) in panel.rows.enumerate() {
                let to = panel.values[i..].iter_mut().step_by(height);
                let from = &row(index)[panel.columns.clone()];
                to.zip(from).for_each(|(to, from)| *to = *from);
            }
        })
    }

    /// Packs the matrix whose columns `column` gives, in memory from `spare`.
    pub(crate) fn from_columns<'r>(
        factors: Factors,
        sizes: [usize; 2],
        spare: &Arc<Spare>,
        column: impl Fn(usize) -> &'r [f32],
    ) -> Self {
        let lend = |values| spare.lend(values);
        Self::in_blocks(factors, sizes, DEPTH, lend, |panel| {
            let height = panel.rows.len();
            let places = panel.values.chunks_exact_mut(height);
            for (to, k) in places.zip(panel.columns) {
                let from = &column(k)[panel.rows.clone()];
                // A copy of a length known beforehand is one instruction, not a call.
                match (
                    <&mut [f32; PANEL]>::try_from(&mut *to),
                    <&[f32; PANEL]>::try_from(from),
                ) {
                    (Ok(to), Ok(from)) => *to = *from,
                    _ => to.copy_from_slice(from),
                }
            }
        })
    }

    /// Blocks of at most `deepest` columns, as even as can be.
    fn in_blocks(
        factors: Factors,
        [rows, depth]: [usize; 2],
        deepest: usize,
        memory: impl Fn(usize) -> Buffer,
        fill: impl Fn(Panel<'_>),
    ) -> Self {
        let terms = factors.terms();
        let packed = depth.div_ceil(terms);
        let block = packed.div_ceil(packed.div_ceil(deepest).max(1)).max(1);
        let mut values = memory(rows * packed);
        let mut numbers = vec![
            0.0;
            if factors.is_rounded() {
                PANEL * terms * block
            } else {
                0
            }
        ];
        let mut rest = &mut values[..];
        for start in (0..packed).step_by(block) {
            let end = (start + block).min(packed);
            let columns = terms * start..(terms * end).min(depth);
            let mut row = 0;
            while row < rows {
                let height = panel_height(rows - row);
                let (panel, others) = rest.split_at_mut(height * (end - start));
                let rows = row..row + height;
                if factors.is_rounded() {
                    let numbers = &mut numbers[..height * terms * (end - start)];
                    let (filled, missing) = numbers.split_at_mut(height * columns.len());
                    missing.fill(0.0);
                    fill(Panel {
                        values: filled,
                        rows,
                        columns: columns.clone(),
                    });
                    round_panel(factors, height, numbers, panel);
                } else {
                    fill(Panel {
                        values: panel,
                        rows,
                        columns: columns.clone(),
                    });
                }
                rest = others;
                row += height;
            }
        }
        Self {
            rows,
            depth,
            factors,
            block,
            values,
        }
    }

    /// First row, height and entries of each panel of a matrix packed as a whole.
    pub(crate) fn panels(&self) -> impl Iterator<Item = (usize, usize, &[f32])> {
        let mut row = 0;
        std::iter::from_fn(move || {
            let first = row;
            let height = (first < self.rows).then(|| panel_height(self.rows - first))?;
            row += height;
            Some((
                first,
                height,
                &self.values[first * self.packed_depth()..row * self.packed_depth()],
            ))
        })
    }

    pub(crate) fn factors(&self) -> Factors {
        self.factors
    }

    /// Its columns here: those of the matrix, or pairs of them.
    pub(crate) fn packed_depth(&self) -> usize {
        self.depth.div_ceil(self.factors.terms())
    }

    /// The blocks, as ranges of columns.
    fn blocks(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let (depth, block) = (self.packed_depth(), self.block);
        (0..depth)
            .step_by(block)
            .map(move |start| start..(start + block).min(depth))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.values.len() * size_of::<f32>()
    }
}

/// A panel to be filled, `[columns][rows]`.
struct Panel<'a> {
    values: &'a mut [f32],
    rows: Range<usize>,
    columns: Range<usize>,
}

fn by_entry(entry: impl Fn(usize, usize) -> f32) -> impl Fn(Panel<'_>) {
    move |panel| {
        let places = panel
            .columns
            .flat_map(|k| panel.rows.clone().map(move |row| (row, k)));
        let values = panel.values.iter_mut().zip(places);
        values.for_each(|(value, (row, k))| *value = entry(row, k));
    }
}

/// Puts whole rows of a panel side by side, column by column.
fn interleave(rows: [&[f32]; PANEL], to: &mut [f32]) {
    let length = to.len() / PANEL;
    let rows = rows.map(|row| &row[..length]);
    for (k, to) in to.as_chunks_mut::<PANEL>().0.iter_mut().enumerate() {
        for i in 0..PANEL {
            to[i] = rows[i][k];
        }
    }
}

/// From the numbers of a panel, `[columns][height]`, to its factors.
fn round_panel(factors: Factors, height: usize, numbers: &[f32], to: &mut [f32]) {
    if factors == Factors::Rounded {
        let rounded = to.iter_mut().zip(numbers);
        rounded.for_each(|(to, number)| *to = bf16::round(*number));
        return;
    }
    if height == PANEL {
        let columns = numbers.as_chunks::<{ 2 * PANEL }>().0;
        Arch::default().dispatch(
            #[inline(always)]
            || {
                for (to, numbers) in to.as_chunks_mut::<PANEL>().0.iter_mut().zip(columns) {
                    for i in 0..PANEL {
                        to[i] = bf16::pair(numbers[i], numbers[PANEL + i]);
                    }
                }
            },
        );
        return;
    }
    let columns = numbers.chunks_exact(2 * height);
    for (to, numbers) in to.chunks_exact_mut(height).zip(columns) {
        let (first, second) = numbers.split_at(height);
        for ((to, first), second) in to.iter_mut().zip(first).zip(second) {
            *to = bf16::pair(*first, *second);
        }
    }
}

fn panel_height(left: usize) -> usize {
    if left >= PANEL {
        PANEL
    } else {
        left.clamp(1, 4)
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
    /// Plus the values laid out as C.
    Plus(&'a [f32]),
    /// Row i gets bias i added, and the values laid out as C.
    BiasPlus(&'a [f32], &'a [f32]),
    /// Times a mask laid out as C.
    Mask(Mask<'a>),
}

/// C = A·B with an epilogue.
pub(crate) struct Product<'a> {
    pub(crate) a: &'a Packed,
    /// `[depth][columns]`, rows `b_stride` apart.
    pub(crate) b: &'a [f32],
    pub(crate) b_stride: usize,
    /// Whether B holds factors as A does, a pair of rows in one.
    pub(crate) b_is_packed: bool,
    /// `[rows][columns]`, rows `c_stride` apart.
    pub(crate) c: &'a mut [f32],
    pub(crate) c_stride: usize,
    pub(crate) columns: usize,
    pub(crate) epilogue: Epilogue<'a>,
    /// Where columns of B whose rows lie far apart are brought together, or rounded, [`Product::scratch`] values; else
    /// empty.
    pub(crate) scratch: &'a mut [f32],
}

/// Vectors of columns that a tile has at most.
pub(crate) const WIDEST: usize = 3;

/// How many of the vectors that are left the next tile takes: three at a time, but four as two and two, because a lone
/// vector leaves the FMA units waiting.
pub(crate) fn tile_width(left: usize) -> usize {
    if left == WIDEST + 1 {
        2
    } else {
        left.min(WIDEST)
    }
}

impl Product<'_> {
    /// Values of scratch for a product with columns of B whose rows are `b_stride` apart. Rows that are a page or more
    /// apart fall into the same few places of the nearest cache and would push each other out between panels.
    pub(crate) fn scratch(a: &Packed, b_stride: usize) -> usize {
        const PAGE: usize = 1024;
        if b_stride < PAGE && !a.factors.is_rounded() {
            0
        } else {
            a.packed_depth().min(DEPTH) * WIDEST * LANES
        }
    }

    /// Computes C with these instructions.
    pub(crate) fn run(self, arch: Arch) {
        bf16::dispatch(arch, self.a.factors, self);
    }
}

impl WithTerms for Product<'_> {
    #[inline(always)]
    fn with_terms<S: Simd, T: Terms>(mut self, simd: S) {
        let columns = self.columns;
        check(columns >= S::F32_LANES);
        let extent = |rows: usize, stride: usize| (rows - 1) * stride + columns;
        let c_extent = extent(self.a.rows, self.c_stride);
        let b_rows = if self.b_is_packed {
            self.a.packed_depth()
        } else {
            self.a.depth
        };
        check(extent(b_rows, self.b_stride) <= self.b.len() && c_extent <= self.c.len());
        let is_read_in_place = self.scratch.is_empty();
        check(!is_read_in_place || self.b_is_packed || !self.a.factors.is_rounded());
        check(is_read_in_place || !self.b_is_packed);
        check(T::COUNT == self.a.factors.terms());
        self.epilogue.check(self.a.rows, c_extent);
        let vectors = starts::<S>(columns).count();
        let mut first = 0;
        while first < vectors {
            let left = vectors - first;
            let width = tile_width(left);
            let start = |vector: usize| (vector * S::F32_LANES).min(columns - S::F32_LANES);
            match width {
                3 => {
                    let starts = [start(first), start(first + 1), start(first + 2)];
                    self.panels::<S, T, 3>(simd, starts);
                }
                2 => self.panels::<S, T, 2>(simd, [start(first), start(first + 1)]),
                _ => self.panels::<S, T, 1>(simd, [start(first)]),
            }
            first += width;
        }
    }
}

impl Product<'_> {
    #[inline(always)]
    fn panels<S: Simd, T: Terms, const N: usize>(&mut self, simd: S, columns: [usize; N]) {
        let scratch = std::mem::take(&mut self.scratch);
        let depth = self.a.depth;
        for block in self.a.blocks() {
            if scratch.is_empty() {
                let b = Columns {
                    values: self.b,
                    stride: self.b_stride,
                    first: columns.map(|column| block.start * self.b_stride + column),
                };
                self.all_rows::<S, T, N>(simd, block, b, columns);
                continue;
            }
            let first: [usize; N] = std::array::from_fn(|vector| vector * S::F32_LANES);
            let stride = N * S::F32_LANES;
            check(scratch.len() >= block.len() * stride);
            for (local, packed) in block.clone().enumerate() {
                let k = packed * T::COUNT;
                for (to, column) in first.iter().zip(columns) {
                    // SAFETY: `with_terms` has checked the extents of all operands.
                    let row = |k: usize| unsafe { load::<S>(self.b, k * self.b_stride + column) };
                    let second = if T::COUNT > 1 && k + 1 < depth {
                        row(k + 1)
                    } else {
                        simd.splat_f32s(0.0)
                    };
                    let lanes = T::join(simd, row(k), second);
                    // SAFETY: as above.
                    unsafe { store::<S>(scratch, local * stride + to, lanes) };
                }
            }
            let b = Columns {
                values: scratch,
                stride,
                first,
            };
            self.all_rows::<S, T, N>(simd, block, b, columns);
        }
        self.scratch = scratch;
    }

    #[inline(always)]
    fn all_rows<S: Simd, T: Terms, const N: usize>(
        &mut self,
        simd: S,
        block: Range<usize>,
        b: Columns<'_, N>,
        columns: [usize; N],
    ) {
        let rows = self.a.rows;
        let mut row = 0;
        while row < rows {
            let height = panel_height(rows - row);
            match height {
                8 if N > 1 && has_few_registers::<S>() => {
                    self.tile::<S, T, 8, 0, 4, N>(simd, row, &block, b, columns);
                    self.tile::<S, T, 8, 4, 4, N>(simd, row, &block, b, columns);
                }
                8 => self.tile::<S, T, 8, 0, 8, N>(simd, row, &block, b, columns),
                4 => self.tile::<S, T, 4, 0, 4, N>(simd, row, &block, b, columns),
                3 => self.tile::<S, T, 3, 0, 3, N>(simd, row, &block, b, columns),
                2 => self.tile::<S, T, 2, 0, 2, N>(simd, row, &block, b, columns),
                _ => self.tile::<S, T, 1, 0, 1, N>(simd, row, &block, b, columns),
            }
            row += height;
        }
    }

    /// Rows `FIRST..FIRST + M` of the panel of `P` rows from `row` on.
    #[inline(always)]
    fn tile<
        S: Simd,
        T: Terms,
        const P: usize,
        const FIRST: usize,
        const M: usize,
        const N: usize,
    >(
        &mut self,
        simd: S,
        row: usize,
        block: &Range<usize>,
        b: Columns<'_, N>,
        columns: [usize; N],
    ) {
        let first = block.start * self.a.rows + row * block.len();
        let panel = &self.a.values[first..first + P * block.len()];
        let row = row + FIRST;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        if block.start > 0 {
            unrolled!(I < M, {
                unrolled!(J < N, {
                    // SAFETY: `with_terms` has checked the extents of all operands.
                    sums[I][J] =
                        unsafe { load::<S>(self.c, (row + I) * self.c_stride + columns[J]) };
                });
            });
        }
        let mut at = 0usize;
        for weights in panel.chunks_exact(P) {
            prefetch(weights, AHEAD);
            let vectors = b
                .first
                .map(|first| unsafe { load::<S>(b.values, at.wrapping_add(first)) });
            at = at.wrapping_add(b.stride);
            unrolled!(I < M, {
                let weight = simd.splat_f32s(weights[FIRST + I]);
                unrolled!(J < N, {
                    sums[I][J] = T::add(simd, weight, vectors[J], sums[I][J]);
                });
            });
        }
        let is_last = block.end == self.a.packed_depth();
        unrolled!(I < M, {
            unrolled!(J < N, {
                let at = (row + I) * self.c_stride + columns[J];
                let mut value = sums[I][J];
                if is_last {
                    value = self.epilogue.apply::<S>(simd, value, row + I, at);
                }
                // SAFETY: `with_terms` has checked the extents of all operands.
                unsafe { store::<S>(self.c, at, value) };
            });
        });
    }
}

/// Some vectors of columns of B.
#[derive(Clone, Copy)]
struct Columns<'a, const N: usize> {
    values: &'a [f32],
    /// From one row to the next.
    stride: usize,
    /// Where each vector starts in the first row.
    first: [usize; N],
}

impl<'a> Epilogue<'a> {
    /// Bias and a fused leaky ReLU; slope 1 is none.
    pub(crate) fn activated(bias: &'a [f32], slope: f32) -> Self {
        if slope == 1.0 {
            Self::Bias(bias)
        } else {
            Self::BiasLeaky(bias, slope)
        }
    }

    /// Whether it fits `rows` rows and offsets below `extent`.
    #[inline(always)]
    pub(crate) fn check(&self, rows: usize, extent: usize) {
        match self {
            Epilogue::Bias(bias) | Epilogue::BiasLeaky(bias, _) => check(bias.len() >= rows),
            Epilogue::Plus(stored) => check(stored.len() >= extent),
            Epilogue::Mask(mask) => mask.check(extent),
            Epilogue::BiasPlus(bias, stored) => {
                check(bias.len() >= rows && stored.len() >= extent);
            }
            Epilogue::None => {}
        }
    }

    /// What is written for the sum of `row` that goes to offset `at`.
    #[inline(always)]
    pub(crate) fn apply<S: Simd>(&self, simd: S, sum: S::f32s, row: usize, at: usize) -> S::f32s {
        let zero = simd.splat_f32s(0.0);
        match *self {
            Epilogue::None => sum,
            Epilogue::Bias(bias) => {
                simd.add_f32s(sum, simd.splat_f32s(unsafe { scalar(bias, row) }))
            }
            Epilogue::Plus(values) => simd.add_f32s(sum, unsafe { load::<S>(values, at) }),
            Epilogue::BiasPlus(bias, values) => {
                // SAFETY: `with_terms` has checked the extents of all operands.
                let sum = simd.add_f32s(sum, simd.splat_f32s(unsafe { scalar(bias, row) }));
                simd.add_f32s(sum, unsafe { load::<S>(values, at) })
            }
            Epilogue::BiasLeaky(bias, slope) => {
                // SAFETY: `with_terms` has checked the extents of all operands.
                let sum = simd.add_f32s(sum, simd.splat_f32s(unsafe { scalar(bias, row) }));
                let scaled = simd.mul_f32s(sum, simd.splat_f32s(slope));
                simd.select_f32s(simd.greater_than_f32s(sum, zero), sum, scaled)
            }
            // SAFETY: `with_terms` has checked the extents of all operands.
            Epilogue::Mask(mask) => unsafe { mask.of::<S>(simd, sum, at) },
        }
    }
}
