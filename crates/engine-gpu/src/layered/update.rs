//! A Langevin step after the gradient: noise, drift, bounds and ‖∇F‖₂ in one launch.

use cubecl::prelude::*;

use super::head::{UNITS, sum_of_cube};
use crate::noise::{Draws, normals};
use crate::step::{Step, within};

/// X ← clamp(X − drift · clip(∇F) + ε Z) for `states` and `gradient` of `[chains][size]`, one cube for each chain
/// from `first_chain` on; ‖∇F‖₂ is added to the chain's entry of `norms`, or begins it where `is_first` is not 0. A
/// unit takes the four elements that share a block of noise.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn update(
    gradient: &Array<f32>,
    states: &mut Array<f32>,
    norms: &mut Array<f32>,
    draws: &Draws,
    step: &Step,
    chains: u32,
    first_chain: u32,
    is_first: u32,
    #[comptime] size: usize,
    #[comptime] is_bounded: bool,
) {
    let chain = CUBE_POS;
    let unit = UNIT_POS as usize;
    let mut square = 0.0f32;
    if chain < chains as usize {
        for turn in 0..comptime!(size.div_ceil(4 * UNITS)) {
            let block = turn * UNITS + unit;
            if block * 4 < size {
                let mut noise = Array::<f32>::new(4usize);
                if step.epsilon > 0.0 {
                    normals(
                        draws,
                        block as u32,
                        first_chain + chain as u32,
                        0u32,
                        &mut noise,
                    );
                }
                #[unroll]
                for lane in 0..4usize {
                    let element = block * 4 + lane;
                    if element < size {
                        let at = chain * size + element;
                        let mut slope = gradient[at];
                        square = fma(slope, slope, square);
                        let mut state = states[at];
                        if comptime!(is_bounded) {
                            slope = within(slope, step.gradient_clip);
                        }
                        state -= slope * step.drift;
                        if step.epsilon > 0.0 {
                            state += noise[lane] * step.epsilon;
                        }
                        if comptime!(is_bounded) {
                            state = within(state, step.state_clamp);
                        }
                        states[at] = state;
                    }
                }
            }
        }
    }
    let sum = sum_of_cube(square);
    if unit == 0 && chain < chains as usize {
        let mut before = 0.0f32;
        if is_first == 0 {
            before = norms[chain];
        }
        norms[chain] = before + f32::sqrt(sum);
    }
}
