//! Memory for vectors: aligned, and lent again instead of asked for again.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

use aligned_vec::{AVec, ConstAlign};

/// Starts at a cache line, so that no vector of a whole line straddles two.
type Aligned = AVec<f32, ConstAlign<64>>;

/// Values in memory that goes back to where it was lent.
pub(crate) struct Buffer {
    values: Aligned,
    /// At most as many as there are in `values`.
    length: usize,
    home: Option<Arc<Spare>>,
}

/// Memory between two uses, by its length. A learning iteration needs the same buffers as the one before; fresh ones
/// would cost the time to have every page mapped and cleared.
#[derive(Default)]
pub(crate) struct Spare(Mutex<BTreeMap<usize, Vec<Aligned>>>);

impl Buffer {
    /// Zeros, in memory of their own.
    pub(crate) fn zeros(length: usize) -> Self {
        Self {
            values: aligned_vec::avec![[64]| 0.0; length],
            length,
            home: None,
        }
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::zeros(0)
    }
}

impl Deref for Buffer {
    type Target = [f32];

    #[inline(always)]
    fn deref(&self) -> &[f32] {
        &self.values[..self.length]
    }
}

impl DerefMut for Buffer {
    #[inline(always)]
    fn deref_mut(&mut self) -> &mut [f32] {
        &mut self.values[..self.length]
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        if let Some(home) = &self.home {
            let values = std::mem::replace(&mut self.values, Aligned::new(64));
            home.lock().entry(values.len()).or_default().push(values);
        }
    }
}

impl Spare {
    /// A buffer of arbitrary values, NaN included.
    pub(crate) fn lend(self: &Arc<Self>, length: usize) -> Buffer {
        // Not much longer than asked for: long ones are kept for those who need them.
        let fits = length..=length + length / 4;
        let mut free = self.lock();
        let mut known = free.range_mut(fits);
        let found = known.find_map(|(_, buffers)| buffers.pop());
        drop(free);
        let values = found.unwrap_or_else(|| aligned_vec::avec![[64]| 0.0; length]);
        Buffer {
            values,
            length,
            home: Some(Arc::clone(self)),
        }
    }

    /// Gives up what is not lent at the moment.
    pub(crate) fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<usize, Vec<Aligned>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Buffer({} values)", self.length)
    }
}

impl fmt::Debug for Spare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: usize = self
            .lock()
            .iter()
            .map(|(length, buffers)| length * buffers.len())
            .sum();
        write!(f, "Spare({values} values)")
    }
}
