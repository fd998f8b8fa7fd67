//! Whole chains of a dense net in one launch.
//!
//! A cube takes some chains through all steps. Along x every unit has one neuron, along y there are groups of chains, and a
//! unit computes its neuron for all chains of its group, which lie in a vector. Weights come through the cache, neighbours
//! to neighbours; activations are in shared memory; a state is in the registers of the first units.

use cubecl::prelude::*;

use super::net::FIELDS;
use crate::cube::noise::{Draws, normal};
use crate::cube::step::{Step, within};

/// What a kernel is compiled for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Layout {
    /// Values of a state.
    pub(super) size: usize,
    /// Layers of the net.
    pub(super) layers: usize,
    /// Units along x, at least the widest layer.
    pub(super) width: usize,
    /// Units along y.
    pub(super) groups: usize,
    /// Whether gradients or states have a bound.
    pub(super) is_bounded: bool,
}

impl Layout {
    /// Vectors of shared memory.
    pub(super) fn shared_vectors(&self) -> usize {
        (self.layers + 2) * self.width * self.groups
    }
}

/// Takes `steps` Langevin steps. `states` is `[vectors of chains][values]`; Σ‖∇F‖₂ goes to `norms`, F at the end to `energies`,
/// one vector each for a vector of chains.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn walk<N: Size>(
    parameters: &Array<f32>,
    table: &Array<u32>,
    slopes: &Array<f32>,
    states: &mut Array<Vector<f32, N>>,
    norms: &mut Array<Vector<f32, N>>,
    energies: &mut Array<Vector<f32, N>>,
    draws: &Draws,
    step: &Step,
    steps: u32,
    #[comptime] layout: Layout,
) {
    let size = comptime!(layout.size);
    let groups = comptime!(layout.groups);
    // From one layer's activations to the next.
    let stride = comptime!(layout.width * layout.groups);
    let before_last = comptime!(layout.layers - 1);

    let neuron = UNIT_POS_X as usize;
    let group = UNIT_POS_Y as usize;
    let vector = CUBE_POS * groups + group;
    let chain = (vector * N::value()) as u32;
    let place = neuron * groups + group;
    let zero = Vector::<f32, N>::new(0.0);

    // What goes into each layer.
    let mut values = SharedMemory::<Vector<f32, N>>::new(comptime!(layout.layers * stride));
    // The gradient with respect to a layer's output, and to its input.
    let mut gradients = SharedMemory::<Vector<f32, N>>::new(comptime!(2 * stride));

    let mut state = zero;
    if neuron < size {
        state = states[vector * size + neuron];
    }
    let mut norm = zero;
    for number in 0..steps {
        if neuron < size {
            values[place] = state;
        }
        sync_cube();
        forward::<N>(
            parameters,
            table,
            slopes,
            &mut values,
            neuron,
            group,
            layout,
        );

        // The last layer has one output, so that its weights are the gradient with respect to its input.
        let last = before_last * FIELDS;
        let mut gradient = zero;
        if neuron < table[last] as usize {
            gradient = Vector::<f32, N>::new(parameters[table[last + 2] as usize + neuron]);
            let kept = values[before_last * stride + place];
            gradient = masked::<N>(gradient, kept, slopes[before_last]);
            gradients[place] = gradient;
        }
        sync_cube();
        for done in 0..before_last {
            let layer = before_last - 1 - done;
            let at = layer * FIELDS;
            let inputs = table[at] as usize;
            let outputs = table[at + 1] as usize;
            let from = (done % 2) * stride;
            let to = stride - from;
            if neuron < inputs {
                let weights = table[at + 3] as usize + neuron;
                let first = from + group;
                let sum = weighted::<N>(
                    parameters, weights, inputs, &gradients, first, groups, outputs,
                );
                let kept = values[layer * stride + place];
                gradient = masked::<N>(sum, kept, slopes[layer]);
                gradients[to + place] = gradient;
            }
            sync_cube();
        }

        // Of the whole ∇F, before any bound.
        if neuron == 0 {
            let at = (before_last % 2) * stride + group;
            let mut square = zero;
            for element in 0..size {
                let slope = gradients[at + element * groups];
                square = fma(slope, slope, square);
            }
            norm += Vector::sqrt(square);
        }
        if neuron < size {
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
        // The next step writes gradients only after all have read their norms, because activations come between.
    }

    if neuron < size {
        states[vector * size + neuron] = state;
        values[place] = state;
    }
    sync_cube();
    forward::<N>(
        parameters,
        table,
        slopes,
        &mut values,
        neuron,
        group,
        layout,
    );
    if neuron == 0 {
        norms[vector] = norm;
        let at = before_last * FIELDS;
        let inputs = table[at] as usize;
        let weights = table[at + 2] as usize;
        let mut energy = Vector::<f32, N>::new(parameters[table[at + 4] as usize]);
        for input in 0..inputs {
            let weight = Vector::<f32, N>::new(parameters[weights + input]);
            energy = fma(
                weight,
                values[before_last * stride + input * groups + group],
                energy,
            );
        }
        energies[vector] = energy;
    }
}

/// From the state through all layers but the last.
#[cube]
#[allow(clippy::too_many_arguments)]
fn forward<N: Size>(
    parameters: &Array<f32>,
    table: &Array<u32>,
    slopes: &Array<f32>,
    values: &mut SharedMemory<Vector<f32, N>>,
    neuron: usize,
    group: usize,
    #[comptime] layout: Layout,
) {
    let groups = comptime!(layout.groups);
    let stride = comptime!(layout.width * layout.groups);
    for layer in 0..comptime!(layout.layers - 1) {
        let at = layer * FIELDS;
        let inputs = table[at] as usize;
        let outputs = table[at + 1] as usize;
        if neuron < outputs {
            let weights = table[at + 2] as usize + neuron;
            let bias = parameters[table[at + 4] as usize + neuron];
            let first = layer * stride + group;
            let sum = weighted::<N>(parameters, weights, outputs, values, first, groups, inputs)
                + Vector::new(bias);
            values[(layer + 1) * stride + neuron * groups + group] =
                masked::<N>(sum, sum, slopes[layer + 1]);
        }
        sync_cube();
    }
}

/// Σ over `count` places of a weight, each `apart` from the one before, times a value, each `groups` from the one before.
#[cube]
fn weighted<N: Size>(
    parameters: &Array<f32>,
    weights: usize,
    apart: usize,
    values: &SharedMemory<Vector<f32, N>>,
    first: usize,
    #[comptime] groups: usize,
    count: usize,
) -> Vector<f32, N> {
    let mut sum = Vector::<f32, N>::new(0.0);
    for place in 0..count {
        let weight = Vector::<f32, N>::new(parameters[weights + place * apart]);
        sum = fma(weight, values[first + place * groups], sum);
    }
    sum
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
