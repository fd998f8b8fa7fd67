//! Which unit computes what where a cube has many chains.

use super::net::DenseNet;
use super::supply::Supply;

/// What the kernel for many chains is compiled for. Neurons and chains go by fours: a unit has four of each.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct ManyLayout {
    /// Values of the state and after each layer but the last.
    pub(super) widths: Vec<usize>,
    /// Chains of a cube, in fours.
    pub(super) fours: usize,
    /// Whether gradients or states have a bound.
    pub(super) is_bounded: bool,
}

impl ManyLayout {
    /// For cubes of 4 `fours` chains.
    pub(super) fn new(net: &DenseNet, fours: usize, is_bounded: bool) -> Self {
        Self {
            widths: net.widths.clone(),
            fours,
            is_bounded,
        }
    }

    /// Fours of a layer's neurons; of the state for layer 0.
    pub(super) fn rows(&self, layer: usize) -> usize {
        self.widths[layer].div_ceil(4)
    }

    /// Fours of the widest layer.
    fn most_rows(&self) -> usize {
        let rows = (0..self.widths.len()).map(|layer| self.rows(layer));
        rows.max().unwrap_or(0)
    }

    /// Units of a cube.
    pub(super) fn units(&self) -> usize {
        (self.most_rows() * self.fours).next_multiple_of(32)
    }

    /// Layers but the last.
    pub(super) fn hidden(&self) -> usize {
        self.widths.len() - 1
    }

    /// Where the weights of a layer begin, in vectors: `[inputs][outputs]`, both padded to fours.
    pub(super) fn forward(&self, layer: usize) -> usize {
        let before = (0..layer).map(|layer| self.vectors(layer));
        2 * before.sum::<usize>()
    }

    /// Where they begin the other way round, `[outputs][inputs]`.
    pub(super) fn backward(&self, layer: usize) -> usize {
        self.forward(layer) + self.vectors(layer)
    }

    /// Where a layer's biases begin.
    pub(super) fn bias(&self, layer: usize) -> usize {
        let before = (0..layer).map(|layer| self.rows(layer + 1));
        self.forward(self.hidden()) + before.sum::<usize>()
    }

    /// Where the last layer's weights begin.
    pub(super) fn head(&self) -> usize {
        self.bias(self.hidden())
    }

    /// Vectors of all parameters.
    pub(super) fn parameters(&self) -> usize {
        self.head() + self.rows(self.hidden())
    }

    /// Vectors of a layer's weights.
    fn vectors(&self, layer: usize) -> usize {
        4 * self.rows(layer) * self.rows(layer + 1)
    }

    /// Where in shared memory what goes into a layer begins, in vectors of four chains.
    pub(super) fn values(&self, layer: usize) -> usize {
        let before = (0..layer).map(|layer| self.rows(layer));
        4 * before.sum::<usize>() * self.fours
    }

    /// Vectors of one layer's gradient.
    pub(super) fn gradient(&self) -> usize {
        4 * self.most_rows() * self.fours
    }

    /// Vectors of what units of the same chains add up.
    pub(super) fn partial(&self) -> usize {
        self.most_rows() * self.fours
    }

    /// How noise is made.
    pub(super) fn supply(&self) -> Supply {
        Supply {
            size: self.widths[0],
            chains: 4 * self.fours,
            units: self.units(),
        }
    }

    /// Bytes of shared memory.
    pub(super) fn shared_bytes(&self) -> usize {
        let values = self.values(self.widths.len());
        let vectors = values + 2 * self.gradient() + self.partial();
        (4 * vectors + self.supply().numbers()) * size_of::<f32>()
    }
}
