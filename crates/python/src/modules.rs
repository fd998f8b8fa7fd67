//! Layers from Python objects: those of `ebm_anatomy.layers`, and the modules of `torch.nn` with the same names and
//! attributes, which are read without importing PyTorch.

use ebm_core::{Activation, LayerShape, StateShape};
use ebm_energy_net::map_names;
use pyo3::prelude::*;

use crate::arrays::Array;
use crate::error::{type_error, value_error};
use crate::layer::{Layer, Map, Operation};
use crate::stack::Stack;

/// The stack, and the numbers of its parameters in order. `layers` is any iterable, such as a list or an
/// `nn.Sequential`.
///
/// # Errors
/// `TypeError` for what is no layer, `ValueError` for a layer that the engine does not have or that does not fit.
pub(crate) fn stack(
    layers: &Bound<'_, PyAny>,
    shape: StateShape,
) -> PyResult<(Stack, Vec<Array<f32>>)> {
    let iterator = layers.try_iter().map_err(|_| {
        let kind = layers.get_type();
        type_error(format!(
            "layers is {kind}: must be a list of layers, or an nn.Sequential"
        ))
    })?;
    let mut reader = Reader {
        ids: 0,
        numbers: Vec::new(),
    };
    let mut stack = Vec::new();
    let mut here = shape;
    let mut last = String::new();
    for (index, object) in iterator.enumerate() {
        let object = object?;
        let name = object.get_type().name()?.to_string();
        last = format!("layers[{index}] ({name})");
        let object = Object {
            object: &object,
            place: &last,
        };
        object.check_home(&name)?;
        let Some(layer) = reader.layer(object, &name, index)? else {
            continue;
        };
        here = layer
            .operation
            .shape()
            .output(here)
            .map_err(|problem| object.wrong(problem))?;
        stack.push(layer);
    }
    if stack.is_empty() {
        return Err(value_error(
            "layers has no layer that computes anything: give at least one, such as ebm_anatomy.layers.Linear",
        ));
    }
    if here.size() != 1 {
        return Err(value_error(format!(
            "{last} gives {} values for each state, and an energy needs one: end with a layer of one output",
            here.size()
        )));
    }
    Ok((Stack::new(stack), reader.numbers))
}

/// The classes of layers.
const NAMES: [&str; 10] = [
    "Conv2d",
    "Linear",
    "LeakyReLU",
    "ReLU",
    "SiLU",
    "ELU",
    "MaxPool2d",
    "NonLocal",
    "Flatten",
    "Identity",
];

/// A Python object that stands for a layer, and what to call it in an error.
#[derive(Clone, Copy)]
struct Object<'a, 'py> {
    object: &'a Bound<'py, PyAny>,
    place: &'a str,
}

