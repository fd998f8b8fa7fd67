//! Worker threads, shared by all nets that want the same number of them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::error::value_error;

/// The pools of this process by their size; 0 is that of the machine. A fork leaves the threads behind, so a child
/// process has pools of its own.
static POOLS: Mutex<BTreeMap<(u32, usize), Arc<ThreadPool>>> = Mutex::new(BTreeMap::new());

/// More than any machine has; each thread takes memory.
const MOST: usize = 1024;

/// The pool of so many threads, by default one for each core (or what RAYON_NUM_THREADS says).
///
/// # Errors
/// `ValueError` for no threads or very many, `RuntimeError` when the system gives none.
pub(crate) fn of(threads: Option<i128>) -> PyResult<Arc<ThreadPool>> {
    let wanted = threads.map_or(Some(0), |threads| usize::try_from(threads).ok());
    let wanted = wanted.filter(|wanted| *wanted <= MOST && threads != Some(0));
    let Some(wanted) = wanted else {
        let threads = threads.unwrap_or_default();
        return Err(value_error(format!(
            "threads = {threads}: must be from 1 to {MOST}, or None for one a core"
        )));
    };
    let place = (std::process::id(), wanted);
    let mut pools = POOLS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&place) {
        return Ok(Arc::clone(pool));
    }
    let pool = ThreadPoolBuilder::new()
        .num_threads(wanted)
        .thread_name(|index| format!("ebm-anatomy-{index}"))
        .build()
        .map_err(|error| PyRuntimeError::new_err(format!("no worker threads: {error}")))?;
    let pool = Arc::new(pool);
    pools.insert(place, Arc::clone(&pool));
    Ok(pool)
}
