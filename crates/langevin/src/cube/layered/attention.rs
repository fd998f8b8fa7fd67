//! The softmax of the non-local block and its gradient.
//!
//! Of c channels with h inner ones, `maps` is `[3h][pixels]`: queries θ, and before pooling keys φ and values g. `pooled` is
//! `[2h][pooled pixels]`: keys and values. Attention is `[pooled pixels][pixels]`, so that neighbours touch neighbours.

use cubecl::prelude::*;

/// The sizes of a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Attention {
    /// h.
    pub(super) inner: usize,
    pub(super) pixels: usize,
    pub(super) pooled_pixels: usize,
}

/// One unit for each of the `pixels` of all chains: its weights over the pooled pixels, softmax(θᵀφ), and their mixture of g.
#[cube(launch_unchecked)]
pub(super) fn attend(
    maps: &Array<f32>,
    pooled: &Array<f32>,
    weights: &mut Array<f32>,
    mixed: &mut Array<f32>,
    pixels: u32,
    #[comptime] attention: Attention,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    let Attention {
        inner,
        pixels: size,
        pooled_pixels: others,
    } = comptime!(attention);
    if at < pixels as usize {
        let chain = at / size;
        let pixel = at % size;
        let query = chain * comptime!(3 * inner * size) + pixel;
        let keys = chain * comptime!(2 * inner * others);
        let own = chain * comptime!(others * size) + pixel;
        let mut most = f32::min_value();
        for other in 0..others {
            let mut score = 0.0f32;
            for channel in 0..inner {
                score = fma(
                    maps[query + channel * size],
                    pooled[keys + channel * others + other],
                    score,
                );
            }
            most = f32::max(most, score);
            weights[own + other * size] = score;
        }
        let mut total = 0.0f32;
        for other in 0..others {
            let weight = f32::exp(weights[own + other * size] - most);
            total += weight;
            weights[own + other * size] = weight;
        }
        for other in 0..others {
            weights[own + other * size] /= total;
        }
        let values = keys + comptime!(inner * others);
        for channel in 0..inner {
            let mut sum = 0.0f32;
            for other in 0..others {
                sum = fma(
                    weights[own + other * size],
                    pooled[values + channel * others + other],
                    sum,
                );
            }
            mixed[(chain * inner + channel) * size + pixel] = sum;
        }
    }
}

/// The gradient of scores and queries, one unit for each of the `pixels` of all chains; `scores` is as the weights, and queries are
/// the first channels of `target`.
#[cube(launch_unchecked)]
pub(super) fn attend_gradient(
    pooled: &Array<f32>,
    weights: &Array<f32>,
    gradient: &Array<f32>,
    scores: &mut Array<f32>,
    target: &mut Array<f32>,
    pixels: u32,
    #[comptime] attention: Attention,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    let Attention {
        inner,
        pixels: size,
        pooled_pixels: others,
    } = comptime!(attention);
    if at < pixels as usize {
        let chain = at / size;
        let pixel = at % size;
        let keys = chain * comptime!(2 * inner * others);
        let values = keys + comptime!(inner * others);
        let own = chain * comptime!(others * size) + pixel;
        let slopes = chain * comptime!(inner * size) + pixel;
        let mut mean = 0.0f32;
        for other in 0..others {
            let mut slope = 0.0f32;
            for channel in 0..inner {
                slope = fma(
                    gradient[slopes + channel * size],
                    pooled[values + channel * others + other],
                    slope,
                );
            }
            mean = fma(weights[own + other * size], slope, mean);
            scores[own + other * size] = slope;
        }
        for other in 0..others {
            let place = own + other * size;
            scores[place] = weights[place] * (scores[place] - mean);
        }
        for channel in 0..inner {
            let mut sum = 0.0f32;
            for other in 0..others {
                sum = fma(
                    scores[own + other * size],
                    pooled[keys + channel * others + other],
                    sum,
                );
            }
            target[chain * comptime!(3 * inner * size) + channel * size + pixel] = sum;
        }
    }
}

/// The gradient of pooled keys and values, as `pooled`; one unit for each of the `entries` of all chains.
#[cube(launch_unchecked)]
#[allow(clippy::too_many_arguments)]
pub(super) fn pooled_gradient(
    maps: &Array<f32>,
    weights: &Array<f32>,
    scores: &Array<f32>,
    gradient: &Array<f32>,
    target: &mut Array<f32>,
    entries: u32,
    #[comptime] attention: Attention,
) {
    let at = CUBE_POS * CUBE_DIM as usize + UNIT_POS as usize;
    let Attention {
        inner,
        pixels: size,
        pooled_pixels: others,
    } = comptime!(attention);
    if at < entries as usize {
        let other = at % others;
        let channel = at / others % comptime!(2 * inner);
        let chain = at / comptime!(2 * inner * others);
        let own = (chain * others + other) * size;
        let mut sum = 0.0f32;
        if channel < inner {
            let queries = chain * comptime!(3 * inner * size) + channel * size;
            for pixel in 0..size {
                sum = fma(scores[own + pixel], maps[queries + pixel], sum);
            }
        } else {
            let slopes = (chain * inner + channel - inner) * size;
            for pixel in 0..size {
                sum = fma(weights[own + pixel], gradient[slopes + pixel], sum);
            }
        }
        target[at] = sum;
    }
}
