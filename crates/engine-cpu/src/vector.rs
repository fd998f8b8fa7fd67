//! Unaligned vector loads and stores by offset: the only raw memory access of the engine.
//!
//! Kernels check the extent of their slices once, before their loops, with [`check`]; the offsets inside are then in
//! bounds by construction and not checked again, because a check a load would cost as much as the arithmetic.
#![allow(unsafe_code)]

use pulp::{Arch, Simd};

/// Values of the widest vector. A block of chains has a multiple of it, or [`HALF`].
pub(crate) const LANES: usize = 16;

/// Lanes of the smallest block: a few chains that fill no whole vector would pay for all of it.
pub(crate) const HALF: usize = LANES / 2;

/// The instructions for a block of chains.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Vectors {
    widest: Arch,
    /// For what goes lane by lane: the widest whose vectors fill the block's lanes.
    pub(crate) lanes: Arch,
}

impl Vectors {
    /// For a block of so many lanes.
    pub(crate) fn new(widest: Arch, lanes: usize) -> Self {
        let is_half = !lanes.is_multiple_of(LANES);
        Self {
            widest,
            lanes: if is_half {
                at_most_half(widest)
            } else {
                widest
            },
        }
    }

    /// For a product of so many columns: few chains still make many columns of pixels and tiles.
    pub(crate) fn product(self, columns: usize) -> Arch {
        if columns >= LANES {
            self.widest
        } else {
            self.lanes
        }
    }
}

fn at_most_half(arch: Arch) -> Arch {
    match arch {
        #[cfg(target_arch = "x86_64")]
        Arch::V4(simd) => Arch::V3(*simd),
        narrow => narrow,
    }
}

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
///
/// # Safety
/// `offset + S::F32_LANES` is at most the length of the slice.
#[inline(always)]
pub(crate) unsafe fn load<S: Simd>(slice: &[f32], offset: usize) -> S::f32s {
    debug_assert!(offset + S::F32_LANES <= slice.len());
    // SAFETY: the caller has made sure of the extent; `S::f32s` is plain old data of `F32_LANES` floats.
    unsafe {
        slice
            .as_ptr()
            .add(offset)
            .cast::<S::f32s>()
            .read_unaligned()
    }
}

/// Writes `S::F32_LANES` values from `offset` on.
///
/// # Safety
/// As for [`load`].
#[inline(always)]
pub(crate) unsafe fn store<S: Simd>(slice: &mut [f32], offset: usize, value: S::f32s) {
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
///
/// # Safety
/// `offset` is less than the length of the slice.
#[inline(always)]
pub(crate) unsafe fn scalar(slice: &[f32], offset: usize) -> f32 {
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
    check(length >= width);
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