impl<'py> Object<'_, 'py> {
    fn wrong(self, problem: impl std::fmt::Display) -> PyErr {
        value_error(format!("{}: {problem}", self.place))
    }

    /// Refuses a class that only has the name of one of PyTorch's: what it computes is unknown. NonLocal has no namesake
    /// there, and is known by its parts.
    fn check_home(self, name: &str) -> PyResult<()> {
        let module = self.object.get_type().module()?.to_string();
        let is_of = |package: &str| {
            let rest = module.strip_prefix(package);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        if name == "NonLocal" || is_of("torch.nn") || is_of("ebm_anatomy") || !NAMES.contains(&name)
        {
            return Ok(());
        }
        Err(type_error(format!(
            "{} is a class of {module}: must be that of torch.nn or of ebm_anatomy.layers, since another class of the \
             same name may compute something else",
            self.place
        )))
    }

    fn get(self, name: &str) -> PyResult<Bound<'py, PyAny>> {
        let missing = |_| type_error(format!("{} has no attribute {name}", self.place));
        self.object.getattr(name).map_err(missing)
    }

    /// A whole number, or the one that all of a tuple are.
    fn whole(self, name: &str) -> PyResult<usize> {
        let value = self.get(name)?;
        if let Ok(number) = value.extract::<usize>() {
            return Ok(number);
        }
        match value.extract::<Vec<usize>>().as_deref() {
            Ok([first, rest @ ..]) if rest.iter().all(|number| number == first) => Ok(*first),
            _ => Err(self.wrong(format!(
                "{name} = {value}: must be a whole number >= 0, the same along both axes"
            ))),
        }
    }

    fn real(self, name: &str) -> PyResult<f32> {
        let value = self.get(name)?;
        match value.extract::<f32>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(self.wrong(format!("{name} = {value}: must be a finite number"))),
        }
    }

    /// Refuses another value than the one that the engine has. Layers of `ebm_anatomy` do not have these attributes.
    fn plain(self, name: &str, expected: &str) -> PyResult<()> {
        let Ok(value) = self.object.getattr(name) else {
            return Ok(());
        };
        let text = value.str()?.to_string();
        if text == expected || text == format!("({expected}, {expected})") {
            return Ok(());
        }
        Err(self.wrong(format!(
            "{name} = {text}: the engine has {name} = {expected} alone"
        )))
    }

    /// A weight or bias.
    fn array(self, name: &str) -> PyResult<Array<f32>> {
        Array::finite(&self.get(name)?, &format!("{}: {name}", self.place))
    }

    fn bias(self) -> PyResult<Option<Array<f32>>> {
        if self.get("bias")?.is_none() {
            return Ok(None);
        }
        self.array("bias").map(Some)
    }

    fn other_shape(self, name: &str, shape: &[usize], expected: &str) -> PyErr {
        self.wrong(format!(
            "{name} has the shape {shape:?}: must be {expected}"
        ))
    }
}

/// Collects the numbers of layers.
struct Reader {
    ids: u64,
    numbers: Vec<Array<f32>>,
}

impl Reader {
    /// The layer, or none where there is nothing to do.
    fn layer(
        &mut self,
        object: Object<'_, '_>,
        name: &str,
        index: usize,
    ) -> PyResult<Option<Layer>> {
        let activation = |activation| {
            Some(Layer {
                operation: Operation::Activation(activation),
                maps: Vec::new(),
            })
        };
        let place = index.to_string();
        Ok(match name {
            "Conv2d" => Some(self.convolution(object, &place)?),
            "Linear" => Some(self.linear(object, &place)?),
            "NonLocal" => Some(self.non_local(object, &place)?),
            "LeakyReLU" => activation(Activation::LeakyRelu {
                slope: object.real("negative_slope")?,
            }),
            "ReLU" => activation(Activation::LeakyRelu { slope: 0.0 }),
            "SiLU" => activation(Activation::Silu),
            "ELU" => activation(Activation::Elu {
                alpha: object.real("alpha")?,
            }),
            "MaxPool2d" => Some(max_pool(object)?),
            // Linear layers take the whole state anyway.
            "Flatten" | "Identity" => None,
            _ => {
                return Err(type_error(format!(
                    "{} is none of the layers that the engine has: {}",
                    object.place,
                    NAMES.join(", ")
                )));
            }
        })
    }

    fn convolution(&mut self, object: Object<'_, '_>, place: &str) -> PyResult<Layer> {
        object.plain("dilation", "1")?;
        object.plain("groups", "1")?;
        object.plain("padding_mode", "zeros")?;
        let weight = object.array("weight")?;
        let [outputs, inputs, kernel, width] = weight.shape[..] else {
            let expected = "(outputs, inputs, kernel, kernel)";
            return Err(object.other_shape("weight", &weight.shape, expected));
        };
        if kernel != width {
            return Err(object.wrong(format!(
                "the kernel is {kernel}×{width}: the engine has square kernels alone"
            )));
        }
        let shape = LayerShape::Conv2d {
            inputs,
            outputs,
            kernel,
            stride: object.whole("stride")?,
            padding: object.whole("padding")?,
        };
        let bias = object.bias()?;
        let operation = Operation::Shape(shape);
        let map = self.map(object, operation, place, outputs, weight, bias)?;
        Ok(Layer {
            operation,
            maps: vec![map],
        })
    }

