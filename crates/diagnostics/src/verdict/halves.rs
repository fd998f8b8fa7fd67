//! Comparison of the two halves of a window, with errors that allow for autocorrelation.

use super::estimate::{Estimate, Place};
use crate::chains::mean_and_variance;
use crate::distribution::normal_quantile;
use crate::effective_size::effective_size;

/// Standard error of the mean of one half, and the effective size behind it.
#[derive(Clone, Copy)]
struct Error {
    standard: f64,
    effective_size: f64,
}

impl Error {
    fn of(residuals: &[f64]) -> Self {
        let (_, variance) = mean_and_variance(residuals);
        let effective_size = effective_size(&[residuals]);
        Self {
            standard: (variance / effective_size).sqrt(),
            effective_size,
        }
    }
}

/// One half of a window.
pub(crate) struct Half {
    pub(crate) mean: f64,
    /// Without the trend within the half, so that a drift does not widen its own interval.
    without_trend: Error,
    /// With all variation within the half, trends included.
    whole: Error,
}

impl Half {
    fn of(series: &[f64]) -> Self {
        Self {
            mean: mean_and_variance(series).0,
            without_trend: Error::of(&without_trend(series)),
            whole: Error::of(series),
        }
    }
}

/// How the last half compares with the first one, with two intervals.
#[derive(Clone, Copy)]
pub(crate) struct Comparison {
    /// Without the trends within the halves. It shows a drift that goes on.
    sharp: Estimate,
    /// With the larger error of both. A window that rises and falls back has two equal halves, and only the trends
    /// within them show that it has not settled.
    cautious: Estimate,
    /// Effective size of the half that has the smaller one.
    effective_size: f64,
}

impl Comparison {
    /// A number without error.
    pub(crate) fn exact(value: f64) -> Self {
        Self {
            sharp: Estimate::exact(value),
            cautious: Estimate::exact(value),
            effective_size: f64::INFINITY,
        }
    }

    /// Where the comparison lies by `place`, and the interval that shows it. To be shown small, it needs the cautious
    /// interval and at least `fewest` effective values in each half.
    pub(crate) fn judge(
        &self,
        fewest: f64,
        place: impl Fn(&Estimate) -> Place,
    ) -> (Place, Estimate) {
        match (place(&self.sharp), place(&self.cautious)) {
            (Place::Outside, _) => (Place::Outside, self.sharp),
            (_, Place::Inside) if self.effective_size >= fewest => (Place::Inside, self.cautious),
            _ => (Place::Across, self.cautious),
        }
    }
}

/// The first and the last half of a window; the middle one of an odd number of values is left out.
pub(crate) struct Halves {
    pub(crate) first: Half,
    pub(crate) last: Half,
}

impl Halves {
    /// Of a window of at least 8 values.
    pub(crate) fn of(series: &[f64]) -> Self {
        let half = series.len() / 2;
        Self {
            first: Half::of(&series[..half]),
            last: Half::of(&series[series.len() - half..]),
        }
    }

    /// The mean of the last half minus that of the first, in units of `unit`.
    pub(crate) fn difference(&self, unit: f64, error_rate: f64) -> Comparison {
        let value = (self.last.mean - self.first.mean) / unit;
        self.compare(value, |_, error| error.standard / unit, error_rate)
    }

    /// Half the log of the ratio of the two means, which have to be positive: the log ratio of root mean squares when
    /// the series holds squares. The errors follow from the means by the delta method.
    pub(crate) fn half_log_ratio(&self, error_rate: f64) -> Comparison {
        let value = 0.5 * (self.last.mean / self.first.mean).ln();
        let relative = |half: &Half, error: Error| 0.5 * error.standard / half.mean;
        self.compare(value, relative, error_rate)
    }

