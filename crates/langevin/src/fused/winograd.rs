//! Small minimal-filtering transforms, F(outputs, taps) along each axis (Lavin and Gray, "Fast algorithms for
//! convolutional neural networks", CVPR 2016; Toom–Cook at the points 0, ±1, ±2 and ∞).
//!
//! A convolution of stride s whose kernel is s·r wide is the sum of s² phases, each a stride-1 convolution of r taps;
//! transforms of all phases share the output side, so phases are merely more channels of the product.
//! The gradient runs the same algorithm transposed, with as few multiplications.

use pulp::{Simd, WithSimd};

use super::vector::{check, load, starts, store};

/// Phases whose places are kept at once.
const PHASES: usize = 4;

/// A place in the padding.
const OUTSIDE: usize = usize::MAX;

/// The largest transform: F(4, 3).
pub(crate) const MOST: usize = 6;

/// F(outputs, taps) as matrices: y = Aᵀ[(G w) ∘ (Bᵀ x)].
pub(crate) trait Transform {
    /// Outputs of a tile along an axis.
    const OUTPUTS: usize;
    /// Inputs, outputs + taps − 1.
    const INPUTS: usize;
    /// Bᵀ, `INPUTS` × `INPUTS`.
    const INPUT: [[f32; MOST]; MOST];
    /// Aᵀ, `OUTPUTS` × `INPUTS`.
    const OUTPUT: [[f32; MOST]; MOST];
    /// G, `INPUTS` × taps.
    const WEIGHT: [[f64; 3]; MOST];
}

/// F(2, 2): 3 products for 2 outputs of 2 taps.
pub(crate) struct F22;

impl Transform for F22 {
    const OUTPUTS: usize = 2;
    const INPUTS: usize = 3;
    const INPUT: [[f32; MOST]; MOST] = [
        [1.0, -1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0; MOST],
        [0.0; MOST],
        [0.0; MOST],
    ];
    const OUTPUT: [[f32; MOST]; MOST] = [
        [1.0, 1.0, 0.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0; MOST],
        [0.0; MOST],
        [0.0; MOST],
        [0.0; MOST],
    ];
    const WEIGHT: [[f64; 3]; MOST] = [
        [1.0, 0.0, 0.0],
        [1.0, 1.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0; 3],
        [0.0; 3],
        [0.0; 3],
    ];
}

/// F(4, 2): 5 products for 4 outputs of 2 taps, points 0, 1, −1, 2, ∞.
pub(crate) struct F42;

impl Transform for F42 {
    const OUTPUTS: usize = 4;
    const INPUTS: usize = 5;
    const INPUT: [[f32; MOST]; MOST] = [
        [2.0, -1.0, -2.0, 1.0, 0.0, 0.0],
        [0.0, -2.0, -1.0, 1.0, 0.0, 0.0],
        [0.0, 2.0, -3.0, 1.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0; MOST],
    ];
    const OUTPUT: [[f32; MOST]; MOST] = [
        [1.0, 1.0, 1.0, 1.0, 0.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, 0.0, 0.0],
        [0.0, 1.0, 1.0, 4.0, 0.0, 0.0],
        [0.0, 1.0, -1.0, 8.0, 1.0, 0.0],
        [0.0; MOST],
        [0.0; MOST],
    ];
    const WEIGHT: [[f64; 3]; MOST] = [
        [0.5, 0.0, 0.0],
        [-0.5, -0.5, 0.0],
        [-1.0 / 6.0, 1.0 / 6.0, 0.0],
        [1.0 / 6.0, 2.0 / 6.0, 0.0],
        [0.0, 1.0, 0.0],
        [0.0; 3],
    ];
}

/// F(2, 3): 4 products for 2 outputs of 3 taps, points 0, 1, −1, ∞.
pub(crate) struct F23;

