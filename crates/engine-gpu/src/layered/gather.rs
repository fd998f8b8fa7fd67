//! Convolutions and their input gradients as one kind of matrix product.

/// `[channels, height, width]`.
pub(super) type Shape = [usize; 3];

/// Numbers of an image.
pub(super) fn numbers_of(shape: &Shape) -> usize {
    shape.iter().product()
}

/// A matrix product whose right factor is gathered from an image: its rows are channels and taps of the source, its
/// columns the pixels of all chains' targets. A forward convolution is one; so is its input gradient, where with
/// stride s the pixels of each residue modulo s are a product of their own, because they see other taps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Gather {
    pub(super) source: Shape,
    pub(super) target: Shape,
    /// Taps along an axis.
    pub(super) taps: usize,
    /// Source pixels from one column's first tap to the next column's.
    pub(super) stride: usize,
    /// Target pixels from column to column; its square is the number of products.
    pub(super) spread: usize,
    /// The first tap is at `stride` · column + ⌊(residue + `shift`) / `spread`⌋.
    pub(super) shift: i32,
    /// Whether taps run to lower source pixels.
    pub(super) is_backward: bool,
}

/// A convolution by its numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Convolution {
    pub(super) input: Shape,
    pub(super) outputs: usize,
    pub(super) kernel: usize,
    pub(super) stride: usize,
    pub(super) padding: usize,
}

impl Convolution {
    /// A linear map of `inputs` values.
    pub(super) fn dense(inputs: usize, outputs: usize) -> Self {
        Self {
            input: [inputs, 1, 1],
            outputs,
            kernel: 1,
            stride: 1,
            padding: 0,
        }
    }

    /// From inputs to outputs, of this shape.
    pub(super) fn forward(&self, output: Shape) -> Gather {
        Gather {
            source: self.input,
            target: output,
            taps: self.kernel,
            stride: self.stride,
            spread: 1,
            shift: -(self.padding as i32),
            is_backward: false,
        }
    }

    /// From the gradient of the outputs to that of the inputs.
    pub(super) fn backward(&self, output: Shape) -> Gather {
        Gather {
            source: output,
            target: self.input,
            taps: self.kernel.div_ceil(self.stride),
            stride: 1,
            spread: self.stride,
            shift: self.padding as i32,
            is_backward: true,
        }
    }

    /// The left factors of [`Self::forward`], `[inputs · taps²][outputs, padded]`, from weights `[outputs, inputs,
    /// kernel, kernel]`, or whatever stands for these.
    pub(super) fn forward_weights<T: Copy + Default>(&self, weights: &[T]) -> Vec<T> {
        let depth = self.input[0] * self.kernel * self.kernel;
        let row = padded(self.outputs);
        let mut packed = vec![T::default(); depth * row];
        for output in 0..self.outputs {
            for at in 0..depth {
                packed[at * row + output] = weights[output * depth + at];
            }
        }
        packed
    }

    /// The left factors of [`Self::backward`], `[residues][outputs · taps²][inputs, padded]`. Taps that a residue
    /// does not have are 0.
    pub(super) fn backward_weights<T: Copy + Default>(&self, weights: &[T]) -> Vec<T> {
        let Self {
            kernel, stride: s, ..
        } = *self;
        let inputs = self.input[0];
        let taps = kernel.div_ceil(s);
        let row = padded(inputs);
        let mut packed = vec![T::default(); s * s * self.outputs * taps * taps * row];
        let mut at = 0;
        for residue in 0..s * s {
            // Pixel y is reached from the taps that are congruent to y + padding.
            let first = [residue / s, residue % s].map(|side| (side + self.padding) % s);
            for output in 0..self.outputs {
                for tap in 0..taps * taps {
                    let [y, x] = [first[0] + s * (tap / taps), first[1] + s * (tap % taps)];
                    for input in 0..inputs {
                        if y < kernel && x < kernel {
                            packed[at + input] =
                                weights[((output * inputs + input) * kernel + y) * kernel + x];
                        }
                    }
                    at += row;
                }
            }
        }
        packed
    }
}

impl Gather {
    /// Rows of the right factor.
    pub(super) fn depth(&self) -> usize {
        self.source[0] * self.taps * self.taps
    }

    /// Columns of a chain.
    pub(super) fn columns(&self) -> usize {
        self.grid().iter().product()
    }

    /// Columns of a chain along the two axes.
    pub(super) fn grid(&self) -> [usize; 2] {
        [self.target[1], self.target[2]].map(|side| side.div_ceil(self.spread))
    }

    /// How many products.
    pub(super) fn products(&self) -> usize {
        self.spread * self.spread
    }
}

