//! A block of chains and the memory to run a plan on it: forward, then the gradient with respect to the states.
//!
//! Every buffer is `[channels][height][width][lanes]`: the chains of the block lie side by side, one to a SIMD lane.
//! What happens to a chain therefore never depends on its neighbours, nor on how the batch was cut into blocks.

use std::sync::Arc;

use crate::attention::{Attend, AttendBackward, Sizes};
use crate::buffer::{Buffer, Spare};
use crate::convolution::{convolution_scratch, convolve, convolve_backward, writes_all};
use crate::elementwise::{activate, activate_backward, mask};
use crate::gemm::{Epilogue, Packed, Product};
use crate::parameters::Records;
use crate::plan::{Convolution, Method, NonLocal, Operation, Plan};
use crate::pool::{Windows, max_pool, max_pool_backward};
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

/// Memory whose contents do not outlive an operation.
pub(crate) struct Scratch {
    pub(crate) gathered: Buffer,
    pub(crate) products: Buffer,
    packed: Buffer,
}

/// The non-local block's intermediate values; empty for other operations.
#[derive(Default)]
struct Kept {
    embedded: Buffer,
    pooled: Buffer,
    mixed: Buffer,
}

impl Scratch {
    /// For a product of `depth` with rows `columns` apart.
    fn packed(&mut self, depth: usize, columns: usize) -> &mut [f32] {
        &mut self.packed[..Product::scratch(depth, columns)]
    }
}

/// How long the buffers of a [`Scratch`] have to be.
#[derive(Default)]
struct Needs {
    gathered: usize,
    products: usize,
    packed: usize,
}

