//! From a net's description to operations with packed weights.

use std::sync::Arc;

use burn::module::ParamId;
use ebm_core::{
    Activation, CoreError, LayerDescription, ParameterValues, StateShape, layer_shapes,
};
use pulp::Arch;
use rayon::prelude::*;

use crate::buffer::{Buffer, Spare};
use crate::direct::Direct;
use crate::gemm::Packed;
use crate::vector::LANES;
use crate::winograd::{Tile, Tiling};
use ebm_langevin::LangevinError;

/// A net, ready to run on blocks of chains.
#[derive(Debug)]
pub(crate) struct Plan {
    spare: Arc<Spare>,
    pub(crate) arch: Arch,
    pub(crate) operations: Vec<Operation>,
    /// Shape before each operation and at the end.
    pub(crate) shapes: Vec<[usize; 3]>,
}

/// One step of the plan.
#[derive(Debug)]
pub(crate) enum Operation {
    Dense(Dense),
    Convolution(Convolution),
    Activation(Activation),
    MaxPool(usize),
    NonLocal(NonLocal),
}

/// Weight and bias: where their gradients belong.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ids {
    pub(crate) weight: ParamId,
    pub(crate) bias: Option<ParamId>,
}

impl Ids {
    fn of(weight: &ParameterValues, bias: Option<&ParameterValues>) -> Self {
        Self {
            weight: weight.id,
            bias: bias.map(|bias| bias.id),
        }
    }
}

/// A matrix applied at every pixel: 1×1 convolutions, linear layers and kernels that cover the whole input.
#[derive(Debug)]
pub(crate) struct Dense {
    pub(crate) ids: Ids,
    pub(crate) forward: Packed,
    pub(crate) backward: Packed,
    pub(crate) bias: Vec<f32>,
    /// Leaky ReLU after it, fused; 1 is none.
    pub(crate) slope: f32,
    pub(crate) pixels: usize,
    /// Whether burn stores the weight as `[inputs, outputs]`.
    pub(crate) is_transposed: bool,
}

/// A convolution.
#[derive(Debug)]
pub(crate) struct Convolution {
    pub(crate) ids: Ids,
    pub(crate) inputs: usize,
    pub(crate) outputs: usize,
    pub(crate) kernel: usize,
    pub(crate) stride: usize,
    pub(crate) padding: usize,
    pub(crate) method: Method,
    pub(crate) bias: Vec<f32>,
    pub(crate) slope: f32,
}

/// How a convolution becomes products.
#[derive(Debug)]
pub(crate) enum Method {
    /// Sums over shifted images.
    Direct { forward: Direct, backward: Direct },
    /// Minimal filtering; one product for each of the transform's places.
    Winograd {
        tiling: Tiling,
        forward: Vec<Packed>,
        backward: Vec<Packed>,
    },
}

/// A non-local block. Query, key and value are one product of 3h rows.
#[derive(Debug)]
pub(crate) struct NonLocal {
    pub(crate) ids: [Ids; 4],
    pub(crate) channels: usize,
    pub(crate) inner: usize,
    pub(crate) embed: Packed,
    pub(crate) embed_backward: Packed,
    pub(crate) embed_bias: Vec<f32>,
    pub(crate) output: Packed,
    pub(crate) output_backward: Packed,
    pub(crate) output_bias: Vec<f32>,
}

impl Plan {
    /// Packs the weights of `layers` for states of `shape`.
    ///
    /// # Errors
    /// [`CoreError::Description`] when layers, shapes and parameters do not fit each other.
    pub(crate) fn compile(
        arch: Arch,
        layers: &[LayerDescription],
        shape: [usize; 3],
        spare: &Arc<Spare>,
    ) -> Result<Self, LangevinError> {
        let shapes = layer_shapes(layers, shape.into())?;
        let shapes: Vec<[usize; 3]> = shapes.into_iter().map(StateShape::dims).collect();
        if shapes.last() != Some(&[1, 1, 1]) {
            return Err(CoreError::Description {
                index: layers.len().saturating_sub(1),
                problem: "the net does not end in one energy".to_owned(),
            }
            .into());
        }
        let mut plan = Self {
            spare: Arc::clone(spare),
            arch,
            operations: Vec::new(),
            shapes: vec![shape],
        };
        for (layer, shapes) in layers.iter().zip(shapes.windows(2)) {
            plan.push(layer, shapes[0], shapes[1])?;
        }
        Ok(plan)
    }

