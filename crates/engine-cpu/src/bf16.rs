//! Products of BF16 factors: f32 numbers that are rounded to 8 bits of significand, to nearest and ties to even.
//!
//! The product of two such factors is exact in f32, so only the sums round. `vdpbf16ps` multiplies the factors of two
//! neighbouring terms at once: it adds the product of the upper halves of a lane and then that of the lower halves,
//! each with one rounding. With the earlier term in the upper half this is the order of the f32 kernels, so that rounded
//! factors in f32 give the same bits. The exception is numbers below 2⁻¹²⁶, which the instruction takes for zero, sums
//! included.

#![allow(unsafe_code)]

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::Instant;

use pulp::{Arch, Simd, WithSimd};

/// How the factors of a product are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Factors {
    /// As they are, in f32.
    Single,
    /// Rounded to BF16, in f32: for processors without BF16 instructions, and the reference for those that have them.
    Rounded,
    /// Rounded to BF16, two to a lane.
    Pairs,
}

impl Factors {
    /// Terms of a sum that one lane holds.
    pub(crate) fn terms(self) -> usize {
        match self {
            Self::Single | Self::Rounded => 1,
            Self::Pairs => 2,
        }
    }

    pub(crate) fn is_rounded(self) -> bool {
        self != Self::Single
    }
}

/// x rounded to BF16. NaN stays NaN, and what is too large becomes infinite.
#[inline(always)]
pub(crate) fn round(x: f32) -> f32 {
    let bits = x.to_bits();
    // The lowest bit that is kept decides ties. A NaN would be carried into the sign.
    let rounded = bits.wrapping_add(0x7fff + (bits >> 16 & 1)) & 0xffff_0000;
    if x.is_nan() {
        // Quiet: its upper half alone must still be no number.
        f32::from_bits(bits | 0x0040_0000)
    } else {
        f32::from_bits(rounded)
    }
}

/// Two neighbouring terms, rounded, in the bits of one value.
#[inline(always)]
pub(crate) fn pair(first: f32, second: f32) -> f32 {
    f32::from_bits(round(first).to_bits() & 0xffff_0000 | round(second).to_bits() >> 16)
}

/// [`round`] in every lane.
#[inline(always)]
fn round_lanes<S: Simd>(simd: S, x: S::f32s) -> S::f32s {
    let bits = simd.transmute_u32s_f32s(x);
    let lowest = simd.wrapping_dyn_shr_u32s(bits, simd.splat_u32s(16));
    let lowest = simd.and_u32s(lowest, simd.splat_u32s(1));
    let half = simd.add_u32s(lowest, simd.splat_u32s(0x7fff));
    let rounded = simd.and_u32s(simd.add_u32s(bits, half), simd.splat_u32s(0xffff_0000));
    let is_number = simd.equal_f32s(x, x);
    let quiet = simd.or_u32s(bits, simd.splat_u32s(0x0040_0000));
    let chosen = simd.select_u32s(is_number, rounded, quiet);
    simd.transmute_f32s_u32s(chosen)
}

/// What a kernel does with the lanes of its operands.
pub(crate) trait Terms {
    /// Terms of a lane.
    const COUNT: usize = 1;
    /// Whether [`Self::join`] changes numbers.
    const ARE_ROUNDED: bool = true;

    /// The lanes of neighbouring rows of B; the second counts where a lane has two terms.
    fn join<S: Simd>(simd: S, first: S::f32s, second: S::f32s) -> S::f32s;

    /// sum + a·b.
    #[inline(always)]
    fn add<S: Simd>(simd: S, a: S::f32s, b: S::f32s, sum: S::f32s) -> S::f32s {
        simd.mul_add_e_f32s(a, b, sum)
    }
}

/// f32 numbers as they are.
struct Single;

impl Terms for Single {
    const ARE_ROUNDED: bool = false;

    #[inline(always)]
    fn join<S: Simd>(_: S, first: S::f32s, _: S::f32s) -> S::f32s {
        first
    }
}

/// f32 numbers, rounded where they are joined.
struct Rounded;

