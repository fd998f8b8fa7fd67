//! The published nets from their state dicts.

use std::collections::BTreeMap;

use ebm_core::StateShape;
use ebm_energy_net::{Architecture, NetConfig, map_names};
use pyo3::prelude::*;

use crate::arrays::Array;
use crate::error::value_error;
use crate::layer::{Layer, Map, Operation};
use crate::stack::{Stack, entries};

/// The net that has these parameters, the shape of its states, and the numbers of its parameters in order.
///
/// # Errors
/// `ValueError` for parameters of no published net or of another one than `architecture`, for a slope that is
/// impossible, and those of [`Stack::read`].
pub(crate) fn net(
    state_dict: &Bound<'_, PyAny>,
    architecture: Option<&str>,
    slope: f64,
) -> PyResult<(Stack, StateShape, Vec<Array<f32>>)> {
    let wanted = architecture.map(named).transpose()?;
    let mut shapes = BTreeMap::new();
    for (name, given) in entries(state_dict)? {
        let array = Array::<f32>::of(&given, &format!("state_dict[\"{name}\"]"))?;
        shapes.insert(name, array.shape);
    }
    let by_name = shapes
        .iter()
        .map(|(name, shape)| (name.as_str(), &shape[..]));
    let found = NetConfig::of_parameters(&by_name.collect());
    let (found, shape) = found.ok_or_else(|| unknown(wanted, &shapes))?;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found.architecture) {
        return Err(value_error(format!(
            "architecture = \"{}\", and these are the parameters of \"{}\"",
            wanted.name(),
            found.architecture.name()
        )));
    }
    let config = NetConfig { slope, ..found };
    config.validate(shape).map_err(value_error)?;
    let stack = stack(&config, shape);
    let numbers = stack.read(state_dict)?;
    Ok((stack, shape.into(), numbers))
}

fn stack(config: &NetConfig, shape: [usize; 3]) -> Stack {
    let mut ids = 0..;
    let layers = config.named_layers(shape).into_iter().map(|(name, layer)| {
        let shape = layer.shape();
        let operation = layer
            .activation()
            .map_or(Operation::Shape(shape), Operation::Activation);
        let maps = shape.maps().into_iter().zip(map_names(shape));
        let maps = maps.map(|(map, part)| {
            let weight = [&[map.outputs], &map.row[..]].concat();
            let bias = Some(vec![map.outputs]);
            Map::new(operation, &format!("{name}{part}"), weight, bias, &mut ids)
        });
        Layer {
            operation,
            maps: maps.collect(),
        }
    });
    Stack::new(layers.collect())
}

fn named(name: &str) -> PyResult<Architecture> {
    let found = Architecture::ALL.into_iter().find(|one| one.name() == name);
    found.ok_or_else(|| {
        value_error(format!(
            "architecture = \"{name}\": must be \"toy\", \"vanilla\" or \"nonlocal\", or None for that which fits; for \
             other nets use Net(layers, shape)"
        ))
    })
}

fn unknown(wanted: Option<Architecture>, shapes: &BTreeMap<String, Vec<usize>>) -> PyErr {
    const SHOWN: usize = 4;
    let of_net = wanted.map_or("a published net".to_owned(), |one| {
        format!("the net \"{}\"", one.name())
    });
    let mut given: Vec<_> = shapes
        .iter()
        .take(SHOWN)
        .map(|(name, shape)| format!("{name} {shape:?}"))
        .collect();
    if shapes.len() > SHOWN {
        given.push(format!("{} more", shapes.len() - SHOWN));
    }
    if given.is_empty() {
        given.push("no entries".into());
    }
    value_error(format!(
        "state_dict does not hold exactly the parameters of {of_net}; it has {}: for other nets use Net(layers, shape)",
        given.join(", ")
    ))
}
