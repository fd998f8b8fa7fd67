//! Chains at a step, as Python sees them.

use numpy::{PyArray1, PyArrayMethods};
use pyo3::prelude::*;

/// Chains at a step of `Net.sample`.
#[pyclass(frozen, module = "ebm_anatomy")]
pub(crate) struct Record {
    /// The number of the step that comes next: `first_step` in a record of the start, and first_step + steps in that of the
    /// end.
    #[pyo3(get)]
    step: u64,
    /// F of each chain, shape (chains,), float32.
    #[pyo3(get)]
    energies: Py<PyArray1<f32>>,
    /// r, the mean of ‖∇F‖₂ over the chains and the steps since the record before; None before the first step.
    #[pyo3(get)]
    gradient_magnitude: Option<f64>,
    /// The fraction of proposals that were accepted since the record before; None for kernels that take every step.
    #[pyo3(get)]
    acceptance_rate: Option<f64>,
}

/// The same without Python.
pub(crate) struct HostRecord {
    pub(crate) step: u64,
    pub(crate) energies: Vec<f32>,
    pub(crate) gradient_magnitude: Option<f64>,
    pub(crate) acceptance_rate: Option<f64>,
}

impl From<&ebm_langevin::Record<'_>> for HostRecord {
    fn from(record: &ebm_langevin::Record<'_>) -> Self {
        Self {
            step: record.step,
            energies: record.energies.to_vec(),
            gradient_magnitude: record.gradient_magnitude,
            acceptance_rate: record.acceptance_rate,
        }
    }
}

impl HostRecord {
    pub(crate) fn into_python(self, py: Python<'_>) -> Record {
        Record {
            step: self.step,
            energies: PyArray1::from_vec(py, self.energies).unbind(),
            gradient_magnitude: self.gradient_magnitude,
            acceptance_rate: self.acceptance_rate,
        }
    }
}

#[pymethods]
impl Record {
    fn __repr__(&self, py: Python<'_>) -> String {
        let energies = self.energies.bind(py).readonly();
        let energies = energies.as_array();
        let mean =
            energies.iter().map(|f| f64::from(*f)).sum::<f64>() / energies.len().max(1) as f64;
        let mut text = format!("<Record step={} mean_energy={mean:.4}", self.step);
        if let Some(magnitude) = self.gradient_magnitude {
            text += &format!(" gradient_magnitude={magnitude:.4}");
        }
        if let Some(rate) = self.acceptance_rate {
            text += &format!(" acceptance_rate={rate:.3}");
        }
        text + ">"
    }
}
