//! Whole chains of a dense net in one launch, for many chains, with as many products as possible for each number
//! read.
//!
//! A cube takes its chains through all steps. A unit has four neurons of four chains, so that it reads one vector of
//! weights, which come through the cache, and one of activations, which are in shared memory, for sixteen products.

use cubecl::prelude::*;

use super::few::masked;
use super::many_layout::ManyLayout;
use super::supply::{bring_noise, noise_place};
use crate::noise::Draws;
use crate::step::{Step, within};

/// Takes `steps` Langevin steps of chains that follow `chains_before` others in the noise. `states` is
/// `[chains][values]`; Σ‖∇F‖₂ goes to `norms`, F at the end without the last bias to `energies`. Vectors are of four.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn walk_many<N: Size>(
    parameters: &Array<Vector<f32, N>>,
    slopes: &Array<f32>,
    states: &mut Array<f32>,
    norms: &mut Array<f32>,
    energies: &mut Array<f32>,
    draws: &Draws,
    step: &Step,
    steps: u32,
    chains: u32,
    chains_before: u32,
    #[comptime] layout: ManyLayout,
) {
    let size = comptime!(layout.widths[0]);
    let hidden = comptime!(layout.hidden());
    let supply = comptime!(layout.supply());
    let fours = comptime!(layout.fours);
    let unit = UNIT_POS_X as usize;
    let four = unit % fours;
    let row = unit / fours;
    let cube_chain = CUBE_POS * comptime!(4 * layout.fours);
    let first_chain = cube_chain + four * 4;
    let has_state = row < comptime!(layout.rows(0));

    let mut values =
        SharedMemory::<Vector<f32, N>>::new(comptime!(layout.values(layout.widths.len())));
    let mut gradients = SharedMemory::<Vector<f32, N>>::new(comptime!(2 * layout.gradient()));
    let mut partial = SharedMemory::<Vector<f32, N>>::new(comptime!(layout.partial()));
    let mut noise = SharedMemory::<f32>::new(comptime!(supply.numbers()));

    let mut state = Array::<Vector<f32, N>>::new(4usize);
    #[unroll]
    for own in 0..4usize {
        let mut of_chains = Vector::<f32, N>::new(0.0);
        let element = row * 4 + own;
        #[unroll]
        for lane in 0..N::value() {
            if element < size && first_chain + lane < chains as usize {
                of_chains[lane] = states[(first_chain + lane) * size + element];
            }
        }
        state[own] = of_chains;
    }
    let mut norm = Vector::<f32, N>::new(0.0);
    let mut sums = Array::<Vector<f32, N>>::new(4usize);
    for number in 0..steps {
        if step.epsilon > 0.0 {
            bring_noise(
                &mut noise,
                draws,
                number,
                chains_before + cube_chain as u32,
                supply,
            );
        }
        if has_state {
            #[unroll]
            for own in 0..4usize {
                values[(row * 4 + own) * fours + four] = state[own];
            }
        }
        sync_cube();
        if row == 0 && number > 0 {
            norm += Vector::sqrt(added::<N>(&partial, four, comptime!(layout.rows(0)), fours));
        }
        forward::<N>(parameters, slopes, &mut values, &mut sums, layout.clone());

        // The last layer has one output, so that its weights are the gradient with respect to its input.
        if row < comptime!(layout.rows(layout.hidden())) {
            let weights = parameters[comptime!(layout.head()) + row];
            #[unroll]
            for own in 0..4usize {
                let place = (row * 4 + own) * fours + four;
                let kept = values[comptime!(layout.values(layout.hidden())) + place];
                let slope = slopes[comptime!(hidden - 1)];
                gradients[place] = masked::<N>(Vector::new(weights[own]), kept, slope);
            }
        }
        sync_cube();
        #[unroll]
        for done in 0..hidden {
            let layer = comptime!(hidden - 1 - done);
            if row < comptime!(layout.rows(layer)) {
                multiply::<N>(
                    parameters,
                    comptime!(layout.backward(layer)),
                    &gradients,
                    comptime!(done % 2 * layout.gradient()),
                    &mut sums,
                    comptime!([layout.rows(layer + 1), layout.rows(layer)]),
                    fours,
                );
                if comptime!(layer > 0) {
                    #[unroll]
                    for own in 0..4usize {
                        let place = (row * 4 + own) * fours + four;
                        let kept = values[comptime!(layout.values(layer)) + place];
                        gradients[comptime!((done + 1) % 2 * layout.gradient()) + place] =
                            masked::<N>(sums[own], kept, slopes[comptime!(layer - 1)]);
                    }
                }
            }
            if comptime!(layer > 0) {
                sync_cube();
            }
        }

        if has_state {
            // Of the whole ∇F before any bound; added up after the next barrier.
            let mut square = Vector::<f32, N>::new(0.0);
            #[unroll]
            for own in 0..4usize {
                square = fma(sums[own], sums[own], square);
            }
            partial[row * fours + four] = square;
            #[unroll]
            for own in 0..4usize {
                let element = row * 4 + own;
                if element < size {
                    let at = noise_place(number, element, supply) + four * 4;
                    let mut of_chains = state[own];
                    #[unroll]
                    for lane in 0..N::value() {
                        let mut slope = sums[own][lane];
                        if comptime!(layout.is_bounded) {
                            slope = within(slope, step.gradient_clip);
                        }
                        let mut moved = of_chains[lane] - slope * step.drift;
                        if step.epsilon > 0.0 {
                            moved += noise[at + lane] * step.epsilon;
                        }
                        if comptime!(layout.is_bounded) {
                            moved = within(moved, step.state_clamp);
                        }
                        of_chains[lane] = moved;
                    }
                    state[own] = of_chains;
                }
            }
        }
    }

    if has_state {
        #[unroll]
        for own in 0..4usize {
            values[(row * 4 + own) * fours + four] = state[own];
        }
    }
    sync_cube();
    if row == 0 && steps > 0 {
        norm += Vector::sqrt(added::<N>(&partial, four, comptime!(layout.rows(0)), fours));
    }
    forward::<N>(parameters, slopes, &mut values, &mut sums, layout.clone());
    if row < comptime!(layout.rows(layout.hidden())) {
        let weights = parameters[comptime!(layout.head()) + row];
        let mut sum = Vector::<f32, N>::new(0.0);
        #[unroll]
        for own in 0..4usize {
            let place = (row * 4 + own) * fours + four;
            let value = values[comptime!(layout.values(layout.hidden())) + place];
            sum = fma(Vector::new(weights[own]), value, sum);
        }
        partial[row * fours + four] = sum;
    }
    sync_cube();
    let mut energy = Vector::<f32, N>::new(0.0);
    if row == 0 {
        energy = added::<N>(
            &partial,
            four,
            comptime!(layout.rows(layout.hidden())),
            fours,
        );
    }
    #[unroll]
    for lane in 0..N::value() {
        let chain = first_chain + lane;
        if chain < chains as usize {
            #[unroll]
            for own in 0..4usize {
                let element = row * 4 + own;
                if element < size {
                    states[chain * size + element] = state[own][lane];
                }
            }
            if row == 0 {
                norms[chain] = norm[lane];
                energies[chain] = energy[lane];
            }
        }
    }
}

