//! Gradients with respect to the parameters: what blocks of chains record on their way back, and the sums of it.
//!
//! Every gradient is a sum of outer products over states and pixels; for Winograd convolutions one for each place of
//! the transform. Blocks only record the operands. The sums then run over all blocks, one worker for each place: no
//! block has sums of its own that would have to be added up, and the order of every sum is that of the blocks,
//! whatever the number of workers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use burn::module::ParamId;
use pulp::Arch;
use rayon::prelude::*;

use crate::buffer::{Buffer, Spare};
use crate::convolution::{TilePiece, gather_columns};
use crate::operation::{Convolution, Dense, Geometry, Ids, Method, NonLocal, Operation};
use crate::outer::{Operand, Outer, padded};
use crate::plan::Plan;
use crate::scratch::Scratch;
use crate::vector::HALF;
use crate::winograd::{Direction, Tiling};

/// Which parameters of an operation a sum is for.
#[derive(Debug, Clone, Copy)]
enum Part {
    /// The weight of a dense operation or a convolution.
    Weight,
    /// The output map of a non-local block.
    Output,
    /// Query, key and value of a non-local block, one below the other.
    Embed,
}

/// What a block of chains adds to one sum: D[i][j] += Σₙ A[i][n] B[j][n] at every place.
pub(crate) struct Operands {
    operation: usize,
    part: Part,
    places: usize,
    columns: usize,
    /// `[places][rows][columns]`.
    a: Planes,
    b: Planes,
    /// Σₙ of the gradient of each output.
    bias: Vec<f32>,
}

struct Planes {
    values: Buffer,
    rows: usize,
    /// From one place to the next.
    stride: usize,
}

impl Planes {
    fn place(&self, place: usize, rows: std::ops::Range<usize>, columns: usize) -> Operand<'_> {
        Operand {
            values: &self.values[place * self.stride + rows.start * columns..],
            stride: columns,
            rows: rows.len(),
        }
    }
}

/// The operands that a block records, in the order of its way back.
pub(crate) struct Records {
    operands: Vec<Operands>,
    spare: Arc<Spare>,
}

impl Records {
    /// None yet; memory for them comes from `spare`.
    pub(crate) fn new(spare: &Arc<Spare>) -> Self {
        Self {
            operands: Vec::new(),
            spare: Arc::clone(spare),
        }
    }

    fn planes(&self, places: usize, rows: usize, stride: usize) -> Planes {
        Planes {
            values: self.spare.lend(places * stride),
            rows,
            stride,
        }
    }

    fn copy(&self, values: &[f32], rows: usize, columns: usize) -> Planes {
        let mut copy = self.planes(1, rows, rows * columns);
        copy.values.copy_from_slice(&values[..rows * columns]);
        copy
    }

    pub(crate) fn dense(
        &mut self,
        operation: usize,
        dense: &Dense,
        lanes: usize,
        gradient: &[f32],
        input: &[f32],
    ) {
        let columns = dense.pixels * lanes;
        let (outputs, inputs) = (dense.forward.rows, dense.forward.depth);
        let gradient = self.copy(gradient, outputs, columns);
        let bias = row_sums(&gradient.values, columns);
        let input = self.copy(input, inputs, columns);
        // burn keeps a linear layer's weight as [inputs, outputs] and a convolution's the other way round.
        let (a, b) = if dense.is_transposed {
            (input, gradient)
        } else {
            (gradient, input)
        };
        self.push(operation, Part::Weight, columns, [a, b], bias);
    }

    pub(crate) fn convolution(
        &mut self,
        plan: &Plan,
        operation: usize,
        convolution: &Convolution,
        lanes: usize,
        gradient: &mut [f32],
        input: &mut [f32],
    ) {
        let Geometry {
            inputs,
            outputs,
            after: [height, width],
            ..
        } = convolution.geometry;
        let all = height * width * lanes;
        let bias = row_sums(&gradient[..outputs * all], all);
        match &convolution.method {
            Method::Direct { forward, .. } => {
                let depth = forward.weights.depth;
                let mut windows = self.planes(1, depth, depth * all);
                gather_columns(convolution.geometry, lanes, input, &mut windows.values);
                let gradient = self.copy(gradient, outputs, all);
                self.push(operation, Part::Weight, all, [gradient, windows], bias);
            }
            Method::Winograd { tiling, .. } => {
                // The same transforms as forward, the products over columns instead of channels.
                let piece = TilePiece::whole(tiling, lanes);
                let places = tiling.tile.inputs() * tiling.tile.inputs();
                let transform = |direction, channels, pixels: &mut [f32]| {
                    let (rows, stride) = piece.extent(direction, channels);
                    let mut planes = self.planes(places, rows, stride);
                    plan.arch.dispatch(piece.transfer(
                        direction,
                        channels,
                        pixels,
                        &mut planes.values,
                    ));
                    planes
                };
                let operands = [
                    transform(Direction::Spread, outputs, gradient),
                    transform(Direction::Gather, inputs, input),
                ];
                self.push(operation, Part::Weight, piece.columns(), operands, bias);
            }
        }
    }