    fn linear(&mut self, object: Object<'_, '_>, place: &str) -> PyResult<Layer> {
        let weight = object.array("weight")?;
        let [outputs, inputs] = weight.shape[..] else {
            return Err(object.other_shape("weight", &weight.shape, "(outputs, inputs)"));
        };
        let bias = object.bias()?;
        let operation = Operation::Shape(LayerShape::Linear { inputs, outputs });
        let map = self.map(object, operation, place, outputs, weight, bias)?;
        Ok(Layer {
            operation,
            maps: vec![map],
        })
    }

    fn non_local(&mut self, object: Object<'_, '_>, place: &str) -> PyResult<Layer> {
        let theta = object.get("theta")?;
        let part = object.place;
        let first = Object {
            object: &theta,
            place: &format!("{part}.theta"),
        };
        let shape = first.array("weight")?.shape;
        let ([inner, channels] | [inner, channels, 1, 1]) = shape[..] else {
            return Err(first.other_shape("weight", &shape, "(inner, channels, 1, 1)"));
        };
        let shape = LayerShape::NonLocal { channels, inner };
        let operation = Operation::Shape(shape);
        let mut maps = Vec::new();
        let attributes = ["theta", "phi", "g", "W"];
        let names = attributes.into_iter().zip(map_names(shape));
        for ((attribute, name), map) in names.zip(shape.maps()) {
            let inner = object.get(attribute)?;
            let inner = Object {
                object: &inner,
                place: &format!("{part}.{attribute}"),
            };
            let weight = inner.array("weight")?;
            let expected = [map.outputs, map.row[0], 1, 1];
            if weight.shape != expected && weight.shape != expected[..2] {
                let expected = format!("{expected:?}");
                return Err(inner.other_shape("weight", &weight.shape, &expected));
            }
            let bias = Some(inner.array("bias")?);
            let name = format!("{place}{name}");
            maps.push(self.map(inner, operation, &name, map.outputs, weight, bias)?);
        }
        Ok(Layer { operation, maps })
    }

    fn map(
        &mut self,
        object: Object<'_, '_>,
        operation: Operation,
        name: &str,
        outputs: usize,
        weight: Array<f32>,
        bias: Option<Array<f32>>,
    ) -> PyResult<Map> {
        if let Some(bias) = &bias
            && bias.shape != [outputs]
        {
            return Err(object.other_shape("bias", &bias.shape, &format!("[{outputs}]")));
        }
        let bias_shape = bias.as_ref().map(|bias| bias.shape.clone());
        let first = self.ids;
        self.ids += 2;
        let map = Map::new(
            operation,
            name,
            weight.shape.clone(),
            bias_shape,
            &mut (first..),
        );
        self.numbers.push(weight);
        self.numbers.extend(bias);
        Ok(map)
    }
}

fn max_pool(object: Object<'_, '_>) -> PyResult<Layer> {
    object.plain("padding", "0")?;
    object.plain("dilation", "1")?;
    object.plain("ceil_mode", "False")?;
    let size = object.whole("kernel_size")?;
    // PyTorch lets the stride be left out.
    let stride = object.object.getattr("stride").ok();
    if stride.is_some_and(|stride| !stride.is_none()) && object.whole("stride")? != size {
        return Err(object.wrong(format!(
            "the windows of {size} overlap or leave gaps: the engine has stride = kernel_size alone"
        )));
    }
    Ok(Layer {
        operation: Operation::Shape(LayerShape::MaxPool2d { size }),
        maps: Vec::new(),
    })
}
