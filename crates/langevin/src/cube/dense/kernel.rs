//! Whole chains of a dense net in one launch.
//!
//! A cube takes a vector of chains through all steps. Some neighbouring units share a neuron: each sums some of its inputs for all
//! chains of the cube, and they add up by shuffling. Where there is room their weights stay in registers, so that a step reads
//! nothing but activations in shared memory, and there is one barrier a layer.

use cubecl::prelude::*;

use super::layout::Layout;
use crate::cube::noise::{Draws, normal};
use crate::cube::step::{Step, within};

/// Takes `steps` Langevin steps. `states` is `[vectors of chains][values]`; Σ‖∇F‖₂ goes to `norms`, F at the end without the last
/// bias to `energies`, one vector each for a vector of chains. `parameters` is `[entries][units]`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn walk<N: Size>(
    parameters: &Array<f32>,
    slopes: &Array<f32>,
    states: &mut Array<Vector<f32, N>>,
    norms: &mut Array<Vector<f32, N>>,
    energies: &mut Array<Vector<f32, N>>,
    draws: &Draws,
    step: &Step,
    steps: u32,
    #[comptime] layout: Layout,
) {
    let size = comptime!(layout.widths[0]);
    let neurons = comptime!(layout.neurons());
    let hidden = comptime!(layout.hidden());
    let unit = UNIT_POS as usize;
    let neuron = unit / comptime!(layout.parts);
    let part = unit % comptime!(layout.parts);
    // Every unit of a neuron has its sums, one of them its place in memory.
    let is_first = part == 0;
    let vector = CUBE_POS;
    let chain = (vector * N::value()) as u32;
    let zero = Vector::<f32, N>::new(0.0);

    let held_entries = comptime!(if layout.holds_weights {
        layout.entries()
    } else {
        1
    });
    let mut held = Array::<f32>::new(held_entries);
    if comptime!(layout.holds_weights) {
        #[unroll]
        for at in 0..held_entries {
            held[at] = parameters[at * comptime!(layout.units) + unit];
        }
    }

    // What goes into each layer, and the gradient with respect to it: of two layers in turn, and of the state.
    let mut values = SharedMemory::<Vector<f32, N>>::new(comptime!(layout.widths.len() * neurons));
    let mut gradients = SharedMemory::<Vector<f32, N>>::new(comptime!(3 * neurons));
    let of_state = comptime!(2 * neurons);

    let mut state = zero;
    if is_first && neuron < size {
        state = states[vector * size + neuron];
    }
    let mut norm = zero;
    let mut activations = Array::<Vector<f32, N>>::new(hidden);
    for number in 0..steps {
        if is_first {
            values[neuron] = state;
        }
        sync_cube();
        if unit == 0 && number > 0 {
            norm += length::<N>(&gradients, of_state, size);
        }
        forward::<N>(
            parameters,
            &held,
            slopes,
            &mut values,
            &mut activations,
            layout.clone(),
        );

        // The last layer has one output, so that its weights are the gradient with respect to its input.
        let weight = entry(parameters, &held, comptime!(layout.head()), layout.clone());
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
                let place = comptime!(layout.backward(layer) + at);
                let weight = entry(parameters, &held, place, layout.clone());
                let slope = gradients[from + at * comptime!(layout.parts) + part];
                sum = fma(Vector::new(weight), slope, sum);
            }
            gradient = shared::<N>(sum, layout.clone());
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
            if comptime!(layout.is_bounded) {
                gradient = all_within::<N>(gradient, step.gradient_clip);
            }
            state -= gradient * Vector::new(step.drift);
            if step.epsilon > 0.0 {
                let mut noise = zero;
                #[unroll]
                for lane in 0..N::value() {
                    noise[lane] = normal(draws, neuron as u32, chain + lane as u32, number);
                }
                state += noise * Vector::new(step.epsilon);
            }
            if comptime!(layout.is_bounded) {
                state = all_within::<N>(state, step.state_clamp);
            }
        }
    }

    if is_first {
        values[neuron] = state;
        if neuron < size {
            states[vector * size + neuron] = state;
        }
    }
    sync_cube();
    if unit == 0 && steps > 0 {
        norm += length::<N>(&gradients, of_state, size);
    }
    forward::<N>(
        parameters,
        &held,
        slopes,
        &mut values,
        &mut activations,
        layout.clone(),
    );
    // The last layer's products, summed by the first unit.
    let weight = entry(parameters, &held, comptime!(layout.head()), layout.clone());
    if is_first {
        gradients[neuron] = activations[comptime!(hidden - 1)] * Vector::new(weight);
    }
    sync_cube();
    if unit == 0 {
        norms[vector] = norm;
        let mut energy = zero;
        for input in 0..comptime!(layout.widths[hidden]) {
            energy += gradients[input];
        }
        energies[vector] = energy;
    }
}

/// From the state through all layers but the last. What comes out of the unit's neurons stays with the unit too.
#[cube]
fn forward<N: Size>(
    parameters: &Array<f32>,
    held: &Array<f32>,
    slopes: &Array<f32>,
    values: &mut SharedMemory<Vector<f32, N>>,
    activations: &mut Array<Vector<f32, N>>,
    #[comptime] layout: Layout,
) {
    let unit = UNIT_POS as usize;
    let neuron = unit / comptime!(layout.parts);
    let part = unit % comptime!(layout.parts);
    #[unroll]
    for layer in 0..comptime!(layout.hidden()) {
        let from = comptime!(layer * layout.neurons());
        let mut sum = Vector::<f32, N>::new(0.0);
        #[unroll]
        for at in 0..comptime!(layout.inputs(layer)) {
            let place = comptime!(layout.forward(layer) + at);
            let weight = entry(parameters, held, place, layout.clone());
            let value = values[from + at * comptime!(layout.parts) + part];
            sum = fma(Vector::new(weight), value, sum);
        }
        let bias = entry(
            parameters,
            held,
            comptime!(layout.bias(layer)),
            layout.clone(),
        );
        let sum = shared::<N>(sum, layout.clone()) + Vector::new(bias);
        let value = masked::<N>(sum, sum, slopes[layer]);
        activations[layer] = value;
        if part == 0 {
            values[comptime!((layer + 1) * layout.neurons()) + neuron] = value;
        }
        sync_cube();
    }
}

/// A number of the unit.
#[cube]
fn entry(
    parameters: &Array<f32>,
    held: &Array<f32>,
    #[comptime] at: usize,
    #[comptime] layout: Layout,
) -> f32 {
    if comptime!(layout.holds_weights) {
        held[at]
    } else {
        parameters[at * comptime!(layout.units) + UNIT_POS as usize]
    }
}

/// The sum over the units that share a neuron, for each of them.
#[cube]
fn shared<N: Size>(sum: Vector<f32, N>, #[comptime] layout: Layout) -> Vector<f32, N> {
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
fn masked<N: Size>(value: Vector<f32, N>, by: Vector<f32, N>, slope: f32) -> Vector<f32, N> {
    let is_positive = by.greater_than(Vector::new(0.0));
    select_many(is_positive, value, value * Vector::new(slope))
}

#[cube]
fn all_within<N: Size>(values: Vector<f32, N>, bound: f32) -> Vector<f32, N> {
    let mut bounded = values;
    #[unroll]
    for lane in 0..N::value() {
        bounded[lane] = within(values[lane], bound);
    }
    bounded
}