    /// W of a non-local block; to be called before its backward pass.
    pub(crate) fn non_local_output(
        &mut self,
        operation: usize,
        block: &NonLocal,
        gradient: &[f32],
        mixed: &[f32],
        columns: usize,
    ) {
        let gradient = self.copy(gradient, block.channels, columns);
        let bias = row_sums(&gradient.values, columns);
        let mixed = self.copy(mixed, block.inner, columns);
        self.push(operation, Part::Output, columns, [gradient, mixed], bias);
    }

    /// Query, key and value of a non-local block, from the gradient that its backward pass left in the scratch.
    pub(crate) fn non_local_embed(
        &mut self,
        operation: usize,
        block: &NonLocal,
        scratch: &Scratch,
        input: &[f32],
        columns: usize,
    ) {
        let gradient = self.copy(&scratch.products, 3 * block.inner, columns);
        let bias = row_sums(&gradient.values, columns);
        let input = self.copy(input, block.channels, columns);
        self.push(operation, Part::Embed, columns, [gradient, input], bias);
    }

    fn push(
        &mut self,
        operation: usize,
        part: Part,
        columns: usize,
        [a, b]: [Planes; 2],
        bias: Vec<f32>,
    ) {
        self.operands.push(Operands {
            operation,
            part,
            places: a.values.len() / a.stride.max(1),
            columns,
            a,
            b,
            bias,
        });
    }
}

/// Σ of each row, whose length is a multiple of the lanes of a block.
fn row_sums(values: &[f32], columns: usize) -> Vec<f32> {
    let sum = |row: &[f32]| {
        let mut lanes = [0.0; HALF];
        for values in row.chunks_exact(HALF) {
            lanes.iter_mut().zip(values).for_each(|(sum, x)| *sum += x);
        }
        lanes.iter().sum()
    };
    values.chunks_exact(columns).map(sum).collect()
}

/// Values that a block of so many lanes records.
pub(crate) fn recorded_values(plan: &Plan, lanes: usize) -> usize {
    let of = |(index, operation): (usize, &Operation)| {
        let pixels = |shape: [usize; 3]| shape[1] * shape[2] * lanes;
        match operation {
            Operation::Dense(dense) => {
                (dense.forward.rows + dense.forward.depth) * dense.pixels * lanes
            }
            Operation::Convolution(convolution) => match &convolution.method {
                Method::Direct { forward, .. } => {
                    let rows = forward.weights.rows + forward.weights.depth;
                    rows * pixels(plan.shapes[index + 1])
                }
                Method::Winograd { tiling, .. } => {
                    let piece = TilePiece::whole(tiling, lanes);
                    let (_, gathered) =
                        piece.extent(Direction::Gather, convolution.geometry.inputs);
                    let (_, spread) = piece.extent(Direction::Spread, convolution.geometry.outputs);
                    tiling.tile.inputs().pow(2) * (gathered + spread)
                }
            },
            Operation::NonLocal(block) => {
                (2 * block.channels + 4 * block.inner) * pixels(plan.shapes[index])
            }
            Operation::Activation(_) | Operation::MaxPool(_) => 0,
        }
    };
    plan.operations.iter().enumerate().map(of).sum()
}

/// One sum over all blocks so far.
struct Sum {
    operation: usize,
    part: Part,
    rows: usize,
    depth: usize,
    /// `[places][rows][padded depth]`.
    d: Buffer,
    bias: Vec<f32>,
}

/// The sums of a net.
#[derive(Default)]
pub(crate) struct Sums(Vec<Sum>);

/// Rows of a sum that a worker takes at a time, where there is but one place.
const ROWS_AT_ONCE: usize = 64;

impl Sums {
    /// Adds the operands of some blocks, in their order.
    pub(crate) fn add(&mut self, arch: Arch, blocks: &[Records]) {
        let Some(first) = blocks.first() else {
            return;
        };
        if self.0.is_empty() {
            self.0 = first
                .operands
                .iter()
                .map(|operands| Sum::zero(operands, &first.spare))
                .collect();
        }
        let mut tasks = Vec::new();
        for (number, sum) in self.0.iter_mut().enumerate() {
            for block in blocks {
                let bias = sum.bias.iter_mut().zip(&block.operands[number].bias);
                bias.for_each(|(sum, bias)| *sum += bias);
            }
            let stride = padded(sum.depth);
            let at_once = if first.operands[number].places > 1 {
                sum.rows
            } else {
                ROWS_AT_ONCE
            };
            for (place, d) in sum.d.chunks_mut(sum.rows * stride).enumerate() {
                for (part, d) in d.chunks_mut(at_once * stride).enumerate() {
                    tasks.push((number, place, part * at_once, d));
                }
            }
        }
        tasks
            .into_par_iter()
            .with_max_len(1)
            .for_each(|(number, place, row, d)| {
                let columns = first.operands[number].columns;
                let rows = d.len() / padded(first.operands[number].b.rows);
                let operands = blocks.iter().map(|block| {
                    let Operands { a, b, .. } = &block.operands[number];
                    [
                        a.place(place, row..row + rows, columns),
                        b.place(place, 0..b.rows, columns),
                    ]
                });
                let operands: Vec<_> = operands.collect();
                arch.dispatch(Outer {
                    blocks: &operands,
                    d,
                    columns,
                });
            });
    }