impl Transform for F23 {
    const OUTPUTS: usize = 2;
    const INPUTS: usize = 4;
    const INPUT: [[f32; MOST]; MOST] = [
        [-1.0, 0.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, -1.0, 0.0, 1.0, 0.0, 0.0],
        [0.0; MOST],
        [0.0; MOST],
    ];
    const OUTPUT: [[f32; MOST]; MOST] = [
        [1.0, 1.0, 1.0, 0.0, 0.0, 0.0],
        [0.0, 1.0, -1.0, 1.0, 0.0, 0.0],
        [0.0; MOST],
        [0.0; MOST],
        [0.0; MOST],
        [0.0; MOST],
    ];
    const WEIGHT: [[f64; 3]; MOST] = [
        [-1.0, 0.0, 0.0],
        [0.5, 0.5, 0.5],
        [0.5, -0.5, 0.5],
        [0.0, 0.0, 1.0],
        [0.0; 3],
        [0.0; 3],
    ];
}

/// F(4, 3): 6 products for 4 outputs of 3 taps, points 0, 1, −1, 2, −2, ∞.
pub(crate) struct F43;

impl Transform for F43 {
    const OUTPUTS: usize = 4;
    const INPUTS: usize = 6;
    const INPUT: [[f32; MOST]; MOST] = [
        [4.0, 0.0, -5.0, 0.0, 1.0, 0.0],
        [0.0, -4.0, -4.0, 1.0, 1.0, 0.0],
        [0.0, 4.0, -4.0, -1.0, 1.0, 0.0],
        [0.0, -2.0, -1.0, 2.0, 1.0, 0.0],
        [0.0, 2.0, -1.0, -2.0, 1.0, 0.0],
        [0.0, 4.0, 0.0, -5.0, 0.0, 1.0],
    ];
    const OUTPUT: [[f32; MOST]; MOST] = [
        [1.0, 1.0, 1.0, 1.0, 1.0, 0.0],
        [0.0, 1.0, -1.0, 2.0, -2.0, 0.0],
        [0.0, 1.0, 1.0, 4.0, 4.0, 0.0],
        [0.0, 1.0, -1.0, 8.0, -8.0, 1.0],
        [0.0; MOST],
        [0.0; MOST],
    ];
    const WEIGHT: [[f64; 3]; MOST] = [
        [0.25, 0.0, 0.0],
        [-1.0 / 6.0, -1.0 / 6.0, -1.0 / 6.0],
        [-1.0 / 6.0, 1.0 / 6.0, -1.0 / 6.0],
        [1.0 / 24.0, 1.0 / 12.0, 1.0 / 6.0],
        [1.0 / 24.0, -1.0 / 12.0, 1.0 / 6.0],
        [0.0, 0.0, 1.0],
    ];
}

/// Which transform.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tile {
    F22,
    F42,
    F23,
    F43,
}

impl Tile {
    pub(crate) fn outputs(self) -> usize {
        match self {
            Self::F22 | Self::F23 => 2,
            Self::F42 | Self::F43 => 4,
        }
    }

    pub(crate) fn inputs(self) -> usize {
        match self {
            Self::F22 => F22::INPUTS,
            Self::F42 => F42::INPUTS,
            Self::F23 => F23::INPUTS,
            Self::F43 => F43::INPUTS,
        }
    }

