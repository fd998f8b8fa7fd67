//! Gradients with respect to the parameters: sums of what blocks of chains have [recorded](crate::records).
//!
//! The sums run over all blocks, one worker for each place: no block has sums of its own that would have to be added
//! up, and the order of every sum is that of the blocks, whatever the number of workers.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::Arc;

use ebm_core::ParameterId;
use pulp::Arch;
use rayon::prelude::*;

use crate::backward::Parameters;
use crate::buffer::{Buffer, Spare};
use crate::operation::{Geometry, Ids, Method};
use crate::outer::{Outer, padded};
use crate::plan::Plan;
use crate::records::{Operands, Records};
use crate::winograd::Tiling;

/// One sum over all blocks so far.
struct Sum {
    parameters: Parameters,
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
    pub(crate) fn add(&mut self, plan: &Plan, blocks: &[Records]) {
        let Some(first) = blocks.first() else {
            return;
        };
        let is_first = self.0.is_empty();
        if is_first {
            self.0 = plan
                .backward
                .parameters()
                .zip(&first.operands)
                .map(|(parameters, operands)| Sum::new(parameters, operands, &first.spare))
                .collect();
        }
        let mut tasks = Vec::new();
        for (number, sum) in self.0.iter_mut().enumerate() {
            for block in blocks {
                let bias = sum.bias.iter_mut().zip(&block.operands[number].bias);
                bias.for_each(|(sum, bias)| *sum += bias);
            }
            let stride = padded(sum.depth);
            let at_once = if first.operands[number].a.count() > 1 {
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
                plan.arch.dispatch(Outer {
                    blocks: &operands,
                    d,
                    columns,
                    is_first,
                });
            });
    }

    /// The gradients by parameter, in burn's layouts.
    pub(crate) fn finish(self, arch: Arch) -> HashMap<ParameterId, Vec<f32>> {
        let finished: Vec<_> = self.0.into_par_iter().map(|sum| sum.finish(arch)).collect();
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
    /// With arbitrary values of D, which the first blocks overwrite.
    fn new(parameters: &Parameters, operands: &Operands, spare: &Arc<Spare>) -> Self {
        let (rows, depth) = (operands.a.rows, operands.b.rows);
        Self {
            parameters: parameters.clone(),
            rows,
            depth,
            d: spare.lend(operands.a.count() * rows * padded(depth)),
            bias: vec![0.0; operands.bias.len()],
        }
    }

    fn finish(self, arch: Arch) -> Vec<(ParameterId, Vec<f32>)> {
        let pair = |ids: Ids, weight, bias: &[f32]| {
            let bias = ids.bias.map(|id| (id, bias.to_vec()));
            std::iter::once((ids.weight, weight)).chain(bias)
        };
        match &self.parameters {
            Parameters::Dense(dense) => pair(dense.ids, self.compact(), &self.bias).collect(),
            Parameters::Convolution(convolution) => {
                let weight = match &convolution.method {
                    Method::Direct { .. } => self.compact(),
                    Method::Winograd { tiling, .. } => {
                        self.winograd(arch, convolution.geometry, tiling)
                    }
                };
                pair(convolution.ids, weight, &self.bias).collect()
            }
            Parameters::Output(block) => pair(block.ids[3], self.compact(), &self.bias).collect(),
            Parameters::Embed(block) => {
                let values = self.compact();
                let weights = values.chunks_exact(block.inner * self.depth);
                let biases = self.bias.chunks_exact(block.inner);
                weights
                    .zip(biases)
                    .zip(block.ids)
                    .flat_map(|((weight, bias), ids)| pair(ids, weight.to_vec(), bias))
                    .collect()
            }
        }
    }

    /// D without padding.
    fn compact(&self) -> Vec<f32> {
        let rows = self.d.chunks_exact(padded(self.depth));
        rows.flat_map(|row| &row[..self.depth]).copied().collect()
    }

    /// dW = Gᵀ D G of every pair of channels and phase.
    fn winograd(&self, arch: Arch, geometry: Geometry, tiling: &Tiling) -> Vec<f32> {
        let Geometry {
            inputs,
            kernel,
            stride,
            ..
        } = geometry;
        let (matrix, side) = (tiling.tile.weight(), tiling.tile.inputs());
        let taps = kernel / stride;
        let padded = padded(self.depth);
        let of_output = |(output, weight): (usize, &mut [f32])| {
            let mut sum = vec![0.0; self.depth];
            for tap in 0..taps * taps {
                let (a, b) = (tap / taps, tap % taps);
                arch.dispatch(
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
                // Records are transformed as they are, so that the phases of a channel follow each other.
                let channels = weight.chunks_exact_mut(kernel * kernel);
                for (weight, sums) in channels.zip(sum.chunks_exact(stride * stride)) {
                    for (phase, sum) in sums.iter().enumerate() {
                        let [y, x] = [stride * a + phase / stride, stride * b + phase % stride];
                        weight[y * kernel + x] = *sum;
                    }
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
