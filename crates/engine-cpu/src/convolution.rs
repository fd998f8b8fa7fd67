//! Convolutions and their input gradients, piece by piece: transforms around products, or sums over shifted images.

use crate::bf16::Factors;
use crate::elementwise::Mask;
use crate::gemm::{Epilogue, Packed, Product};
use crate::operation::{Convolution, Geometry, Method};
use crate::scratch::{Needs, Scratch};
use crate::vector::{LANES, Vectors};
use crate::winograd::{Direction, Tiling, Transfer};

/// Columns of a product that are transformed together; more reuse weights better, fewer stay in the cache.
const COLUMNS: usize = 48;

/// The pieces of tiles that a convolution is done in.
struct Pieces {
    count: usize,
    size: usize,
}

impl Pieces {
    fn new(count: usize, columns_each: usize) -> Self {
        let size = (COLUMNS / columns_each).clamp(1, count.max(1));
        // Even pieces: four tiles are cut as two and two, not three and one.
        let size = count.div_ceil(count.div_ceil(size));
        Self { count, size }
    }

    fn ranges(&self) -> impl Iterator<Item = std::ops::Range<usize>> + use<> {
        let (count, size) = (self.count, self.size);
        (0..count)
            .step_by(size)
            .map(move |start| start..(start + size).min(count))
    }
}

fn tile_pieces(tiling: &Tiling, lanes: usize) -> Pieces {
    let [down, across] = tiling.grid();
    Pieces::new(down * across, lanes)
}

/// Values between the matrices of a transform; odd in cache lines, so that they do not all fall into one cache set.
fn plane_stride(rows: usize, columns: usize) -> usize {
    (rows * columns).next_multiple_of(2 * LANES) + LANES
}

/// Some tiles of a convolution: what their transforms have in common.
pub(crate) struct TilePiece<'a> {
    tiling: &'a Tiling,
    lanes: usize,
    tiles: std::ops::Range<usize>,
    factors: Factors,
}

impl<'a> TilePiece<'a> {
    /// All tiles, in pieces, with factors for products.
    pub(crate) fn all(
        tiling: &'a Tiling,
        lanes: usize,
        factors: Factors,
    ) -> impl Iterator<Item = Self> {
        let ranges = tile_pieces(tiling, lanes).ranges();
        ranges.map(move |tiles| Self {
            tiling,
            lanes,
            tiles,
            factors,
        })
    }

    /// All tiles at once, as they are.
    pub(crate) fn whole(tiling: &'a Tiling, lanes: usize) -> Self {
        let [down, across] = tiling.grid();
        Self {
            tiling,
            lanes,
            tiles: 0..down * across,
            factors: Factors::Single,
        }
    }

    /// Rows of each matrix of a transform of so many channels, and values from one matrix to the next.
    pub(crate) fn extent(&self, direction: Direction, channels: usize) -> (usize, usize) {
        let phases = self.tiling.stride * self.tiling.stride;
        let rows = match direction {
            Direction::Gather => channels * phases / self.factors.terms(),
            Direction::Scatter => channels * phases,
            Direction::Finish => channels,
            Direction::Spread => channels / self.factors.terms(),
        };
        (rows, plane_stride(rows, self.columns()))
    }

    /// Columns of the products.
    pub(crate) fn columns(&self) -> usize {
        self.tiles.len() * self.lanes
    }

    /// A transform of the piece, without bias, activation and mask.
    pub(crate) fn transfer<'b>(
        &self,
        direction: Direction,
        channels: usize,
        pixels: &'b mut [f32],
        planes: &'b mut [f32],
    ) -> Transfer<'b>
    where
        'a: 'b,
    {
        let (_, plane_stride) = self.extent(direction, channels);
        Transfer {
            tiling: self.tiling,
            direction,
            channels,
            lanes: self.lanes,
            tiles: self.tiles.clone(),
            plane_stride,
            factors: self.factors,
            pixels,
            planes,
            bias: &[],
            slope: 1.0,
            mask: None,
        }
    }

    /// The product of every place of the transform.
    fn multiply(&self, vectors: Vectors, weights: &[Packed], from: &[f32], to: &mut [f32]) {
        let columns = self.columns();
        let arch = vectors.product(columns);
        for (place, weights) in weights.iter().enumerate() {
            Product {
                a: weights,
                b: &from[place * plane_stride(weights.packed_depth(), columns)..],
                b_is_packed: true,
                b_stride: columns,
                c: &mut to[place * plane_stride(weights.rows, columns)..],
                c_stride: columns,
                columns,
                epilogue: Epilogue::None,
                scratch: &mut [],
            }
            .run(arch);
        }
    }
}