impl Terms for Rounded {
    #[inline(always)]
    fn join<S: Simd>(simd: S, first: S::f32s, _: S::f32s) -> S::f32s {
        round_lanes(simd, first)
    }
}

/// A kernel that can work with any [`Terms`].
pub(crate) trait WithTerms {
    fn with_terms<S: Simd, T: Terms>(self, simd: S);
}

/// Runs a kernel on operands with such factors.
pub(crate) fn dispatch(arch: Arch, factors: Factors, kernel: impl WithTerms) {
    struct With<K, T>(K, std::marker::PhantomData<T>);

    impl<K: WithTerms, T: Terms> WithSimd for With<K, T> {
        type Output = ();

        #[inline(always)]
        fn with_simd<S: Simd>(self, simd: S) {
            self.0.with_terms::<S, T>(simd);
        }
    }

    match factors {
        Factors::Single => arch.dispatch(With(kernel, std::marker::PhantomData::<Single>)),
        Factors::Rounded => arch.dispatch(With(kernel, std::marker::PhantomData::<Rounded>)),
        Factors::Pairs => pairs::dispatch(arch, kernel),
    }
}

/// Whether the processor multiplies pairs.
pub(crate) fn has_pairs() -> bool {
    pairs::is_available()
}

/// Whether sums of pairs take less time than sums of as many single factors, measured once. Intel's servers since
/// Sapphire Rapids, for example, start `vdpbf16ps` with whole vectors every other cycle, and two FMAs every cycle.
pub(crate) fn pairs_pay() -> bool {
    static PAY: OnceLock<bool> = OnceLock::new();
    *PAY.get_or_init(|| {
        has_pairs() && {
            let [pairs, singles] = [Factors::Pairs, Factors::Single].map(|factors| {
                let once = || {
                    let start = Instant::now();
                    dispatch(Arch::default(), factors, Sums(black_box(1.0)));
                    start.elapsed()
                };
                // The fastest of several: other work may interrupt any of them.
                (0..8).map(|_| once()).min()
            });
            pairs < singles
        }
    })
}

/// Twelve independent vectors of sums, of 2¹⁶ terms altogether.
struct Sums(f32);

impl WithTerms for Sums {
    #[inline(always)]
    fn with_terms<S: Simd, T: Terms>(self, simd: S) {
        let factor = simd.splat_f32s(self.0);
        let mut sums = [factor; 12];
        for _ in 0..(1 << 16) / T::COUNT / sums.len() {
            for sum in &mut sums {
                *sum = T::add(simd, factor, factor, *sum);
            }
        }
        black_box(sums);
    }
}

#[cfg(target_arch = "x86_64")]
mod pairs {
    use std::arch::x86_64::{
        __m256, __m256bh, __m256i, __m512, __m512bh, __m512i, _mm256_cvtne2ps_pbh,
        _mm256_dpbf16_ps, _mm256_permutexvar_epi16, _mm512_cvtne2ps_pbh, _mm512_dpbf16_ps,
        _mm512_permutexvar_epi16,
    };
    use std::mem::{size_of, transmute, transmute_copy};

    use pulp::x86::{V3, V4};
    use pulp::{Arch, Simd};

    use super::{Terms, WithTerms};

    pub(super) fn is_available() -> bool {
        V4::try_new().is_some() && std::is_x86_feature_detected!("avx512bf16")
    }

    pub(super) fn dispatch(arch: Arch, kernel: impl WithTerms) {
        assert!(is_available(), "this processor has no BF16 instructions");
        match arch {
            // SAFETY: all these instructions were just found.
            Arch::V4(simd) => unsafe { whole(simd, kernel) },
            // SAFETY: as above.
            Arch::V3(simd) => unsafe { half(simd, kernel) },
            _ => unreachable!("pairs are for vectors of 8 and 16 lanes"),
        }
    }

