//! Convolutions as sums over shifted images: for few channels, where transforms or copies would cost more than the
//! sums.
//!
//! A convolution and its input gradient are the same thing here: every pixel written is a sum, over taps and channels,
//! of pixels read. Pixels with the same taps at the same distances (all but those at the border) are done together.
//!
//! Rounded factors come in pairs of channels: their images are rounded once, before all taps read them.

#![allow(unsafe_code)]

use std::collections::HashMap;

use pulp::{Arch, Simd};

use crate::bf16::{self, Factors, Terms, WithTerms};
use crate::gemm::{Epilogue, Packed, has_few_registers};
use crate::vector::{check, load, store, unrolled};

/// What is read for each pixel that is written.
#[derive(Debug)]
pub(crate) struct Direct {
    /// `[channels written][channel read, tap]`; for rounded factors `[channels written][pair of channels, tap, channel]`.
    pub(crate) weights: Packed,
    /// Channels read.
    channels: usize,
    taps: usize,
    /// Pixels of an image that is read, and of one that is written.
    read: usize,
    written: usize,
    groups: Vec<Group>,
}

/// Pixels that read alike.
#[derive(Debug)]
struct Group {
    /// Number of the tap, and distance in pixels from the first place that is read.
    taps: Vec<(usize, usize)>,
    /// The place written and the first place read.
    pixels: Vec<(usize, usize)>,
}

impl Direct {
    /// For weights `weight(channel written, channel read, tap)`, and `places(y, x)`: those read for a pixel, with their
    /// taps in a fixed order.
    pub(crate) fn new(
        factors: Factors,
        [written, channels, taps]: [usize; 3],
        weight: impl Fn(usize, usize, usize) -> f32,
        [read_height, read_width]: [usize; 2],
        [height, width]: [usize; 2],
        places: impl Fn(usize, usize) -> Vec<(usize, [usize; 2])>,
    ) -> Self {
        let mut groups: Vec<Group> = Vec::new();
        let mut known = HashMap::new();
        for y in 0..height {
            for x in 0..width {
                let mut taps: Vec<_> = places(y, x)
                    .into_iter()
                    .map(|(tap, [y, x])| (tap, y * read_width + x))
                    .collect();
                let first = taps.iter().map(|tap| tap.1).min().unwrap_or(0);
                taps.iter_mut().for_each(|tap| tap.1 -= first);
                let group = *known.entry(taps.clone()).or_insert_with(|| {
                    let pixels = Vec::new();
                    groups.push(Group { taps, pixels });
                    groups.len() - 1
                });
                groups[group].pixels.push((y * width + x, first));
            }
        }
        let together = together(factors);
        let depth = channels.next_multiple_of(together) * taps;
        let weights = Packed::whole(factors, [written, depth], |row, k| {
            let channel = k / (together * taps) * together + k % together;
            if channel < channels {
                weight(row, channel, k / together % taps)
            } else {
                0.0
            }
        });
        Self {
            channels,
            weights,
            taps,
            read: read_height * read_width,
            written: height * width,
            groups,
        }
    }

    /// Values of scratch for so many lanes: the rounded images.
    pub(crate) fn scratch(&self, lanes: usize) -> usize {
        let factors = self.weights.factors();
        if factors.is_rounded() {
            let channels = self.channels.next_multiple_of(together(factors));
            channels / factors.terms() * self.read * lanes
        } else {
            0
        }
    }

    /// `to` `[channels][pixels][lanes]` ← the sums over `from`.
    pub(crate) fn run(
        &self,
        arch: Arch,
        lanes: usize,
        from: &[f32],
        to: &mut [f32],
        epilogue: Epilogue<'_>,
        scratch: &mut [f32],
    ) {
        let factors = self.weights.factors();
        let from = if factors.is_rounded() {
            let image = self.read * lanes;
            let join = Join {
                images: &from[..self.channels * image],
                image,
                to: &mut scratch[..self.scratch(lanes)],
            };
            bf16::dispatch(arch, factors, join);
            scratch
        } else {
            from
        };
        bf16::dispatch(
            arch,
            factors,
            Kernel {
                direct: self,
                lanes,
                from,
                to,
                epilogue,
            },
        );
    }
}

/// Channels that are read together, tap by tap.
fn together(factors: Factors) -> usize {
    if factors.is_rounded() { 2 } else { 1 }
}

/// Rounds images of `image` values each, and joins those of two channels where a lane holds two; one that is missing
/// is zero.
struct Join<'a> {
    images: &'a [f32],
    image: usize,
    to: &'a mut [f32],
}

impl WithTerms for Join<'_> {
    #[inline(always)]
    fn with_terms<S: Simd, T: Terms>(self, simd: S) {
        let (images, image) = (self.images, self.image);
        check(image.is_multiple_of(S::F32_LANES));
        let channels = images.len() / image;
        for (number, to) in self.to.chunks_exact_mut(image).enumerate() {
            let channel = number * T::COUNT;
            for at in (0..image).step_by(S::F32_LANES) {
                let row = |channel: usize| {
                    if channel < channels {
                        // SAFETY: the channel has `image` values, a multiple of the vector's width.
                        unsafe { load::<S>(images, channel * image + at) }
                    } else {
                        simd.splat_f32s(0.0)
                    }
                };
                let lanes = T::join(simd, row(channel), row(channel + 1));
                // SAFETY: as above.
                unsafe { store::<S>(to, at, lanes) };
            }
        }
    }
}