/// Adds the scratch that a convolution needs.
pub(crate) fn convolution_needs(convolution: &Convolution, lanes: usize, needs: &mut Needs) {
    match &convolution.method {
        Method::Direct { forward, backward } => {
            needs.gathered(forward.scratch(lanes).max(backward.scratch(lanes)));
        }
        Method::Winograd {
            tiling, forward, ..
        } => {
            let columns = tile_pieces(tiling, lanes).size * lanes;
            let values = |rows| forward.len() * plane_stride(rows, columns);
            needs.gathered(values(forward[0].depth));
            needs.products(values(convolution.geometry.outputs));
        }
    }
}

pub(crate) fn convolve(
    vectors: Vectors,
    convolution: &Convolution,
    lanes: usize,
    input: &mut [f32],
    output: &mut [f32],
    scratch: &mut Scratch,
) {
    let Geometry {
        inputs, outputs, ..
    } = convolution.geometry;
    let Scratch {
        gathered, products, ..
    } = scratch;
    let arch = vectors.lanes;
    match &convolution.method {
        Method::Direct { forward, .. } => {
            let epilogue = Epilogue::activated(&convolution.bias, convolution.slope);
            forward.run(arch, lanes, input, output, epilogue, gathered);
        }
        Method::Winograd {
            tiling, forward, ..
        } => {
            let factors = forward[0].factors();
            for piece in TilePiece::all(tiling, lanes, factors) {
                piece
                    .transfer(Direction::Gather, inputs, input, gathered)
                    .run(arch);
                piece.multiply(vectors, forward, gathered, products);
                Transfer {
                    bias: &convolution.bias,
                    slope: convolution.slope,
                    ..piece.transfer(Direction::Finish, outputs, output, products)
                }
                .run(arch);
            }
        }
    }
}

/// `input_gradient` ← the transposed convolution of `gradient`, which Winograd's first transform multiplies by the `mask`;
/// other methods take none.
pub(crate) fn convolve_backward(
    vectors: Vectors,
    convolution: &Convolution,
    lanes: usize,
    gradient: &mut [f32],
    mask: Option<Mask<'_>>,
    input_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    let Geometry {
        inputs, outputs, ..
    } = convolution.geometry;
    let Scratch {
        gathered, products, ..
    } = scratch;
    let arch = vectors.lanes;
    match &convolution.method {
        Method::Direct { backward, .. } => {
            debug_assert!(mask.is_none(), "a direct convolution was given a mask");
            let epilogue = Epilogue::None;
            backward.run(arch, lanes, gradient, input_gradient, epilogue, gathered);
        }
        Method::Winograd {
            tiling, backward, ..
        } => {
            if !tiling.covers_input() {
                // Tiles write every pixel that they reach first and add to it later.
                let [height, width] = convolution.geometry.before;
                input_gradient[..inputs * height * width * lanes].fill(0.0);
            }
            let factors = backward[0].factors();
            for piece in TilePiece::all(tiling, lanes, factors) {
                Transfer {
                    mask,
                    ..piece.transfer(Direction::Spread, outputs, gradient, products)
                }
                .run(arch);
                piece.multiply(vectors, backward, products, gathered);
                piece
                    .transfer(Direction::Scatter, inputs, input_gradient, gathered)
                    .run(arch);
            }
        }
    }
}

/// The windows of every output pixel as columns, `[input, tap][output pixels][lanes]`; zeros for the padding.
pub(crate) fn gather_columns(geometry: Geometry, lanes: usize, input: &[f32], columns: &mut [f32]) {
    let Geometry {
        kernel,
        stride,
        padding,
        before: [height, width],
        after: [down, across],
        ..
    } = geometry;
    let rows = columns.chunks_exact_mut(down * across * lanes);
    for (entry, row) in rows.enumerate() {
        let (channel, tap) = (entry / (kernel * kernel), entry % (kernel * kernel));
        for (pixel, to) in row.chunks_exact_mut(lanes).enumerate() {
            let y = (pixel / across * stride + tap / kernel).wrapping_sub(padding);
            let x = (pixel % across * stride + tap % kernel).wrapping_sub(padding);
            if y < height && x < width {
                let place = (channel * height + y) * width + x;
                to.copy_from_slice(&input[place * lanes..][..lanes]);
            } else {
                to.fill(0.0);
            }
        }
    }
}
