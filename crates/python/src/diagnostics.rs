//! The numbers of `ebm-diagnostics` for arrays.

use ebm_diagnostics::verdict::{Verdict as Judged, VerdictOptions};
use ebm_diagnostics::{IterationMetrics, bulk_effective_size, split_rhat, tail_effective_size};
use pyo3::prelude::*;

use crate::arrays::Array;
use crate::error::{value_error, whole};

/// What d and r say about learning; `str()` of it is a sentence.
#[pyclass(frozen, module = "ebm_anatomy.diagnostics")]
pub(crate) struct Verdict {
    sentence: String,
    json: String,
}

#[pymethods]
impl Verdict {
    /// All numbers and conclusions as a dict: `details["learning"]["stability"]["conclusion"]` and so on.
    #[getter]
    fn details<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        py.import("json")?.call_method1("loads", (&self.json,))
    }

    /// "stable", "unstable" or "undecided".
    #[getter]
    fn stability<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let learning = self.details(py)?.get_item("learning")?;
        learning.get_item("stability")?.get_item("conclusion")
    }

    /// "weak", "strong", "wandering" or "undecided"; None where it could not be tested.
    #[getter]
    fn oscillation<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        let learning = self.details(py)?.get_item("learning")?;
        let test = learning.get_item("oscillation")?;
        if test.is_none() {
            return Ok(test);
        }
        test.get_item("conclusion")
    }

    fn __str__(&self) -> &str {
        &self.sentence
    }

    fn __repr__(&self) -> String {
        format!("<Verdict: {}>", self.sentence)
    }
}

/// Judges a learning run from d and r of its iterations.
///
/// d: shape (iterations,): (2 / eps**2) * (mean F of the data - mean F of the samples), in nats.
/// r: shape (iterations,): mean of ‖∇F‖₂ over Langevin steps and chains, Record.gradient_magnitude.
/// window: how many of the latest iterations count; never more than half of the run.
#[pyfunction]
#[pyo3(signature = (d, r, window = 2000))]
pub(crate) fn verdict(
    py: Python<'_>,
    d: &Bound<'_, PyAny>,
    r: &Bound<'_, PyAny>,
    window: i128,
) -> PyResult<Verdict> {
    let window = whole("window", window)?;
    // Values that are not finite are a finding, and not an error.
    let d = series(d, "d")?;
    let r = series(r, "r")?;
    if d.len() != r.len() {
        return Err(value_error(format!(
            "d has {} values and r {}: give both for the same iterations",
            d.len(),
            r.len()
        )));
    }
    let pairs = d.into_iter().zip(r).enumerate();
    let metrics: Vec<_> = pairs
        .map(|(index, (d, r))| IterationMetrics {
            iteration: index as u64 + 1,
            energy_difference: d,
            gradient_magnitude: r,
            // The verdict reads d and r alone.
            energy_data: f64::NAN,
            energy_samples: f64::NAN,
            learning_rate: f64::NAN,
            acceptance_rate: None,
        })
        .collect();
    let options = VerdictOptions {
        window: usize::try_from(window).unwrap_or(usize::MAX),
        ..VerdictOptions::default()
    };
    py.detach(|| {
        let judged = Judged::new(&metrics, &[], &options)?;
        Ok(Verdict {
            sentence: judged.learning.to_string(),
            json: judged.to_json()?,
        })
    })
    .map_err(|error: ebm_diagnostics::DiagnosticsError| value_error(error))
}

/// The rank-normalised, folded split R̂ (Vehtari et al. 2021); 1 for chains that agree.
///
/// chains: shape (chains, draws) of one number a state, such as the energy at each record.
#[pyfunction]
pub(crate) fn rhat(py: Python<'_>, chains: &Bound<'_, PyAny>) -> PyResult<f64> {
    let chains = rows(chains)?;
    py.detach(|| split_rhat(&chains)).map_err(value_error)
}

/// The effective sample size (Vehtari et al. 2021): how many independent draws the draws are worth.
///
/// chains: shape (chains, draws) of one number a state.
/// kind: "bulk" for the location, "tail" for the 5 % and 95 % quantiles.
#[pyfunction]
#[pyo3(signature = (chains, kind = "bulk"))]
pub(crate) fn ess(py: Python<'_>, chains: &Bound<'_, PyAny>, kind: &str) -> PyResult<f64> {
    let size = match kind {
        "bulk" => bulk_effective_size,
        "tail" => tail_effective_size,
        _ => {
            return Err(value_error(format!(
                "kind = \"{kind}\": must be \"bulk\" or \"tail\""
            )));
        }
    };
    let chains = rows(chains)?;
    py.detach(|| size(&chains)).map_err(value_error)
}

fn series(given: &Bound<'_, PyAny>, name: &str) -> PyResult<Vec<f64>> {
    let array = Array::of(given, name)?;
    match array.shape[..] {
        [_] => Ok(array.values),
        _ => Err(value_error(format!(
            "{name} has the shape {:?}: must be (iterations,)",
            array.shape
        ))),
    }
}

fn rows(given: &Bound<'_, PyAny>) -> PyResult<Vec<Vec<f64>>> {
    let array = Array::of(given, "chains")?;
    match array.shape[..] {
        [_, draws] if draws > 0 => Ok(array.values.chunks(draws).map(<[f64]>::to_vec).collect()),
        _ => Err(value_error(format!(
            "chains has the shape {:?}: must be (chains, draws)",
            array.shape
        ))),
    }
}