    /// Values of one chain before operation `index`.
    pub(crate) fn size(&self, index: usize) -> usize {
        self.shapes[index].iter().product()
    }

    /// The largest number of values of one chain between operations.
    pub(crate) fn largest(&self) -> usize {
        (0..self.shapes.len())
            .map(|index| self.size(index))
            .max()
            .unwrap_or(0)
    }

    /// Vectors of chains in a block. Three fill the registers of a product best, which pays while the block's values
    /// stay in a core's own cache; the products of an image have columns enough from its pixels.
    pub(crate) fn block_vectors(&self) -> usize {
        const CACHE: usize = 512 << 10;
        let values: usize = (0..self.shapes.len()).map(|index| self.size(index)).sum();
        let vectors = CACHE / (values * LANES * size_of::<f32>()).max(1);
        vectors.clamp(1, 3)
    }

    /// Bytes of packed weights.
    pub(crate) fn weight_bytes(&self) -> usize {
        let bytes = |packed: &[Packed]| packed.iter().map(Packed::bytes).sum::<usize>();
        let of = |operation: &Operation| match operation {
            Operation::Dense(dense) => dense.forward.bytes() + dense.backward.bytes(),
            Operation::Convolution(convolution) => match &convolution.method {
                Method::Direct { forward, backward } => {
                    forward.weights.bytes() + backward.weights.bytes()
                }
                Method::Winograd {
                    forward, backward, ..
                } => bytes(forward) + bytes(backward),
            },
            Operation::NonLocal(block) => 2 * (block.embed.bytes() + block.output.bytes()),
            Operation::Activation(_) | Operation::MaxPool(_) => 0,
        };
        self.operations.iter().map(of).sum()
    }

    /// A layer that takes `shape` and gives `output`.
    fn push(
        &mut self,
        layer: &LayerDescription,
        shape: [usize; 3],
        output: [usize; 3],
    ) -> Result<(), CoreError> {
        let [channels, height, width] = shape;
        let operation = match layer {
            LayerDescription::Conv2d {
                inputs,
                outputs,
                kernel,
                stride,
                padding,
                weight,
                bias,
            } => {
                let ids = Ids::of(weight, bias.as_ref());
                let bias = bias_of(bias.as_ref(), *outputs)?;
                let covers = *padding == 0 && *kernel == height && *kernel == width;
                let is_point = *kernel == 1 && *stride == 1 && *padding == 0;
                if covers || is_point {
                    Operation::Dense(self.dense(
                        ids,
                        *outputs,
                        inputs * kernel * kernel,
                        output[1] * output[2],
                        false,
                        weight.values()?,
                        bias,
                    ))
                } else {
                    Operation::Convolution(Convolution {
                        ids,
                        inputs: *inputs,
                        outputs: *outputs,
                        kernel: *kernel,
                        stride: *stride,
                        padding: *padding,
                        method: self.method(
                            [*inputs, *outputs, *kernel, *stride, *padding],
                            [height, width],
                            [output[1], output[2]],
                            weight.values()?,
                        ),
                        bias,
                        slope: 1.0,
                    })
                }
            }
            LayerDescription::Linear {
                inputs,
                outputs,
                weight,
                bias,
            } => {
                let ids = Ids::of(weight, bias.as_ref());
                let bias = bias_of(bias.as_ref(), *outputs)?;
                let weight = weight.values()?;
                Operation::Dense(self.dense(ids, *outputs, *inputs, 1, true, weight, bias))
            }
            LayerDescription::Activation(Activation::LeakyRelu { slope }) if *slope >= 0.0 => {
                // The sign of the output is that of the input, so the layer before can do it and nothing more is kept.
                match self.operations.last_mut() {
                    Some(Operation::Dense(dense)) if dense.slope == 1.0 => dense.slope = *slope,
                    Some(Operation::Convolution(conv)) if conv.slope == 1.0 => conv.slope = *slope,
                    _ => {
                        let kind = Activation::LeakyRelu { slope: *slope };
                        self.operations.push(Operation::Activation(kind));
                        self.shapes.push(shape);
                    }
                }
                return Ok(());
            }
            LayerDescription::Activation(kind) => Operation::Activation(*kind),
            LayerDescription::MaxPool2d { size } => Operation::MaxPool(*size),
            LayerDescription::NonLocal { inner, maps, .. } => {
                Operation::NonLocal(self.non_local(channels, *inner, maps)?)
            }
        };
        self.operations.push(operation);
        self.shapes.push(output);
        Ok(())
    }

