//! Max-pooling over windows that do not overlap.

use cubecl::prelude::*;

use super::activation::{Curve, derivative};
use super::gather::{Shape, numbers_of};

/// Pooling of `pooled` channels from `first` on of an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Pool {
    pub(super) source: Shape,
    pub(super) first: usize,
    pub(super) pooled: usize,
    /// Side of a window.
    pub(super) size: usize,
}

impl Pool {
    /// `[channels, height, width]` of what comes out.
    pub(super) fn target(&self) -> Shape {
        let [_, height, width] = self.source;
        [self.pooled, height / self.size, width / self.size]
    }

    /// Values that pooling sees in a chain, those that no window holds included.
    pub(super) fn inputs(&self) -> usize {
        self.pooled * self.source[1] * self.source[2]
    }

    pub(super) fn outputs(&self) -> usize {
        numbers_of(&self.target())
    }
}

/// One unit for a window of the `windows` of all chains.
#[cube(launch_unchecked)]
pub(super) fn take_largest(
    source: &Array<f32>,
    target: &mut Array<f32>,
    windows: u32,
    #[comptime] pool: Pool,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < windows as usize {
        let chain = at / comptime!(pool.outputs());
        let width = comptime!(pool.target()[2]);
        let x = at % width;
        let line = at / width % comptime!(pool.target()[1]);
        let channel = at / comptime!(pool.target()[1] * pool.target()[2]) % comptime!(pool.pooled);
        let corner = corner(chain, channel, line, x, pool);
        let mut most = source[corner];
        for place in 1..comptime!(pool.size * pool.size) {
            most = f32::max(most, source[corner + offset_of(place, pool)]);
        }
        target[at] = most;
    }
}

/// The gradient, which goes to the first of a window's largest values, times the derivative of the activation that
/// made them. One unit for each value of the channels that are pooled.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn pool_gradient(
    source: &Array<f32>,
    kept: &Array<f32>,
    gradient: &Array<f32>,
    target: &mut Array<f32>,
    values: u32,
    number: f32,
    #[comptime] pool: Pool,
    #[comptime] curve: Curve,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < values as usize {
        let size = comptime!(pool.size);
        let [_, height, width] = comptime!(pool.source);
        let chain = at / comptime!(pool.inputs());
        let x = at % width;
        let y = at / width % height;
        let channel = at / comptime!(height * width) % comptime!(pool.pooled);
        let image = (chain * comptime!(pool.source[0]) + comptime!(pool.first) + channel) * height;
        let here = (image + y) * width + x;
        let mut slope = 0.0f32;
        if y / size < comptime!(pool.target()[1]) && x / size < comptime!(pool.target()[2]) {
            let corner = corner(chain, channel, y / size, x / size, pool);
            let own = y % size * size + x % size;
            let value = source[here];
            let mut is_first = true;
            for place in 0..comptime!(size * size) {
                let other = source[corner + offset_of(place, pool)];
                if other > value || (place < own && other == value) {
                    is_first = false;
                }
            }
            if is_first {
                let line = (chain * comptime!(pool.pooled) + channel) * comptime!(pool.target()[1]);
                slope = gradient[(line + y / size) * comptime!(pool.target()[2]) + x / size];
            }
        }
        if comptime!(curve != Curve::Identity) {
            slope *= derivative(kept[here], number, curve);
        }
        target[here] = slope;
    }
}

/// The place of a window's first value.
#[cube]
fn corner(chain: usize, channel: usize, line: usize, x: usize, #[comptime] pool: Pool) -> usize {
    let [channels, height, width] = comptime!(pool.source);
    let image = chain * channels + comptime!(pool.first) + channel;
    (image * height + line * comptime!(pool.size)) * width + x * comptime!(pool.size)
}

/// How far a window's value number `place` is from its first.
#[cube]
fn offset_of(place: usize, #[comptime] pool: Pool) -> usize {
    let size = comptime!(pool.size);
    place / size * comptime!(pool.source[2]) + place % size
}
