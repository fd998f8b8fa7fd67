//! What a reader takes: memory, of the whole program, and time.

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Bytes in use, and the most that were.
static NOW: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);
/// More is refused, so that a fault does not take the machine down.
const ALL: usize = 3 << 30;

struct Counting;

impl Counting {
    fn take(size: usize) -> bool {
        let now = NOW.fetch_add(size, Ordering::Relaxed) + size;
        MOST.fetch_max(now, Ordering::Relaxed);
        now <= ALL
    }

    fn give(size: usize) {
        NOW.fetch_sub(size, Ordering::Relaxed);
    }
}

// SAFETY: the system's allocator does the work; the numbers beside it touch no memory.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if !Self::take(layout.size()) {
            return std::ptr::null_mut();
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc_zeroed(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        Self::give(layout.size());
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }

    unsafe fn realloc(&self, pointer: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if size > layout.size() && !Self::take(size - layout.size()) {
            return std::ptr::null_mut();
        }
        if size < layout.size() {
            Self::give(layout.size() - size);
        }
        // SAFETY: the caller's promise is passed on.
        unsafe { System.realloc(pointer, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What was taken.
pub(crate) struct Taken {
    /// The most bytes beyond those in use before.
    pub(crate) memory: usize,
    pub(crate) time: Duration,
}

/// The result, and what it took to get it.
pub(crate) fn measure<T>(work: impl FnOnce() -> T) -> (T, Taken) {
    let before = NOW.load(Ordering::Relaxed);
    MOST.store(before, Ordering::Relaxed);
    let started = Instant::now();
    let result = work();
    let taken = Taken {
        memory: MOST.load(Ordering::Relaxed).saturating_sub(before),
        time: started.elapsed(),
    };
    (result, taken)
}