    /// G.
    pub(crate) fn weight(self) -> [[f64; 3]; MOST] {
        match self {
            Self::F22 => F22::WEIGHT,
            Self::F42 => F42::WEIGHT,
            Self::F23 => F23::WEIGHT,
            Self::F43 => F43::WEIGHT,
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

    /// The input position of place `index` of tile `tile` in `phase` along `axis`, if it is not padding.
    #[inline(always)]
    fn place(&self, axis: usize, tile: usize, index: usize, phase: usize) -> Option<usize> {
        let padded = self.stride * (tile * self.tile.outputs() + index) + phase;
        let place = padded.wrapping_sub(self.padding);
        (place < self.input[axis]).then_some(place)
    }
}

/// The four directions between images and transformed tiles. `pixels` is `[channels][height][width][lanes]`; `tiles`
/// is `[inputs²][channel, phase][plane]` with columns (tile, lane), `plane_stride` values from one of the
/// `inputs²` matrices to the next.
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
    pub(crate) pixels: &'a mut [f32],
    pub(crate) planes: &'a mut [f32],
    /// Bias of each channel and slope, for `Finish`; slope 1 is no activation.
    pub(crate) bias: &'a [f32],
    pub(crate) slope: f32,
    /// For `Spread`: the stored activation whose sign masks the gradient with `slope`.
    pub(crate) mask: Option<&'a [f32]>,
}

impl WithSimd for Transfer<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(mut self, simd: S) {
        match self.tiling.tile {
            Tile::F22 => self.walk::<S, F22, 3, 2>(simd),
            Tile::F42 => self.walk::<S, F42, 5, 4>(simd),
            Tile::F23 => self.walk::<S, F23, 4, 2>(simd),
            Tile::F43 => self.walk::<S, F43, 6, 4>(simd),
        }
    }
}

