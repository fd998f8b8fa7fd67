//! The engine for CPUs and the diagnostics in the hands of Python users. The Python package `ebm_anatomy` around it
//! holds what needs no Rust: descriptions of layers, and types.

mod arrays;
mod diagnostics;
mod error;
mod gate;
mod kernel;
mod layer;
mod modules;
mod net;
mod noise;
mod pool;
mod published;
mod record;
mod stack;

use pyo3::prelude::*;

/// What of `ebm_anatomy` is written in Rust.
#[pymodule]
mod _engine {
    #[pymodule_export]
    use crate::diagnostics::{Verdict, ess, rhat, verdict};
    #[pymodule_export]
    use crate::error::RanAway;
    #[pymodule_export]
    use crate::net::Net;
    #[pymodule_export]
    use crate::noise::noise;
    #[pymodule_export]
    use crate::record::Record;

    use super::{PyModule, PyModuleMethods, PyResult};
    use pyo3::Bound;

    #[pymodule_init]
    fn init(module: &Bound<'_, PyModule>) -> PyResult<()> {
        module.add("__version__", env!("CARGO_PKG_VERSION"))
    }
}
