//! Convolutions in tiles, by minimal filtering along both axes.
//!
//! A convolution of stride s whose kernel is s·r wide is the sum of s² phases, each a stride-1 convolution of r taps;
//! transforms of all phases share the output side, so phases are merely more channels of the product.
//! The gradient runs the same algorithm transposed, with as few multiplications.

#![allow(unsafe_code)]

use pulp::{Arch, Simd};

use crate::bf16::{self, Factors, Terms, WithTerms};
use crate::elementwise::Mask;
use crate::transform::{F22, F23, F42, F43, Transform};
use crate::transform_rounded::{F42Rounded, F43Rounded};
use crate::vector::{check, load, starts, store, unrolled};

/// Which transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    F22,
    F42,
    F23,
    F43,
    /// F42 at points that rounded factors suit.
    F42Rounded,
    /// F43 at points that rounded factors suit.
    F43Rounded,
}

impl Tile {
    pub(crate) fn outputs(self) -> usize {
        match self {
            Self::F22 | Self::F23 => 2,
            Self::F42 | Self::F43 | Self::F42Rounded | Self::F43Rounded => 4,
        }
    }

    pub(crate) fn inputs(self) -> usize {
        match self {
            Self::F22 => 3,
            Self::F42 | Self::F42Rounded => 5,
            Self::F23 => 4,
            Self::F43 | Self::F43Rounded => 6,
        }
    }

    /// G, a row for each product.
    pub(crate) fn weight(self) -> &'static [[f64; 3]] {
        match self {
            Self::F22 => &F22::WEIGHT,
            Self::F42 => &F42::WEIGHT,
            Self::F23 => &F23::WEIGHT,
            Self::F43 => &F43::WEIGHT,
            Self::F42Rounded => &F42Rounded::WEIGHT,
            Self::F43Rounded => &F43Rounded::WEIGHT,
        }
    }
}

/// Where the tiles of a convolution lie.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tiling {
    pub(crate) tile: Tile,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    /// Height and width of the input and of the output.
    pub(crate) input: [usize; 2],
    pub(crate) output: [usize; 2],
}

impl Tiling {
    /// How many tiles there are, down and across.
    pub(crate) fn grid(&self) -> [usize; 2] {
        self.output.map(|side| side.div_ceil(self.tile.outputs()))
    }

    /// Whether the tiles reach every pixel of the input.
    pub(crate) fn covers_input(&self) -> bool {
        (0..2).all(|axis| {
            let last = (self.grid()[axis] - 1) * self.tile.outputs() + self.tile.inputs();
            self.stride * last >= self.input[axis] + self.padding
        })
    }

    /// Where the window of a tile lies in `phase`.
    fn window(&self, tile: [usize; 2], phase: [usize; 2]) -> Window {
        let first = |axis: usize| {
            let padded = self.stride * tile[axis] * self.tile.outputs() + phase[axis];
            padded.wrapping_sub(self.padding)
        };
        let inside = |axis: usize| {
            let is_inside =
                |&index: &usize| first(axis).wrapping_add(self.stride * index) < self.input[axis];
            let indices = (0..self.tile.inputs()).filter(is_inside);
            indices.fold(0u32, |bits, index| bits | 1 << index)
        };
        // Neighbouring tiles share `taps − 1` places; tiles come in order, so that an earlier one has written them.
        let shared = (1u32 << (self.tile.inputs() - self.tile.outputs())) - 1;
        Window {
            corner: first(0).wrapping_mul(self.input[1]).wrapping_add(first(1)),
            inside: [inside(0), inside(1)],
            written: tile.map(|tile| if tile > 0 { shared } else { 0 }),
        }
    }
}

/// A tile's places in one phase of an image; bits say something of each row and of each column.
#[derive(Clone, Copy)]
struct Window {
    /// The first place, counted in pixels; beyond the image (wrapped) when the tile starts in the padding.
    corner: usize,
    /// Not in the padding.
    inside: [u32; 2],
    /// Shared with the tile before.
    written: [u32; 2],
}

