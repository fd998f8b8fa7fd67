//! The transfer of the factors of a product to a cube, piece by piece.

use cubecl::prelude::*;

use super::gather::Gather;
use super::tile::Cut;

/// The columns that a unit brings. The taps that a unit brings of a column are the same in every piece, so where they
/// lie in the source and which of them are inside is computed once.
#[derive(CubeType)]
pub(super) struct OwnColumns {
    /// The first column of the cube's that the unit brings, and the first line.
    pub(super) column: usize,
    pub(super) line: usize,
    /// Where each column's first tap of the piece is in the source, modulo 2³².
    places: Array<u32>,
    /// A bit for each tap that is inside.
    inside: Array<u32>,
}

/// The columns of a unit in a cube whose columns begin with `first`, of `columns` in all.
#[cube]
pub(super) fn own_columns(
    unit: usize,
    first: usize,
    residue: usize,
    columns: usize,
    #[comptime] cut: Cut,
) -> OwnColumns {
    let gather = comptime!(cut.gather);
    let units = comptime!(cut.tile.units());
    let mut own_column = unit;
    let mut own_line = 0usize.runtime();
    if comptime!(cut.sharing() > 1) {
        own_column = unit % comptime!(cut.tile.columns());
        own_line = unit / comptime!(cut.tile.columns()) * comptime!(cut.own_lines());
    }
    // Whole rows of taps of one channel, or whole channels.
    let taps_before = own_line % comptime!(cut.square()) / comptime!(gather.taps);
    let channels_before = own_line / comptime!(cut.square());
    let mut places = Array::<u32>::new(comptime!(cut.own_columns()));
    let mut inside = Array::<u32>::new(comptime!(cut.own_columns()));
    #[unroll]
    for own in 0..comptime!(cut.own_columns()) {
        let column = first + own_column + comptime!(own * units);
        let place = column % comptime!(gather.columns());
        let chain = column / comptime!(gather.columns());
        let row = place / comptime!(gather.grid()[1]);
        let mut y = first_tap(row, residue / comptime!(gather.spread), gather);
        if comptime!(gather.is_backward) {
            y -= taps_before as i32;
        } else {
            y += taps_before as i32;
        }
        let across = place % comptime!(gather.grid()[1]);
        let x = first_tap(across, residue % comptime!(gather.spread), gather);
        let image = chain * comptime!(gather.source[0]) + channels_before;
        let within = y * comptime!(gather.source[2] as i32) + x;
        places[own] = (image * comptime!(cut.plane())) as u32 + within as u32;
        let mut bits = 0u32.runtime();
        #[unroll]
        for line in 0..comptime!(cut.own_lines()) {
            let tap_y = y + comptime!(cut.tap(line)[0]);
            let tap_x = x + comptime!(cut.tap(line)[1]);
            let is_inside = tap_y >= 0
                && tap_x >= 0
                && tap_y < comptime!(gather.source[1] as i32)
                && tap_x < comptime!(gather.source[2] as i32)
                && column < columns;
            bits |= select(is_inside, comptime!(1u32 << line), 0u32);
        }
        inside[own] = bits;
    }
    OwnColumns {
        column: own_column,
        line: own_line,
        places,
        inside,
    }
}

/// Reads the unit's part of a piece of the right factor, `[own lines][own columns]`, and goes on to the next piece.
#[cube]
pub(super) fn read_right(
    source: &Array<f32>,
    own: &mut OwnColumns,
    arriving: &mut Array<f32>,
    piece: usize,
    #[comptime] cut: Cut,
) {
    #[unroll]
    for column in 0..comptime!(cut.own_columns()) {
        let place = own.places[column];
        let inside = own.inside[column];
        #[unroll]
        for line in 0..comptime!(cut.own_lines()) {
            let mut is_there = inside & comptime!(1u32 << line) != 0u32;
            if comptime!(!cut.is_even()) {
                let number = piece * comptime!(cut.lines()) + own.line + line;
                is_there = is_there && number < comptime!(cut.gather.depth());
            }
            let mut value = 0.0f32;
            if is_there {
                value = source[(place + comptime!(cut.offset(line))) as usize];
            }
            arriving[comptime!(line * cut.own_columns() + column)] = value;
        }
        own.places[column] = place + comptime!((cut.lines() / cut.square() * cut.plane()) as u32);
    }
}

