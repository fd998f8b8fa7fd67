//! Gaussian kernel density of two-dimensional samples on a plot grid.

use rayon::prelude::*;

use crate::check::check_samples;
use crate::density::{DensityGrid, axis, check_shape};
use crate::{DiagnosticsError, Result};

/// Kernels end where their exponent passes −½·8²: beyond 8 standard deviations a kernel is below
/// 1.3e-14 of its peak.
const CUT_OFF: f64 = 64.0;

/// Kernel density estimate of `samples` (n × 2) with one Gaussian kernel per sample, evaluated at
/// the cell centres of [−w, w]² and normalised there.
///
/// The kernel covariance is the sample covariance (divisor n − 1) times `bandwidth_factor`², as in
/// SciPy's `gaussian_kde(bw_method=bandwidth_factor)`; [`scott_factor`] gives its default. Cells
/// farther than 8 kernel standard deviations from every sample have log density −∞, and mass
/// outside the grid is left out.
///
/// # Errors
/// [`DiagnosticsError::Parameter`] for a factor that is not positive and finite or an unusable
/// grid, [`DiagnosticsError::SeriesTooShort`] for fewer than 3 samples,
/// [`DiagnosticsError::NotFinite`] for NaN or infinite samples,
/// [`DiagnosticsError::SingularCovariance`] when all samples lie on a line and
/// [`DiagnosticsError::NoMass`] when no kernel reaches the grid.
pub fn kernel_density(
    samples: &[[f64; 2]],
    bandwidth_factor: f64,
    resolution: usize,
    half_width: f64,
) -> Result<DensityGrid> {
    check_shape(resolution, half_width)?;
    if !(bandwidth_factor > 0.0 && bandwidth_factor.is_finite()) {
        return Err(DiagnosticsError::Parameter {
            name: "bandwidth_factor",
            value: bandwidth_factor.to_string(),
            requirement: "it multiplies a standard deviation and has to be positive and finite",
        });
    }
    let kernel = Kernel::of(samples, bandwidth_factor)?;
    let axis = axis(resolution, half_width);
    let step = 2.0 * half_width / resolution as f64;
    let columns = Columns {
        places: &axis,
        step,
        // Over a step the ratio of neighbouring values of a Gaussian changes by this factor, wherever it is.
        ratio_change: kernel.along_row(2.0 * step * step),
    };
    let log_values = axis
        .par_iter()
        .flat_map_iter(|y| {
            let mut row = vec![0.0; resolution];
            for sample in samples {
                kernel.add_to_row(&mut row, &columns, *y, sample);
            }
            row.into_iter().map(f64::ln)
        })
        .collect();
    DensityGrid::from_log_values(resolution, half_width, log_values)
}

/// Scott's rule for two-dimensional data, SciPy's default bandwidth factor: n^(−1/6).
#[must_use]
pub fn scott_factor(samples: usize) -> f64 {
    (samples as f64).powf(-1.0 / 6.0)
}

/// Pairs the values of a flat n × 2 state buffer (also n × 2 × 1 × 1) into points.
///
/// # Errors
/// [`DiagnosticsError::Parameter`] for an odd number of values.
pub fn points_from_flat(states: &[f32]) -> Result<Vec<[f64; 2]>> {
    if !states.len().is_multiple_of(2) {
        return Err(DiagnosticsError::Parameter {
            name: "number of values",
            value: states.len().to_string(),
            requirement: "two-dimensional states need an even number of values",
        });
    }
    Ok(states
        .chunks_exact(2)
        .map(|point| [f64::from(point[0]), f64::from(point[1])])
        .collect())
}

/// exp(−½·(xx·Δx² + 2·xy·Δx·Δy + yy·Δy²)), with the inverse of the kernel covariance.
struct Kernel {
    xx: f64,
    xy: f64,
    yy: f64,
}

