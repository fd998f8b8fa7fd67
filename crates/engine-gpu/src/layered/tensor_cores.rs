//! The same products on tensor cores, their factors rounded.
//!
//! As in the f32 kernel one piece is at work while the next one arrives. Planes divide the cube's tile into fragments
//! of 16 × 16, and multiply eight lines of TF32 or sixteen of BF16 at a time; sums are f32.

use cubecl::cmma::{self, Matrix, MatrixIdent, MatrixLayout};
use cubecl::prelude::*;

use super::finish::{Finish, Numbers, column_of, finish_row};
use super::loading::{own_columns, own_weights, read_left, read_right};
use super::tile::Cut;

/// Side of a fragment.
pub(super) const SIDE: usize = 16;
/// Units of a plane.
pub(super) const PLANE: usize = 32;
/// Added to rows in shared memory, so that fragments are read from different banks.
pub(super) const APART: usize = 8;

/// As the f32 kernel, with factors of `E`: `weights` is `[products][depth][rows, padded]`; `source` and `target` are
/// `[chains]` of their shapes.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn product_rounded<E: Numeric, N: Size>(
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
    let unit = UNIT_POS_X as usize;
    let tile = comptime!(cut.tile);
    let first_column = CUBE_POS_X as usize * comptime!(tile.columns());
    let first_row = CUBE_POS_Y as usize * comptime!(tile.row_vectors());
    let residue = CUBE_POS_Z as usize;
    let columns = columns as usize;
    let step_lines = comptime!(cut.step());
    let plane = unit / PLANE;
    let lane = unit % PLANE;
    let [rows_of_plane, columns_of_plane] = comptime!(cut.fragments());
    let plane_row = plane / comptime!(cut.planes()[1]) * comptime!(cut.fragments()[0] * SIDE);
    let plane_column = plane % comptime!(cut.planes()[1]) * comptime!(cut.fragments()[1] * SIDE);

    let left_row = comptime!(4 * tile.row_vectors() + APART);
    let right_row = comptime!(tile.columns() + APART);
    let mut left = SharedMemory::<E>::new(comptime!(2 * cut.padded_lines() * left_row));
    let mut right = SharedMemory::<E>::new(comptime!(2 * cut.padded_lines() * right_row));
    let mut staging = SharedMemory::<f32>::new(comptime!(tile.units() / PLANE * SIDE * SIDE));
    let mut left_arriving = Array::<Vector<f32, N>>::new(comptime!(cut.left_loads()));
    let mut right_arriving = Array::<f32>::new(comptime!(cut.own_columns() * cut.own_lines()));
    let mut own = own_columns(unit, first_column, residue, columns, cut);
    let mut places = own_weights(unit, first_row, residue, cut);

    // Lines that fill the last step up.
    if comptime!(cut.padded_lines() > cut.lines()) {
        #[unroll]
        for half in 0..2usize {
            for turn in 0..comptime!(cut.padding(left_row).div_ceil(tile.units())) {
                let at = turn * comptime!(tile.units()) + unit;
                if at < comptime!(cut.padding(left_row)) {
                    let first = comptime!((half * cut.padded_lines() + cut.lines()) * left_row);
                    left[first + at] = rounded::<E>(0.0);
                }
            }
            for turn in 0..comptime!(cut.padding(right_row).div_ceil(tile.units())) {
                let at = turn * comptime!(tile.units()) + unit;
                if at < comptime!(cut.padding(right_row)) {
                    let first = comptime!((half * cut.padded_lines() + cut.lines()) * right_row);
                    right[first + at] = rounded::<E>(0.0);
                }
            }
        }
    }

    let mut sums = Sequence::<Matrix<f32>>::new();
    #[unroll]
    for _ in 0..comptime!(rows_of_plane * columns_of_plane) {
        sums.push(Matrix::<f32>::from_value(
            MatrixIdent::Accumulator,
            SIDE,
            SIDE,
            step_lines,
            MatrixLayout::Undefined,
            0.0,
        ));
    }

    let pieces = comptime!(cut.pieces());
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
            read_right(source, &mut own, &mut right_arriving, piece, cut);
        }
        if piece > 0 {
            let half = (piece + 1) % 2 * comptime!(cut.padded_lines());
            for step in 0..comptime!(cut.padded_lines() / cut.step()) {
                let line = half + step * step_lines;
                let mut columns_there = Sequence::<Matrix<E>>::new();
                #[unroll]
                for column in 0..columns_of_plane {
                    let from = line * right_row + plane_column + comptime!(column * SIDE);
                    columns_there.push(Matrix::<E>::from_slice(
                        MatrixIdent::B,
                        SIDE,
                        SIDE,
                        step_lines,
                        MatrixLayout::RowMajor,
                        &right.slice(from, from + comptime!((cut.step() - 1) * right_row + SIDE)),
                        right_row as u32,
                    ));
                }
                #[unroll]
                for row in 0..rows_of_plane {
                    let from = line * left_row + plane_row + comptime!(row * SIDE);
                    // Rows of the product are neighbours.
                    let rows_there = Matrix::<E>::from_slice(
                        MatrixIdent::A,
                        SIDE,
                        SIDE,
                        step_lines,
                        MatrixLayout::ColMajor,
                        &left.slice(from, from + comptime!((cut.step() - 1) * left_row + SIDE)),
                        left_row as u32,
                    );
                    #[unroll]
                    for column in 0..columns_of_plane {
                        let sum = sums.index(comptime!(row * columns_of_plane + column));
                        cmma::execute::<E, E, f32, f32>(
                            &rows_there,
                            columns_there.index(column),
                            sum,
                            sum,
                        );
                    }
                }
            }
        }
        if piece < pieces {
            let half = piece % 2 * comptime!(cut.padded_lines());
            #[unroll]
            for load in 0..comptime!(cut.left_loads()) {
                let at = unit + comptime!(load * tile.units());
                let line = half + at / comptime!(tile.row_vectors());
                let row = at % comptime!(tile.row_vectors()) * 4;
                if at < comptime!(cut.left_size()) {
                    #[unroll]
                    for part in 0..4usize {
                        left[line * left_row + row + part] =
                            rounded::<E>(left_arriving[load][part]);
                    }
                }
            }
            #[unroll]
            for column in 0..comptime!(cut.own_columns()) {
                #[unroll]
                for line in 0..comptime!(cut.own_lines()) {
                    let at = (half + own.line + line) * right_row + own.column;
                    let value = right_arriving[comptime!(line * cut.own_columns() + column)];
                    right[at + comptime!(column * tile.units())] = rounded::<E>(value);
                }
            }
        }
        sync_cube();
    }

    // Each plane hands its fragments over to its units, one by one.
    let stage = plane * comptime!(SIDE * SIDE);
    #[unroll]
    for row in 0..rows_of_plane {
        #[unroll]
        for column in 0..columns_of_plane {
            cmma::store(
                &mut staging.slice_mut(stage, stage + comptime!(SIDE * SIDE)),
                sums.index(comptime!(row * columns_of_plane + column)),
                SIDE as u32,
                MatrixLayout::RowMajor,
            );
            sync_plane();
            let own_column = first_column + plane_column + comptime!(column * SIDE) + lane % SIDE;
            let place = column_of(own_column, residue, columns, cut);
            let first = lane / SIDE * comptime!(SIDE * SIDE / PLANE);
            let above = first_row * 4 + plane_row + comptime!(row * SIDE);
            #[unroll]
            for own_row in 0..comptime!(SIDE * SIDE / PLANE) {
                let value = staging[stage + (first + own_row) * SIDE + lane % SIDE];
                finish_row::<N>(
                    value,
                    above + first + own_row,
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
            sync_plane();
        }
    }
}

/// The nearest number of another precision.
#[cube]
fn rounded<T: Numeric>(value: f32) -> T {
    T::cast_from(value)
}
