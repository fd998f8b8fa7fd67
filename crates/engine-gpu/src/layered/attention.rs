//! The softmax of the non-local block and its gradient.
//!
//! Of c channels with h inner ones, `maps` is `[3h][pixels]`: queries θ, and before pooling keys φ and values g.
//! `pooled` is `[2h][pooled pixels]`: keys and values. Attention is `[pooled pixels][pixels]`, so that neighbours
//! touch neighbours.

use cubecl::prelude::*;

use super::gather::padded;

/// The sizes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attention {
    /// h.
    pub(super) inner: usize,
    pub(super) pixels: usize,
    pub(super) pooled_pixels: usize,
}

/// Units of a cube that sums over pixels, and pixels that it has in shared memory at a time.
pub(super) const SUM_UNITS: usize = 256;
const SUM_PIXELS: usize = 32;
/// One more, so that the units of a plane read different banks.
const SUM_ROW: usize = SUM_PIXELS + 1;

impl Attention {
    /// Units of a cube that has some pixels of one chain.
    pub(super) fn units(&self) -> usize {
        self.pixels.next_multiple_of(32).min(256)
    }

    /// Cubes of a chain.
    pub(super) fn cubes(&self) -> usize {
        self.pixels.div_ceil(self.units())
    }

    /// Vectors of four pooled pixels in a row.
    fn row(&self) -> usize {
        padded(self.pooled_pixels) / 4
    }

    /// Bytes of shared memory that the largest of the kernels needs.
    pub(super) fn shared_bytes(&self) -> usize {
        let of_pixels = 4 * 2 * self.inner * self.row();
        let of_sums = (self.inner + self.pooled_pixels) * SUM_ROW;
        of_pixels.max(of_sums) * size_of::<f32>()
    }

    /// Entries of pooled keys, or of pooled values, that a unit sums.
    fn sums(&self) -> usize {
        (self.inner * self.pooled_pixels).div_ceil(SUM_UNITS)
    }
}

/// Brings the pooled keys and values of a chain into shared memory, `[2h][row]` vectors, zeros beyond the pooled
/// pixels.
#[cube]
fn bring_pooled<N: Size>(
    pooled: &Array<f32>,
    chain: usize,
    #[comptime] attention: Attention,
) -> SharedMemory<Vector<f32, N>> {
    let row = comptime!(attention.row());
    let others = comptime!(attention.pooled_pixels);
    let vectors = comptime!(2 * attention.inner * attention.row());
    let mut brought = SharedMemory::<Vector<f32, N>>::new(vectors);
    let first = chain * comptime!(2 * attention.inner * attention.pooled_pixels);
    for turn in 0..comptime!(vectors.div_ceil(attention.units())) {
        let at = turn * comptime!(attention.units()) + UNIT_POS_X as usize;
        if at < vectors {
            let mut vector = Vector::<f32, N>::new(0.0);
            #[unroll]
            for lane in 0..N::value() {
                let other = at % row * N::value() + lane;
                if other < others {
                    vector[lane] = pooled[first + at / row * others + other];
                }
            }
            brought[at] = vector;
        }
    }
    sync_cube();
    brought
}

/// Σ over channels of a pixel's numbers times those of four pooled pixels, whose first channel begins at `first`.
#[cube]
fn product_of_channels<N: Size>(
    own: &Array<f32>,
    pooled: &SharedMemory<Vector<f32, N>>,
    first: usize,
    #[comptime] attention: Attention,
) -> Vector<f32, N> {
    let mut sum = Vector::<f32, N>::new(0.0);
    #[unroll]
    for channel in 0..comptime!(attention.inner) {
        let others = pooled[first + comptime!(channel * attention.row())];
        sum = fma(Vector::new(own[channel]), others, sum);
    }
    sum
}

/// Adds to a pixel's sums, one a channel, what four pooled pixels weigh.
#[cube]
fn add_weighted<N: Size>(
    sums: &mut Array<f32>,
    weights: Vector<f32, N>,
    pooled: &SharedMemory<Vector<f32, N>>,
    first: usize,
    #[comptime] attention: Attention,
) {
    #[unroll]
    for channel in 0..comptime!(attention.inner) {
        let others = pooled[first + comptime!(channel * attention.row())];
        #[unroll]
        for lane in 0..N::value() {
            sums[channel] = fma(weights[lane], others[lane], sums[channel]);
        }
    }
}