    fn compare(
        &self,
        value: f64,
        scaled: impl Fn(&Half, Error) -> f64,
        error_rate: f64,
    ) -> Comparison {
        let (first, last) = (&self.first, &self.last);
        // The fewer effective values, the less is known about the spread too. A trend takes one more degree than a
        // mean.
        let estimate = |a: Error, b: Error, parameters: f64| {
            Estimate::new(
                value,
                scaled(first, a).hypot(scaled(last, b)),
                a.effective_size + b.effective_size - parameters,
                error_rate,
            )
        };
        let sharp = estimate(first.without_trend, last.without_trend, 4.0);
        let whole = estimate(first.whole, last.whole, 2.0);
        let wider = whole.half_width() > sharp.half_width();
        let sizes = [first, last].map(|half| half.whole.effective_size);
        Comparison {
            sharp,
            cautious: if wider { whole } else { sharp },
            effective_size: sizes[0].min(sizes[1]),
        }
    }
}

/// Residuals of the least-squares line.
fn without_trend(series: &[f64]) -> Vec<f64> {
    let (mean, _) = mean_and_variance(series);
    let middle = 0.5 * (series.len() - 1) as f64;
    let place = |t: usize| t as f64 - middle;
    let products: f64 = (0..).zip(series).map(|(t, x)| place(t) * (x - mean)).sum();
    let squares: f64 = (0..series.len()).map(|t| place(t).powi(2)).sum();
    let slope = products / squares;
    (0..)
        .zip(series)
        .map(|(t, x)| x - mean - slope * place(t))
        .collect()
}

/// Share of values below zero with Wilson's interval on the effective number of values. The standard error is that of
/// the plain share.
pub(crate) fn share_below_zero(series: &[f64], error_rate: f64) -> Estimate {
    let indicators: Vec<f64> = series
        .iter()
        .map(|x| f64::from(u8::from(*x < 0.0)))
        .collect();
    let share = indicators.iter().sum::<f64>() / indicators.len() as f64;
    // Indicators that are all the same tell nothing of their autocorrelation; the series does.
    let n = if share == 0.0 || share == 1.0 {
        effective_size(&[series]).min(series.len() as f64)
    } else {
        effective_size(&[&indicators])
    };
    // By the lower tail, which keeps its digits at small rates.
    let z = -normal_quantile(error_rate / 2.0);
    let shrink = 1.0 + z * z / n;
    let centre = (share + z * z / (2.0 * n)) / shrink;
    let half = z / shrink * (share * (1.0 - share) / n + z * z / (4.0 * n * n)).sqrt();
    Estimate {
        value: share,
        standard_error: (share * (1.0 - share) / n).sqrt(),
        degrees_of_freedom: n,
        low: (centre - half).clamp(0.0, share),
        high: (centre + half).clamp(share, 1.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ramp_is_known_exactly() {
        let ramp: Vec<f64> = (0..100).map(f64::from).collect();
        let drift = Halves::of(&ramp).difference(10.0, 0.01);
        let (place, shown) = drift.judge(0.0, |drift| drift.place(1.0));
        assert_eq!(place, Place::Outside);
        assert!((shown.value - 5.0).abs() < 1e-12);
        assert!(shown.half_width() < 1e-9, "{shown}");
    }

    #[test]
    fn a_hump_is_not_shown_to_be_small() {
        // Its halves have the same mean, and their only spread is their trends.
        let hump: Vec<f64> = (0..100)
            .map(|t: i32| f64::from((2 * t - 99).abs()))
            .collect();
        let drift = Halves::of(&hump).difference(100.0, 0.01);
        assert!(drift.sharp.half_width() < 1e-9);
        let (place, _) = drift.judge(0.0, |drift| drift.place(0.1));
        assert_eq!(place, Place::Across);
    }

    #[test]
    fn wilson_intervals_match_their_closed_form() {
        // Ten effective values, none below zero: the interval reaches to z²/(n + z²).
        let series: Vec<f64> = (0..10).map(|t| f64::from((t * 7) % 10) + 1.0).collect();
        let n = effective_size(&[&series]).min(10.0);
        let share = share_below_zero(&series, 0.05);
        let z = normal_quantile(0.975);
        assert_eq!((share.value, share.low), (0.0, 0.0));
        assert!((share.high - z * z / (n + z * z)).abs() < 1e-12);
    }
}
