//! A block of chains and the memory to run a plan on it: forward, then backward, step by step.
//!
//! Every buffer is `[channels][height][width][lanes]`: the chains of the block lie side by side, one to a SIMD lane.
//! What happens to a chain therefore never depends on its neighbours, nor on how the batch was cut into blocks.

use std::sync::Arc;

use crate::backward::{BackwardStep, FusedRelu, ParameterStep};
use crate::buffer::{Buffer, Spare};
use crate::convolution::{convolution_needs, convolve, convolve_backward};
use crate::elementwise::{activate, activate_backward};
use crate::gemm::{Epilogue, Product};
use crate::non_local::Kept;
use crate::operation::Operation;
use crate::plan::Plan;
use crate::pool::{max_pool, max_pool_backward};
use crate::records::{Records, Sources};
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
    /// The gradient with respect to the values where the backward pass has arrived; after `backward` it is ∇F.
    pub(crate) gradient: Buffer,
    /// Where the next step of the backward pass writes.
    next_gradient: Buffer,
    scratch: Scratch,
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
                    convolution_needs(convolution, lanes, &mut needs);
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
                    Product {
                        a: &dense.forward,
                        b: input,
                        b_stride: columns,
                        b_is_packed: false,
                        c: output,
                        c_stride: columns,
                        columns,
                        epilogue: Epilogue::activated(&dense.bias, dense.slope),
                        scratch: self.scratch.packed(&dense.forward, columns),
                    }
                    .run(vectors.product(columns));
                }
                Operation::Convolution(convolution) => {
                    let scratch = &mut self.scratch;
                    convolve(vectors, convolution, self.lanes, input, output, scratch);
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

    /// After `forward`: ∇F of every chain, into `gradient`.
    pub(crate) fn backward(&mut self) {
        self.gradient[..self.lanes].fill(1.0);
        let plan = self.plan;
        for step in &plan.backward.to_states {
            self.go_back(step);
        }
    }

    /// After `forward`: records what the gradient of Σ seed · F with respect to the parameters is made of; one seed a
    /// lane.
    pub(crate) fn record(&mut self, seed: &[f32], records: &mut Records) {
        self.gradient[..self.lanes].copy_from_slice(seed);
        let plan = self.plan;
        for step in &plan.backward.to_parameters {
            match step {
                ParameterStep::Backward(step) => self.go_back(step),
                ParameterStep::Record {
                    parameters,
                    operation,
                } => {
                    let sources = Sources {
                        arch: self.vectors.lanes,
                        lanes: self.lanes,
                        gradient: &mut self.gradient,
                        input: &mut self.values[*operation],
                        kept: &self.kept[*operation],
                        scratch: &self.scratch,
                    };
                    records.record(parameters, sources);
                }
            }
        }
    }

    /// One step of the backward pass.
    fn go_back(&mut self, step: &BackwardStep) {
        let (vectors, lanes) = (self.vectors, self.lanes);
        let arch = vectors.lanes;
        let (gradient, next) = (&mut self.gradient, &mut self.next_gradient);
        match step {
            BackwardStep::Mask(relu) => {
                relu.mask(&self.values).apply(arch, gradient);
                return;
            }
            BackwardStep::Activation { kind, input } => {
                activate_backward(arch, *kind, &self.values[*input], gradient);
                return;
            }
            BackwardStep::Dense { dense, before } => {
                let columns = dense.pixels * lanes;
                let mask = before.map(|relu| relu.mask(&self.values));
                Product {
                    a: &dense.backward,
                    b: gradient,
                    b_stride: columns,
                    b_is_packed: false,
                    c: next,
                    c_stride: columns,
                    columns,
                    epilogue: mask.map_or(Epilogue::None, Epilogue::Mask),
                    scratch: self.scratch.packed(&dense.backward, columns),
                }
                .run(vectors.product(columns));
            }
            BackwardStep::Convolution { convolution, own } => {
                let mask = own.map(|relu| relu.mask(&self.values));
                let scratch = &mut self.scratch;
                convolve_backward(vectors, convolution, lanes, gradient, mask, next, scratch);
            }
            BackwardStep::MaxPool {
                pool,
                input,
                before,
            } => {
                max_pool_backward(
                    arch,
                    pool.windows(lanes),
                    before.map_or(1.0, FusedRelu::slope),
                    &self.values[*input],
                    &self.values[input + 1],
                    gradient,
                    next,
                );
            }
            BackwardStep::NonLocal { block, operation } => {
                let kept = &self.kept[*operation];
                block.backward(vectors, lanes, kept, gradient, next, &mut self.scratch);
            }
        }
        std::mem::swap(gradient, next);
    }
}