/// From the state through all layers but the last.
#[cube]
fn forward<N: Size>(
    parameters: &Array<Vector<f32, N>>,
    slopes: &Array<f32>,
    values: &mut SharedMemory<Vector<f32, N>>,
    sums: &mut Array<Vector<f32, N>>,
    #[comptime] layout: ManyLayout,
) {
    let fours = comptime!(layout.fours);
    let four = UNIT_POS_X as usize % fours;
    let row = UNIT_POS_X as usize / fours;
    #[unroll]
    for layer in 0..comptime!(layout.hidden()) {
        if row < comptime!(layout.rows(layer + 1)) {
            multiply::<N>(
                parameters,
                comptime!(layout.forward(layer)),
                values,
                comptime!(layout.values(layer)),
                sums,
                comptime!([layout.rows(layer), layout.rows(layer + 1)]),
                fours,
            );
            let bias = parameters[comptime!(layout.bias(layer)) + row];
            #[unroll]
            for own in 0..4usize {
                let sum = sums[own] + Vector::new(bias[own]);
                let place = (row * 4 + own) * fours + four;
                values[comptime!(layout.values(layer + 1)) + place] =
                    masked::<N>(sum, sum, slopes[layer]);
            }
        }
        sync_cube();
    }
}

/// The sums of the unit's four neurons over fours of inputs: weights `[inputs][outputs]` from `first_weight` on times
/// values from `first_value` on. `fours_of` is that of inputs and outputs.
#[cube]
#[allow(clippy::too_many_arguments)]
fn multiply<N: Size>(
    parameters: &Array<Vector<f32, N>>,
    #[comptime] first_weight: usize,
    values: &SharedMemory<Vector<f32, N>>,
    #[comptime] first_value: usize,
    sums: &mut Array<Vector<f32, N>>,
    #[comptime] fours_of: [usize; 2],
    #[comptime] fours: usize,
) {
    let four = UNIT_POS_X as usize % fours;
    let row = UNIT_POS_X as usize / fours;
    #[unroll]
    for own in 0..4usize {
        sums[own] = Vector::new(0.0);
    }
    for input in 0..comptime!(fours_of[0]) {
        #[unroll]
        for at in 0..4usize {
            let input = input * 4 + at;
            let weights = parameters[first_weight + input * comptime!(fours_of[1]) + row];
            let value = values[first_value + input * fours + four];
            #[unroll]
            for own in 0..4usize {
                sums[own] = fma(Vector::new(weights[own]), value, sums[own]);
            }
        }
    }
}

/// The sum of what `rows` units of the same chains have.
#[cube]
fn added<N: Size>(
    partial: &SharedMemory<Vector<f32, N>>,
    four: usize,
    #[comptime] rows: usize,
    #[comptime] fours: usize,
) -> Vector<f32, N> {
    let mut sum = Vector::<f32, N>::new(0.0);
    for row in 0..rows {
        sum += partial[row * fours + four];
    }
    sum
}
