//! A block of chains and the memory to run a plan on it: forward, then the gradient with respect to the states.
//!
//! Every buffer is `[channels][height][width][lanes]`: the chains of the block lie side by side, one to a SIMD lane.
//! What happens to a chain therefore never depends on its neighbours, nor on how the batch was cut into blocks.

use std::sync::Arc;

use crate::buffer::{Buffer, Spare};
use crate::convolution::{convolution_scratch, convolve, convolve_backward, writes_all};
use crate::elementwise::{activate, activate_backward, mask};
use crate::gemm::{Epilogue, Product};
use crate::non_local::Kept;
use crate::operation::{Method, Operation};
use crate::parameters::Records;
use crate::plan::Plan;
use crate::pool::{max_pool, max_pool_backward};
use crate::scratch::{Needs, Scratch};
use crate::vector::{HALF, LANES, Vectors};

/// Buffers for `lanes` chains, allocated once.
pub(crate) struct Block<'p> {
    pub(crate) plan: &'p Plan,
    pub(crate) lanes: usize,
    pub(crate) vectors: Vectors,
    /// What goes into each operation, and at the end the energies.
    pub(crate) values: Vec<Buffer>,
    /// What an operation keeps for its gradient.
    kept: Vec<Kept>,
    /// The gradient with respect to an operation's output, and to its input; after `backward` the first holds ∇F.
    pub(crate) gradient: Buffer,
    next_gradient: Buffer,
    pub(crate) scratch: Scratch,
}

