//! Element by element over buffers, whose lengths are multiples of a block's lanes.

#![allow(unsafe_code)]

use ebm_core::Activation;
use pulp::{Arch, Simd, WithSimd};

use crate::exponential::{exp, sigmoid};
use crate::vector::{check, load, store};

/// to[i] ← f(to[i], from[i]).
struct Zip<'a, F> {
    to: &'a mut [f32],
    from: &'a [f32],
    with: F,
}

/// A function of two vectors, for any vector width.
trait Pairwise: Copy {
    fn apply<S: Simd>(self, simd: S, to: S::f32s, from: S::f32s) -> S::f32s;
}

impl<F: Pairwise> WithSimd for Zip<'_, F> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { to, from, with } = self;
        let length = to.len().min(from.len());
        check(length.is_multiple_of(S::F32_LANES));
        for at in (0..length).step_by(S::F32_LANES) {
            // SAFETY: `length` fits both rows and is a multiple of the vector's width.
            let value = with.apply(simd, unsafe { load::<S>(to, at) }, unsafe {
                load::<S>(from, at)
            });
            unsafe { store::<S>(to, at, value) };
        }
    }
}

/// The activation of the second argument.
#[derive(Clone, Copy)]
struct Value(Activation);

impl Pairwise for Value {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, _to: S::f32s, x: S::f32s) -> S::f32s {
        let negative = match self.0 {
            Activation::LeakyRelu { slope } => simd.mul_f32s(x, simd.splat_f32s(slope)),
            Activation::Silu => return simd.mul_f32s(x, sigmoid(simd, x)),
            Activation::Elu { alpha } => {
                let rise = simd.sub_f32s(exp(simd, x), simd.splat_f32s(1.0));
                simd.mul_f32s(rise, simd.splat_f32s(alpha))
            }
        };
        simd.select_f32s(is_positive(simd, x), x, negative)
    }
}

/// The first argument times the activation's derivative at the second.
#[derive(Clone, Copy)]
struct Derivative(Activation);

impl Pairwise for Derivative {
    #[inline(always)]
    fn apply<S: Simd>(self, simd: S, gradient: S::f32s, x: S::f32s) -> S::f32s {
        let factor = match self.0 {
            Activation::LeakyRelu { slope } => simd.splat_f32s(slope),
            Activation::Silu => {
                let one = simd.splat_f32s(1.0);
                let gate = sigmoid(simd, x);
                let rise = simd.mul_add_e_f32s(x, simd.sub_f32s(one, gate), one);
                return simd.mul_f32s(gradient, simd.mul_f32s(gate, rise));
            }
            Activation::Elu { alpha } => simd.mul_f32s(exp(simd, x), simd.splat_f32s(alpha)),
        };
        let scaled = simd.mul_f32s(gradient, factor);
        simd.select_f32s(is_positive(simd, x), gradient, scaled)
    }
}

#[inline(always)]
fn is_positive<S: Simd>(simd: S, x: S::f32s) -> S::m32s {
    simd.greater_than_f32s(x, simd.splat_f32s(0.0))
}

/// The derivative of a leaky ReLU: 1 where its output is positive, `slope` elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Mask<'a> {
    pub(crate) output: &'a [f32],
    pub(crate) slope: f32,
}

impl Mask<'_> {
    /// gradient ← gradient · mask.
    pub(crate) fn apply(self, arch: Arch, gradient: &mut [f32]) {
        // The sign of the output is that of the input.
        let kind = Activation::LeakyRelu { slope: self.slope };
        activate_backward(arch, kind, self.output, gradient);
    }

    /// Stops when there are fewer than `extent` factors.
    #[inline(always)]
    pub(crate) fn check(self, extent: usize) {
        check(self.output.len() >= extent);
    }

    /// The gradient at offset `at`, times the mask.
    ///
    /// # Safety
    /// The extent that was [checked](Self::check) reaches `S::F32_LANES` beyond `at`.
    #[inline(always)]
    pub(crate) unsafe fn of<S: Simd>(self, simd: S, gradient: S::f32s, at: usize) -> S::f32s {
        // SAFETY: the caller has made sure of the extent.
        let output = unsafe { load::<S>(self.output, at) };
        let scaled = simd.mul_f32s(gradient, simd.splat_f32s(self.slope));
        simd.select_f32s(is_positive(simd, output), gradient, scaled)
    }
}

/// output ← activation(input).
pub(crate) fn activate(arch: Arch, kind: Activation, input: &[f32], output: &mut [f32]) {
    arch.dispatch(Zip {
        to: output,
        from: input,
        with: Value(kind),
    });
}

/// gradient ← gradient · activation′(input).
pub(crate) fn activate_backward(arch: Arch, kind: Activation, input: &[f32], gradient: &mut [f32]) {
    arch.dispatch(Zip {
        to: gradient,
        from: input,
        with: Derivative(kind),
    });
}