/// Attention of the pixels of chain `CUBE_POS_Y`, one unit for each: weights over the pooled pixels, softmax(θᵀφ),
/// and their mixture of g.
#[cube(launch_unchecked)]
pub(super) fn attend<N: Size>(
    maps: &Array<f32>,
    pooled: &Array<f32>,
    weights: &mut Array<f32>,
    mixed: &mut Array<f32>,
    #[comptime] attention: Attention,
) {
    let chain = CUBE_POS_Y as usize;
    let pixel = CUBE_POS_X as usize * comptime!(attention.units()) + UNIT_POS_X as usize;
    let size = comptime!(attention.pixels);
    let inner = comptime!(attention.inner);
    let others = comptime!(attention.pooled_pixels);
    let row = comptime!(attention.row());
    let brought = bring_pooled::<N>(pooled, chain, attention);
    if pixel < size {
        let mut query = Array::<f32>::new(inner);
        let mut sums = Array::<f32>::new(inner);
        #[unroll]
        for channel in 0..inner {
            query[channel] = maps[(chain * comptime!(3 * inner) + channel) * size + pixel];
            sums[channel] = 0.0f32;
        }
        let own = chain * comptime!(others * size) + pixel;
        let mut most = f32::min_value();
        for vector in 0..row {
            let scores = product_of_channels::<N>(&query, &brought, vector, attention);
            #[unroll]
            for lane in 0..N::value() {
                let other = vector * N::value() + lane;
                if other < others {
                    most = f32::max(most, scores[lane]);
                    weights[own + other * size] = scores[lane];
                }
            }
        }
        let mut total = 0.0f32;
        for other in 0..others {
            let weight = f32::exp(weights[own + other * size] - most);
            total += weight;
            weights[own + other * size] = weight;
        }
        let share = 1.0 / total;
        for vector in 0..row {
            let mut four = Vector::<f32, N>::new(0.0);
            #[unroll]
            for lane in 0..N::value() {
                let other = vector * N::value() + lane;
                if other < others {
                    let weight = weights[own + other * size] * share;
                    four[lane] = weight;
                    weights[own + other * size] = weight;
                }
            }
            let first = vector + comptime!(inner * row);
            add_weighted::<N>(&mut sums, four, &brought, first, attention);
        }
        #[unroll]
        for channel in 0..inner {
            mixed[(chain * inner + channel) * size + pixel] = sums[channel];
        }
    }
}

/// The gradient of scores and queries of the pixels of chain `CUBE_POS_Y`, one unit for each; `scores` is as the
/// weights, and queries are the first channels of `target`.
#[cube(launch_unchecked)]
pub(super) fn attend_gradient<N: Size>(
    pooled: &Array<f32>,
    weights: &Array<f32>,
    gradient: &Array<f32>,
    scores: &mut Array<f32>,
    target: &mut Array<f32>,
    #[comptime] attention: Attention,
) {
    let chain = CUBE_POS_Y as usize;
    let pixel = CUBE_POS_X as usize * comptime!(attention.units()) + UNIT_POS_X as usize;
    let size = comptime!(attention.pixels);
    let inner = comptime!(attention.inner);
    let others = comptime!(attention.pooled_pixels);
    let row = comptime!(attention.row());
    let brought = bring_pooled::<N>(pooled, chain, attention);
    if pixel < size {
        let mut slopes = Array::<f32>::new(inner);
        let mut sums = Array::<f32>::new(inner);
        #[unroll]
        for channel in 0..inner {
            slopes[channel] = gradient[(chain * inner + channel) * size + pixel];
            sums[channel] = 0.0f32;
        }
        let own = chain * comptime!(others * size) + pixel;
        let mut mean = 0.0f32;
        for vector in 0..row {
            let first = vector + comptime!(inner * row);
            let four = product_of_channels::<N>(&slopes, &brought, first, attention);
            #[unroll]
            for lane in 0..N::value() {
                let other = vector * N::value() + lane;
                if other < others {
                    mean = fma(weights[own + other * size], four[lane], mean);
                    scores[own + other * size] = four[lane];
                }
            }
        }
        for vector in 0..row {
            let mut four = Vector::<f32, N>::new(0.0);
            #[unroll]
            for lane in 0..N::value() {
                let other = vector * N::value() + lane;
                if other < others {
                    let place = own + other * size;
                    let slope = weights[place] * (scores[place] - mean);
                    four[lane] = slope;
                    scores[place] = slope;
                }
            }
            add_weighted::<N>(&mut sums, four, &brought, vector, attention);
        }
        #[unroll]
        for channel in 0..inner {
            target[(chain * comptime!(3 * inner) + channel) * size + pixel] = sums[channel];
        }
    }
}

