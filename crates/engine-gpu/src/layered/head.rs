//! The last layer, of one value: its weights are where the gradient starts, and F is only computed when it is asked
//! for.

use cubecl::prelude::*;

use super::activation::{Curve, derivative};

/// Units of the cube that sums a chain.
pub(super) const UNITS: usize = 256;

/// ∂F/∂ of what the last layer sees, `[chains][inputs]`: its weights, times the derivative of the activation before.
/// One unit for each of the `values`.
#[cube(launch_unchecked)]
pub(super) fn head_gradient(
    weights: &Array<f32>,
    kept: &Array<f32>,
    target: &mut Array<f32>,
    values: u32,
    number: f32,
    #[comptime] inputs: usize,
    #[comptime] curve: Curve,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    if at < values as usize {
        let mut slope = weights[at % inputs];
        if comptime!(curve != Curve::Identity) {
            slope *= derivative(kept[at], number, curve);
        }
        target[at] = slope;
    }
}

/// F of each chain, one cube for each: the weights' product with `[chains][inputs]`, and the bias, which comes after
/// the weights.
#[cube(launch_unchecked)]
pub(super) fn head_energy(
    weights: &Array<f32>,
    values: &Array<f32>,
    energies: &mut Array<f32>,
    chains: u32,
    #[comptime] inputs: usize,
) {
    let chain = CUBE_POS;
    let unit = UNIT_POS as usize;
    let mut sum = 0.0f32;
    if chain < chains as usize {
        for turn in 0..comptime!(inputs.div_ceil(UNITS)) {
            let at = turn * UNITS + unit;
            if at < inputs {
                sum = fma(weights[at], values[chain * inputs + at], sum);
            }
        }
    }
    let sum = sum_of_cube(sum);
    if unit == 0 && chain < chains as usize {
        energies[chain] = sum + weights[inputs];
    }
}

/// Σ over the [`UNITS`] units of a cube, all of which must call it; the first has the result.
#[cube]
pub(super) fn sum_of_cube(value: f32) -> f32 {
    let unit = UNIT_POS as usize;
    let mut sums = SharedMemory::<f32>::new(UNITS);
    sums[unit] = value;
    sync_cube();
    #[unroll]
    for halving in 0..comptime!(UNITS.ilog2()) {
        let half = comptime!(UNITS >> (halving + 1));
        if unit < half {
            let other = sums[unit + half];
            sums[unit] += other;
        }
        sync_cube();
    }
    sums[0]
}
