//! The non-local block: products around attention, and its gradient.

use std::sync::Arc;

use crate::attention::{Attend, AttendBackward, Sizes};
use crate::bf16;
use crate::buffer::{Buffer, Spare};
use crate::gemm::{Epilogue, Product};
use crate::operation::{MaxPool, NonLocal};
use crate::pool::{max_pool, max_pool_backward};
use crate::scratch::{Needs, Scratch};
use crate::vector::Vectors;

/// What a non-local block keeps from its forward pass for its gradient; empty for other operations.
#[derive(Default)]
pub(crate) struct Kept {
    /// Query, key and value, `[3h][pixels][lanes]`.
    embedded: Buffer,
    /// Key and value after pooling, `[2h][pixels / 4][lanes]`.
    pooled: Buffer,
    /// The values mixed by the weights of attention, `[h][pixels][lanes]`.
    pub(crate) mixed: Buffer,
}

impl Kept {
    /// How many values.
    pub(crate) fn len(&self) -> usize {
        self.embedded.len() + self.pooled.len() + self.mixed.len()
    }
}

impl NonLocal {
    /// Memory for what a block of so many lanes keeps.
    pub(crate) fn keep(&self, lanes: usize, spare: &Arc<Spare>) -> Kept {
        let sizes = self.sizes(lanes);
        Kept {
            embedded: spare.lend(3 * sizes.inner * sizes.queries * lanes),
            pooled: spare.lend(2 * sizes.inner * sizes.keys * lanes),
            mixed: spare.lend(sizes.inner * sizes.queries * lanes),
        }
    }

    /// The scratch that it needs: scores in `gathered`, the gradients of all that is kept in `products`.
    pub(crate) fn needs(&self, lanes: usize, needs: &mut Needs) {
        let sizes = self.sizes(lanes);
        let (columns, pooled) = (sizes.queries * lanes, sizes.keys * lanes);
        needs.gathered(sizes.scratch(self.embed.factors()));
        needs.products(sizes.inner * (4 * columns + 2 * pooled));
        for matrix in [
            &self.embed,
            &self.embed_backward,
            &self.output,
            &self.output_backward,
        ] {
            needs.packed(matrix, columns);
        }
    }

    /// `output` ← input + W mixed, both `[channels][pixels][lanes]`.
    pub(crate) fn forward(
        &self,
        vectors: Vectors,
        lanes: usize,
        input: &[f32],
        output: &mut [f32],
        kept: &mut Kept,
        scratch: &mut Scratch,
    ) {
        let arch = vectors.lanes;
        let sizes = self.sizes(lanes);
        let columns = sizes.queries * lanes;
        let product = vectors.product(columns);
        Product {
            a: &self.embed,
            b: input,
            b_stride: columns,
            b_is_packed: false,
            c: &mut kept.embedded,
            c_stride: columns,
            columns,
            epilogue: Epilogue::Bias(&self.embed_bias),
            scratch: scratch.packed(&self.embed, columns),
        }
        .run(product);
        let (query, key_value) = kept.embedded.split_at(sizes.inner * columns);
        let windows = self.pool().windows(lanes);
        max_pool(arch, windows, key_value, &mut kept.pooled);
        let (key, value) = kept.pooled.split_at(sizes.inner * sizes.keys * lanes);
        bf16::dispatch(
            arch,
            self.embed.factors(),
            Attend {
                sizes,
                query,
                key,
                value,
                mixed: &mut kept.mixed,
                scratch: &mut scratch.gathered,
            },
        );
        Product {
            a: &self.output,
            b: &kept.mixed,
            b_stride: columns,
            b_is_packed: false,
            c: output,
            c_stride: columns,
            columns,
            epilogue: Epilogue::BiasPlus(&self.output_bias, input),
            scratch: scratch.packed(&self.output, columns),
        }
        .run(product);
    }

    /// `input_gradient` ← the gradient of [`Self::forward`]. Leaves that of query, key and value before pooling,
    /// `[3h][pixels][lanes]`, at the start of `scratch.products`.
    pub(crate) fn backward(
        &self,
        vectors: Vectors,
        lanes: usize,
        kept: &Kept,
        gradient: &[f32],
        input_gradient: &mut [f32],
        scratch: &mut Scratch,
    ) {
        let arch = vectors.lanes;
        let sizes = self.sizes(lanes);
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
        Product {
            a: &self.output_backward,
            b: gradient,
            b_stride: columns,
            b_is_packed: false,
            c: mixed,
            c_stride: columns,
            columns,
            epilogue: Epilogue::None,
            scratch: &mut far[..Product::scratch(&self.output_backward, columns)],
        }
        .run(product);
        let half = sizes.inner * sizes.keys * lanes;
        let (query, key_value) = kept.embedded.split_at(sizes.inner * columns);
        let (key, value) = kept.pooled.split_at(half);
        let (query_gradient, key_value_gradient) = embedded.split_at_mut(sizes.inner * columns);
        let (key_gradient, value_gradient) = pooled.split_at_mut(half);
        bf16::dispatch(
            arch,
            self.embed.factors(),
            AttendBackward {
                sizes,
                query,
                key,
                value,
                mixed_gradient: mixed,
                query_gradient,
                key_gradient,
                value_gradient,
                scratch: gathered,
            },
        );
        max_pool_backward(
            arch,
            self.pool().windows(lanes),
            1.0,
            key_value,
            &kept.pooled,
            pooled,
            key_value_gradient,
        );
        Product {
            a: &self.embed_backward,
            b: embedded,
            b_stride: columns,
            b_is_packed: false,
            c: input_gradient,
            c_stride: columns,
            columns,
            epilogue: Epilogue::Plus(gradient),
            scratch: &mut far[..Product::scratch(&self.embed_backward, columns)],
        }
        .run(product);
    }

    /// The pooling of key and value.
    fn pool(&self) -> MaxPool {
        let [height, width] = self.image;
        MaxPool {
            shape: [2 * self.inner, height, width],
            size: 2,
        }
    }

    fn sizes(&self, lanes: usize) -> Sizes {
        let [height, width] = self.image;
        Sizes {
            queries: self.pixels(),
            keys: (height / 2) * (width / 2),
            inner: self.inner,
            lanes,
        }
    }
}