impl Window {
    /// Whether all places lie in the image, and tiles on both sides came before.
    fn is_interior(self, inputs: usize) -> bool {
        let all = (1 << inputs) - 1;
        self.inside == [all, all] && self.written.iter().all(|&bits| bits != 0)
    }
}

/// The row of a channel and a phase in a transformed image: phases of a channel follow each other, or, where factors are
/// rounded, pairs of channels in a phase do.
pub(crate) fn row_of(channel: usize, phase: usize, phases: usize, factors: Factors) -> usize {
    if factors.is_rounded() {
        (channel / 2 * phases + phase) * 2 + channel % 2
    } else {
        channel * phases + phase
    }
}

/// The four directions between images and transformed tiles. `pixels` is `[channels][height][width][lanes]`; `planes`
/// is `[inputs²][channel, phase][plane]` with columns (tile, lane), `plane_stride` values from one of the
/// `inputs²` matrices to the next. Rows are in the order of [`row_of`]. Gather and Spread write factors of
/// products, the other two read sums.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    /// Input pixels to tiles: Bᵀ x B.
    Gather,
    /// Gradients of tiles to gradients of input pixels, summed over tiles that share a pixel: B z Bᵀ.
    Scatter,
    /// Products to output pixels: Aᵀ m A, with bias and optional leaky ReLU.
    Finish,
    /// Gradients of output pixels to those of products: A g Aᵀ.
    Spread,
}

/// A transform of some tiles.
pub(crate) struct Transfer<'a> {
    pub(crate) tiling: &'a Tiling,
    pub(crate) direction: Direction,
    pub(crate) channels: usize,
    pub(crate) lanes: usize,
    pub(crate) tiles: std::ops::Range<usize>,
    pub(crate) plane_stride: usize,
    pub(crate) factors: Factors,
    pub(crate) pixels: &'a mut [f32],
    pub(crate) planes: &'a mut [f32],
    /// Bias of each channel and slope, for `Finish`; slope 1 is no activation.
    pub(crate) bias: &'a [f32],
    pub(crate) slope: f32,
    /// For `Spread`: what the gradient is multiplied by as it is read.
    pub(crate) mask: Option<Mask<'a>>,
}

impl WithTerms for Transfer<'_> {
    #[inline(always)]
    fn with_terms<S: Simd, P: Terms>(mut self, simd: S) {
        match self.tiling.tile {
            Tile::F22 => self.walk::<S, P, F22, 3, 2>(simd),
            Tile::F42 => self.walk::<S, P, F42, 5, 4>(simd),
            Tile::F23 => self.walk::<S, P, F23, 4, 2>(simd),
            Tile::F43 => self.walk::<S, P, F43, 6, 4>(simd),
            Tile::F42Rounded => self.walk::<S, P, F42Rounded, 5, 4>(simd),
            Tile::F43Rounded => self.walk::<S, P, F43Rounded, 6, 4>(simd),
        }
    }
}