/// Rows are read four at a time.
pub(super) fn padded(rows: usize) -> usize {
    rows.next_multiple_of(4)
}

#[cfg(test)]
impl Convolution {
    /// `[channels, height, width]` of what comes out; `None` where the kernel does not fit.
    pub(super) fn output(&self) -> Option<Shape> {
        let layer = ebm_core::LayerShape::Conv2d {
            inputs: self.input[0],
            outputs: self.outputs,
            kernel: self.kernel,
            stride: self.stride,
            padding: self.padding,
        };
        Some(layer.output(self.input.into()).ok()?.dims())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// What the kernel does, in plain loops.
    fn product(gather: &Gather, weights: &[f32], source: &[f32]) -> Vec<f32> {
        let [rows, height, width] = gather.target;
        let [_, source_height, source_width] = gather.source.map(|side| side as i32);
        let row = padded(rows);
        let mut target = vec![0.0; rows * height * width];
        for residue in 0..gather.products() {
            let sides = [residue / gather.spread, residue % gather.spread];
            let first =
                sides.map(|side| (side as i32 + gather.shift).div_euclid(gather.spread as i32));
            for column in 0..gather.columns() {
                let place = [column / gather.grid()[1], column % gather.grid()[1]];
                let [y, x] = [0, 1].map(|axis| place[axis] * gather.spread + sides[axis]);
                if y >= height || x >= width {
                    continue;
                }
                for at in 0..gather.depth() {
                    let tap = at % (gather.taps * gather.taps);
                    let tap = [tap / gather.taps, tap % gather.taps];
                    let from = [0, 1].map(|axis| {
                        let tap = tap[axis] as i32;
                        let step = if gather.is_backward { -tap } else { tap };
                        (place[axis] * gather.stride) as i32 + first[axis] + step
                    });
                    if from[0] < 0
                        || from[1] < 0
                        || from[0] >= source_height
                        || from[1] >= source_width
                    {
                        continue;
                    }
                    let channel = (at / (gather.taps * gather.taps)) as i32;
                    let value = source
                        [((channel * source_height + from[0]) * source_width + from[1]) as usize];
                    for target_row in 0..rows {
                        target[(target_row * height + y) * width + x] +=
                            weights[(residue * gather.depth() + at) * row + target_row] * value;
                    }
                }
            }
        }
        target
    }

    proptest! {
        /// Both products against the definition: y = Σ w x, and the gradient as the transpose of the forward map.
        #[test]
        fn products_are_the_convolution_and_its_transpose(
            inputs in 1usize..4, outputs in 1usize..6, kernel in 1usize..5, stride in 1usize..4, padding in 0usize..3,
            height in 1usize..8, width in 1usize..8, seed in 0u32..1000,
        ) {
            let convolution = Convolution { input: [inputs, height, width], outputs, kernel, stride, padding };
            prop_assume!(padding < kernel);
            let Some(output) = convolution.output() else { return Ok(()) };
            let value = |at: usize| ((at as u32 + 1).wrapping_mul(2_654_435_761).wrapping_add(seed) >> 20) as f32 / 4096.0 - 0.5;
            let weights: Vec<f32> = (0..outputs * inputs * kernel * kernel).map(value).collect();
            let states: Vec<f32> = (0..inputs * height * width).map(|at| value(at + 7000)).collect();
            let slopes: Vec<f32> = (0..output.iter().product()).map(|at| value(at + 9000)).collect();
            let mut expected = vec![0.0; slopes.len()];
            let mut expected_gradient = vec![0.0; states.len()];
            for (at, slope) in slopes.iter().enumerate() {
                let [o, y, x] = [at / (output[1] * output[2]), at / output[2] % output[1], at % output[2]];
                for (tap, weight) in weights.chunks(inputs * kernel * kernel).nth(o).unwrap_or_default().iter().enumerate() {
                    let [c, ky, kx] = [tap / (kernel * kernel), tap / kernel % kernel, tap % kernel];
                    let (Some(iy), Some(ix)) = ((y * stride + ky).checked_sub(padding), (x * stride + kx).checked_sub(padding)) else { continue };
                    if iy < height && ix < width {
                        expected[at] += weight * states[(c * height + iy) * width + ix];
                        expected_gradient[(c * height + iy) * width + ix] += weight * slope;
                    }
                }
            }
            let forward = product(&convolution.forward(output), &convolution.forward_weights(&weights), &states);
            let backward = product(&convolution.backward(output), &convolution.backward_weights(&weights), &slopes);
            for (got, expected) in forward.iter().zip(&expected).chain(backward.iter().zip(&expected_gradient)) {
                prop_assert!((got - expected).abs() < 1e-4, "{} instead of {}", got, expected);
            }
        }
    }
}
