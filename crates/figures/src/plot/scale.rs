//! Value ranges of axes and thinning of long series.

use std::ops::Range;

/// Values beyond this are treated like infinite ones: no axis can show them.
pub(crate) const LARGEST_DRAWN: f64 = 1e100;

/// The drawable points of a series, and how many were not drawable.
pub(crate) fn drawable(points: impl Iterator<Item = (f64, f64)>) -> (Vec<(f64, f64)>, usize) {
    let mut dropped = 0;
    let kept = points
        .filter(|(_, value)| {
            let keep = value.abs() <= LARGEST_DRAWN;
            dropped += usize::from(!keep);
            keep
        })
        .collect();
    (kept, dropped)
}

/// Range of an axis for `values`. It holds all of them or, if a few far ones would flatten the rest, the 0.5 to 99.5
/// percentiles. `always` is part of the range. A margin is added.
pub(crate) fn robust_range(values: &[f64], always: &[f64]) -> Range<f64> {
    let mut sorted: Vec<f64> = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (Some(&lowest), Some(&highest)) = (sorted.first(), sorted.last()) else {
        return with_margin(always.iter().copied().fold(-1.0, f64::min), 1.0);
    };
    // Rounded inwards, so that a single spike in a short series is cut off too.
    let cut = ((sorted.len() as f64 * 0.005).ceil() as usize).min(sorted.len() / 4);
    let (low, high) = (sorted[cut], sorted[sorted.len() - 1 - cut]);
    let mut range = if highest - lowest > 2.0 * (high - low) && high > low {
        (low, high)
    } else {
        (lowest, highest)
    };
    for value in always {
        range = (range.0.min(*value), range.1.max(*value));
    }
    with_margin(range.0, range.1)
}

/// The range from `low` to `high` and some space on both sides, also where the two are the same.
pub(crate) fn with_margin(low: f64, high: f64) -> Range<f64> {
    let span = high - low;
    let margin = if span > 1e-9 * low.abs().max(high.abs()) {
        0.08 * span
    } else if high == 0.0 {
        1.0
    } else {
        // A constant series gets an axis around its value.
        0.1 * high.abs()
    };
    low - margin..high + margin
}

/// Keeps the lowest and the highest point of each of `buckets` equal parts, in order, when a
/// series has more points than can be told apart.
pub(crate) fn thin(points: Vec<(f64, f64)>, buckets: usize) -> Vec<(f64, f64)> {
    if points.len() <= 4 * buckets {
        return points;
    }
    points
        .chunks(points.len().div_ceil(buckets))
        .flat_map(|chunk| {
            let extreme = |sign: f64| {
                (0..chunk.len())
                    .max_by(|a, b| (sign * chunk[*a].1).total_cmp(&(sign * chunk[*b].1)))
                    .unwrap_or(0)
            };
            let (a, b) = (extreme(-1.0), extreme(1.0));
            [chunk[a.min(b)], chunk[a.max(b)]]
        })
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_spike_does_not_flatten_the_rest() {
        let mut values: Vec<f64> = (0..100).map(|t| f64::from(t % 10)).collect();
        values[0] = 1e6;
        let range = robust_range(&values, &[0.0]);
        assert!(range.end < 12.0, "{range:?}");
        values[0] = 10.0;
        assert!(robust_range(&values, &[]).end > 10.0);
    }

    #[test]
    fn degenerate_ranges_have_a_span() {
        for values in [
            &[][..],
            &[0.0; 3],
            &[5.0; 3],
            &[-1e99, 1e99],
            &[1e-300, 2e-300],
        ] {
            let range = robust_range(values, &[]);
            assert!(
                range.start < range.end && (range.end - range.start).is_finite(),
                "{range:?}"
            );
        }
    }

    #[test]
    fn thinning_keeps_the_extremes() {
        let points: Vec<(f64, f64)> = (0..10_000)
            .map(|t| (f64::from(t), if t == 4321 { 9.0 } else { 0.0 }))
            .collect();
        let thinned = thin(points, 500);
        assert!(thinned.len() <= 1000);
        assert!(thinned.contains(&(4321.0, 9.0)));
        assert!(thinned.windows(2).all(|pair| pair[0].0 <= pair[1].0));
    }
}
