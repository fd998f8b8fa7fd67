//! Numbers that move from buffer to buffer.

#![allow(unsafe_code)]

use cubecl::prelude::*;
use cubecl::server::Handle;

use super::device::{Gpu, array};

const UNITS: usize = 256;

/// `target[i] = source[places[i] − 1]`, and 0 where the place is 0.
#[cube(launch_unchecked)]
fn arrange(source: &Array<f32>, places: &Array<u32>, target: &mut Array<f32>, count: u32) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < count as usize {
        let place = places[at];
        let mut value = 0.0f32;
        if place > 0 {
            value = source[(place - 1) as usize];
        }
        target[at] = value;
    }
}

/// `target[to + i] = source[from + i]`.
#[cube(launch_unchecked)]
fn copy(source: &Array<f32>, target: &mut Array<f32>, from: u32, to: u32, count: u32) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < count as usize {
        target[to as usize + at] = source[from as usize + at];
    }
}

impl<R: Runtime> Gpu<R> {
    /// The `places` of `source`, which has `numbers`.
    pub(super) fn arranged(
        &self,
        (source, numbers): (&Handle, usize),
        (places, count): (&Handle, usize),
    ) -> Handle {
        let target = self.room(count);
        // SAFETY: the lengths are those of the buffers, places are those of the source's numbers, and a unit beyond
        // the count does nothing.
        unsafe {
            arrange::launch_unchecked::<R>(
                &self.client,
                self.cubes(count.div_ceil(UNITS)),
                CubeDim::new_1d(UNITS as u32),
                array(source, numbers),
                array(places, count),
                array(&target, count),
                count as u32,
            );
        }
        target
    }

    /// Copies `count` numbers.
    pub(super) fn copy(
        &self,
        (source, from): (&Handle, usize),
        (target, to): (&Handle, usize),
        count: usize,
    ) {
        // SAFETY: callers copy within the buffers; a unit beyond the count does nothing.
        unsafe {
            copy::launch_unchecked::<R>(
                &self.client,
                self.cubes(count.div_ceil(UNITS)),
                CubeDim::new_1d(UNITS as u32),
                array(source, from + count),
                array(target, to + count),
                from as u32,
                to as u32,
                count as u32,
            );
        }
    }
}
