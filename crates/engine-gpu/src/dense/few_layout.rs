//! Which unit computes what where units hold their weights.

use super::net::DenseNet;
use super::supply::Supply;

/// What the kernel for few chains is compiled for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FewLayout {
    /// Values of the state and after each layer but the last.
    pub(super) widths: Vec<usize>,
    /// Units that share a neuron's sums.
    pub(super) parts: usize,
    /// Units of a cube: `parts` for each of the neurons of the widest layer, and a few more.
    pub(super) units: usize,
    /// Chains of a cube.
    pub(super) lanes: usize,
    /// Whether gradients or states have a bound.
    pub(super) is_bounded: bool,
}

impl FewLayout {
    /// For cubes of `lanes` chains whose units share a neuron by `parts`.
    pub(super) fn new(net: &DenseNet, lanes: usize, parts: usize, is_bounded: bool) -> Self {
        Self {
            widths: net.widths.clone(),
            parts,
            units: (net.width() * parts).next_multiple_of(32),
            lanes,
            is_bounded,
        }
    }

    /// Whether units have registers for their weights.
    pub(super) fn holds_weights(&self) -> bool {
        /// Registers of a multiprocessor of most cards, what a unit can have of them, and what it needs for sums and
        /// addresses.
        const REGISTERS: [usize; 3] = [65_536, 255, 60];

        let [all, most, others] = REGISTERS;
        self.entries() + others <= most.min(all / self.units)
    }

    /// How noise is made.
    pub(super) fn supply(&self) -> Supply {
        Supply {
            size: self.widths[0],
            chains: self.lanes,
            units: self.units,
        }
    }

    /// Neurons, those that are none included.
    pub(super) fn neurons(&self) -> usize {
        self.units / self.parts
    }

    /// Layers but the last.
    pub(super) fn hidden(&self) -> usize {
        self.widths.len() - 1
    }

    /// Inputs of a layer that a unit sums, those that are none included.
    pub(super) fn inputs(&self, layer: usize) -> usize {
        self.widths[layer].div_ceil(self.parts)
    }

    /// The first of a unit's weights from the inputs of a layer to its neuron.
    pub(super) fn forward(&self, layer: usize) -> usize {
        (0..layer)
            .map(|before| self.inputs(before) + self.inputs(before + 1) + 1)
            .sum()
    }

    /// The first of a unit's weights from its neuron to the outputs of a layer.
    pub(super) fn backward(&self, layer: usize) -> usize {
        self.forward(layer) + self.inputs(layer)
    }

    /// The bias of a unit's neuron.
    pub(super) fn bias(&self, layer: usize) -> usize {
        self.backward(layer) + self.inputs(layer + 1)
    }

    /// The last layer's weight of a unit's neuron.
    pub(super) fn head(&self) -> usize {
        self.forward(self.hidden())
    }

    /// Numbers of a unit.
    pub(super) fn entries(&self) -> usize {
        self.head() + 1
    }

    /// Bytes of shared memory: what goes into each layer, three gradients, and noise.
    pub(super) fn shared_bytes(&self) -> usize {
        let vectors = (self.widths.len() + 3) * self.neurons();
        (vectors * self.lanes + self.supply().numbers()) * size_of::<f32>()
    }
}