impl<'p> Block<'p> {
    /// Memory for `chains` chains of the plan, with arbitrary values.
    pub(crate) fn new(plan: &'p Plan, chains: usize, spare: &Arc<Spare>) -> Self {
        let lanes = if chains <= HALF {
            HALF
        } else {
            chains.next_multiple_of(LANES)
        };
        let lend = |values: usize| spare.lend(values);
        let values = (0..plan.shapes.len())
            .map(|index| lend(plan.size(index) * lanes))
            .collect();
        let mut needs = Needs::default();
        let mut kept = Vec::new();
        for operation in &plan.operations {
            let mut keep = Kept::default();
            match operation {
                Operation::Dense(dense) => {
                    needs.packed(&dense.forward, dense.pixels * lanes);
                    needs.packed(&dense.backward, dense.pixels * lanes);
                }
                Operation::Convolution(convolution) => {
                    let (gathered, products) = convolution_scratch(convolution, lanes);
                    needs.gathered(gathered);
                    needs.products(products);
                }
                Operation::NonLocal(block) => {
                    keep = block.keep(lanes, spare);
                    block.needs(lanes, &mut needs);
                }
                Operation::Activation(_) | Operation::MaxPool(_) => {}
            }
            kept.push(keep);
        }
        Self {
            plan,
            lanes,
            vectors: Vectors::new(plan.arch, lanes),
            values,
            kept,
            gradient: lend(plan.largest() * lanes),
            next_gradient: lend(plan.largest() * lanes),
            scratch: Scratch::new(&needs, spare),
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let values = self.values.iter().map(|values| values.len()).sum::<usize>()
            + self.kept.iter().map(Kept::len).sum::<usize>()
            + self.gradient.len()
            + self.next_gradient.len()
            + self.scratch.len();
        values * size_of::<f32>()
    }

    /// F of the states in `values[0]`.
    pub(crate) fn forward(&mut self) {
        for index in 0..self.plan.operations.len() {
            let (before, after) = self.values.split_at_mut(index + 1);
            let (input, output) = (&mut before[index], &mut after[0]);
            let vectors = self.vectors;
            let arch = vectors.lanes;
            match &self.plan.operations[index] {
                Operation::Dense(dense) => {
                    let columns = dense.pixels * self.lanes;
                    vectors.product(columns).dispatch(Product {
                        a: &dense.forward,
                        b: input,
                        b_stride: columns,
                        c: output,
                        c_stride: columns,
                        columns,
                        epilogue: activated(&dense.bias, dense.slope),
                        scratch: self.scratch.packed(dense.forward.depth, columns),
                    });
                }
                Operation::Convolution(convolution) => {
                    convolve(
                        vectors,
                        convolution,
                        self.lanes,
                        input,
                        output,
                        &mut self.scratch,
                    );
                }
                Operation::Activation(kind) => activate(arch, *kind, input, output),
                Operation::MaxPool(pool) => {
                    max_pool(arch, pool.windows(self.lanes), input, output);
                }
                Operation::NonLocal(block) => {
                    let kept = &mut self.kept[index];
                    block.forward(vectors, self.lanes, input, output, kept, &mut self.scratch);
                }
            }
        }
    }

    /// The energies after `forward`; lanes beyond the block's chains hold energies of unused states.
    pub(crate) fn energies(&self) -> &[f32] {
        self.values.last().map_or(&[], |values| values)
    }

    /// After `forward`: ∇F of every chain, times `seed` (one factor a lane, 1 for the gradient itself), into
    /// `gradient`; and what the gradient with respect to the parameters is made of, where `records` wants it.
    pub(crate) fn backward(&mut self, seed: Option<&[f32]>, mut records: Option<&mut Records>) {
        match seed {
            Some(seed) => self.gradient[..self.lanes].copy_from_slice(seed),
            None => self.gradient[..self.lanes].fill(1.0),
        }
        let vectors = self.vectors;
        let arch = vectors.lanes;
        // Whether `gradient` has already passed the fused activation of the operation at hand.
        let mut is_masked = false;
        for index in (0..self.plan.operations.len()).rev() {
            let operation = &self.plan.operations[index];
            let shape = self.plan.shapes[index];
            let (before, after) = self.values.split_at_mut(index + 1);
            let (input, output) = (&mut before[index], &after[0]);
            let slope = fused_slope(operation);
            let transforms = matches!(
                operation,
                Operation::Convolution(convolution)
                    if matches!(convolution.method, Method::Winograd { .. })
            );
            // Winograd's first transform can do it in passing, but sums for parameters need it done.
            let masks_itself = transforms && records.is_none();
            if slope != 1.0 && !is_masked && !masks_itself {
                let length = output.len();
                mask(arch, &mut self.gradient[..length], output, slope);
            }
            let apply = (masks_itself && !is_masked && slope != 1.0).then_some(&output[..]);
            is_masked = false;
            let columns = shape[1] * shape[2] * self.lanes;
            if let Some(records) = &mut records {
                match operation {
                    Operation::Dense(dense) => {
                        records.dense(index, dense, self.lanes, &self.gradient, input);
                    }
                    Operation::Convolution(convolution) => {
                        records.convolution(
                            self.plan,
                            index,
                            convolution,
                            self.lanes,
                            &mut self.gradient,
                            input,
                        );
                    }
                    Operation::NonLocal(block) => {
                        let mixed = &self.kept[index].mixed;
                        records.non_local_output(index, block, &self.gradient, mixed, columns);
                    }
                    Operation::Activation(_) | Operation::MaxPool(_) => {}
                }
            }
            let next = &mut self.next_gradient;
            // The activation fused to the operation before, which some operations can do in passing.
            let slope_before = index
                .checked_sub(1)
                .map_or(1.0, |before| fused_slope(&self.plan.operations[before]));
            match operation {
                Operation::Dense(dense) => {
                    let columns = dense.pixels * self.lanes;
                    is_masked = slope_before != 1.0;
                    let epilogue = if is_masked {
                        Epilogue::Mask(input, slope_before)
                    } else {
                        Epilogue::None
                    };
                    vectors.product(columns).dispatch(Product {
                        a: &dense.backward,
                        b: &self.gradient,
                        b_stride: columns,
                        c: next,
                        c_stride: columns,
                        columns,
                        epilogue,
                        scratch: self.scratch.packed(dense.backward.depth, columns),
                    });
                }
                Operation::Convolution(convolution) => {
                    if !writes_all(convolution) {
                        next[..input.len()].fill(0.0);
                    }
                    convolve_backward(
                        vectors,
                        convolution,
                        self.lanes,
                        &mut self.gradient,
                        apply,
                        next,
                        &mut self.scratch,
                    );
                }
                Operation::Activation(kind) => {
                    activate_backward(arch, *kind, input, &mut self.gradient);
                    continue;
                }
                Operation::MaxPool(pool) => {
                    is_masked = slope_before != 1.0;
                    max_pool_backward(
                        arch,
                        pool.windows(self.lanes),
                        slope_before,
                        input,
                        output,
                        &self.gradient,
                        next,
                    );
                }
                Operation::NonLocal(block) => {
                    block.backward(
                        vectors,
                        self.lanes,
                        &self.kept[index],
                        &self.gradient,
                        next,
                        &mut self.scratch,
                    );
                    if let Some(records) = &mut records {
                        records.non_local_embed(index, block, &self.scratch, input, columns);
                    }
                }
            }
            std::mem::swap(&mut self.gradient, &mut self.next_gradient);
        }
    }
}

fn fused_slope(operation: &Operation) -> f32 {
    match operation {
        Operation::Dense(dense) => dense.slope,
        Operation::Convolution(convolution) => convolution.slope,
        Operation::Activation(_) | Operation::MaxPool(_) | Operation::NonLocal(_) => 1.0,
    }
}

pub(crate) fn activated(bias: &[f32], slope: f32) -> Epilogue<'_> {
    if slope == 1.0 {
        Epilogue::Bias(bias)
    } else {
        Epilogue::BiasLeaky(bias, slope)
    }
}
