//! The two halves of a window, compared with errors that allow for autocorrelation.

use super::estimate::Estimate;
use crate::chains::mean_and_variance;
use crate::distribution::normal_quantile;
use crate::effective_size::effective_size;

/// Mean of one half with its standard error and effective size.
pub(crate) struct Half {
    pub(crate) mean: f64,
    standard_error: f64,
    effective_size: f64,
}

impl Half {
    fn of(series: &[f64]) -> Self {
        let (mean, _) = mean_and_variance(series);
        let residuals = without_trend(series);
        let (_, variance) = mean_and_variance(&residuals);
        let effective_size = effective_size(&[&residuals]);
        Self {
            mean,
            standard_error: (variance / effective_size).sqrt(),
            effective_size,
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

    /// Last mean less first, in units of `unit`.
    pub(crate) fn difference(&self, unit: f64, error_rate: f64) -> Estimate {
        let error = self.first.standard_error.hypot(self.last.standard_error);
        Estimate::new(
            (self.last.mean - self.first.mean) / unit,
            error / unit,
            self.degrees_of_freedom(),
            error_rate,
        )
    }

    /// Half the log of the ratio of the two means, which have to be positive: the log ratio of root mean squares when
    /// the series holds squares. The errors follow from the means by the delta method.
    pub(crate) fn half_log_ratio(&self, error_rate: f64) -> Estimate {
        let relative = |half: &Half| half.standard_error / half.mean;
        Estimate::new(
            0.5 * (self.last.mean / self.first.mean).ln(),
            0.5 * relative(&self.first).hypot(relative(&self.last)),
            self.degrees_of_freedom(),
            error_rate,
        )
    }

    /// The fewer effective values, the less is known about the spread too. A trend takes one more degree than a mean.
    fn degrees_of_freedom(&self) -> f64 {
        self.first.effective_size + self.last.effective_size - 4.0
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
    let z = normal_quantile(1.0 - error_rate / 2.0);
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
        assert!((drift.value - 5.0).abs() < 1e-12);
        assert!(drift.half_width() < 1e-9, "{drift}");
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