    #[allow(clippy::too_many_arguments)]
    fn dense(
        &self,
        ids: Ids,
        outputs: usize,
        inputs: usize,
        pixels: usize,
        is_transposed: bool,
        weight: &[f32],
        bias: Vec<f32>,
    ) -> Dense {
        let entry = |output: usize, input: usize| {
            if is_transposed {
                weight[input * outputs + output]
            } else {
                weight[output * inputs + input]
            }
        };
        Dense {
            ids,
            forward: Packed::new(outputs, inputs, entry),
            backward: Packed::new(inputs, outputs, |input, output| entry(output, input)),
            bias,
            slope: 1.0,
            pixels,
            is_transposed,
        }
    }

    fn method(
        &self,
        [inputs, outputs, kernel, stride, padding]: [usize; 5],
        input: [usize; 2],
        output: [usize; 2],
        weight: &[f32],
    ) -> Method {
        let Some(tile) = choose_tile(inputs, kernel, stride, output) else {
            return self.direct(
                [inputs, outputs, kernel, stride, padding],
                input,
                output,
                weight,
            );
        };
        let tiling = Tiling {
            tile,
            stride,
            padding,
            input,
            output,
        };
        let places = tile.inputs() * tile.inputs();
        let depth = inputs * stride * stride;
        let transformed = transform_weight(
            &self.spare,
            self.arch,
            tile,
            [inputs, outputs, kernel, stride],
            weight,
        );
        // Two products a place; they are packed side by side because that takes longer than the transforms.
        let (forward, backward) = (0..places)
            .into_par_iter()
            .map(|place| {
                let of_output = |row: usize| &transformed[row][place * depth..][..depth];
                let lend = || self.spare.lend(outputs * depth);
                (
                    Packed::from_rows([outputs, depth], lend(), of_output),
                    Packed::from_columns([depth, outputs], lend(), of_output),
                )
            })
            .unzip();
        Method::Winograd {
            tiling,
            forward,
            backward,
        }
    }

    fn direct(
        &self,
        [inputs, outputs, kernel, stride, padding]: [usize; 5],
        input: [usize; 2],
        output: [usize; 2],
        weight: &[f32],
    ) -> Method {
        let taps = kernel * kernel;
        let forward = Packed::whole(outputs, inputs * taps, |row, k| {
            weight[row * inputs * taps + k]
        });
        let backward = Packed::whole(inputs, outputs * taps, |row, k| {
            weight[(k / taps * inputs + row) * taps + k % taps]
        });
        let each_tap = |place: &dyn Fn(usize, usize) -> Option<[usize; 2]>| {
            (0..taps)
                .filter_map(|tap| Some((tap, place(tap / kernel, tap % kernel)?)))
                .collect::<Vec<_>>()
        };
        // Along one axis: where the tap of an output reads, and which output reads an input with the tap.
        let reads = |axis: usize, output: usize, tap: usize| {
            let place = (output * stride + tap).checked_sub(padding)?;
            (place < input[axis]).then_some(place)
        };
        let read_by = |axis: usize, place: usize, tap: usize| {
            let shifted = (place + padding).checked_sub(tap)?;
            let is_read = shifted.is_multiple_of(stride) && shifted / stride < output[axis];
            is_read.then(|| shifted / stride)
        };
        Method::Direct {
            forward: Direct::new(forward, taps, input, output, |y, x| {
                each_tap(&|a, b| Some([reads(0, y, a)?, reads(1, x, b)?]))
            }),
            backward: Direct::new(backward, taps, output, input, |y, x| {
                each_tap(&|a, b| Some([read_by(0, y, a)?, read_by(1, x, b)?]))
            }),
        }
    }