impl Transfer<'_> {
    #[inline(always)]
    fn walk<S: Simd, T: Transform, const I: usize, const O: usize>(&mut self, simd: S) {
        let is_input = matches!(self.direction, Direction::Gather | Direction::Scatter);
        let [height, width] = if is_input {
            self.tiling.input
        } else {
            self.tiling.output
        };
        let phases = if is_input { self.tiling.stride } else { 1 };
        let columns = self.tiles.len() * self.lanes;
        check(self.lanes.is_multiple_of(S::F32_LANES));
        check(self.pixels.len() >= self.channels * height * width * self.lanes);
        check(self.plane_stride >= self.channels * phases * phases * columns);
        check(
            self.planes.len()
                >= (I * I - 1) * self.plane_stride + self.channels * phases * phases * columns,
        );
        check(self.direction != Direction::Finish || self.bias.len() >= self.channels);
        check(
            self.mask
                .is_none_or(|mask| mask.len() >= self.channels * height * width * self.lanes),
        );
        let across = self.tiling.grid()[1];
        for (local, tile) in self.tiles.clone().enumerate() {
            let at = [tile / across, tile % across];
            if !is_input {
                for channel in 0..self.channels {
                    let column = channel * columns + local * self.lanes;
                    self.output_tile::<S, T, I, O>(simd, channel, at, column);
                }
                continue;
            }
            // Where each phase's places are in an image; at most four phases at a time, to bound the stack.
            for first in (0..phases * phases).step_by(PHASES) {
                let group = first..(first + PHASES).min(phases * phases);
                let mut places = [[[OUTSIDE; I]; I]; PHASES];
                for phase in group.clone() {
                    places[phase - first] = self.places::<I>(at, [phase / phases, phase % phases]);
                }
                for channel in 0..self.channels {
                    for phase in group.clone() {
                        let row = channel * phases * phases + phase;
                        let column = row * columns + local * self.lanes;
                        let places = &places[phase - first];
                        if self.direction == Direction::Gather {
                            self.gather::<S, T, I>(simd, channel, places, column);
                        } else {
                            self.scatter::<S, T, I>(simd, channel, at, places, column);
                        }
                    }
                }
            }
        }
    }

    /// The offsets of a tile's places in the first channel's image.
    #[inline(always)]
    fn places<const I: usize>(&self, at: [usize; 2], phase: [usize; 2]) -> [[usize; I]; I] {
        let mut places = [[OUTSIDE; I]; I];
        for (j, row) in places.iter_mut().enumerate() {
            let y = self.tiling.place(0, at[0], j, phase[0]);
            for (i, place) in row.iter_mut().enumerate() {
                let x = self.tiling.place(1, at[1], i, phase[1]);
                if let (Some(y), Some(x)) = (y, x) {
                    *place = (y * self.tiling.input[1] + x) * self.lanes;
                }
            }
        }
        places
    }

    #[inline(always)]
    fn gather<S: Simd, T: Transform, const I: usize>(
        &mut self,
        simd: S,
        channel: usize,
        places: &[[usize; I]; I],
        column: usize,
    ) {
        let [height, width] = self.tiling.input;
        let image = channel * height * width * self.lanes;
        let zero = simd.splat_f32s(0.0);
        let is_inside = places.as_flattened().iter().all(|&place| place != OUTSIDE);
        for start in starts::<S>(self.lanes) {
            let mut half = [[zero; I]; I];
            for j in 0..I {
                let mut row = [zero; I];
                for i in 0..I {
                    if is_inside || places[j][i] != OUTSIDE {
                        row[i] = load::<S>(self.pixels, image + places[j][i] + start);
                    }
                }
                half[j] = apply::<S, I, I, false>(simd, &T::INPUT, row);
            }
            for i in 0..I {
                let mut down = [zero; I];
                for j in 0..I {
                    down[j] = half[j][i];
                }
                let done = apply::<S, I, I, false>(simd, &T::INPUT, down);
                for j in 0..I {
                    let plane = (j * I + i) * self.plane_stride;
                    store::<S>(self.planes, plane + column + start, done[j]);
                }
            }
        }
    }

    /// Neighbouring tiles share `taps − 1` places; tiles come in order, so whoever reaches a place first writes it and
    /// the others add.
    #[inline(always)]
    fn scatter<S: Simd, T: Transform, const I: usize>(
        &mut self,
        simd: S,
        channel: usize,
        at: [usize; 2],
        places: &[[usize; I]; I],
        column: usize,
    ) {
        let [height, width] = self.tiling.input;
        let image = channel * height * width * self.lanes;
        let zero = simd.splat_f32s(0.0);
        let shared = I - T::OUTPUTS;
        for start in starts::<S>(self.lanes) {
            let mut half = [[zero; I]; I];
            for i in 0..I {
                let mut down = [zero; I];
                for j in 0..I {
                    let plane = (j * I + i) * self.plane_stride;
                    down[j] = load::<S>(self.planes, plane + column + start);
                }
                let done = apply::<S, I, I, true>(simd, &T::INPUT, down);
                for j in 0..I {
                    half[j][i] = done[j];
                }
            }
            for j in 0..I {
                let row = apply::<S, I, I, true>(simd, &T::INPUT, half[j]);
                for i in 0..I {
                    if places[j][i] == OUTSIDE {
                        continue;
                    }
                    let place = image + places[j][i] + start;
                    let is_written = j < shared && at[0] > 0 || i < shared && at[1] > 0;
                    let sum = if is_written {
                        simd.add_f32s(load::<S>(self.pixels, place), row[i])
                    } else {
                        row[i]
                    };
                    store::<S>(self.pixels, place, sum);
                }
            }
        }
    }

    #[inline(always)]
    fn output_tile<S: Simd, T: Transform, const I: usize, const O: usize>(
        &mut self,
        simd: S,
        channel: usize,
        at: [usize; 2],
        column: usize,
    ) {
        let [height, width] = self.tiling.output;
        let zero = simd.splat_f32s(0.0);
        let slope = simd.splat_f32s(self.slope);
        let top = at[0] * O;
        let left = at[1] * O;
        let place =
            |j: usize, i: usize| ((channel * height + top + j) * width + left + i) * self.lanes;
        for start in starts::<S>(self.lanes) {
            if self.direction == Direction::Finish {
                let bias = simd.splat_f32s(self.bias[channel]);
                let mut half = [[zero; I]; O];
                for i in 0..I {
                    let mut down = [zero; I];
                    for j in 0..I {
                        let plane = (j * I + i) * self.plane_stride;
                        down[j] = load::<S>(self.planes, plane + column + start);
                    }
                    let done = apply::<S, I, O, false>(simd, &T::OUTPUT, down);
                    for j in 0..O {
                        half[j][i] = done[j];
                    }
                }
                for j in 0..O {
                    let row = apply::<S, I, O, false>(simd, &T::OUTPUT, half[j]);
                    for i in 0..O {
                        if top + j < height && left + i < width {
                            let sum = simd.add_f32s(row[i], bias);
                            let scaled = simd.mul_f32s(sum, slope);
                            let positive = simd.greater_than_f32s(sum, zero);
                            let value = simd.select_f32s(positive, sum, scaled);
                            store::<S>(self.pixels, place(j, i) + start, value);
                        }
                    }
                }
            } else {
                let mut half = [[zero; I]; O];
                for j in 0..O {
                    let mut row = [zero; O];
                    for i in 0..O {
                        if top + j < height && left + i < width {
                            row[i] = load::<S>(self.pixels, place(j, i) + start);
                            if let Some(mask) = self.mask {
                                let stored = load::<S>(mask, place(j, i) + start);
                                let positive = simd.greater_than_f32s(stored, zero);
                                row[i] = simd.select_f32s(
                                    positive,
                                    row[i],
                                    simd.mul_f32s(row[i], slope),
                                );
                            }
                        }
                    }
                    half[j] = apply::<S, O, I, true>(simd, &T::OUTPUT, row);
                }
                for i in 0..I {
                    let mut down = [zero; O];
                    for j in 0..O {
                        down[j] = half[j][i];
                    }
                    let done = apply::<S, O, I, true>(simd, &T::OUTPUT, down);
                    for j in 0..I {
                        let plane = (j * I + i) * self.plane_stride;
                        store::<S>(self.planes, plane + column + start, done[j]);
                    }
                }
            }
        }
    }
}

