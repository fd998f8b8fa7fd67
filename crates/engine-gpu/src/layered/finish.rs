//! The operations on the sums of a product before they are written.

use cubecl::prelude::*;

use super::activation::{Curve, activated, derivative};
use super::tile::Cut;

/// The operations that a kernel is compiled for.
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

/// Where a column is in the target.
#[derive(CubeType)]
pub(super) struct Column {
    /// The place of its first row.
    first: usize,
    /// Whether there is such a column.
    is_there: bool,
}

#[cube]
pub(super) fn column_of(
    column: usize,
    residue: usize,
    columns: usize,
    #[comptime] cut: Cut,
) -> Column {
    let gather = comptime!(cut.gather);
    let [rows, height, width] = comptime!(gather.target);
    let [_, across] = comptime!(gather.grid());
    let spread = comptime!(gather.spread);
    let place = column % comptime!(gather.columns());
    let chain = column / comptime!(gather.columns());
    let y = place / across * spread + residue / spread;
    let x = place % across * spread + residue % spread;
    Column {
        first: (chain * rows * height + y) * width + x,
        is_there: column < columns && y < height && x < width,
    }
}

/// Writes a sum. `bias` is `[rows, padded]`, `addend` and `kept` are images of the target's shape, and `before` takes
/// what goes into an activation whose derivative needs it.
#[cube]
#[allow(clippy::too_many_arguments)]
pub(super) fn finish_row<N: Size>(
    sum: f32,
    row: usize,
    column: &Column,
    bias: &Array<Vector<f32, N>>,
    addend: &Array<f32>,
    kept: &Array<f32>,
    before: &mut Array<f32>,
    target: &mut Array<f32>,
    numbers: &Numbers,
    #[comptime] cut: Cut,
    #[comptime] ending: Finish,
) {
    let [rows, height, width] = comptime!(cut.gather.target);
    if column.is_there && row < rows {
        let at = column.first + row * comptime!(height * width);
        let mut value = sum;
        if comptime!(ending.has_bias) {
            value += bias[row / N::value()][row % N::value()];
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
