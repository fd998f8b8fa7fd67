//! Arrays from Python and back.
//!
//! What comes in is copied, once: the engine runs without Python's lock, and other threads may write to an array
//! meanwhile. What goes out is handed over to NumPy without a copy.

use numpy::{
    Element, PyArray1, PyArrayDyn, PyArrayMethods, PyReadonlyArrayDyn, PyUntypedArrayMethods,
};
use pyo3::exceptions::PyAttributeError;
use pyo3::intern;
use pyo3::prelude::*;

use crate::error::{type_error, value_error};

/// The numbers of an array, row by row.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Array<T> {
    pub(crate) shape: Vec<usize>,
    pub(crate) values: Vec<T>,
}

/// A type of numbers with the name that NumPy has for it.
pub(crate) trait Number: Element + Copy {
    const NAME: &'static str;
    fn is_finite(self) -> bool;
}

impl Number for f32 {
    const NAME: &'static str = "float32";

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl Number for f64 {
    const NAME: &'static str = "float64";

    fn is_finite(self) -> bool {
        self.is_finite()
    }
}

impl<T: Number> Array<T> {
    /// The numbers of a NumPy array, of a tensor of PyTorch on any device, or of anything that NumPy takes for an array
    /// of floats. `name` is what the caller calls it.
    ///
    /// # Errors
    /// `TypeError` for anything else, such as an array of integers.
    pub(crate) fn of(given: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        let py = given.py();
        let given = &host_array(given)?;
        let numpy = py.import(intern!(py, "numpy"))?;
        let as_array = numpy.getattr(intern!(py, "asarray"))?;
        let array = as_array.call1((given,)).map_err(|error| {
            let wrong = type_error(format!("{name} cannot be read as an array: {error}"));
            wrong.set_cause(py, Some(error));
            wrong
        })?;
        let kind = array.getattr(intern!(py, "dtype"))?;
        if kind.getattr(intern!(py, "kind"))?.extract::<String>()? != "f" {
            return Err(type_error(format!(
                "{name} is of the type {kind} where floats are needed: convert it, as with \
                 numpy.asarray({name}, dtype=\"{}\")",
                T::NAME
            )));
        }
        // Row by row, aligned, in the byte order of the machine.
        let array = as_array.call1((array, T::NAME, "C"))?;
        let array: PyReadonlyArrayDyn<'_, T> = array.extract()?;
        let values = array.as_slice().map_err(value_error)?;
        Ok(Self {
            shape: array.shape().to_vec(),
            values: values.to_vec(),
        })
    }

    /// As [`Self::of`], for numbers that have to be finite.
    ///
    /// # Errors
    /// Those of [`Self::of`], and `ValueError` for NaN and infinite values.
    pub(crate) fn finite(given: &Bound<'_, PyAny>, name: &str) -> PyResult<Self> {
        let array = Self::of(given, name)?;
        match array.values.iter().position(|value| !value.is_finite()) {
            None => Ok(array),
            Some(place) => Err(value_error(format!(
                "{name} holds NaN or infinite values, the first at flat index {place}: leave them out, or look for \
                 what made them"
            ))),
        }
    }

    /// As a NumPy array, which takes over the numbers.
    ///
    /// # Errors
    /// None but a lack of memory, for as many numbers as the shape has places.
    pub(crate) fn into_numpy(self, py: Python<'_>) -> PyResult<Bound<'_, PyArrayDyn<T>>> {
        PyArray1::from_vec(py, self.values).reshape(self.shape)
    }
}

/// A tensor of PyTorch as an array on the host, without importing PyTorch; anything else as it is.
fn host_array<'py>(given: &Bound<'py, PyAny>) -> PyResult<Bound<'py, PyAny>> {
    let py = given.py();
    let detach = match given.getattr(intern!(py, "detach")) {
        Ok(detach) => detach,
        Err(error) if error.is_instance_of::<PyAttributeError>(py) => return Ok(given.clone()),
        Err(error) => return Err(error),
    };
    let on_host = detach.call0()?.call_method0(intern!(py, "cpu"))?;
    match on_host.call_method0(intern!(py, "numpy")) {
        Ok(array) => Ok(array),
        // NumPy has no bfloat16.
        Err(_) => on_host
            .call_method0(intern!(py, "float"))?
            .call_method0(intern!(py, "numpy")),
    }
}
