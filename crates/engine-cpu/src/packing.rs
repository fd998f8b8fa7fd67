//! From weights in burn's layouts to operations with packed ones.

use std::sync::Arc;

use ebm_core::{CoreError, ParameterValues};
use pulp::Arch;
use rayon::prelude::*;

use crate::bf16::Factors;
use crate::buffer::{Buffer, Spare};
use crate::direct::Direct;
use crate::gemm::Packed;
use crate::operation::{Dense, Geometry, Ids, Method, NonLocal};
use crate::winograd::{Tile, Tiling, row_of};

impl Dense {
    /// From the weight of a linear layer, or of a convolution that is none.
    pub(crate) fn new(
        factors: Factors,
        ids: Ids,
        [outputs, inputs, pixels]: [usize; 3],
        is_transposed: bool,
        weight: &[f32],
        bias: Vec<f32>,
        slope: f32,
    ) -> Self {
        let entry = |output: usize, input: usize| {
            if is_transposed {
                weight[input * outputs + output]
            } else {
                weight[output * inputs + input]
            }
        };
        Self {
            ids,
            forward: Packed::new(factors, [outputs, inputs], entry),
            backward: Packed::new(factors, [inputs, outputs], |input, output| {
                entry(output, input)
            }),
            bias,
            slope,
            pixels,
            is_transposed,
        }
    }
}

impl Method {
    /// The faster one, with the weight `[outputs][inputs][kernel][kernel]`; its memory comes from `spare`.
    pub(crate) fn new(
        spare: &Arc<Spare>,
        arch: Arch,
        factors: Factors,
        geometry: Geometry,
        weight: &[f32],
    ) -> Self {
        match choose_tile(geometry, factors) {
            Some(tile) => Self::winograd(spare, arch, factors, tile, geometry, weight),
            None => Self::direct(factors, geometry, weight),
        }
    }

    fn winograd(
        spare: &Arc<Spare>,
        arch: Arch,
        factors: Factors,
        tile: Tile,
        geometry: Geometry,
        weight: &[f32],
    ) -> Self {
        let Geometry {
            inputs,
            outputs,
            stride,
            padding,
            before,
            after,
            ..
        } = geometry;
        let tiling = Tiling {
            tile,
            stride,
            padding,
            input: before,
            output: after,
        };
        let places = tile.inputs() * tile.inputs();
        let depth = inputs * stride * stride;
        let transformed = transform_weight(spare, arch, factors, tile, geometry, weight);
        // Two products a place; they are packed side by side because that takes longer than the transforms.
        let (forward, backward) = (0..places)
            .into_par_iter()
            .map(|place| {
                let of_output = |row: usize| &transformed[row][place * depth..][..depth];
                (
                    Packed::from_rows(factors, [outputs, depth], spare, of_output),
                    Packed::from_columns(factors, [depth, outputs], spare, of_output),
                )
            })
            .unzip();
        Self::Winograd {
            tiling,
            forward,
            backward,
        }
    }

    fn direct(factors: Factors, geometry: Geometry, weight: &[f32]) -> Self {
        let Geometry {
            inputs,
            outputs,
            kernel,
            stride,
            padding,
            before,
            after,
        } = geometry;
        let taps = kernel * kernel;
        let forward =
            |row: usize, channel: usize, tap: usize| weight[(row * inputs + channel) * taps + tap];
        let backward = |row: usize, channel: usize, tap: usize| forward(channel, row, tap);
        let each_tap = |place: &dyn Fn(usize, usize) -> Option<[usize; 2]>| {
            (0..taps)
                .filter_map(|tap| Some((tap, place(tap / kernel, tap % kernel)?)))
                .collect::<Vec<_>>()
        };
        // Along one axis: where the tap of an output reads, and which output reads an input with the tap.
        let reads = |axis: usize, output: usize, tap: usize| {
            let place = (output * stride + tap).checked_sub(padding)?;
            (place < before[axis]).then_some(place)
        };
        let read_by = |axis: usize, place: usize, tap: usize| {
            let shifted = (place + padding).checked_sub(tap)?;
            let is_read = shifted.is_multiple_of(stride) && shifted / stride < after[axis];
            is_read.then(|| shifted / stride)
        };
        Self::Direct {
            forward: Direct::new(
                factors,
                [outputs, inputs, taps],
                forward,
                before,
                after,
                |y, x| each_tap(&|a, b| Some([reads(0, y, a)?, reads(1, x, b)?])),
            ),
            backward: Direct::new(
                factors,
                [inputs, outputs, taps],
                backward,
                after,
                before,
                |y, x| each_tap(&|a, b| Some([read_by(0, y, a)?, read_by(1, x, b)?])),
            ),
        }
    }
}