    #[target_feature(
        enable = "avx512bf16,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
    )]
    unsafe fn whole(simd: V4, kernel: impl WithTerms) {
        kernel.with_terms::<V4, Pairs>(simd);
    }

    #[target_feature(
        enable = "avx512bf16,avx512f,avx512bw,avx512cd,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
    )]
    unsafe fn half(simd: V3, kernel: impl WithTerms) {
        kernel.with_terms::<V3, Pairs>(simd);
    }

    /// Two BF16 numbers to a lane; only for kernels run by [`dispatch`].
    struct Pairs;

    /// Where the halves of each lane come from: the upper half is that of the first operand, which a conversion of two
    /// vectors leaves behind the second.
    const fn interleaved<const N: usize>() -> [i16; N] {
        let mut places = [0; N];
        let mut lane = 0;
        while lane < N / 2 {
            places[2 * lane] = lane as i16;
            places[2 * lane + 1] = (N / 2 + lane) as i16;
            lane += 1;
        }
        places
    }

    impl Terms for Pairs {
        const COUNT: usize = 2;

        #[inline(always)]
        fn join<S: Simd>(_: S, first: S::f32s, second: S::f32s) -> S::f32s {
            // SAFETY: `dispatch` has made sure of the instructions and passes vectors of 8 or 16 lanes alone.
            unsafe {
                if size_of::<S::f32s>() == size_of::<__m512>() {
                    let [first, second]: [__m512; 2] =
                        [transmute_copy(&first), transmute_copy(&second)];
                    const PLACES: [i16; 32] = interleaved();
                    let both: __m512i = transmute(_mm512_cvtne2ps_pbh(first, second));
                    let lanes =
                        _mm512_permutexvar_epi16(transmute::<[i16; 32], __m512i>(PLACES), both);
                    transmute_copy(&lanes)
                } else {
                    let [first, second]: [__m256; 2] =
                        [transmute_copy(&first), transmute_copy(&second)];
                    const PLACES: [i16; 16] = interleaved();
                    let both: __m256i = transmute(_mm256_cvtne2ps_pbh(first, second));
                    let lanes =
                        _mm256_permutexvar_epi16(transmute::<[i16; 16], __m256i>(PLACES), both);
                    transmute_copy(&lanes)
                }
            }
        }

        #[inline(always)]
        fn add<S: Simd>(_: S, a: S::f32s, b: S::f32s, sum: S::f32s) -> S::f32s {
            // SAFETY: as in `join`.
            unsafe {
                if size_of::<S::f32s>() == size_of::<__m512>() {
                    let [a, b]: [__m512bh; 2] = [transmute_copy(&a), transmute_copy(&b)];
                    let sum = _mm512_dpbf16_ps(transmute_copy(&sum), a, b);
                    transmute_copy(&sum)
                } else {
                    let [a, b]: [__m256bh; 2] = [transmute_copy(&a), transmute_copy(&b)];
                    let sum = _mm256_dpbf16_ps(transmute_copy(&sum), a, b);
                    transmute_copy(&sum)
                }
            }
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod pairs {
    use super::WithTerms;

    pub(super) fn is_available() -> bool {
        false
    }

    pub(super) fn dispatch(_: pulp::Arch, _: impl WithTerms) {
        unreachable!("no BF16 instructions are known for this processor");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vector::{LANES, load, store};

    /// The nearest number with 8 bits of significand, from its definition.
    fn nearest(x: f32) -> f64 {
        let x = f64::from(x);
        let unit = 2f64.powi(x.abs().log2().floor() as i32 - 7);
        unit * (x / unit).round_ties_even()
    }

    /// Numbers of all sizes that square without overflow, from a linear congruence.
    fn numbers(count: usize) -> Vec<f32> {
        let mut state = 1u32;
        let mut next = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state >> 8
        };
        (0..count)
            .map(|_| {
                let significand = 1.0 + next() as f32 / (1 << 24) as f32;
                let exponent = next() % 24;
                let sign = if next().is_multiple_of(2) { 1.0 } else { -1.0 };
                sign * significand * 2f32.powi(exponent as i32 - 12)
            })
            .collect()
    }

    #[test]
    fn rounding_is_to_the_nearest_and_ties_go_to_even() {
        for x in numbers(10_000) {
            assert_eq!(f64::from(round(x)), nearest(x), "{x}");
        }
        // Halfway between 1 and its successor 1 + 2⁻⁷, and between that and the next.
        assert_eq!(round(1.0 + 2f32.powi(-8)), 1.0);
        assert_eq!(round(1.0 + 3.0 * 2f32.powi(-8)), 1.0 + 2f32.powi(-6));
        assert_eq!(round(-0.0).to_bits(), (-0.0f32).to_bits());
        assert_eq!(round(f32::MAX), f32::INFINITY);
        assert_eq!(round(f32::NEG_INFINITY), f32::NEG_INFINITY);
        assert!(round(f32::NAN).is_nan() && round(-f32::from_bits(0x7fff_ffff)).is_nan());
        let halves = pair(f32::from_bits(0x7f80_0001), 1.0).to_bits();
        assert!(f32::from_bits(halves & 0xffff_0000).is_nan() && halves << 16 == 1f32.to_bits());
    }

    /// c + a₀ b₀ + a₁ b₁ in every lane.
    struct Sum<'a> {
        a: [f32; 2],
        b: [&'a [f32]; 2],
        c: &'a mut [f32],
    }

    impl WithTerms for Sum<'_> {
        #[inline(always)]
        fn with_terms<S: Simd, T: Terms>(self, simd: S) {
            for at in (0..LANES).step_by(S::F32_LANES) {
                // SAFETY: all are vectors of `LANES` values.
                let [first, second] = self.b.map(|b| unsafe { load::<S>(b, at) });
                let mut sum = unsafe { load::<S>(self.c, at) };
                if T::COUNT == 2 {
                    let a = simd.splat_f32s(pair(self.a[0], self.a[1]));
                    sum = T::add(simd, a, T::join(simd, first, second), sum);
                } else {
                    let [a0, a1] = self.a.map(|a| simd.splat_f32s(round(a)));
                    let zero = simd.splat_f32s(0.0);
                    sum = T::add(simd, a0, T::join(simd, first, zero), sum);
                    sum = T::add(simd, a1, T::join(simd, second, zero), sum);
                }
                // SAFETY: as above.
                unsafe { store::<S>(self.c, at, sum) };
            }
        }
    }

    /// Every way to sum gives the bits of the definition, on every width of vectors; NaN and infinity come through.
    #[test]
    fn sums_of_rounded_products_have_the_same_bits_everywhere() {
        let mut numbers = numbers(100 * (3 * LANES + 2));
        numbers[3] = f32::NAN;
        numbers[LANES + 5] = f32::INFINITY;
        for case in numbers.chunks_exact(3 * LANES + 2) {
            let (a, rest) = case.split_at(2);
            let [b0, b1, c] = [0, 1, 2].map(|row| &rest[row * LANES..][..LANES]);
            let expected: Vec<f32> = (0..LANES)
                .map(|lane| {
                    let first = f64::from(round(a[0])) * f64::from(round(b0[lane]));
                    let second = f64::from(round(a[1])) * f64::from(round(b1[lane]));
                    // Exact products, and each sum rounded once.
                    let sum = (f64::from(c[lane]) + first) as f32;
                    (f64::from(sum) + second) as f32
                })
                .collect();
            let mut ways = vec![
                (Arch::Scalar, Factors::Rounded),
                (Arch::default(), Factors::Rounded),
            ];
            if has_pairs() {
                ways.push((Arch::default(), Factors::Pairs));
                #[cfg(target_arch = "x86_64")]
                ways.extend(pulp::x86::V3::try_new().map(|v3| (Arch::V3(v3), Factors::Pairs)));
            }
            for (arch, factors) in ways {
                let mut sums = c.to_vec();
                dispatch(
                    arch,
                    factors,
                    Sum {
                        a: [a[0], a[1]],
                        b: [b0, b1],
                        c: &mut sums,
                    },
                );
                for (got, expected) in sums.iter().zip(&expected) {
                    let is_same =
                        got.to_bits() == expected.to_bits() || got.is_nan() && expected.is_nan();
                    assert!(is_same, "{factors:?} with {arch:?}: {got}, not {expected}");
                }
            }
        }
    }
}