/// The gradient of pooled keys (`CUBE_POS_Y` = 0), Σ over pixels of scores' gradients and queries, or of pooled
/// values (1), of weights and the mixture's gradient; as `pooled`, of chain `CUBE_POS_X`.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn pooled_gradient(
    maps: &Array<f32>,
    weights: &Array<f32>,
    scores: &Array<f32>,
    gradient: &Array<f32>,
    target: &mut Array<f32>,
    #[comptime] attention: Attention,
) {
    let size = comptime!(attention.pixels);
    let inner = comptime!(attention.inner);
    let others = comptime!(attention.pooled_pixels);
    let unit = UNIT_POS_X as usize;
    let chain = CUBE_POS_X as usize;
    let is_of_keys = CUBE_POS_Y == 0;
    let mut channels = SharedMemory::<f32>::new(comptime!(attention.inner * SUM_ROW));
    let mut attentions = SharedMemory::<f32>::new(comptime!(attention.pooled_pixels * SUM_ROW));
    let mut sums = Array::<f32>::new(comptime!(attention.sums()));
    #[unroll]
    for sum in 0..comptime!(attention.sums()) {
        sums[sum] = 0.0f32;
    }
    for piece in 0..comptime!(attention.pixels.div_ceil(SUM_PIXELS)) {
        // All have read the piece before.
        sync_cube();
        for turn in 0..comptime!((inner * SUM_PIXELS).div_ceil(SUM_UNITS)) {
            let at = turn * SUM_UNITS + unit;
            let channel = at / SUM_PIXELS;
            let pixel = piece * SUM_PIXELS + at % SUM_PIXELS;
            if channel < inner {
                let mut value = 0.0f32;
                if pixel < size {
                    if is_of_keys {
                        value = maps[(chain * comptime!(3 * inner) + channel) * size + pixel];
                    } else {
                        value = gradient[(chain * inner + channel) * size + pixel];
                    }
                }
                channels[channel * SUM_ROW + at % SUM_PIXELS] = value;
            }
        }
        for turn in 0..comptime!((others * SUM_PIXELS).div_ceil(SUM_UNITS)) {
            let at = turn * SUM_UNITS + unit;
            let other = at / SUM_PIXELS;
            let pixel = piece * SUM_PIXELS + at % SUM_PIXELS;
            if other < others {
                let place = (chain * others + other) * size + pixel;
                let mut value = 0.0f32;
                if pixel < size {
                    if is_of_keys {
                        value = scores[place];
                    } else {
                        value = weights[place];
                    }
                }
                attentions[other * SUM_ROW + at % SUM_PIXELS] = value;
            }
        }
        sync_cube();
        #[unroll]
        for sum in 0..comptime!(attention.sums()) {
            let at = comptime!(sum * SUM_UNITS) + unit;
            if at < comptime!(inner * others) {
                let channel = at / others * SUM_ROW;
                let other = at % others * SUM_ROW;
                for pixel in 0..SUM_PIXELS {
                    let value = channels[channel + pixel];
                    sums[sum] = fma(attentions[other + pixel], value, sums[sum]);
                }
            }
        }
    }
    let first = (chain * 2 + CUBE_POS_Y as usize) * comptime!(inner * others);
    #[unroll]
    for sum in 0..comptime!(attention.sums()) {
        let at = comptime!(sum * SUM_UNITS) + unit;
        if at < comptime!(inner * others) {
            target[first + at] = sums[sum];
        }
    }
}