impl NonLocal {
    /// From weight and bias of query, key, value and output, for images of `[channels, height, width]`.
    pub(crate) fn new(
        factors: Factors,
        [channels, height, width]: [usize; 3],
        inner: usize,
        maps: &[[ParameterValues; 2]; 4],
    ) -> Result<Self, CoreError> {
        let mut read = Vec::with_capacity(maps.len());
        for [weight, bias] in maps {
            read.push([weight.values()?, bias.values()?]);
        }
        let embed = |row: usize, k: usize| read[row / inner][0][row % inner * channels + k];
        let output = |row: usize, k: usize| read[3][0][row * inner + k];
        let pack = |rows, depth, entry: &dyn Fn(usize, usize) -> f32| {
            Packed::new(factors, [rows, depth], entry)
        };
        Ok(Self {
            ids: maps
                .each_ref()
                .map(|[weight, bias]| Ids::of(weight, Some(bias))),
            channels,
            inner,
            image: [height, width],
            embed: pack(3 * inner, channels, &embed),
            embed_backward: pack(channels, 3 * inner, &|k, row| embed(row, k)),
            embed_bias: read[..3].iter().flat_map(|map| map[1].to_vec()).collect(),
            output: pack(channels, inner, &output),
            output_backward: pack(inner, channels, &|k, row| output(row, k)),
            output_bias: read[3][1].to_vec(),
        })
    }
}

/// The transform for a convolution, or none where shifted images are summed instead: few input channels leave too little
/// work in the products to pay for a transform. Rounded factors have transforms of their own, which enlarge the rounding
/// less.
fn choose_tile(geometry: Geometry, factors: Factors) -> Option<Tile> {
    let Geometry {
        inputs,
        outputs,
        kernel,
        stride,
        after,
        ..
    } = geometry;
    if inputs < 8 || !kernel.is_multiple_of(stride) {
        return None;
    }
    // Channels that are rounded go in pairs.
    if factors.is_rounded() && !(inputs.is_multiple_of(2) && outputs.is_multiple_of(2)) {
        return None;
    }
    let divides = |by: usize| after.iter().all(|side| side.is_multiple_of(by));
    match kernel / stride {
        2 if divides(4) && factors.is_rounded() => Some(Tile::F42Rounded),
        2 if divides(4) => Some(Tile::F42),
        2 if divides(2) => Some(Tile::F22),
        3 if divides(4) && factors.is_rounded() => Some(Tile::F43Rounded),
        3 if divides(4) => Some(Tile::F43),
        3 if divides(2) => Some(Tile::F23),
        _ => None,
    }
}

/// G w Gᵀ of every pair of channels and phase: for each output channel `[places][input, phase]` in the order of
/// [`row_of`], computed in f64.
fn transform_weight(
    spare: &Arc<Spare>,
    arch: Arch,
    factors: Factors,
    tile: Tile,
    geometry: Geometry,
    weight: &[f32],
) -> Vec<Buffer> {
    let Geometry {
        inputs,
        outputs,
        kernel,
        stride,
        ..
    } = geometry;
    let (matrix, side) = (tile.weight(), tile.inputs());
    let taps = kernel / stride;
    let phases = stride * stride;
    let depth = inputs * phases;
    let of_output = |output: usize| {
        let weight = &weight[output * inputs * kernel * kernel..][..inputs * kernel * kernel];
        // `[tap][input, phase]`, so that the sums run along memory.
        let mut of_taps = vec![0.0; taps * taps * depth];
        for (tap, row) in of_taps.chunks_exact_mut(depth).enumerate() {
            for phase in 0..phases {
                let y = stride * (tap / taps) + phase / stride;
                let x = stride * (tap % taps) + phase % stride;
                let of_inputs = weight.chunks_exact(kernel * kernel);
                for (input, weight) in of_inputs.enumerate() {
                    row[row_of(input, phase, phases, factors)] = f64::from(weight[y * kernel + x]);
                }
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