/// Puts it where the cube reads it, `[lines][columns]`.
#[cube]
pub(super) fn write_right(
    right: &mut SharedMemory<f32>,
    own: &OwnColumns,
    arriving: &Array<f32>,
    half: usize,
    #[comptime] cut: Cut,
) {
    let columns = comptime!(cut.tile.columns());
    let first = half * comptime!(cut.right_size()) + own.line * columns + own.column;
    #[unroll]
    for column in 0..comptime!(cut.own_columns()) {
        #[unroll]
        for line in 0..comptime!(cut.own_lines()) {
            right[first + comptime!(line * columns + column * cut.tile.units())] =
                arriving[comptime!(line * cut.own_columns() + column)];
        }
    }
}

/// Where a unit's vectors of the first piece of the left factor are, in a cube whose rows begin with `first`.
#[cube]
pub(super) fn own_weights(
    unit: usize,
    first: usize,
    residue: usize,
    #[comptime] cut: Cut,
) -> Array<u32> {
    let rows = comptime!(cut.tile.row_vectors());
    let mut places = Array::<u32>::new(comptime!(cut.left_loads()));
    #[unroll]
    for load in 0..comptime!(cut.left_loads()) {
        let at = unit + comptime!(load * cut.tile.units());
        let line = residue * comptime!(cut.gather.depth()) + at / rows;
        places[load] = (line * comptime!(cut.row_vectors()) + first + at % rows) as u32;
    }
    places
}

/// Reads the unit's part of a piece of the left factor and goes on to the next piece.
#[cube]
#[allow(clippy::too_many_arguments)]
pub(super) fn read_left<N: Size>(
    weights: &Array<Vector<f32, N>>,
    places: &mut Array<u32>,
    arriving: &mut Array<Vector<f32, N>>,
    unit: usize,
    first: usize,
    piece: usize,
    #[comptime] cut: Cut,
) {
    let rows = comptime!(cut.tile.row_vectors());
    #[unroll]
    for load in 0..comptime!(cut.left_loads()) {
        let at = unit + comptime!(load * cut.tile.units());
        let mut is_there = true.runtime();
        if comptime!(!cut.row_vectors().is_multiple_of(rows)) {
            is_there = is_there && first + at % rows < comptime!(cut.row_vectors());
        }
        if comptime!((load + 1) * cut.tile.units() > cut.left_size()) {
            is_there = is_there && at < comptime!(cut.left_size());
        }
        if comptime!(!cut.is_even()) {
            let line = piece * comptime!(cut.lines()) + at / rows;
            is_there = is_there && line < comptime!(cut.gather.depth());
        }
        let mut value = Vector::<f32, N>::new(0.0);
        if is_there {
            value = weights[places[load] as usize];
        }
        arriving[load] = value;
        places[load] += comptime!((cut.lines() * cut.row_vectors()) as u32);
    }
}

/// Puts it where the cube reads it, `[lines][row vectors]`.
#[cube]
pub(super) fn write_left<N: Size>(
    left: &mut SharedMemory<Vector<f32, N>>,
    arriving: &Array<Vector<f32, N>>,
    unit: usize,
    half: usize,
    #[comptime] cut: Cut,
) {
    let first = half * comptime!(cut.left_size()) + unit;
    #[unroll]
    for load in 0..comptime!(cut.left_loads()) {
        let at = comptime!(load * cut.tile.units());
        if comptime!((load + 1) * cut.tile.units() > cut.left_size()) {
            if unit + at < comptime!(cut.left_size()) {
                left[first + at] = arriving[load];
            }
        } else {
            left[first + at] = arriving[load];
        }
    }
}

/// The source pixel, along an axis, of a column's first tap.
#[cube]
fn first_tap(place: usize, residue: usize, #[comptime] gather: Gather) -> i32 {
    let spread = comptime!(gather.spread as i32);
    let first = (residue as i32 + comptime!(gather.shift)) / spread;
    (place * comptime!(gather.stride)) as i32 + first
}
