//! Maximum over square windows and its gradient.

#![allow(unsafe_code)]

use pulp::{Arch, Simd, WithSimd};

use crate::vector::{check, load, starts, store};

/// Windows of `size` side by side on images `[channels][height][width][lanes]`; rows and columns that fill no window
/// are left out.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Windows {
    pub(crate) shape: [usize; 3],
    pub(crate) size: usize,
    pub(crate) lanes: usize,
}

impl Windows {
    fn grid(self) -> [usize; 2] {
        [self.shape[1] / self.size, self.shape[2] / self.size]
    }

    fn count(self) -> usize {
        self.shape[0] * self.grid()[0] * self.grid()[1]
    }

    fn covers_all(self) -> bool {
        self.shape[1].is_multiple_of(self.size) && self.shape[2].is_multiple_of(self.size)
    }

    fn values(self) -> usize {
        self.shape.iter().product::<usize>() * self.lanes
    }

    /// Calls `with(offset of the window, offset of its first place)` in order.
    #[inline(always)]
    fn each(self, mut with: impl FnMut(usize, usize)) {
        let [channels, height, width] = self.shape;
        let [rows, columns] = self.grid();
        let mut window = 0;
        for channel in 0..channels {
            for row in 0..rows {
                let line = (channel * height + row * self.size) * width;
                for column in 0..columns {
                    with(window, (line + column * self.size) * self.lanes);
                    window += self.lanes;
                }
            }
        }
    }

    /// Offset of place (down, right) from a window's first.
    #[inline(always)]
    fn place(self, down: usize, right: usize) -> usize {
        (down * self.shape[2] + right) * self.lanes
    }
}

/// `output` ← the windows' maxima.
pub(crate) fn max_pool(arch: Arch, windows: Windows, input: &[f32], output: &mut [f32]) {
    arch.dispatch(Forward {
        windows,
        input,
        output,
    });
}

/// `input_gradient` ← the gradient of [`max_pool`]: it goes to the first place of the window that holds the maximum,
/// times `slope` where the input is not positive: the leaky ReLU before it, done in passing.
pub(crate) fn max_pool_backward(
    arch: Arch,
    windows: Windows,
    slope: f32,
    input: &[f32],
    output: &[f32],
    gradient: &[f32],
    input_gradient: &mut [f32],
) {
    if !windows.covers_all() {
        input_gradient[..windows.values()].fill(0.0);
    }
    arch.dispatch(Backward {
        windows,
        slope,
        input,
        output,
        gradient,
        input_gradient,
    });
}

struct Forward<'a> {
    windows: Windows,
    input: &'a [f32],
    output: &'a mut [f32],
}

impl WithSimd for Forward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Windows { size, lanes, .. } = self.windows;
        check(self.input.len() >= self.windows.values());
        check(self.output.len() >= self.windows.count() * lanes);
        self.windows.each(|window, first| {
            for start in starts::<S>(lanes) {
                // SAFETY: the windows lie inside the extents that were checked above.
                let mut peak = unsafe { load::<S>(self.input, first + start) };
                for down in 0..size {
                    for right in 0..size {
                        let place = first + self.windows.place(down, right) + start;
                        // SAFETY: the windows lie inside the extents that were checked above.
                        let value = unsafe { load::<S>(self.input, place) };
                        peak = simd.select_f32s(simd.greater_than_f32s(value, peak), value, peak);
                    }
                }
                // SAFETY: the windows lie inside the extents that were checked above.
                unsafe { store::<S>(self.output, window + start, peak) };
            }
        });
    }
}

struct Backward<'a> {
    windows: Windows,
    slope: f32,
    input: &'a [f32],
    output: &'a [f32],
    gradient: &'a [f32],
    input_gradient: &'a mut [f32],
}

impl WithSimd for Backward<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Windows { size, lanes, .. } = self.windows;
        check(self.input.len().min(self.input_gradient.len()) >= self.windows.values());
        check(self.output.len().min(self.gradient.len()) >= self.windows.count() * lanes);
        let slope = simd.splat_f32s(self.slope);
        let zero = simd.splat_f32s(0.0);
        self.windows.each(|window, first| {
            for start in starts::<S>(lanes) {
                // SAFETY: the windows lie inside the extents that were checked above.
                let peak = unsafe { load::<S>(self.output, window + start) };
                let mut rest = unsafe { load::<S>(self.gradient, window + start) };
                for down in 0..size {
                    for right in 0..size {
                        let place = first + self.windows.place(down, right) + start;
                        // SAFETY: the windows lie inside the extents that were checked above.
                        let value = unsafe { load::<S>(self.input, place) };
                        let is_peak = simd.equal_f32s(value, peak);
                        let gradient = simd.select_f32s(is_peak, rest, zero);
                        let is_positive = simd.greater_than_f32s(value, zero);
                        let scaled = simd.mul_f32s(gradient, slope);
                        let masked = simd.select_f32s(is_positive, gradient, scaled);
                        // SAFETY: the windows lie inside the extents that were checked above.
                        unsafe { store::<S>(self.input_gradient, place, masked) };
                        rest = simd.select_f32s(is_peak, zero, rest);
                    }
                }
            }
        });
    }
}
