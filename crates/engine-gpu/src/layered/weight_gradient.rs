//! The gradient of a product's weights: a matrix product over all chains and pixels.

use cubecl::prelude::*;

use super::gather::Gather;

/// Rows (outputs) and lines (taps of all inputs, and 1 for the bias) of a cube's tile.
pub(super) const TILE: usize = 32;
/// Columns (pixels of all chains) that are multiplied at a time.
pub(super) const DEPTH: usize = 32;
/// Units of a cube, each of which has four rows and four lines.
pub(super) const UNITS: usize = 64;
/// Rows and lines of a unit.
const OWN: usize = 4;
/// What each unit brings of either factor.
const LOADS: usize = TILE * DEPTH / UNITS;
/// The number of turns of [`DEPTH`] columns that are summed before they are added to the total.
const SUMMED: usize = 64;
/// Added to rows in shared memory, so that neighbours write to different banks.
const APART: usize = 1;

/// Σ over a slice of the columns of gradient × gathered source, `[slices][rows][depth + 1]`; the last line's source
/// is 1, which makes it the gradient of the bias. `gradient` is `[chains]` of the gather's target, `source`
/// `[chains]` of its source. Cubes are lines, rows and slices of `slice` columns, a multiple of [`DEPTH`].
#[cube(launch_unchecked)]
pub(super) fn weight_gradient(
    gradient: &Array<f32>,
    source: &Array<f32>,
    partial: &mut Array<f32>,
    columns: u32,
    slice: u32,
    #[comptime] gather: Gather,
) {
    let rows = comptime!(gather.target[0]);
    let depth = comptime!(gather.depth());
    let pixels = comptime!(gather.target[1] * gather.target[2]);
    let [channels, height, width] = comptime!(gather.source);
    let square = comptime!(gather.taps * gather.taps);
    let unit = UNIT_POS as usize;
    let first_line = CUBE_POS_X as usize * TILE;
    let first_row = CUBE_POS_Y as usize * TILE;
    let first_column = CUBE_POS_Z as usize * slice as usize;
    let chunks = slice as usize / DEPTH;

    let mut left = SharedMemory::<f32>::new(comptime!(DEPTH * (TILE + APART)));
    let mut right = SharedMemory::<f32>::new(comptime!(DEPTH * (TILE + APART)));
    // Sums of some columns, and of all columns, so that f32 loses little in either.
    let mut sums = Array::<f32>::new(comptime!(OWN * OWN));
    let mut totals = Array::<f32>::new(comptime!(OWN * OWN));
    #[unroll]
    for sum in 0..comptime!(OWN * OWN) {
        sums[sum] = 0.0f32;
        totals[sum] = 0.0f32;
    }
    let own_row = unit / comptime!(TILE / OWN) * OWN;
    let own_line = unit % comptime!(TILE / OWN) * OWN;
    // All that a unit brings is of one column.
    let lane = unit % DEPTH;
    let turn = unit / DEPTH;

    for chunk in 0..chunks {
        let column = first_column + chunk * DEPTH + lane;
        let is_column = column < columns as usize;
        let chain = column / pixels;
        let pixel = column % pixels;
        let y = (pixel / comptime!(gather.target[2]) * comptime!(gather.stride)) as i32
            + comptime!(gather.shift);
        let x = (pixel % comptime!(gather.target[2]) * comptime!(gather.stride)) as i32
            + comptime!(gather.shift);
        #[unroll]
        for load in 0..LOADS {
            let at = comptime!(load * (UNITS / DEPTH)) + turn;
            let row = first_row + at;
            let mut slope = 0.0f32;
            if is_column && row < rows {
                slope = gradient[(chain * rows + row) * pixels + pixel];
            }
            left[lane * comptime!(TILE + APART) + at] = slope;

            let line = first_line + at;
            let mut value = 0.0f32;
            if is_column && line < depth {
                let channel = line / square;
                let tap = line % square;
                let tap_y = y + (tap / comptime!(gather.taps)) as i32;
                let tap_x = x + (tap % comptime!(gather.taps)) as i32;
                let is_inside = tap_y >= 0
                    && tap_x >= 0
                    && tap_y < comptime!(height as i32)
                    && tap_x < comptime!(width as i32);
                if is_inside {
                    let place = (chain * channels + channel) * comptime!(height * width);
                    value = source[place + tap_y as usize * width + tap_x as usize];
                }
            } else if is_column && line == depth {
                value = 1.0f32;
            }
            right[lane * comptime!(TILE + APART) + at] = value;
        }
        sync_cube();
        for k in 0..DEPTH {
            let at = k * comptime!(TILE + APART);
            let mut values = Array::<f32>::new(OWN);
            #[unroll]
            for line in 0..OWN {
                values[line] = right[at + own_line + line];
            }
            #[unroll]
            for row in 0..OWN {
                let slope = left[at + own_row + row];
                #[unroll]
                for line in 0..OWN {
                    let sum = comptime!(row * OWN + line);
                    sums[sum] = fma(slope, values[line], sums[sum]);
                }
            }
        }
        sync_cube();
        if (chunk + 1) % SUMMED == 0 || chunk + 1 == chunks {
            #[unroll]
            for sum in 0..comptime!(OWN * OWN) {
                totals[sum] += sums[sum];
                sums[sum] = 0.0f32;
            }
        }
    }

    #[unroll]
    for row in 0..OWN {
        #[unroll]
        for line in 0..OWN {
            let at_row = first_row + own_row + row;
            let at_line = first_line + own_line + line;
            if at_row < rows && at_line < comptime!(depth + 1) {
                let place = (CUBE_POS_Z as usize * rows + at_row) * comptime!(depth + 1);
                partial[place + at_line] = totals[comptime!(row * OWN + line)];
            }
        }
    }
}

/// Sums the slices of each of `count` entries to the gradient at its place, or adds them to what is there; place 0 is
/// none.
#[cube(launch_unchecked)]
pub(super) fn add_slices(
    partial: &Array<f32>,
    places: &Array<u32>,
    gradients: &mut Array<f32>,
    count: u32,
    slices: u32,
    #[comptime] adds: bool,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < count as usize {
        let place = places[at];
        if place > 0 {
            let target = (place - 1) as usize;
            let mut sum = 0.0f32;
            if comptime!(adds) {
                sum = gradients[target];
            }
            for slice in 0..slices as usize {
                sum += partial[slice * count as usize + at];
            }
            gradients[target] = sum;
        }
    }
}

/// Multiplies each chain's `size` values by its weight. One unit for each of the `values`.
#[cube(launch_unchecked)]
pub(super) fn weigh(
    target: &mut Array<f32>,
    weights: &Array<f32>,
    values: u32,
    #[comptime] size: usize,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < values as usize {
        target[at] *= weights[at / size];
    }
}