    /// The gradients by parameter, in burn's layouts.
    pub(crate) fn finish(self, plan: &Plan) -> HashMap<ParamId, Vec<f32>> {
        let finished: Vec<_> = self.0.into_par_iter().map(|sum| sum.finish(plan)).collect();
        let mut gradients = HashMap::new();
        for (id, values) in finished.into_iter().flatten() {
            match gradients.entry(id) {
                Entry::Vacant(place) => {
                    place.insert(values);
                }
                // Layers that share a parameter share its gradient.
                Entry::Occupied(mut sum) => {
                    let sums: &mut Vec<f32> = sum.get_mut();
                    sums.iter_mut()
                        .zip(values)
                        .for_each(|(sum, value)| *sum += value);
                }
            }
        }
        gradients
    }
}

impl Sum {
    fn zero(operands: &Operands, spare: &Arc<Spare>) -> Self {
        let (rows, depth) = (operands.a.rows, operands.b.rows);
        Self {
            operation: operands.operation,
            part: operands.part,
            rows,
            depth,
            d: spare.lend_zeros(operands.places * rows * padded(depth)),
            bias: vec![0.0; operands.bias.len()],
        }
    }

    fn finish(self, plan: &Plan) -> Vec<(ParamId, Vec<f32>)> {
        let pair = |ids: Ids, weight, bias: &[f32]| {
            let bias = ids.bias.map(|id| (id, bias.to_vec()));
            std::iter::once((ids.weight, weight)).chain(bias)
        };
        match &plan.operations[self.operation] {
            Operation::Dense(dense) => pair(dense.ids, self.compact(), &self.bias).collect(),
            Operation::Convolution(convolution) => {
                let weight = match &convolution.method {
                    Method::Direct { .. } => self.compact(),
                    Method::Winograd { tiling, .. } => self.winograd(plan, convolution, tiling),
                };
                pair(convolution.ids, weight, &self.bias).collect()
            }
            Operation::NonLocal(block) => {
                let values = self.compact();
                let maps = match self.part {
                    Part::Embed => &block.ids[..3],
                    _ => &block.ids[3..],
                };
                let rows = self.rows / maps.len();
                let weights = values.chunks_exact(rows * self.depth);
                maps.iter()
                    .zip(weights)
                    .zip(self.bias.chunks_exact(rows))
                    .flat_map(|((ids, weight), bias)| pair(*ids, weight.to_vec(), bias))
                    .collect()
            }
            Operation::Activation(_) | Operation::MaxPool(_) => Vec::new(),
        }
    }

    /// D without padding.
    fn compact(&self) -> Vec<f32> {
        let rows = self.d.chunks_exact(padded(self.depth));
        rows.flat_map(|row| &row[..self.depth]).copied().collect()
    }

    /// dW = Gᵀ D G of every pair of channels and phase.
    fn winograd(&self, plan: &Plan, convolution: &Convolution, tiling: &Tiling) -> Vec<f32> {
        let Geometry {
            inputs,
            kernel,
            stride,
            ..
        } = convolution.geometry;
        let (matrix, side) = (tiling.tile.weight(), tiling.tile.inputs());
        let taps = kernel / stride;
        let padded = padded(self.depth);
        let of_output = |(output, weight): (usize, &mut [f32])| {
            let mut sum = vec![0.0; self.depth];
            for tap in 0..taps * taps {
                let (a, b) = (tap / taps, tap % taps);
                plan.arch.dispatch(
                    #[inline(always)]
                    || {
                        sum.fill(0.0);
                        for place in 0..side * side {
                            let factor = matrix[place / side][a] * matrix[place % side][b];
                            let d = &self.d[(place * self.rows + output) * padded..][..self.depth];
                            for (sum, d) in sum.iter_mut().zip(d) {
                                *sum += factor as f32 * d;
                            }
                        }
                    },
                );
                for (k, sum) in sum.iter().enumerate() {
                    let (channel, phase) = (k / (stride * stride), k % (stride * stride));
                    let [y, x] = [stride * a + phase / stride, stride * b + phase % stride];
                    weight[(channel * kernel + y) * kernel + x] = *sum;
                }
            }
        };
        let each = inputs * kernel * kernel;
        let mut weight = vec![0.0; self.rows * each];
        weight
            .par_chunks_exact_mut(each)
            .enumerate()
            .for_each(of_output);
        weight
    }
}
