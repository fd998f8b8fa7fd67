//! Memory that the operations of a block share, one after another.

use std::sync::Arc;

use crate::buffer::{Buffer, Spare};
use crate::gemm::{Packed, Product};

/// Memory whose contents do not outlive an operation.
pub(crate) struct Scratch {
    /// A convolution's transformed tiles on the side of its input; the scores of attention.
    pub(crate) gathered: Buffer,
    /// A convolution's transformed tiles on the side of its output; the gradients within a non-local block.
    pub(crate) products: Buffer,
    /// Rows of a product's columns, brought together or rounded.
    pub(crate) packed: Buffer,
}

/// How long the buffers of a [`Scratch`] have to be: as long as whoever needs most.
#[derive(Default)]
pub(crate) struct Needs {
    gathered: usize,
    products: usize,
    packed: usize,
}

impl Scratch {
    pub(crate) fn new(needs: &Needs, spare: &Arc<Spare>) -> Self {
        Self {
            gathered: spare.lend(needs.gathered),
            products: spare.lend(needs.products),
            packed: spare.lend(needs.packed),
        }
    }

    /// How many values it holds.
    pub(crate) fn len(&self) -> usize {
        self.gathered.len() + self.products.len() + self.packed.len()
    }

    /// For a product of the matrix with rows `columns` apart.
    pub(crate) fn packed(&mut self, matrix: &Packed, columns: usize) -> &mut [f32] {
        &mut self.packed[..Product::scratch(matrix, columns)]
    }
}

impl Needs {
    pub(crate) fn gathered(&mut self, values: usize) {
        self.gathered = self.gathered.max(values);
    }

    pub(crate) fn products(&mut self, values: usize) {
        self.products = self.products.max(values);
    }

    /// For a product with rows `columns` apart.
    pub(crate) fn packed(&mut self, matrix: &Packed, columns: usize) {
        self.packed = self.packed.max(Product::scratch(matrix, columns));
    }
}
