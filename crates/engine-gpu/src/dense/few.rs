//! Whole chains of a small dense net in one launch, for few chains, with the shortest possible time from step to
//! step.
//!
//! A cube takes a vector of chains through all steps. Some neighbouring units share a neuron: each sums some of its
//! inputs for all chains of the cube, and they add up by shuffling. Their weights stay in registers, so that a step
//! reads nothing but activations in shared memory, and there is one barrier a layer.

use cubecl::prelude::*;

use super::few_layout::FewLayout;
use super::supply::{bring_noise, noise_place};
use crate::noise::Draws;
use crate::step::{Step, within};

/// Takes `steps` Langevin steps of chains that follow `chains_before` others in the noise. `states` is
/// `[chains][values]`; Σ‖∇F‖₂ goes to `norms`, F at the end without the last bias to `energies`. `parameters` is
/// `[entries][units]`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn walk_few<N: Size>(
    parameters: &Array<f32>,
    slopes: &Array<f32>,
    states: &mut Array<f32>,
    norms: &mut Array<f32>,
    energies: &mut Array<f32>,
    draws: &Draws,
    step: &Step,
    steps: u32,
    chains: u32,
    chains_before: u32,
    #[comptime] layout: FewLayout,
) {
    let size = comptime!(layout.widths[0]);
    let neurons = comptime!(layout.neurons());
    let hidden = comptime!(layout.hidden());
    let supply = comptime!(layout.supply());
    let unit = UNIT_POS_X as usize;
    let neuron = unit / comptime!(layout.parts);
    let part = unit % comptime!(layout.parts);
    // Every unit of a neuron has its sums, one of them its place in memory.
    let is_first = part == 0;
    let first_chain = CUBE_POS * N::value();
    let zero = Vector::<f32, N>::new(0.0);

    let mut held = Array::<f32>::new(comptime!(layout.entries()));
    #[unroll]
    for at in 0..comptime!(layout.entries()) {
        held[at] = parameters[at * comptime!(layout.units) + unit];
    }

    // What goes into each layer, and the gradient with respect to it: of two layers in turn, and of the state.
    let mut values = SharedMemory::<Vector<f32, N>>::new(comptime!(layout.widths.len() * neurons));
    let mut gradients = SharedMemory::<Vector<f32, N>>::new(comptime!(3 * neurons));
    let of_state = comptime!(2 * neurons);
    let mut noise = SharedMemory::<f32>::new(comptime!(supply.numbers()));

    let mut state = zero;
    if is_first && neuron < size {
        #[unroll]
        for lane in 0..N::value() {
            if first_chain + lane < chains as usize {
                state[lane] = states[(first_chain + lane) * size + neuron];
            }
        }
    }
    let mut norm = zero;
    let mut activations = Array::<Vector<f32, N>>::new(hidden);
    for number in 0..steps {
        if step.epsilon > 0.0 {
            bring_noise(
                &mut noise,
                draws,
                number,
                chains_before + first_chain as u32,
                supply,
            );
        }
        if is_first {
            values[neuron] = state;
        }
        sync_cube();
        if unit == 0 && number > 0 {
            norm += length::<N>(&gradients, of_state, size);
        }
        forward::<N>(&held, slopes, &mut values, &mut activations, layout.clone());

        // The last layer has one output, so that its weights are the gradient with respect to its input.
        let weight = held[comptime!(layout.head())];
        let kept = activations[comptime!(hidden - 1)];
        let mut gradient = masked::<N>(Vector::new(weight), kept, slopes[comptime!(hidden - 1)]);
        if is_first {
            gradients[neuron] = gradient;
        }
        sync_cube();
        #[unroll]
        for done in 0..hidden {
            let layer = comptime!(hidden - 1 - done);
            let from = comptime!(done % 2 * neurons);
            let mut sum = zero;
            #[unroll]
            for at in 0..comptime!(layout.inputs(layer + 1)) {
                let weight = held[comptime!(layout.backward(layer) + at)];
                let slope = gradients[from + at * comptime!(layout.parts) + part];
                sum = fma(Vector::new(weight), slope, sum);
            }
            gradient = summed_over_units::<N>(sum, layout.clone());
            if comptime!(layer > 0) {
                let kept = activations[comptime!(layer - 1)];
                gradient = masked::<N>(gradient, kept, slopes[comptime!(layer - 1)]);
                if is_first {
                    gradients[comptime!((done + 1) % 2 * neurons) + neuron] = gradient;
                }
                sync_cube();
            } else if is_first {
                // Read after the next barrier, of the whole ∇F before any bound.
                gradients[of_state + neuron] = gradient;
            }
        }

        if is_first && neuron < size {
            let at = noise_place(number, neuron, supply);
            #[unroll]
            for lane in 0..N::value() {
                let mut slope = gradient[lane];
                if comptime!(layout.is_bounded) {
                    slope = within(slope, step.gradient_clip);
                }
                let mut moved = state[lane] - slope * step.drift;
                if step.epsilon > 0.0 {
                    moved += noise[at + lane] * step.epsilon;
                }
                if comptime!(layout.is_bounded) {
                    moved = within(moved, step.state_clamp);
                }
                state[lane] = moved;
            }
        }
    }

    if is_first {
        values[neuron] = state;
    }
    sync_cube();
    if unit == 0 && steps > 0 {
        norm += length::<N>(&gradients, of_state, size);
    }
    forward::<N>(&held, slopes, &mut values, &mut activations, layout.clone());
    // The last layer's products, summed by the first unit.
    if is_first {
        let weight = held[comptime!(layout.head())];
        gradients[neuron] = activations[comptime!(hidden - 1)] * Vector::new(weight);
    }
    sync_cube();
    let mut energy = zero;
    if unit == 0 {
        for input in 0..comptime!(layout.widths[hidden]) {
            energy += gradients[input];
        }
    }
    #[unroll]
    for lane in 0..N::value() {
        let chain = first_chain + lane;
        if chain < chains as usize {
            if is_first && neuron < size {
                states[chain * size + neuron] = state[lane];
            }
            if unit == 0 {
                norms[chain] = norm[lane];
                energies[chain] = energy[lane];
            }
        }
    }
}

