//! The layers of a net, and its parameters by name.

use std::collections::BTreeMap;

use ebm_core::{LayerDescription, Layered};
use pyo3::prelude::*;

use crate::arrays::Array;
use crate::error::{type_error, value_error};
use crate::layer::{Layer, Map, Parameter};

/// The layers of a net without their numbers.
pub(crate) struct Stack {
    layers: Vec<Layer>,
}

/// A net with its numbers, for the engine.
pub(crate) struct Described(Vec<LayerDescription>);

impl Layered for Described {
    fn layers(&self) -> Result<Vec<LayerDescription>, String> {
        Ok(self.0.clone())
    }
}

/// The entries of a mapping from names to arrays.
pub(crate) type Entries<'py> = Vec<(String, Bound<'py, PyAny>)>;

/// What PyTorch's DataParallel puts before every name.
const DATA_PARALLEL: &str = "module.";

impl Stack {
    pub(crate) fn new(layers: Vec<Layer>) -> Self {
        Self { layers }
    }

    /// The parameters, in the order of the layers.
    pub(crate) fn parameters(&self) -> impl Iterator<Item = &Parameter> {
        let maps = self.layers.iter().flat_map(|layer| &layer.maps);
        maps.flat_map(Map::parameters)
    }

    /// The net with numbers for every parameter, in order.
    ///
    /// # Errors
    /// None that can occur for as many arrays as parameters, of their shapes.
    pub(crate) fn describe(&self, numbers: Vec<Array<f32>>) -> PyResult<Described> {
        let mut numbers = numbers.into_iter().map(|array| array.values);
        let layers = self.layers.iter();
        let described = layers.map(|layer| layer.describe(|| numbers.next()));
        let described: Option<_> = described.collect();
        described
            .map(Described)
            .ok_or_else(|| value_error("the layers and their parameters do not fit each other"))
    }

    /// The numbers of every parameter, in order, from a mapping with exactly their names and shapes.
    ///
    /// # Errors
    /// `ValueError` names what is missing, too much, of another shape or not finite; `TypeError` for what is no
    /// mapping or no array.
    pub(crate) fn read(&self, state_dict: &Bound<'_, PyAny>) -> PyResult<Vec<Array<f32>>> {
        let entries = entries(state_dict)?;
        let count = entries.len();
        let mut found: BTreeMap<_, _> = entries.into_iter().collect();
        let mut numbers = Vec::new();
        for parameter in self.parameters() {
            let name = &parameter.name;
            let given = found.remove(name).ok_or_else(|| {
                value_error(format!(
                    "state_dict has {count} entries, and none of them is {name}: give all parameters of the net"
                ))
            })?;
            let array = Array::finite(&given, &format!("state_dict[\"{name}\"]"))?;
            if array.shape != parameter.shape {
                return Err(value_error(format!(
                    "state_dict[\"{name}\"] has the shape {:?}: that of the net is {:?}",
                    array.shape, parameter.shape
                )));
            }
            numbers.push(array);
        }
        match found.into_keys().next() {
            None => Ok(numbers),
            Some(name) => Err(value_error(format!(
                "state_dict has the entry {name}, which is no parameter of the net: leave it out"
            ))),
        }
    }
}

/// The entries of a state dict, without the prefix `module.` if all have it.
///
/// # Errors
/// `TypeError` for what is no mapping from names.
pub(crate) fn entries<'py>(state_dict: &Bound<'py, PyAny>) -> PyResult<Entries<'py>> {
    let wrong = || {
        let kind = state_dict.get_type();
        type_error(format!(
            "state_dict is {kind}: must map names to arrays or tensors, as net.state_dict() does"
        ))
    };
    let items = state_dict.call_method0("items").map_err(|_| wrong())?;
    let mut entries = Entries::new();
    for item in items.try_iter().map_err(|_| wrong())? {
        entries.push(item?.extract().map_err(|_| wrong())?);
    }
    if entries
        .iter()
        .all(|(name, _)| name.starts_with(DATA_PARALLEL))
    {
        for (name, _) in &mut entries {
            name.drain(..DATA_PARALLEL.len());
        }
    }
    Ok(entries)
}
