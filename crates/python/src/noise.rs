//! The noise of the chains, for those who check a step by hand.

use ebm_core::{NoiseKey, Stream};
use numpy::PyArrayDyn;
use pyo3::prelude::*;

use crate::arrays::Array;
use crate::error::{no_memory, value_error, whole};
use crate::pool;

/// The numbers of all runs with a seed.
pub(crate) fn key(seed: u64) -> NoiseKey {
    NoiseKey::new(seed, Stream::Langevin, 0)
}

/// The Z ~ N(0, I) of one step of `Net.sample`, float32.
///
/// shape: that of the states, such as (chains, channels, height, width).
/// seed: that of the run.
/// step: which step, counted from 0.
///
/// A step of the kernel "ula" is X - eps**2 / (2 T) * grad F(X) + eps * noise(X.shape, seed, step).
#[pyfunction]
#[pyo3(signature = (shape, seed, step = 0))]
pub(crate) fn noise(
    py: Python<'_>,
    shape: Vec<usize>,
    seed: i128,
    step: i128,
) -> PyResult<Bound<'_, PyArrayDyn<f32>>> {
    let key = key(whole("seed", seed)?);
    let step = whole("step", step)?;
    if shape.is_empty() {
        return Err(value_error(
            "shape = (): give that of a batch of states, (chains, ...)",
        ));
    }
    let count = shape
        .iter()
        .try_fold(1usize, |size, n| size.checked_mul(*n));
    let mut values = Vec::new();
    let reserved = count.map(|count| (count, values.try_reserve_exact(count)));
    let Some((count, Ok(()))) = reserved else {
        return Err(no_memory("the noise", count.unwrap_or(usize::MAX)));
    };
    values.resize(count, 0.0);
    let per_chain = count.checked_div(shape[0]).unwrap_or(0);
    let pool = pool::of(None)?;
    py.detach(|| pool.install(|| key.normals(step, 0, per_chain, &mut values)));
    Array { shape, values }.into_numpy(py)
}