    fn non_local(
        &self,
        channels: usize,
        inner: usize,
        maps: &[[ParameterValues; 2]; 4],
    ) -> Result<NonLocal, CoreError> {
        let mut read = Vec::with_capacity(maps.len());
        for [weight, bias] in maps {
            read.push([weight.values()?, bias.values()?]);
        }
        let embed = |row: usize, k: usize| read[row / inner][0][row % inner * channels + k];
        let output = |row: usize, k: usize| read[3][0][row * inner + k];
        let pack =
            |rows, depth, entry: &dyn Fn(usize, usize) -> f32| Packed::new(rows, depth, entry);
        Ok(NonLocal {
            ids: maps
                .each_ref()
                .map(|[weight, bias]| Ids::of(weight, Some(bias))),
            channels,
            inner,
            embed: pack(3 * inner, channels, &embed),
            embed_backward: pack(channels, 3 * inner, &|k, row| embed(row, k)),
            embed_bias: read[..3].iter().flat_map(|map| map[1].to_vec()).collect(),
            output: pack(channels, inner, &output),
            output_backward: pack(inner, channels, &|k, row| output(row, k)),
            output_bias: read[3][1].to_vec(),
        })
    }
}

/// The transform for a convolution, or none where windows are copied instead: few input channels leave too little
/// work in the products to pay for the transforms.
fn choose_tile(inputs: usize, kernel: usize, stride: usize, output: [usize; 2]) -> Option<Tile> {
    if inputs < 8 || !kernel.is_multiple_of(stride) {
        return None;
    }
    let divides = |by: usize| output.iter().all(|side| side.is_multiple_of(by));
    match kernel / stride {
        2 if divides(4) => Some(Tile::F42),
        2 if divides(2) => Some(Tile::F22),
        3 if divides(4) => Some(Tile::F43),
        3 if divides(2) => Some(Tile::F23),
        _ => None,
    }
}

/// G w Gᵀ of every pair of channels and phase: for each output channel `[places][input, phase]`, computed in f64.
fn transform_weight(
    spare: &Arc<Spare>,
    arch: Arch,
    tile: Tile,
    [inputs, outputs, kernel, stride]: [usize; 4],
    weight: &[f32],
) -> Vec<Buffer> {
    let (matrix, side) = (tile.weight(), tile.inputs());
    let taps = kernel / stride;
    let depth = inputs * stride * stride;
    let of_output = |output: usize| {
        let weight = &weight[output * inputs * kernel * kernel..][..inputs * kernel * kernel];
        // `[tap][input, phase]`, so that the sums run along memory.
        let mut of_taps = vec![0.0; taps * taps * depth];
        for (tap, row) in of_taps.chunks_exact_mut(depth).enumerate() {
            for (k, value) in row.iter_mut().enumerate() {
                let (input, phase) = (k / (stride * stride), k % (stride * stride));
                let y = stride * (tap / taps) + phase / stride;
                let x = stride * (tap % taps) + phase % stride;
                *value = f64::from(weight[(input * kernel + y) * kernel + x]);
            }
        }
        let mut transformed = spare.lend(side * side * depth);
        let mut sum = vec![0.0; depth];
        arch.dispatch(
            #[inline(always)]
            || {
                for (place, row) in transformed.chunks_exact_mut(depth).enumerate() {
                    sum.fill(0.0);
                    for (tap, values) in of_taps.chunks_exact(depth).enumerate() {
                        let factor =
                            matrix[place / side][tap / taps] * matrix[place % side][tap % taps];
                        for (sum, value) in sum.iter_mut().zip(values) {
                            *sum += factor * value;
                        }
                    }
                    for (to, sum) in row.iter_mut().zip(&sum) {
                        *to = *sum as f32;
                    }
                }
            },
        );
        transformed
    };
    (0..outputs).into_par_iter().map(of_output).collect()
}

fn bias_of(bias: Option<&ParameterValues>, outputs: usize) -> Result<Vec<f32>, CoreError> {
    match bias {
        Some(bias) => Ok(bias.values()?.to_vec()),
        None => Ok(vec![0.0; outputs]),
    }
}
