//! From a net's description to a plan: its operations, in order.

use std::iter::Peekable;
use std::sync::Arc;

use ebm_core::{
    Activation, CoreError, LayerDescription, ParameterValues, StateShape, layer_shapes,
};
use pulp::Arch;

use crate::backward::Backward;
use crate::bf16::Factors;
use crate::buffer::Spare;
use crate::operation::{Convolution, Dense, Geometry, Ids, MaxPool, Method, NonLocal, Operation};
use crate::vector::LANES;
use ebm_langevin::LangevinError;

/// A net, ready to run on blocks of chains.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) arch: Arch,
    pub(crate) operations: Vec<Operation>,
    pub(crate) backward: Backward,
    /// Shape before each operation and at the end.
    pub(crate) shapes: Vec<[usize; 3]>,
}

impl Plan {
    /// Packs the weights of `layers` for states of `shape`.
    ///
    /// # Errors
    /// [`CoreError::Description`] when layers, shapes and parameters do not fit each other.
    pub(crate) fn compile(
        arch: Arch,
        factors: Factors,
        layers: &[LayerDescription],
        shape: [usize; 3],
        spare: &Arc<Spare>,
    ) -> Result<Self, LangevinError> {
        let of_layers = layer_shapes(layers, shape.into())?;
        let of_layers: Vec<[usize; 3]> = of_layers.into_iter().map(StateShape::dims).collect();
        if of_layers.last() != Some(&[1, 1, 1]) {
            return Err(CoreError::Description {
                index: layers.len().saturating_sub(1),
                problem: "the net does not end in one energy".to_owned(),
            }
            .into());
        }
        let mut operations = Vec::new();
        let mut shapes = vec![shape];
        let mut rest = layers.iter().zip(of_layers.windows(2)).peekable();
        while let Some((layer, ends)) = rest.next() {
            let ends = [ends[0], ends[1]];
            let slope = if can_activate(layer) {
                take_slope(&mut rest)
            } else {
                1.0
            };
            operations.push(operation(spare, (arch, factors), layer, ends, slope)?);
            shapes.push(ends[1]);
        }
        Ok(Self {
            arch,
            backward: Backward::new(&operations),
            operations,
            shapes,
        })
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
        self.operations.iter().map(Operation::weight_bytes).sum()
    }
}

/// Whether the operation of a layer can end in a leaky ReLU.
fn can_activate(layer: &LayerDescription) -> bool {
    matches!(
        layer,
        LayerDescription::Conv2d { .. } | LayerDescription::Linear { .. }
    )
}

/// The slope of the leaky ReLU that comes next, which the operation before it takes over; 1 if there is none. The sign
/// of the output is that of the input for slopes that are not negative, so nothing more needs to be kept for the
/// gradient.
fn take_slope<'a, S>(rest: &mut Peekable<impl Iterator<Item = (&'a LayerDescription, S)>>) -> f32 {
    match rest.peek() {
        Some((LayerDescription::Activation(Activation::LeakyRelu { slope }), _))
            if *slope >= 0.0 =>
        {
            let slope = *slope;
            rest.next();
            slope
        }
        _ => 1.0,
    }
}

/// The operation of a layer between these shapes, with a leaky ReLU of `slope` where it [can](can_activate) end in one.
fn operation(
    spare: &Arc<Spare>,
    (arch, factors): (Arch, Factors),
    layer: &LayerDescription,
    [shape, output]: [[usize; 3]; 2],
    slope: f32,
) -> Result<Operation, CoreError> {
    let [_, height, width] = shape;
    Ok(match layer {
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
            let weight = weight.values()?;
            let covers = *padding == 0 && *kernel == height && *kernel == width;
            let is_point = *kernel == 1 && *stride == 1 && *padding == 0;
            if covers || is_point {
                let sizes = [*outputs, inputs * kernel * kernel, output[1] * output[2]];
                let dense = Dense::new(factors, ids, sizes, false, weight, bias, slope);
                Operation::Dense(Arc::new(dense))
            } else {
                let geometry = Geometry {
                    inputs: *inputs,
                    outputs: *outputs,
                    kernel: *kernel,
                    stride: *stride,
                    padding: *padding,
                    before: [height, width],
                    after: [output[1], output[2]],
                };
                Operation::Convolution(Arc::new(Convolution {
                    ids,
                    geometry,
                    method: Method::new(spare, arch, factors, geometry, weight),
                    bias,
                    slope,
                }))
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
            let (sizes, weight) = ([*outputs, *inputs, 1], weight.values()?);
            let dense = Dense::new(factors, ids, sizes, true, weight, bias, slope);
            Operation::Dense(Arc::new(dense))
        }
        LayerDescription::Activation(kind) => Operation::Activation(*kind),
        LayerDescription::MaxPool2d { size } => Operation::MaxPool(MaxPool { shape, size: *size }),
        LayerDescription::NonLocal { inner, maps, .. } => {
            Operation::NonLocal(Arc::new(NonLocal::new(factors, shape, *inner, maps)?))
        }
    })
}

fn bias_of(bias: Option<&ParameterValues>, outputs: usize) -> Result<Vec<f32>, CoreError> {
    match bias {
        Some(bias) => Ok(bias.values()?.to_vec()),
        None => Ok(vec![0.0; outputs]),
    }
}