impl Needs {
    /// For a product with rows `columns` apart.
    fn packed(&mut self, matrix: &Packed, columns: usize) {
        self.packed = self.packed.max(Product::scratch(matrix.depth, columns));
    }
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
        for (index, operation) in plan.operations.iter().enumerate() {
            let shape = plan.shapes[index];
            let mut keep = Kept::default();
            match operation {
                Operation::Convolution(convolution) => {
                    let (gathered, products) = convolution_scratch(convolution, lanes);
                    needs.gathered = needs.gathered.max(gathered);
                    needs.products = needs.products.max(products);
                }
                Operation::NonLocal(block) => {
                    let sizes = attention_sizes(block, shape, lanes);
                    keep = Kept {
                        embedded: lend(3 * sizes.inner * sizes.queries * lanes),
                        pooled: lend(2 * sizes.inner * sizes.keys * lanes),
                        mixed: lend(sizes.inner * sizes.queries * lanes),
                    };
                    // Scores; gradients of query, keys, values and the pooled ones.
                    needs.gathered = needs.gathered.max(sizes.scratch());
                    let columns = sizes.queries * lanes;
                    needs.packed(&block.embed, columns);
                    needs.packed(&block.embed_backward, columns);
                    needs.packed(&block.output, columns);
                    needs.packed(&block.output_backward, columns);
                    let products = keep.embedded.len() + keep.pooled.len() + keep.mixed.len();
                    needs.products = needs.products.max(products);
                }
                Operation::Dense(dense) => {
                    needs.packed(&dense.forward, dense.pixels * lanes);
                    needs.packed(&dense.backward, dense.pixels * lanes);
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
            scratch: Scratch {
                gathered: lend(needs.gathered),
                products: lend(needs.products),
                packed: lend(needs.packed),
            },
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        let kept = |keep: &Kept| keep.embedded.len() + keep.pooled.len() + keep.mixed.len();
        let values = self.values.iter().map(|values| values.len()).sum::<usize>()
            + self.kept.iter().map(kept).sum::<usize>()
            + self.gradient.len()
            + self.next_gradient.len()
            + self.scratch.gathered.len()
            + self.scratch.products.len()
            + self.scratch.packed.len();
        values * size_of::<f32>()
    }

    /// F of the states in `values[0]`.
    pub(crate) fn forward(&mut self) {
        for index in 0..self.plan.operations.len() {
            let (before, after) = self.values.split_at_mut(index + 1);
            let (input, output) = (&mut before[index], &mut after[0]);
            let shape = self.plan.shapes[index];
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
                Operation::MaxPool(size) => {
                    max_pool(arch, windows(shape, *size, self.lanes), input, output);
                }
                Operation::NonLocal(block) => {
                    let sizes = attention_sizes(block, shape, self.lanes);
                    mix(
                        vectors,
                        block,
                        shape,
                        sizes,
                        input,
                        output,
                        &mut self.kept[index],
                        &mut self.scratch,
                    );
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
                Operation::Convolution(Convolution {
                    method: Method::Winograd { .. },
                    ..
                })
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
                Operation::MaxPool(size) => {
                    is_masked = slope_before != 1.0;
                    max_pool_backward(
                        arch,
                        windows(shape, *size, self.lanes),
                        slope_before,
                        input,
                        output,
                        &self.gradient,
                        next,
                    );
                }
                Operation::NonLocal(block) => {
                    let sizes = attention_sizes(block, shape, self.lanes);
                    mix_backward(
                        vectors,
                        block,
                        shape,
                        sizes,
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

fn windows(shape: [usize; 3], size: usize, lanes: usize) -> Windows {
    Windows { shape, size, lanes }
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

fn attention_sizes(block: &NonLocal, [_, height, width]: [usize; 3], lanes: usize) -> Sizes {
    Sizes {
        queries: height * width,
        keys: (height / 2) * (width / 2),
        inner: block.inner,
        lanes,
    }
}

#[allow(clippy::too_many_arguments)]
fn mix(
    vectors: Vectors,
    block: &NonLocal,
    [_, height, width]: [usize; 3],
    sizes: Sizes,
    input: &[f32],
    output: &mut [f32],
    kept: &mut Kept,
    scratch: &mut Scratch,
) {
    let arch = vectors.lanes;
    let lanes = sizes.lanes;
    let columns = sizes.queries * lanes;
    let product = vectors.product(columns);
    product.dispatch(Product {
        a: &block.embed,
        b: input,
        b_stride: columns,
        c: &mut kept.embedded,
        c_stride: columns,
        columns,
        epilogue: Epilogue::Bias(&block.embed_bias),
        scratch: scratch.packed(block.embed.depth, columns),
    });
    let (query, key_value) = kept.embedded.split_at(sizes.inner * columns);
    max_pool(
        arch,
        windows([2 * sizes.inner, height, width], 2, lanes),
        key_value,
        &mut kept.pooled,
    );
    let (key, value) = kept.pooled.split_at(sizes.inner * sizes.keys * lanes);
    arch.dispatch(Attend {
        sizes,
        query,
        key,
        value,
        mixed: &mut kept.mixed,
        scratch: &mut scratch.gathered,
    });
    product.dispatch(Product {
        a: &block.output,
        b: &kept.mixed,
        b_stride: columns,
        c: output,
        c_stride: columns,
        columns,
        epilogue: Epilogue::BiasPlus(&block.output_bias, input),
        scratch: scratch.packed(block.output.depth, columns),
    });
}

/// Leaves the gradient with respect to query, key and value before pooling at the start of `scratch.products`.
#[allow(clippy::too_many_arguments)]
fn mix_backward(
    vectors: Vectors,
    block: &NonLocal,
    [_, height, width]: [usize; 3],
    sizes: Sizes,
    kept: &Kept,
    gradient: &[f32],
    input_gradient: &mut [f32],
    scratch: &mut Scratch,
) {
    let arch = vectors.lanes;
    let lanes = sizes.lanes;
    let columns = sizes.queries * lanes;
    let product = vectors.product(columns);
    let Scratch {
        gathered,
        products,
        packed: far,
    } = scratch;
    let (embedded, rest) = products.split_at_mut(kept.embedded.len());
    let (pooled, mixed) = rest.split_at_mut(kept.pooled.len());
    let mixed = &mut mixed[..kept.mixed.len()];
    product.dispatch(Product {
        a: &block.output_backward,
        b: gradient,
        b_stride: columns,
        c: mixed,
        c_stride: columns,
        columns,
        epilogue: Epilogue::None,
        scratch: &mut far[..Product::scratch(block.output_backward.depth, columns)],
    });
    let half = sizes.inner * sizes.keys * lanes;
    let (query, key_value) = kept.embedded.split_at(sizes.inner * columns);
    let (key, value) = kept.pooled.split_at(half);
    let (query_gradient, key_value_gradient) = embedded.split_at_mut(sizes.inner * columns);
    let (key_gradient, value_gradient) = pooled.split_at_mut(half);
    arch.dispatch(AttendBackward {
        sizes,
        query,
        key,
        value,
        mixed_gradient: mixed,
        query_gradient,
        key_gradient,
        value_gradient,
        scratch: gathered,
    });
    max_pool_backward(
        arch,
        windows([2 * sizes.inner, height, width], 2, lanes),
        1.0,
        key_value,
        &kept.pooled,
        pooled,
        key_value_gradient,
    );
    product.dispatch(Product {
        a: &block.embed_backward,
        b: embedded,
        b_stride: columns,
        c: input_gradient,
        c_stride: columns,
        columns,
        epilogue: Epilogue::Plus(gradient),
        scratch: &mut far[..Product::scratch(block.embed_backward.depth, columns)],
    });
}
