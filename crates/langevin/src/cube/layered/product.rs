//! The kernel of convolutions, linear maps and their input gradients.
//!
//! A cube computes a tile of the product. The left factor comes from packed weights, the right one is gathered from an image;
//! of both there are always two pieces in shared memory, one at work and one arriving. Sums, bias, activation and the
//! derivative of the activation before leave the kernel together.

use cubecl::prelude::*;

use super::activation::{Curve, activated, derivative};
use super::gather::Gather;
use super::tile::Tile;

/// What a product goes through before it is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Finish {
    /// Whether a bias is added to every row.
    pub(super) has_bias: bool,
    /// Whether an image of the target's shape is added.
    pub(super) has_addend: bool,
    /// The activation of the sum.
    pub(super) activation: Curve,
    /// Whose derivative, taken where another image of the target's shape says, is a last factor.
    pub(super) derivative: Curve,
}

/// Slopes or α of the two activations.
#[derive(CubeLaunch, CubeType)]
pub(super) struct Numbers {
    pub(super) activation: f32,
    pub(super) derivative: f32,
}

/// `weights` is `[products][depth][rows, padded]`, `bias` `[rows, padded]`; `source` and all others are `[chains]` of their shape.
/// Columns are those of all chains. `before` takes what goes into an activation whose derivative needs it.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn product<N: Size>(
    weights: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    source: &Array<f32>,
    addend: &Array<f32>,
    kept: &Array<f32>,
    before: &mut Array<f32>,
    target: &mut Array<f32>,
    columns: u32,
    numbers: &Numbers,
    #[comptime] gather: Gather,
    #[comptime] tile: Tile,
    #[comptime] finish: Finish,
) {
    let units = comptime!(tile.units());
    let cube_columns = comptime!(tile.columns());
    let cube_rows = comptime!(tile.row_vectors());
    let depth = comptime!(gather.depth());
    let pieces = comptime!(depth.div_ceil(tile.depth));
    // Entries of a piece that a unit brings.
    let left_loads = comptime!((tile.depth * cube_rows).div_ceil(units));
    let own_columns = comptime!((cube_columns / units).max(1));
    let depth_step = comptime!((units / cube_columns).max(1));
    let own_depth = comptime!(tile.depth / depth_step);
    let row_vectors = comptime!(gather.target[0].div_ceil(4));
    let left_size = comptime!(tile.depth * cube_rows);
    let right_size = comptime!(tile.depth * cube_columns);

    let unit = UNIT_POS as usize;
    let unit_column = unit % comptime!(tile.units[0]);
    let unit_row = unit / comptime!(tile.units[0]) * comptime!(tile.unit_rows);
    let first_column = CUBE_POS_X as usize * cube_columns;
    let first_row = CUBE_POS_Y as usize * cube_rows;
    let residue = CUBE_POS_Z as usize;
    let residue_y = residue / comptime!(gather.spread);
    let residue_x = residue % comptime!(gather.spread);
    let columns = columns as usize;
    let zero = Vector::<f32, N>::new(0.0);

    let mut left = SharedMemory::<Vector<f32, N>>::new(comptime!(2 * left_size));
    let mut right = SharedMemory::<f32>::new(comptime!(2 * right_size));
    let mut left_arriving = Array::<Vector<f32, N>>::new(left_loads);
    let mut right_arriving = Array::<f32>::new(comptime!(own_columns * own_depth));
    let mut sums = Array::<Vector<f32, N>>::new(comptime!(tile.unit_rows * tile.unit_columns));
    #[unroll]
    for at in 0..comptime!(tile.unit_rows * tile.unit_columns) {
        sums[at] = zero;
    }

    // Where the columns that the unit brings see their first tap.
    let own_first = unit / cube_columns;
    let mut from_chain = Array::<u32>::new(own_columns);
    let mut from_y = Array::<i32>::new(own_columns);
    let mut from_x = Array::<i32>::new(own_columns);
    let mut is_column = Array::<bool>::new(own_columns);
    #[unroll]
    for own in 0..own_columns {
        let column = first_column + (unit + own * units) % cube_columns;
        let grid = comptime!(gather.columns());
        let place = column % grid;
        let chain = column / grid;
        from_chain[own] = (chain * comptime!(gather.source.iter().product::<usize>())) as u32;
        from_y[own] = tap(place / comptime!(gather.grid()[1]), residue_y, gather);
        from_x[own] = tap(place % comptime!(gather.grid()[1]), residue_x, gather);
        is_column[own] = column < columns;
    }

    for piece in 0..pieces + 1 {
        // The piece `piece` arrives while the one before is at work.
        if piece < pieces {
            let first = piece * comptime!(tile.depth);
            #[unroll]
            for load in 0..left_loads {
                let at = unit + load * units;
                let line = first + at / cube_rows;
                let row = first_row + at % cube_rows;
                let mut value = zero;
                if line < depth && row < row_vectors && at < left_size {
                    value = weights[(residue * depth + line) * row_vectors + row];
                }
                left_arriving[load] = value;
            }
            #[unroll]
            for load in 0..own_depth {
                let line = first + own_first + load * depth_step;
                let taps = comptime!(gather.taps);
                let channel = line / (taps * taps);
                let within = line % (taps * taps);
                let mut down = (within / taps) as i32;
                let mut across = (within % taps) as i32;
                if comptime!(gather.is_backward) {
                    down = -down;
                    across = -across;
                }
                #[unroll]
                for own in 0..own_columns {
                    let y = from_y[own] + down;
                    let x = from_x[own] + across;
                    let is_inside = is_column[own]
                        && line < depth
                        && y >= 0
                        && x >= 0
                        && y < comptime!(gather.source[1] as i32)
                        && x < comptime!(gather.source[2] as i32);
                    let mut value = 0.0f32;
                    if is_inside {
                        let line_of_pixels = channel * comptime!(gather.source[1]) + y as usize;
                        value = source[from_chain[own] as usize
                            + line_of_pixels * comptime!(gather.source[2])
                            + x as usize];
                    }
                    right_arriving[load * own_columns + own] = value;
                }
            }
        }
        if piece > 0 {
            let half = (piece + 1) % 2;
            for line in 0..comptime!(tile.depth) {
                let left_line = half * left_size + line * cube_rows + unit_row;
                let right_line = half * right_size + line * cube_columns + unit_column;
                #[unroll]
                for column in 0..comptime!(tile.unit_columns) {
                    let value = Vector::<f32, N>::new(
                        right[right_line + column * comptime!(tile.units[0])],
                    );
                    #[unroll]
                    for row in 0..comptime!(tile.unit_rows) {
                        let at = comptime!(row * tile.unit_columns + column);
                        sums[at] = fma(left[left_line + row], value, sums[at]);
                    }
                }
            }
        }
        if piece < pieces {
            let half = piece % 2;
            #[unroll]
            for load in 0..left_loads {
                let at = unit + load * units;
                if at < left_size {
                    left[half * left_size + at] = left_arriving[load];
                }
            }
            #[unroll]
            for load in 0..own_depth {
                let line = own_first + load * depth_step;
                #[unroll]
                for own in 0..own_columns {
                    let column = (unit + own * units) % cube_columns;
                    right[half * right_size + line * cube_columns + column] =
                        right_arriving[load * own_columns + own];
                }
            }
        }
        sync_cube();
    }

    #[unroll]
    for own in 0..comptime!(tile.unit_columns) {
        let column = first_column + unit_column + own * comptime!(tile.units[0]);
        let grid = comptime!(gather.columns());
        let place = column % grid;
        let chain = column / grid;
        let y = place / comptime!(gather.grid()[1]) * comptime!(gather.spread) + residue_y;
        let x = place % comptime!(gather.grid()[1]) * comptime!(gather.spread) + residue_x;
        if column < columns && y < comptime!(gather.target[1]) && x < comptime!(gather.target[2]) {
            #[unroll]
            for own_row in 0..comptime!(tile.unit_rows) {
                let vector = first_row + unit_row + own_row;
                let sum = sums[comptime!(own_row * tile.unit_columns + own)];
                #[unroll]
                for lane in 0..N::value() {
                    let row = vector * N::value() + lane;
                    if row < comptime!(gather.target[0]) {
                        let line = (chain * comptime!(gather.target[0]) + row)
                            * comptime!(gather.target[1])
                            + y;
                        let at = line * comptime!(gather.target[2]) + x;
                        let mut value = sum[lane];
                        if comptime!(finish.has_bias) {
                            value += bias[vector][lane];
                        }
                        if comptime!(finish.has_addend) {
                            value += addend[at];
                        }
                        if comptime!(!finish.activation.is_invertible()) {
                            before[at] = value;
                        }
                        value = activated(value, numbers.activation, finish.activation);
                        if comptime!(finish.derivative != Curve::Identity) {
                            value *= derivative(kept[at], numbers.derivative, finish.derivative);
                        }
                        target[at] = value;
                    }
                }
            }
        }
    }
}

/// The source pixel, along an axis, of a column's first tap.
#[cube]
fn tap(place: usize, residue: usize, #[comptime] gather: Gather) -> i32 {
    let spread = comptime!(gather.spread as i32);
    let first = (residue as i32 + comptime!(gather.shift)) / spread;
    (place * comptime!(gather.stride)) as i32 + first
}
