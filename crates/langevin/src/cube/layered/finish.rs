//! What the sums of a product go through before they are written.

use cubecl::prelude::*;

use super::activation::{Curve, activated, derivative};
use super::tile::Cut;

/// Which of it a kernel is compiled for.
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

/// Writes the sums of a unit, `[unit rows][unit columns]`. `bias` is `[rows, padded]`, `addend` and `kept` are images of the target's
/// shape, and `before` takes what goes into an activation whose derivative needs it.
#[cube]
#[allow(clippy::too_many_arguments)]
pub(super) fn finish<N: Size>(
    sums: &Array<Vector<f32, N>>,
    bias: &Array<Vector<f32, N>>,
    addend: &Array<f32>,
    kept: &Array<f32>,
    before: &mut Array<f32>,
    target: &mut Array<f32>,
    numbers: &Numbers,
    first_column: usize,
    first_row: usize,
    columns: usize,
    #[comptime] cut: Cut,
    #[comptime] ending: Finish,
) {
    let tile = comptime!(cut.tile);
    let gather = comptime!(cut.gather);
    let [rows, height, width] = comptime!(gather.target);
    let unit = UNIT_POS_X as usize;
    let residue = CUBE_POS_Z as usize;
    let unit_column = first_column + unit % comptime!(tile.units[0]);
    let unit_row = first_row + unit / comptime!(tile.units[0]) * comptime!(tile.unit_rows);
    #[unroll]
    for own in 0..comptime!(tile.unit_columns) {
        let column = unit_column + comptime!(own * tile.units[0]);
        let place = column % comptime!(gather.columns());
        let chain = column / comptime!(gather.columns());
        let [_, across] = comptime!(gather.grid());
        let y = place / across * comptime!(gather.spread) + residue / comptime!(gather.spread);
        let x = place % across * comptime!(gather.spread) + residue % comptime!(gather.spread);
        if column < columns && y < height && x < width {
            let first = (chain * rows * height + y) * width + x;
            #[unroll]
            for own_row in 0..comptime!(tile.unit_rows) {
                let vector = unit_row + own_row;
                let sum = sums[comptime!(own_row * tile.unit_columns + own)];
                #[unroll]
                for lane in 0..N::value() {
                    let row = vector * N::value() + lane;
                    if row < rows {
                        let at = first + row * comptime!(height * width);
                        let mut value = sum[lane];
                        if comptime!(ending.has_bias) {
                            value += bias[vector][lane];
                        }
                        if comptime!(ending.has_addend) {
                            value += addend[at];
                        }
                        if comptime!(!ending.activation.is_invertible()) {
                            before[at] = value;
                        }
                        value = activated(value, numbers.activation, ending.activation);
                        if comptime!(ending.derivative != Curve::Identity) {
                            value *= derivative(kept[at], numbers.derivative, ending.derivative);
                        }
                        target[at] = value;
                    }
                }
            }
        }
    }
}
