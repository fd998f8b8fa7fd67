//! What kernels read of a net's parameters, buffer by buffer.

use super::gather::{Convolution, padded};
use crate::places::Places;

/// A buffer of parameters.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Packing {
    /// The left factors of [`Convolution::forward`], `[inputs · taps²][outputs, padded]`, from weights `[outputs,
    /// inputs, kernel, kernel]`.
    Forward(Convolution, Places),
    /// The left factors of [`Convolution::backward`], `[residues][outputs · taps²][inputs, padded]`, from the same.
    /// Taps that a residue does not have are 0.
    Backward(Convolution, Places),
    /// As they are, and zeros up to this number.
    Row(Places, usize),
}

impl Packing {
    /// Numbers of the buffer.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Forward(convolution, _) => {
                let Convolution { input, kernel, .. } = *convolution;
                input[0] * kernel * kernel * padded(convolution.outputs)
            }
            Self::Backward(convolution, _) => {
                let Convolution { kernel, stride, .. } = *convolution;
                let taps = kernel.div_ceil(stride);
                let lines = stride * stride * convolution.outputs * taps * taps;
                lines * padded(convolution.input[0])
            }
            Self::Row(_, numbers) => *numbers,
        }
    }

    /// Where each is among the parameters; 0 is nowhere.
    pub(super) fn places(&self) -> Vec<u32> {
        match self {
            Self::Forward(convolution, places) => convolution.forward_weights(&places.list()),
            Self::Backward(convolution, places) => convolution.backward_weights(&places.list()),
            Self::Row(places, numbers) => {
                let mut list = places.list();
                list.resize(*numbers, 0);
                list
            }
        }
    }
}
