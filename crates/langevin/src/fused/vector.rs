//! Unaligned vector loads and stores by offset: the only raw memory access of the engine.
//!
//! Kernels check the extent of their slices once, before their loops, with [`check`]; the offsets inside are then in
//! bounds by construction and not checked again, because a check a load would cost as much as the arithmetic.
#![allow(unsafe_code)]

use pulp::Simd;

/// Every buffer of chains is at least this long in its last dimension, so that the widest vector fits.
pub(crate) const LANES: usize = 16;

/// Stops with a message when a kernel's extents are wrong; a defect of the engine, never of its input.
#[inline(always)]
#[track_caller]
pub(crate) fn check(inside: bool) {
    assert!(
        inside,
        "a kernel of the fused engine was given too short a buffer"
    );
}

/// `S::F32_LANES` values from `offset` on.
#[inline(always)]
pub(crate) fn load<S: Simd>(slice: &[f32], offset: usize) -> S::f32s {
    debug_assert!(offset + S::F32_LANES <= slice.len());
    // SAFETY: callers have checked the extent; `S::f32s` is plain old data of `F32_LANES` floats.
    unsafe {
        slice
            .as_ptr()
            .add(offset)
            .cast::<S::f32s>()
            .read_unaligned()
    }
}

/// Writes `S::F32_LANES` values from `offset` on.
#[inline(always)]
pub(crate) fn store<S: Simd>(slice: &mut [f32], offset: usize, value: S::f32s) {
    debug_assert!(offset + S::F32_LANES <= slice.len());
    // SAFETY: as in `load`.
    unsafe {
        slice
            .as_mut_ptr()
            .add(offset)
            .cast::<S::f32s>()
            .write_unaligned(value);
    }
}

/// One value.
#[inline(always)]
pub(crate) fn scalar(slice: &[f32], offset: usize) -> f32 {
    debug_assert!(offset < slice.len());
    // SAFETY: as in `load`.
    unsafe { *slice.get_unchecked(offset) }
}

/// Asks for the cache line of `offset`, which may lie beyond the end.
#[inline(always)]
pub(crate) fn prefetch(slice: &[f32], offset: usize) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: a hint; it never faults and reads nothing that the program can see.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(slice.as_ptr().wrapping_add(offset).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (slice, offset);
}

/// Where vectors start that together cover `0..length`: the last one overlaps its neighbour when the length is no
/// multiple of the width. Values that are written twice are written alike. `length` is at least one vector.
#[inline(always)]
pub(crate) fn starts<S: Simd>(length: usize) -> impl Iterator<Item = usize> + Clone {
    let width = S::F32_LANES;
    (0..length.div_ceil(width)).map(move |vector| (vector * width).min(length - width))
}

/// Repeats a block for 0, 1, … below a constant of at most 8, without a loop: values indexed by `$i` stay in registers
/// whatever the compiler thinks of the length of the code.
macro_rules! unrolled {
    ($i:ident < $count:ident, $body:block) => {
        unrolled!(@ $i, $count, $body, 0, 1, 2, 3, 4, 5, 6, 7)
    };
    (@ $i:ident, $count:ident, $body:block, $($value:literal),*) => {
        $(if $value < $count {
            const $i: usize = $value;
            $body
        })*
    };
}
pub(crate) use unrolled;