/// The matrix (or its transpose) times a vector of vectors. Its entries are constants: zeros vanish and ones
/// become additions when the loops are unrolled.
#[inline(always)]
fn apply<S: Simd, const FROM: usize, const TO: usize, const TRANSPOSED: bool>(
    simd: S,
    matrix: &[[f32; MOST]; MOST],
    input: [S::f32s; FROM],
) -> [S::f32s; TO] {
    let mut output = [simd.splat_f32s(0.0); TO];
    for to in 0..TO {
        let mut sum = None;
        for from in 0..FROM {
            let factor = if TRANSPOSED {
                matrix[from][to]
            } else {
                matrix[to][from]
            };
            if factor == 0.0 {
                continue;
            }
            let value = input[from];
            sum = Some(match sum {
                None if factor == 1.0 => value,
                None => simd.mul_f32s(value, simd.splat_f32s(factor)),
                Some(sum) if factor == 1.0 => simd.add_f32s(sum, value),
                Some(sum) if factor == -1.0 => simd.sub_f32s(sum, value),
                Some(sum) => simd.mul_add_e_f32s(value, simd.splat_f32s(factor), sum),
            });
        }
        if let Some(sum) = sum {
            output[to] = sum;
        }
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the definition, in exact small integers scaled by the weights' denominators: y[o] = Σ w[t] x[o + t].
    fn is_a_convolution<T: Transform>(taps: usize) {
        let weights = [3.0, -2.0, 5.0];
        let inputs = [1.0, -4.0, 2.0, 7.0, -3.0, 6.0];
        for output in 0..T::OUTPUTS {
            let direct: f64 = (0..taps).map(|t| weights[t] * inputs[output + t]).sum();
            let mut sum = 0.0;
            for index in 0..T::INPUTS {
                let weight: f64 = (0..taps).map(|t| T::WEIGHT[index][t] * weights[t]).sum();
                let input: f64 = (0..T::INPUTS)
                    .map(|i| f64::from(T::INPUT[index][i]) * inputs[i])
                    .sum();
                sum += f64::from(T::OUTPUT[output][index]) * weight * input;
            }
            assert!((sum - direct).abs() < 1e-12, "{sum} is not {direct}");
        }
    }

    #[test]
    fn every_transform_is_a_convolution() {
        is_a_convolution::<F22>(2);
        is_a_convolution::<F42>(2);
        is_a_convolution::<F23>(3);
        is_a_convolution::<F43>(3);
    }
}
