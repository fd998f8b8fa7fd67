//! Noise for some steps at once, made by all units of a cube, because the few units that move states would keep the
//! others waiting.

use cubecl::prelude::*;

use crate::noise::{Draws, normals};

/// The sizes of a supply of noise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Supply {
    /// Values of a state.
    pub(super) size: usize,
    /// Chains of a cube.
    pub(super) chains: usize,
    /// Units of a cube.
    pub(super) units: usize,
}

impl Supply {
    /// Blocks of four numbers for a step.
    fn blocks(&self) -> usize {
        self.size.div_ceil(4) * self.chains
    }

    /// Steps of a supply.
    pub(super) fn steps(&self) -> usize {
        (self.units / self.blocks()).max(1)
    }

    /// Numbers in shared memory: those in use, and those that arrive.
    pub(super) fn numbers(&self) -> usize {
        2 * self.steps() * self.size * self.chains
    }
}

/// Makes the noise from step `number` on, if it is the first of a supply, for the cube's chains from `first_chain`
/// on. A barrier must come before it is used, and no unit may be more than a supply behind.
#[cube]
pub(super) fn bring_noise(
    noise: &mut SharedMemory<f32>,
    draws: &Draws,
    number: u32,
    first_chain: u32,
    #[comptime] supply: Supply,
) {
    let steps = comptime!(supply.steps());
    let chains = comptime!(supply.chains);
    let blocks = comptime!(supply.blocks());
    if number.is_multiple_of(steps as u32) {
        let half = number as usize / steps % 2;
        for turn in 0..comptime!((supply.steps() * supply.blocks()).div_ceil(supply.units)) {
            let at = turn * comptime!(supply.units) + UNIT_POS_X as usize;
            if at < comptime!(supply.steps() * supply.blocks()) {
                let step = at / blocks;
                let block = at % blocks / chains;
                let chain = at % chains;
                let mut values = Array::<f32>::new(4usize);
                normals(
                    draws,
                    block as u32,
                    first_chain + chain as u32,
                    number + step as u32,
                    &mut values,
                );
                #[unroll]
                for lane in 0..4usize {
                    let element = block * 4 + lane;
                    if element < comptime!(supply.size) {
                        let place = (half * steps + step) * comptime!(supply.size) + element;
                        noise[place * chains + chain] = values[lane];
                    }
                }
            }
        }
    }
}

/// The place of an element's noise for the first chain at step `number`; the other chains follow.
#[cube]
pub(super) fn noise_place(number: u32, element: usize, #[comptime] supply: Supply) -> usize {
    let slot = number as usize % comptime!(2 * supply.steps());
    (slot * comptime!(supply.size) + element) * comptime!(supply.chains)
}