impl Transfer<'_> {
    /// Runs it with these instructions.
    pub(crate) fn run(self, arch: Arch) {
        bf16::dispatch(arch, self.factors, self);
    }

    #[inline(always)]
    fn walk<S: Simd, P: Terms, T: Transform<I, O>, const I: usize, const O: usize>(
        &mut self,
        simd: S,
    ) {
        let is_input = matches!(self.direction, Direction::Gather | Direction::Scatter);
        let [height, width] = if is_input {
            self.tiling.input
        } else {
            self.tiling.output
        };
        let stride = if is_input { self.tiling.stride } else { 1 };
        let phases = stride * stride;
        let columns = self.tiles.len() * self.lanes;
        let writes_factors = matches!(self.direction, Direction::Gather | Direction::Spread);
        // Channels that one row has.
        let terms = if writes_factors { P::COUNT } else { 1 };
        let rows = self.channels / terms * phases;
        check(P::COUNT == self.factors.terms() && self.channels.is_multiple_of(terms));
        check(!self.factors.is_rounded() || self.channels.is_multiple_of(2));
        check(self.lanes.is_multiple_of(S::F32_LANES));
        check(self.pixels.len() >= self.channels * height * width * self.lanes);
        check(self.plane_stride >= rows * columns);
        check(self.planes.len() >= (I * I - 1) * self.plane_stride + rows * columns);
        check(self.direction != Direction::Finish || self.bias.len() >= self.channels);
        if let Some(mask) = self.mask {
            mask.check(self.channels * height * width * self.lanes);
        }
        let across = self.tiling.grid()[1];
        for (local, tile) in self.tiles.clone().enumerate() {
            let at = [tile / across, tile % across];
            for phase in 0..phases {
                let window = self.tiling.window(at, [phase / stride, phase % stride]);
                let is_interior = window.is_interior(I);
                let is_whole = (at[0] + 1) * O <= height && (at[1] + 1) * O <= width;
                for channel in (0..self.channels).step_by(terms) {
                    let row = row_of(channel, phase, phases, self.factors) / terms;
                    for start in starts::<S>(self.lanes) {
                        let plane = row * columns + local * self.lanes + start;
                        let size = height * width * self.lanes;
                        let image = channel * size + start;
                        let images = [image, image + size];
                        match (self.direction, is_interior, is_whole) {
                            (Direction::Gather, true, _) => {
                                self.gather::<S, P, T, I, O, true>(simd, images, window, plane);
                            }
                            (Direction::Gather, false, _) => {
                                self.gather::<S, P, T, I, O, false>(simd, images, window, plane);
                            }
                            (Direction::Scatter, true, _) => {
                                self.scatter::<S, T, I, O, true>(simd, image, window, plane);
                            }
                            (Direction::Scatter, false, _) => {
                                self.scatter::<S, T, I, O, false>(simd, image, window, plane);
                            }
                            (Direction::Finish, _, true) => {
                                self.finish::<S, T, I, O, true>(simd, channel, at, image, plane);
                            }
                            (Direction::Finish, _, false) => {
                                self.finish::<S, T, I, O, false>(simd, channel, at, image, plane);
                            }
                            (Direction::Spread, _, true) => {
                                self.spread::<S, P, T, I, O, true>(simd, at, images, plane);
                            }
                            (Direction::Spread, _, false) => {
                                self.spread::<S, P, T, I, O, false>(simd, at, images, plane);
                            }
                        }
                    }
                }
            }
        }
    }

    /// Offset of a window's first place, and the steps down and across.
    #[inline(always)]
    fn input_places(&self, image: usize, window: Window) -> [usize; 3] {
        let across = self.tiling.stride * self.lanes;
        let corner = window.corner.wrapping_mul(self.lanes);
        let first = image.wrapping_add(corner);
        [first, across * self.tiling.input[1], across]
    }

    /// Offset of a tile's first output pixel, and the steps down and across.
    #[inline(always)]
    fn output_places<const O: usize>(&self, image: usize, at: [usize; 2]) -> [usize; 3] {
        let [_, width] = self.tiling.output;
        let first = image + (at[0] * width + at[1]) * O * self.lanes;
        [first, width * self.lanes, self.lanes]
    }

    #[inline(always)]
    fn is_output<const O: usize>(&self, at: [usize; 2], j: usize, i: usize) -> bool {
        let [height, width] = self.tiling.output;
        at[0] * O + j < height && at[1] * O + i < width
    }

    /// Transforms the window along its rows.
    #[inline(always)]
    fn gather_rows<
        S: Simd,
        T: Transform<I, O>,
        const I: usize,
        const O: usize,
        const INTERIOR: bool,
    >(
        &self,
        simd: S,
        image: usize,
        window: Window,
    ) -> [[S::f32s; I]; I] {
        let [first, down, across] = self.input_places(image, window);
        let zero = simd.splat_f32s(0.0);
        let mut half = [[zero; I]; I];
        unrolled!(J < I, {
            if INTERIOR || window.inside[0] >> J & 1 == 1 {
                let mut row = [zero; I];
                unrolled!(K < I, {
                    if INTERIOR || window.inside[1] >> K & 1 == 1 {
                        let place = first.wrapping_add(J * down + K * across);
                        // SAFETY: `walk` has checked pixels, planes and biases.
                        row[K] = unsafe { load::<S>(self.pixels, place) };
                    }
                });
                half[J] = T::input(simd, row);
            }
        });
        half
    }

    /// The window of one image, or of two whose values are joined.
    #[inline(always)]
    fn gather<
        S: Simd,
        P: Terms,
        T: Transform<I, O>,
        const I: usize,
        const O: usize,
        const INTERIOR: bool,
    >(
        &mut self,
        simd: S,
        images: [usize; 2],
        window: Window,
        plane: usize,
    ) {
        let zero = simd.splat_f32s(0.0);
        let first = self.gather_rows::<S, T, I, O, INTERIOR>(simd, images[0], window);
        let mut second = [[zero; I]; I];
        if P::COUNT > 1 {
            second = self.gather_rows::<S, T, I, O, INTERIOR>(simd, images[1], window);
        }
        unrolled!(K < I, {
            let place = plane + K * self.plane_stride;
            let done = T::input(simd, column(&first, K));
            let mut other = [zero; I];
            if P::COUNT > 1 {
                other = T::input(simd, column(&second, K));
            }
            self.store_factors::<S, P, I>(simd, place, [done, other]);
        });
    }

    /// Writes a column of a tile from `place` on, joined with that of a second image where a lane has two terms.
    #[inline(always)]
    fn store_factors<S: Simd, P: Terms, const I: usize>(
        &mut self,
        simd: S,
        place: usize,
        [first, second]: [[S::f32s; I]; 2],
    ) {
        unrolled!(J < I, {
            let factors = P::join(simd, first[J], second[J]);
            // SAFETY: `walk` has checked pixels, planes and biases.
            unsafe { store::<S>(self.planes, place + J * I * self.plane_stride, factors) };
        });
    }

    /// Whoever reaches a place first writes it and the others add.
    #[inline(always)]
    fn scatter<
        S: Simd,
        T: Transform<I, O>,
        const I: usize,
        const O: usize,
        const INTERIOR: bool,
    >(
        &mut self,
        simd: S,
        image: usize,
        window: Window,
        plane: usize,
    ) {
        let [first, down, across] = self.input_places(image, window);
        let zero = simd.splat_f32s(0.0);
        let mut half = [[zero; I]; I];
        unrolled!(K < I, {
            let mut place = plane + K * self.plane_stride;
            let mut column = [zero; I];
            unrolled!(J < I, {
                // SAFETY: `walk` has checked pixels, planes and biases.
                column[J] = unsafe { load::<S>(self.planes, place) };
                place += I * self.plane_stride;
            });
            let done = T::input_transposed(simd, column);
            unrolled!(J < I, {
                half[J][K] = done[J];
            });
        });
        unrolled!(J < I, {
            if INTERIOR || window.inside[0] >> J & 1 == 1 {
                let row = T::input_transposed(simd, half[J]);
                unrolled!(K < I, {
                    if INTERIOR || window.inside[1] >> K & 1 == 1 {
                        let place = first.wrapping_add(J * down + K * across);
                        let is_written = if INTERIOR {
                            J + O < I || K + O < I
                        } else {
                            (window.written[0] >> J | window.written[1] >> K) & 1 == 1
                        };
                        let sum = if is_written {
                            // SAFETY: `walk` has checked pixels, planes and biases.
                            simd.add_f32s(unsafe { load::<S>(self.pixels, place) }, row[K])
                        } else {
                            row[K]
                        };
                        // SAFETY: `walk` has checked pixels, planes and biases.
                        unsafe { store::<S>(self.pixels, place, sum) };
                    }
                });
            }
        });
    }

    #[inline(always)]
    fn finish<S: Simd, T: Transform<I, O>, const I: usize, const O: usize, const WHOLE: bool>(
        &mut self,
        simd: S,
        channel: usize,
        at: [usize; 2],
        image: usize,
        plane: usize,
    ) {
        let [first, down, across] = self.output_places::<O>(image, at);
        let zero = simd.splat_f32s(0.0);
        let slope = simd.splat_f32s(self.slope);
        let bias = simd.splat_f32s(self.bias[channel]);
        let mut half = [[zero; I]; O];
        unrolled!(K < I, {
            let mut place = plane + K * self.plane_stride;
            let mut column = [zero; I];
            unrolled!(J < I, {
                // SAFETY: `walk` has checked pixels, planes and biases.
                column[J] = unsafe { load::<S>(self.planes, place) };
                place += I * self.plane_stride;
            });
            let done = T::output(simd, column);
            unrolled!(J < O, {
                half[J][K] = done[J];
            });
        });
        unrolled!(J < O, {
            let row = T::output(simd, half[J]);
            unrolled!(K < O, {
                if WHOLE || self.is_output::<O>(at, J, K) {
                    let sum = simd.add_f32s(row[K], bias);
                    let scaled = simd.mul_f32s(sum, slope);
                    let positive = simd.greater_than_f32s(sum, zero);
                    let value = simd.select_f32s(positive, sum, scaled);
                    // SAFETY: `walk` has checked pixels, planes and biases.
                    unsafe { store::<S>(self.pixels, first + J * down + K * across, value) };
                }
            });
        });
    }

    /// Transforms the gradients of a tile's output pixels along its rows.
    #[inline(always)]
    fn spread_rows<
        S: Simd,
        T: Transform<I, O>,
        const I: usize,
        const O: usize,
        const WHOLE: bool,
    >(
        &self,
        simd: S,
        at: [usize; 2],
        image: usize,
    ) -> [[S::f32s; I]; O] {
        let [first, down, across] = self.output_places::<O>(image, at);
        let zero = simd.splat_f32s(0.0);
        let mask = self.mask;
        let mut half = [[zero; I]; O];
        unrolled!(J < O, {
            let mut row = [zero; O];
            unrolled!(K < O, {
                if WHOLE || self.is_output::<O>(at, J, K) {
                    let place = first + J * down + K * across;
                    // SAFETY: `walk` has checked pixels, planes and biases.
                    row[K] = unsafe { load::<S>(self.pixels, place) };
                    if let Some(mask) = mask {
                        // SAFETY: `walk` has checked the mask too.
                        row[K] = unsafe { mask.of::<S>(simd, row[K], place) };
                    }
                }
            });
            half[J] = T::output_transposed(simd, row);
        });
        half
    }

    /// The tile of one image, or of two whose values are joined.
    #[inline(always)]
    fn spread<
        S: Simd,
        P: Terms,
        T: Transform<I, O>,
        const I: usize,
        const O: usize,
        const WHOLE: bool,
    >(
        &mut self,
        simd: S,
        at: [usize; 2],
        images: [usize; 2],
        plane: usize,
    ) {
        let zero = simd.splat_f32s(0.0);
        let first = self.spread_rows::<S, T, I, O, WHOLE>(simd, at, images[0]);
        let mut second = [[zero; I]; O];
        if P::COUNT > 1 {
            second = self.spread_rows::<S, T, I, O, WHOLE>(simd, at, images[1]);
        }
        unrolled!(K < I, {
            let place = plane + K * self.plane_stride;
            let done = T::output_transposed(simd, column(&first, K));
            let mut other = [zero; I];
            if P::COUNT > 1 {
                other = T::output_transposed(simd, column(&second, K));
            }
            self.store_factors::<S, P, I>(simd, place, [done, other]);
        });
    }
}

/// Column k of some rows.
#[inline(always)]
fn column<V: Copy, const I: usize, const N: usize>(rows: &[[V; I]; N], k: usize) -> [V; N] {
    let mut column = [rows[0][k]; N];
    unrolled!(J < N, {
        column[J] = rows[J][k];
    });
    column
}
