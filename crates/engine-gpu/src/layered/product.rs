//! The kernel of convolutions, linear maps and their input gradients.
//!
//! A cube computes a tile of the product. The left factor comes from packed weights, the right one is gathered from
//! an image; of both there are always two pieces in shared memory, one at work and one arriving. Sums, bias,
//! activation and the derivative of the activation before leave the kernel together.

use cubecl::prelude::*;

use super::finish::{Finish, Numbers, column_of, finish_row};
use super::loading::{
    OwnColumns, own_columns, own_weights, read_left, read_right, write_left, write_right,
};
use super::tile::Cut;

/// `weights` is `[products][depth][rows, padded]`; `source` and `target` are `[chains]` of their shapes, and so is
/// what the sums meet at the end. Columns are those of all chains.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn product_f32<N: Size>(
    weights: &Array<Vector<f32, N>>,
    source: &Array<f32>,
    bias: &Array<Vector<f32, N>>,
    addend: &Array<f32>,
    kept: &Array<f32>,
    before: &mut Array<f32>,
    target: &mut Array<f32>,
    columns: u32,
    numbers: &Numbers,
    #[comptime] cut: Cut,
    #[comptime] ending: Finish,
) {
    // Within the units of a cube, which the compiler would not know of `UNIT_POS`.
    let unit = UNIT_POS_X as usize;
    let first_column = CUBE_POS_X as usize * comptime!(cut.tile.columns());
    let first_row = CUBE_POS_Y as usize * comptime!(cut.tile.row_vectors());
    let residue = CUBE_POS_Z as usize;
    let columns = columns as usize;

    let mut sums =
        Array::<Vector<f32, N>>::new(comptime!(cut.tile.unit_rows * cut.tile.unit_columns));
    #[unroll]
    for at in 0..comptime!(cut.tile.unit_rows * cut.tile.unit_columns) {
        sums[at] = Vector::new(0.0);
    }
    let mut own = own_columns(unit, first_column, residue, columns, cut);
    if comptime!(cut.is_direct()) {
        sum_own_columns::<N>(
            weights, source, &mut own, &mut sums, first_row, residue, cut,
        );
    } else {
        sum_pieces::<N>(
            weights, source, &mut own, &mut sums, first_row, residue, cut,
        );
    }
    let unit_column = first_column + unit % comptime!(cut.tile.units[0]);
    let unit_row = unit / comptime!(cut.tile.units[0]) * comptime!(cut.tile.unit_rows);
    #[unroll]
    for column in 0..comptime!(cut.tile.unit_columns) {
        let place = column_of(
            unit_column + comptime!(column * cut.tile.units[0]),
            residue,
            columns,
            cut,
        );
        #[unroll]
        for row in 0..comptime!(cut.tile.unit_rows) {
            let sum = sums[comptime!(row * cut.tile.unit_columns + column)];
            #[unroll]
            for lane in 0..N::value() {
                finish_row::<N>(
                    sum[lane],
                    (first_row + unit_row + row) * N::value() + lane,
                    &place,
                    bias,
                    addend,
                    kept,
                    before,
                    target,
                    numbers,
                    cut,
                    ending,
                );
            }
        }
    }
}

/// One piece is at work while the next one arrives.
#[cube]
#[allow(clippy::too_many_arguments)]
fn sum_pieces<N: Size>(
    weights: &Array<Vector<f32, N>>,
    source: &Array<f32>,
    own: &mut OwnColumns,
    sums: &mut Array<Vector<f32, N>>,
    first_row: usize,
    residue: usize,
    #[comptime] cut: Cut,
) {
    let unit = UNIT_POS_X as usize;
    let tile = comptime!(cut.tile);
    let pieces = comptime!(cut.pieces());
    let mut left = SharedMemory::<Vector<f32, N>>::new(comptime!(cut.shared_left()));
    let mut right = SharedMemory::<f32>::new(comptime!(cut.shared_right()));
    let mut left_arriving = Array::<Vector<f32, N>>::new(comptime!(cut.left_loads()));
    let mut right_arriving = Array::<f32>::new(comptime!(cut.own_columns() * cut.own_lines()));
    let mut places = own_weights(unit, first_row, residue, cut);
    let unit_column = unit % comptime!(tile.units[0]);
    let unit_row = unit / comptime!(tile.units[0]) * comptime!(tile.unit_rows);
    for piece in 0..pieces + 1 {
        if piece < pieces {
            read_left::<N>(
                weights,
                &mut places,
                &mut left_arriving,
                unit,
                first_row,
                piece,
                cut,
            );
            read_right(source, own, &mut right_arriving, piece, cut);
        }
        if piece > 0 {
            let half = (piece + 1) % 2;
            let left_line = half * comptime!(cut.left_size()) + unit_row;
            let right_line = half * comptime!(cut.right_size()) + unit_column;
            #[unroll]
            for line in 0..comptime!(cut.lines()) {
                #[unroll]
                for column in 0..comptime!(tile.unit_columns) {
                    let at = comptime!(line * tile.columns() + column * tile.units[0]);
                    let value = Vector::<f32, N>::new(right[right_line + at]);
                    #[unroll]
                    for row in 0..comptime!(tile.unit_rows) {
                        let weight = left[left_line + comptime!(line * tile.row_vectors() + row)];
                        let at = comptime!(row * tile.unit_columns + column);
                        sums[at] = fma(weight, value, sums[at]);
                    }
                }
            }
        }
        if piece < pieces {
            let half = piece % 2;
            write_left::<N>(&mut left, &left_arriving, unit, half, cut);
            write_right(&mut right, own, &right_arriving, half, cut);
        }
        sync_cube();
    }
}

/// All of the left factor is there from the start, and columns stay with the units that bring them.
#[cube]
#[allow(clippy::too_many_arguments)]
fn sum_own_columns<N: Size>(
    weights: &Array<Vector<f32, N>>,
    source: &Array<f32>,
    own: &mut OwnColumns,
    sums: &mut Array<Vector<f32, N>>,
    first_row: usize,
    residue: usize,
    #[comptime] cut: Cut,
) {
    let unit = UNIT_POS_X as usize;
    let units = comptime!(cut.tile.units());
    let lines = comptime!(cut.shared_left());
    let mut left = SharedMemory::<Vector<f32, N>>::new(lines);
    let mut values = Array::<f32>::new(comptime!(cut.own_columns() * cut.own_lines()));
    for turn in 0..comptime!(lines.div_ceil(units)) {
        let at = turn * units + unit;
        if at < lines {
            let mut value = Vector::<f32, N>::new(0.0);
            if at < comptime!(cut.gather.depth()) {
                let line = residue * comptime!(cut.gather.depth()) + at;
                value = weights[line * comptime!(cut.row_vectors()) + first_row];
            }
            left[at] = value;
        }
    }
    sync_cube();
    for piece in 0..comptime!(cut.pieces()) {
        read_right(source, own, &mut values, piece, cut);
        #[unroll]
        for line in 0..comptime!(cut.lines()) {
            let weight = left[piece * comptime!(cut.lines()) + line];
            #[unroll]
            for column in 0..comptime!(cut.own_columns()) {
                let value = values[comptime!(line * cut.own_columns() + column)];
                sums[column] = fma(weight, Vector::new(value), sums[column]);
            }
        }
    }
}