/// From the state through all layers but the last. What comes out of the unit's neurons stays with the unit too.
#[cube]
fn forward<N: Size>(
    held: &Array<f32>,
    slopes: &Array<f32>,
    values: &mut SharedMemory<Vector<f32, N>>,
    activations: &mut Array<Vector<f32, N>>,
    #[comptime] layout: FewLayout,
) {
    let unit = UNIT_POS_X as usize;
    let neuron = unit / comptime!(layout.parts);
    let part = unit % comptime!(layout.parts);
    #[unroll]
    for layer in 0..comptime!(layout.hidden()) {
        let from = comptime!(layer * layout.neurons());
        let mut sum = Vector::<f32, N>::new(0.0);
        #[unroll]
        for at in 0..comptime!(layout.inputs(layer)) {
            let weight = held[comptime!(layout.forward(layer) + at)];
            let value = values[from + at * comptime!(layout.parts) + part];
            sum = fma(Vector::new(weight), value, sum);
        }
        let bias = held[comptime!(layout.bias(layer))];
        let sum = summed_over_units::<N>(sum, layout.clone()) + Vector::new(bias);
        let value = masked::<N>(sum, sum, slopes[layer]);
        activations[layer] = value;
        if part == 0 {
            values[comptime!((layer + 1) * layout.neurons()) + neuron] = value;
        }
        sync_cube();
    }
}

/// The sum over the units that share a neuron, for each of them.
#[cube]
fn summed_over_units<N: Size>(
    sum: Vector<f32, N>,
    #[comptime] layout: FewLayout,
) -> Vector<f32, N> {
    let mut total = sum;
    #[unroll]
    for halving in 0..comptime!(layout.parts.ilog2()) {
        let mask = comptime!(1u32 << halving);
        #[unroll]
        for lane in 0..N::value() {
            total[lane] += plane_shuffle_xor(total[lane], mask);
        }
    }
    total
}

/// ‖·‖₂ of `size` vectors from `first` on.
#[cube]
fn length<N: Size>(
    gradients: &SharedMemory<Vector<f32, N>>,
    first: usize,
    #[comptime] size: usize,
) -> Vector<f32, N> {
    let mut square = Vector::<f32, N>::new(0.0);
    for element in 0..size {
        let slope = gradients[first + element];
        square = fma(slope, slope, square);
    }
    Vector::sqrt(square)
}

/// `value` where `by` is positive, times the slope elsewhere.
#[cube]
pub(super) fn masked<N: Size>(
    value: Vector<f32, N>,
    by: Vector<f32, N>,
    slope: f32,
) -> Vector<f32, N> {
    let is_positive = by.greater_than(Vector::new(0.0));
    select_many(is_positive, value, value * Vector::new(slope))
}
