//! Errors as Python has them.

use std::fmt::Display;

use pyo3::create_exception;
use pyo3::exceptions::{
    PyArithmeticError, PyMemoryError, PyRuntimeError, PyTypeError, PyValueError,
};
use pyo3::prelude::*;

use ebm_langevin::LangevinError;

create_exception!(
    ebm_anatomy,
    RanAway,
    PyArithmeticError,
    "States or energies of chains became NaN or infinite."
);

/// A `ValueError`.
pub(crate) fn value_error(message: impl Display) -> PyErr {
    PyValueError::new_err(message.to_string())
}

/// A `TypeError`.
pub(crate) fn type_error(message: impl Display) -> PyErr {
    PyTypeError::new_err(message.to_string())
}

/// A `MemoryError` for what would have taken so many numbers.
pub(crate) fn no_memory(what: &str, numbers: usize) -> PyErr {
    PyMemoryError::new_err(format!("no memory for the {numbers} numbers of {what}"))
}

/// A whole number that is not negative.
///
/// # Errors
/// `ValueError` names the argument.
pub(crate) fn whole(name: &str, number: i128) -> PyResult<u64> {
    u64::try_from(number).map_err(|_| {
        value_error(format!(
            "{name} = {number}: must be a whole number from 0 to {}",
            u64::MAX
        ))
    })
}

/// What the engine refuses. Arguments are checked before, so this says what is wrong with the net or the kernel.
pub(crate) fn engine_error(error: LangevinError) -> PyErr {
    match error {
        LangevinError::Cancelled => PyRuntimeError::new_err(error.to_string()),
        error => value_error(error),
    }
}