struct Kernel<'a> {
    direct: &'a Direct,
    lanes: usize,
    from: &'a [f32],
    to: &'a mut [f32],
    epilogue: Epilogue<'a>,
}

impl WithTerms for Kernel<'_> {
    #[inline(always)]
    fn with_terms<S: Simd, T: Terms>(mut self, simd: S) {
        let direct = self.direct;
        check(self.lanes.is_multiple_of(S::F32_LANES));
        let factors = direct.weights.factors();
        check(T::COUNT == factors.terms());
        let images = direct.channels.next_multiple_of(together(factors)) / T::COUNT;
        check(self.from.len() >= images * direct.read * self.lanes);
        let extent = direct.weights.rows * direct.written * self.lanes;
        check(self.to.len() >= extent);
        self.epilogue.check(direct.weights.rows, extent);
        let is_low = direct.weights.rows < 8 && !has_few_registers::<S>();
        for group in &direct.groups {
            let count = group.pixels.len() * (self.lanes / S::F32_LANES);
            let mut first = 0;
            while first < count {
                let left = count - first;
                // Few rows of sums leave registers for more columns; an even cut avoids a lone last one.
                let width = match (is_low, left) {
                    (true, 6..) => 6,
                    (_, 4) => 2,
                    (_, 3..) => 3,
                    _ => left,
                };
                match width {
                    6 => self.panels::<S, T, 6>(simd, group, first),
                    3 => self.panels::<S, T, 3>(simd, group, first),
                    2 => self.panels::<S, T, 2>(simd, group, first),
                    _ => self.panels::<S, T, 1>(simd, group, first),
                }
                first += width;
            }
        }
    }
}

impl Kernel<'_> {
    #[inline(always)]
    fn panels<S: Simd, T: Terms, const N: usize>(&mut self, simd: S, group: &Group, first: usize) {
        let vectors = self.lanes / S::F32_LANES;
        let place = |item: usize| {
            let (to, from) = group.pixels[item / vectors];
            let start = item % vectors * S::F32_LANES;
            [from * self.lanes + start, to * self.lanes + start]
        };
        let places: [[usize; 2]; N] = std::array::from_fn(|item| place(first + item));
        let (from, to) = (places.map(|place| place[0]), places.map(|place| place[1]));
        let weights = &self.direct.weights;
        for (row, height, panel) in weights.panels() {
            match height {
                8 if N > 1 && has_few_registers::<S>() => {
                    self.tile::<S, T, 8, 0, 4, N>(simd, group, row, panel, from, to);
                    self.tile::<S, T, 8, 4, 4, N>(simd, group, row, panel, from, to);
                }
                8 => self.tile::<S, T, 8, 0, 8, N>(simd, group, row, panel, from, to),
                4 => self.tile::<S, T, 4, 0, 4, N>(simd, group, row, panel, from, to),
                3 => self.tile::<S, T, 3, 0, 3, N>(simd, group, row, panel, from, to),
                2 => self.tile::<S, T, 2, 0, 2, N>(simd, group, row, panel, from, to),
                _ => self.tile::<S, T, 1, 0, 1, N>(simd, group, row, panel, from, to),
            }
        }
    }

    /// Rows `FIRST..FIRST + M` of the panel of `P` rows from `row` on.
    #[inline(always)]
    #[allow(clippy::too_many_arguments)]
    fn tile<
        S: Simd,
        T: Terms,
        const P: usize,
        const FIRST: usize,
        const M: usize,
        const N: usize,
    >(
        &mut self,
        simd: S,
        group: &Group,
        row: usize,
        panel: &[f32],
        from: [usize; N],
        to: [usize; N],
    ) {
        let direct = self.direct;
        let row = row + FIRST;
        let mut sums = [[simd.splat_f32s(0.0); N]; M];
        // Images whose terms follow each other within a tap.
        let images = together(direct.weights.factors()) / T::COUNT;
        for (number, weights) in panel.chunks_exact(images * direct.taps * P).enumerate() {
            let first = number * images * direct.read * self.lanes;
            for &(tap, distance) in &group.taps {
                for image in 0..images {
                    let at = first + (image * direct.read + distance) * self.lanes;
                    // SAFETY: `with_terms` has checked both images and the stored values.
                    let vectors = from.map(|from| unsafe { load::<S>(self.from, at + from) });
                    let weights = &weights[(tap * images + image) * P + FIRST..][..M];
                    unrolled!(I < M, {
                        let weight = simd.splat_f32s(weights[I]);
                        unrolled!(J < N, {
                            sums[I][J] = T::add(simd, weight, vectors[J], sums[I][J]);
                        });
                    });
                }
            }
        }
        unrolled!(I < M, {
            unrolled!(J < N, {
                let at = (row + I) * direct.written * self.lanes + to[J];
                let value = self.epilogue.apply::<S>(simd, sums[I][J], row + I, at);
                // SAFETY: `with_terms` has checked both images and the stored values.
                unsafe { store::<S>(self.to, at, value) };
            });
        });
    }
}