impl Kernel {
    fn of(samples: &[[f64; 2]], factor: f64) -> Result<Self> {
        // Two points always lie on a line.
        check_samples(samples, 3)?;
        let n = samples.len() as f64;
        let mean = |axis: usize| samples.iter().map(|s| s[axis] / n).sum::<f64>();
        let centre = [mean(0), mean(1)];
        let covariance = |a: usize, b: usize| {
            samples
                .iter()
                .map(|s| (s[a] - centre[a]) * (s[b] - centre[b]))
                .sum::<f64>()
                / (n - 1.0)
        };
        let (xx, xy, yy) = (covariance(0, 0), covariance(0, 1), covariance(1, 1));
        let determinant = xx * yy - xy * xy;
        // Relative to the rounding error of the products; also catches overflow to NaN.
        let singular = determinant.is_nan() || determinant <= 1e-14 * xx * yy;
        let inverse = Self {
            xx: yy / determinant / (factor * factor),
            xy: -xy / determinant / (factor * factor),
            yy: xx / determinant / (factor * factor),
        };
        if singular || !(inverse.xx.is_finite() && inverse.yy.is_finite()) || inverse.xx == 0.0 {
            return Err(DiagnosticsError::SingularCovariance);
        }
        Ok(inverse)
    }

    /// exp(−½·xx·s) for a square s: the kernel along a row, relative to its peak there.
    fn along_row(&self, square: f64) -> f64 {
        (-0.5 * self.xx * square).exp()
    }

    /// Adds the kernel at `sample` to the cells of the grid row at height `y`.
    fn add_to_row(&self, row: &mut [f64], columns: &Columns<'_>, y: f64, sample: &[f64; 2]) {
        let Columns {
            places,
            step,
            ratio_change,
        } = *columns;
        // Along a row the kernel is a Gaussian in x with precision xx about `centre`.
        let dy = y - sample[1];
        let centre = sample[0] - self.xy / self.xx * dy;
        let room = CUT_OFF - (self.yy - self.xy * self.xy / self.xx) * dy * dy;
        if room <= 0.0 {
            return;
        }
        let reach = (room / self.xx).sqrt();
        let first = places.partition_point(|x| *x < centre - reach);
        let last = places.partition_point(|x| *x <= centre + reach);
        if first == last {
            return;
        }
        // From the peak outwards every value is the one before times a ratio: two multiplications a cell instead of an
        // exponential.
        let peak = places[..last]
            .partition_point(|x| *x < centre)
            .min(last - 1);
        let dx = places[peak] - centre;
        let at_peak = (-0.5 * (CUT_OFF - room)).exp() * self.along_row(dx * dx);
        row[peak] += at_peak;
        let first_ratio = |towards: f64| self.along_row(2.0 * towards * step * dx + step * step);
        let (mut value, mut ratio) = (at_peak, first_ratio(1.0));
        for cell in &mut row[peak + 1..last] {
            value *= ratio;
            ratio *= ratio_change;
            *cell += value;
        }
        let (mut value, mut ratio) = (at_peak, first_ratio(-1.0));
        for cell in row[first..peak].iter_mut().rev() {
            value *= ratio;
            ratio *= ratio_change;
            *cell += value;
        }
    }
}

/// The columns of the grid and what their even spacing gives once for all samples and rows.
struct Columns<'a> {
    /// Where they are.
    places: &'a [f64],
    /// From one to the next.
    step: f64,
    /// exp(−xx·step²).
    ratio_change: f64,
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn unusable_samples_are_errors() {
        let triangle = [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]];
        assert!(kernel_density(&triangle, 0.5, 8, 1.0).is_ok());
        assert!(kernel_density(&triangle, 0.0, 8, 1.0).is_err());
        assert!(kernel_density(&triangle[..2], 0.5, 8, 1.0).is_err());
        let line = [[0.0, 0.0], [0.1, 0.3], [0.2, 0.6], [0.5, 1.5]];
        assert!(matches!(
            kernel_density(&line, 0.5, 8, 1.0),
            Err(DiagnosticsError::SingularCovariance)
        ));
        assert!(kernel_density(&[[0.0, 0.0], [1.0, 0.0], [f64::NAN, 1.0]], 0.5, 8, 1.0).is_err());
        let huge = triangle.map(|[x, y]| [x * 1e200, y * 1e200]);
        assert!(kernel_density(&huge, 0.5, 8, 1.0).is_err());
        let far = triangle.map(|[x, y]| [x * 0.01 + 50.0, y * 0.01]);
        assert!(matches!(
            kernel_density(&far, 0.5, 8, 1.0),
            Err(DiagnosticsError::NoMass { .. })
        ));
    }

    #[test]
    fn flat_states_become_points() {
        assert_eq!(
            points_from_flat(&[1.0, 2.0, 3.0, 4.0]).unwrap(),
            [[1.0, 2.0], [3.0, 4.0]]
        );
        assert!(points_from_flat(&[1.0]).is_err());
    }
}
