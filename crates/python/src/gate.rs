//! Work on a net without Python's lock, by one caller at a time, that a signal can end.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, TryLockError};
use std::thread::{self, ThreadId};
use std::time::Duration;

use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use rayon::ThreadPool;

use crate::pool;

/// How long a Ctrl-C may go unheard.
const POLL: Duration = Duration::from_millis(20);

/// A value that one caller at a time works on, with the worker threads of a pool.
pub(crate) struct Gate<T> {
    value: Mutex<T>,
    /// The Python thread that works on it.
    holder: Mutex<Option<ThreadId>>,
    /// Raised to end the work early; the value looks at it.
    cancel: Arc<AtomicBool>,
    threads: Option<i128>,
}

/// Frees the place of the holder, also when the work ends in an error.
struct Held<'a, T> {
    value: MutexGuard<'a, T>,
    holder: &'a Mutex<Option<ThreadId>>,
}

impl<T> Drop for Held<'_, T> {
    fn drop(&mut self) {
        *lock(self.holder) = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<T: Send> Gate<T> {
    /// A gate to a value that gives up its work once `cancel` is true; `threads` as in [`pool::of`].
    pub(crate) fn new(value: T, cancel: Arc<AtomicBool>, threads: Option<i128>) -> Self {
        Self {
            value: Mutex::new(value),
            holder: Mutex::new(None),
            cancel,
            threads,
        }
    }

    /// Works on the value in the pool, while other Python threads go on. Signals are looked at meanwhile: an exception
    /// of a signal handler, such as `KeyboardInterrupt`, cancels the work and is returned.
    ///
    /// # Errors
    /// That exception, and `RuntimeError` for a call from within a signal handler that has interrupted another one on
    /// the same value.
    pub(crate) fn run<R: Send>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        let pool = pool::of(self.threads)?;
        py.detach(|| {
            let mut held = self.enter()?;
            self.cancel.store(false, Ordering::Relaxed);
            self.watched(&pool, &mut held.value, work)
        })
    }

    /// Waits until nobody else works on the value.
    fn enter(&self) -> PyResult<Held<'_, T>> {
        let this = thread::current().id();
        loop {
            let value = match self.value.try_lock() {
                Ok(value) => value,
                Err(TryLockError::Poisoned(value)) => value.into_inner(),
                Err(TryLockError::WouldBlock) => {
                    if *lock(&self.holder) == Some(this) {
                        return Err(PyRuntimeError::new_err(
                            "a signal handler cannot call the net whose call it has interrupted: use another net in \
                             the handler",
                        ));
                    }
                    signals()?;
                    thread::sleep(Duration::from_millis(1));
                    continue;
                }
            };
            *lock(&self.holder) = Some(this);
            let holder = &self.holder;
            return Ok(Held { value, holder });
        }
    }

    fn watched<R: Send>(
        &self,
        pool: &ThreadPool,
        value: &mut T,
        work: impl FnOnce(&mut T) -> R + Send,
    ) -> PyResult<R> {
        let (sender, receiver) = mpsc::sync_channel(1);
        // A scope waits for its task, so the work always ends before the value is given back.
        pool.in_place_scope(|scope| {
            scope.spawn(move |_| {
                let result = catch_unwind(AssertUnwindSafe(|| work(value)));
                // Nobody listens only after an interruption.
                let _ = sender.send(result);
            });
            loop {
                match receiver.recv_timeout(POLL) {
                    Ok(Ok(result)) => return Ok(result),
                    Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => {
                        return Err(PyRuntimeError::new_err(
                            "an internal error of the engine, which has printed more to stderr: please report it",
                        ));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let Err(interrupt) = signals() {
                            self.cancel.store(true, Ordering::Relaxed);
                            return Err(interrupt);
                        }
                    }
                }
            }
        })
    }
}

/// Runs the handlers of signals that have arrived.
fn signals() -> PyResult<()> {
    // There is no interpreter while Python shuts down.
    Python::try_attach(|py| py.check_signals()).unwrap_or(Ok(()))
}
