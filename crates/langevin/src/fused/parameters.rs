//! Gradients with respect to the parameters, summed over the chains of a block.

use std::collections::HashMap;

use burn::module::ParamId;
use pulp::Arch;

use super::block::Scratch;
use super::convolution::{TilePiece, gather_columns, plane_stride, row_pieces};
use super::gemm::Outer;
use super::plan::{Convolution, Dense, Ids, Method, NonLocal, Plan};
use super::winograd::Direction;

/// Gradients by parameter, in burn's layouts.
#[derive(Default)]
pub(crate) struct Gradients(pub(crate) HashMap<ParamId, Vec<f32>>);

impl Gradients {
    /// Adds those of another block.
    pub(crate) fn add(&mut self, other: Self) {
        for (id, values) in other.0 {
            self.accumulate(id, values);
        }
    }

    fn accumulate(&mut self, id: ParamId, values: Vec<f32>) {
        match self.0.get_mut(&id) {
            Some(sum) => sum
                .iter_mut()
                .zip(&values)
                .for_each(|(sum, value)| *sum += value),
            None => {
                self.0.insert(id, values);
            }
        }
    }

    fn bias(&mut self, ids: Ids, outputs: usize, columns: usize, gradient: &[f32]) {
        if let Some(id) = ids.bias {
            let rows = gradient.chunks_exact(columns).take(outputs);
            self.accumulate(id, rows.map(|row| row.iter().sum()).collect());
        }
    }

    pub(crate) fn dense(
        &mut self,
        arch: Arch,
        dense: &Dense,
        lanes: usize,
        gradient: &[f32],
        input: &[f32],
    ) {
        let columns = dense.pixels * lanes;
        let (outputs, inputs) = (dense.forward.rows, dense.forward.depth);
        self.bias(dense.ids, outputs, columns, gradient);
        // burn keeps a linear layer's weight as [inputs, outputs] and a convolution's the other way round.
        let (rows, depth, a, b) = if dense.is_transposed {
            (inputs, outputs, input, gradient)
        } else {
            (outputs, inputs, gradient, input)
        };
        self.accumulate(dense.ids.weight, outer(arch, a, b, rows, depth, columns));
    }

    #[allow(clippy::too_many_arguments)]
    pub(crate) fn convolution(
        &mut self,
        plan: &Plan,
        index: usize,
        convolution: &Convolution,
        lanes: usize,
        gradient: &mut [f32],
        input: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let [outputs, height, width] = plan.shapes[index + 1];
        let all = height * width * lanes;
        self.bias(convolution.ids, outputs, all, gradient);
        let weight = match &convolution.method {
            Method::Direct { forward, .. } => {
                let depth = forward.weights.depth;
                let mut sum = vec![0.0; outputs * depth];
                for rows in row_pieces(height, width, lanes).ranges() {
                    let columns = rows.len() * width * lanes;
                    let first = rows.start * width * lanes;
                    gather_columns(
                        plan,
                        index,
                        convolution,
                        lanes,
                        rows,
                        input,
                        &mut scratch.gathered,
                    );
                    plan.arch.dispatch(Outer {
                        a: &gradient[first..],
                        a_stride: all,
                        b: &scratch.gathered,
                        b_stride: columns,
                        d: &mut sum,
                        rows: outputs,
                        depth,
                        columns,
                    });
                }
                sum
            }
            Method::Winograd { .. } => {
                winograd_weight(plan, convolution, lanes, gradient, input, scratch)
            }
        };
        self.accumulate(convolution.ids.weight, weight);
    }

    /// W of a non-local block; to be called before its backward pass.
    pub(crate) fn non_local_output(
        &mut self,
        arch: Arch,
        block: &NonLocal,
        gradient: &[f32],
        mixed: &[f32],
        [_, height, width]: [usize; 3],
        lanes: usize,
    ) {
        let columns = height * width * lanes;
        self.bias(block.ids[3], block.channels, columns, gradient);
        let weight = outer(arch, gradient, mixed, block.channels, block.inner, columns);
        self.accumulate(block.ids[3].weight, weight);
    }

    /// Query, key and value of a non-local block, from the gradient that its backward pass left.
    pub(crate) fn non_local_embed(
        &mut self,
        arch: Arch,
        block: &NonLocal,
        embedded_gradient: &[f32],
        input: &[f32],
        [_, height, width]: [usize; 3],
        lanes: usize,
    ) {
        let columns = height * width * lanes;
        let each = block.inner * columns;
        for (map, gradient) in embedded_gradient.chunks_exact(each).take(3).enumerate() {
            self.bias(block.ids[map], block.inner, columns, gradient);
            let weight = outer(arch, gradient, input, block.inner, block.channels, columns);
            self.accumulate(block.ids[map].weight, weight);
        }
    }
}

fn outer(arch: Arch, a: &[f32], b: &[f32], rows: usize, depth: usize, columns: usize) -> Vec<f32> {
    let mut d = vec![0.0; rows * depth];
    arch.dispatch(Outer {
        a,
        a_stride: columns,
        b,
        b_stride: columns,
        d: &mut d,
        rows,
        depth,
        columns,
    });
    d
}

/// dW = Gᵀ (Σ (A g Aᵀ) ∘ (Bᵀ x B)) G: the same transforms as forward, the products over columns instead of channels.
fn winograd_weight(
    plan: &Plan,
    convolution: &Convolution,
    lanes: usize,
    gradient: &mut [f32],
    input: &mut [f32],
    scratch: &mut Scratch,
) -> Vec<f32> {
    let Convolution {
        inputs,
        outputs,
        kernel,
        stride,
        ..
    } = *convolution;
    let Method::Winograd {
        tiling, forward, ..
    } = &convolution.method
    else {
        return Vec::new();
    };
    let depth = inputs * stride * stride;
    let places = forward.len();
    let mut sums = vec![0.0; places * outputs * depth];
    let Scratch {
        gathered, products, ..
    } = scratch;
    for piece in TilePiece::all(tiling, lanes) {
        let columns = piece.columns();
        let [from, to] = [depth, outputs].map(|rows| plane_stride(rows, columns));
        let arch = plan.arch;
        arch.dispatch(piece.transfer(Direction::Gather, inputs, input, gathered));
        arch.dispatch(piece.transfer(Direction::Spread, outputs, gradient, products));
        for place in 0..places {
            arch.dispatch(Outer {
                a: &products[place * to..],
                a_stride: columns,
                b: &gathered[place * from..],
                b_stride: columns,
                d: &mut sums[place * outputs * depth..][..outputs * depth],
                rows: outputs,
                depth,
                columns,
            });
        }
    }
    let matrix = tiling.tile.weight();
    let side = tiling.tile.inputs();
    let mut weight = vec![0.0; outputs * inputs * kernel * kernel];
    for output in 0..outputs {
        for k in 0..depth {
            let (channel, phase) = (k / (stride * stride), k % (stride * stride));
            for j in 0..side {
                for i in 0..side {
                    let sum = sums[((j * side + i) * outputs + output) * depth + k];
                    for a in 0..kernel / stride {
                        for b in 0..kernel / stride {
                            let y = stride * a + phase / stride;
                            let x = stride * b + phase % stride;
                            let at = ((output * inputs + channel) * kernel + y) * kernel + x;
                            weight[at] += (matrix[j][a] * matrix[i][b]) as f32 * sum;
                        }
                    }
                }
            }
        }
    }
    weight
}
