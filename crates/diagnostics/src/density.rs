//! Two-dimensional densities on a square grid, for the landscape figure and for divergences.

use crate::{DiagnosticsError, Result};

/// Largest number of cells along a side (the memory then is about 134 MB).
const LARGEST_RESOLUTION: usize = 4096;

/// A normalised density on the centres of `resolution × resolution` equal cells of [−w, w]².
///
/// Values are stored row by row: the cell in `row` i and `column` j, at index
/// `i·resolution + j`, has its centre at x = −w + (j + ½)·s and y = −w + (i + ½)·s with the cell
/// side s = 2w/resolution. So x is the first coordinate of a state and runs fastest, and row 0 is
/// the lowest y.
#[derive(Debug, Clone, PartialEq)]
pub struct DensityGrid {
    resolution: usize,
    half_width: f64,
    log_values: Vec<f64>,
}

impl DensityGrid {
    /// Centres of the cells in storage order, as `[x, y]`; where to evaluate an energy for
    /// [`DensityGrid::from_log_values`].
    ///
    /// # Errors
    /// [`DiagnosticsError::Parameter`] for a resolution outside 1..=4096 or a half width that is
    /// not positive and finite.
    pub fn cell_centres(resolution: usize, half_width: f64) -> Result<Vec<[f64; 2]>> {
        check_shape(resolution, half_width)?;
        let axis = axis(resolution, half_width);
        Ok(axis
            .iter()
            .flat_map(|y| axis.iter().map(|x| [*x, *y]))
            .collect())
    }

    /// Normalises log densities given in storage order: shifts them by their log-sum-exp so that
    /// the density sums to 1 over the grid. For a learned energy these are −U = −(2/ε²)·F.
    ///
    /// `−∞` stands for density zero.
    ///
    /// # Errors
    /// [`DiagnosticsError::Parameter`] as [`DensityGrid::cell_centres`],
    /// [`DiagnosticsError::LengthsDiffer`] unless there are `resolution²` values,
    /// [`DiagnosticsError::NotFinite`] for NaN or +∞ and [`DiagnosticsError::NoMass`] when every
    /// value is −∞.
    pub fn from_log_values(
        resolution: usize,
        half_width: f64,
        mut log_values: Vec<f64>,
    ) -> Result<Self> {
        check_shape(resolution, half_width)?;
        if log_values.len() != resolution * resolution {
            return Err(DiagnosticsError::LengthsDiffer {
                what: "the log densities and the cells of the grid",
                left: log_values.len(),
                right: resolution * resolution,
            });
        }
        if let Some(index) = log_values
            .iter()
            .position(|value| value.is_nan() || *value == f64::INFINITY)
        {
            return Err(DiagnosticsError::NotFinite {
                what: "the log density",
                index,
            });
        }
        let highest = log_values.iter().fold(f64::NEG_INFINITY, |m, v| m.max(*v));
        if highest == f64::NEG_INFINITY {
            return Err(DiagnosticsError::NoMass { half_width });
        }
        // Two steps, so that a huge common offset does not swallow the log of the sum.
        let cell_area = (2.0 * half_width / resolution as f64).powi(2);
        let sum: f64 = log_values.iter().map(|v| (v - highest).exp()).sum();
        let log_mass = sum.ln() + cell_area.ln();
        for value in &mut log_values {
            *value = (*value - highest) - log_mass;
        }
        Ok(Self {
            resolution,
            half_width,
            log_values,
        })
    }

    /// Evaluates a log density (up to a constant, in nats) at the cell centres `(x, y)` and
    /// normalises it on the grid.
    ///
    /// # Errors
    /// As [`DensityGrid::from_log_values`].
    pub fn from_log_density(
        resolution: usize,
        half_width: f64,
        log_density: impl Fn(f64, f64) -> f64,
    ) -> Result<Self> {
        let values = Self::cell_centres(resolution, half_width)?
            .into_iter()
            .map(|[x, y]| log_density(x, y))
            .collect();
        Self::from_log_values(resolution, half_width, values)
    }

    /// Cells along a side.
    #[must_use]
    pub fn resolution(&self) -> usize {
        self.resolution
    }

    /// Half the side of the square, w.
    #[must_use]
    pub fn half_width(&self) -> f64 {
        self.half_width
    }

    /// Area of one cell.
    #[must_use]
    pub fn cell_area(&self) -> f64 {
        (2.0 * self.half_width / self.resolution as f64).powi(2)
    }

    /// Normalised log density of every cell in storage order (nats); −∞ where there is no mass.
    #[must_use]
    pub fn log_values(&self) -> &[f64] {
        &self.log_values
    }

    /// The probability of every cell in storage order; they sum to 1.
    pub fn cell_probabilities(&self) -> impl Iterator<Item = f64> {
        let cell_area = self.cell_area();
        self.log_values.iter().map(move |v| v.exp() * cell_area)
    }
}

/// Kullback–Leibler divergence KL(q‖p) on the grid, in nats: the sum of q·log(q/p) over the cells.
///
/// Infinite where q has mass in a cell in which p has none.
///
/// # Errors
/// [`DiagnosticsError::GridsDiffer`] when the two grids are not the same.
pub fn kl_divergence(q: &DensityGrid, p: &DensityGrid) -> Result<f64> {
    check_same_grid(q, p)?;
    let sum: f64 = q
        .cell_probabilities()
        .zip(q.log_values.iter().zip(&p.log_values))
        .map(|(mass, (log_q, log_p))| {
            if mass == 0.0 {
                0.0
            } else {
                mass * (log_q - log_p)
            }
        })
        .sum();
    // Zero can come out a rounding error below.
    Ok(sum.max(0.0))
}

/// Total variation distance on the grid, in [0, 1]: half the sum of |q − p| over the cells.
///
/// # Errors
/// [`DiagnosticsError::GridsDiffer`] when the two grids are not the same.
pub fn total_variation(q: &DensityGrid, p: &DensityGrid) -> Result<f64> {
    check_same_grid(q, p)?;
    let sum: f64 = q
        .cell_probabilities()
        .zip(p.cell_probabilities())
        .map(|(q, p)| (q - p).abs())
        .sum();
    Ok((sum / 2.0).min(1.0))
}

/// Centres of the cells along one axis.
pub(crate) fn axis(resolution: usize, half_width: f64) -> Vec<f64> {
    (0..resolution)
        .map(|cell| half_width * ((2 * cell + 1) as f64 / resolution as f64 - 1.0))
        .collect()
}

pub(crate) fn check_shape(resolution: usize, half_width: f64) -> Result<()> {
    if !(1..=LARGEST_RESOLUTION).contains(&resolution) {
        return Err(DiagnosticsError::Parameter {
            name: "resolution",
            value: resolution.to_string(),
            requirement: "a grid has 1 to 4096 cells along a side",
        });
    }
    // A window this extreme is a mistake, and its cell area would leave the range of a float.
    if !(1e-100..=1e100).contains(&half_width) {
        return Err(DiagnosticsError::Parameter {
            name: "half_width",
            value: half_width.to_string(),
            requirement: "half the side of a grid has to be positive and finite (1e-100 to 1e100)",
        });
    }
    Ok(())
}

fn check_same_grid(q: &DensityGrid, p: &DensityGrid) -> Result<()> {
    if q.resolution == p.resolution && q.half_width == p.half_width {
        return Ok(());
    }
    let describe =
        |grid: &DensityGrid| format!("{0}×{0} over ±{1}", grid.resolution, grid.half_width);
    Err(DiagnosticsError::GridsDiffer {
        left: describe(q),
        right: describe(p),
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn gaussian(mean: f64, sd: f64) -> DensityGrid {
        DensityGrid::from_log_density(160, 8.0, |x, y| {
            -((x - mean).powi(2) + y * y) / (2.0 * sd * sd)
        })
        .unwrap()
    }

    #[test]
    fn rows_are_y_and_columns_are_x() {
        let grid = DensityGrid::from_log_density(3, 3.0, |x, y| 10.0 * y + x).unwrap();
        let centres = DensityGrid::cell_centres(3, 3.0).unwrap();
        assert_eq!(centres[1], [0.0, -2.0]);
        assert_eq!(centres[3], [-2.0, 0.0]);
        let values = grid.log_values();
        assert!((values[1] - values[0] - 2.0).abs() < 1e-12);
        assert!((values[3] - values[0] - 20.0).abs() < 1e-12);
    }

    #[test]
    fn gaussian_divergences_match_their_closed_forms() {
        let (q, p) = (gaussian(0.5, 0.8), gaussian(0.0, 1.0));
        // KL of two-dimensional isotropic Gaussians: σ²/τ² + m²/2τ² − 1 − 2 log(σ/τ).
        let expected = 0.64 + 0.125 - 1.0 - 2.0 * 0.8_f64.ln();
        assert!((kl_divergence(&q, &p).unwrap() - expected).abs() < 1e-6);
        // Equal widths: total variation is erf(m / (2√2)); erf(0.25·√2) = 0.38292492…
        let shifted = gaussian(1.0, 1.0);
        assert!((total_variation(&shifted, &p).unwrap() - 0.382_924_922_548).abs() < 1e-3);
        assert_eq!(kl_divergence(&p, &p).unwrap(), 0.0);
    }

    #[test]
    fn huge_offsets_cancel() {
        let plain = gaussian(0.0, 1.0);
        let lifted = DensityGrid::from_log_values(
            160,
            8.0,
            plain.log_values().iter().map(|v| v + 1e6).collect(),
        )
        .unwrap();
        assert!(kl_divergence(&plain, &lifted).unwrap() < 1e-8);
    }

    #[test]
    fn unusable_grids_are_errors() {
        assert!(DensityGrid::from_log_values(2, 1.0, vec![0.0; 3]).is_err());
        assert!(DensityGrid::from_log_values(0, 1.0, vec![]).is_err());
        assert!(DensityGrid::from_log_values(usize::MAX, 1.0, vec![]).is_err());
        assert!(DensityGrid::from_log_values(1, f64::NAN, vec![0.0]).is_err());
        assert!(DensityGrid::from_log_values(1, 1.0, vec![f64::NAN]).is_err());
        assert!(matches!(
            DensityGrid::from_log_values(1, 1.0, vec![f64::NEG_INFINITY]),
            Err(DiagnosticsError::NoMass { .. })
        ));
        assert!(kl_divergence(&gaussian(0.0, 1.0), &gaussian_on(8)).is_err());
    }

    fn gaussian_on(resolution: usize) -> DensityGrid {
        DensityGrid::from_log_density(resolution, 8.0, |x, y| -(x * x + y * y)).unwrap()
    }

    #[test]
    fn mass_where_the_other_has_none_is_infinitely_far() {
        let everywhere = DensityGrid::from_log_values(2, 1.0, vec![0.0; 4]).unwrap();
        let half = DensityGrid::from_log_values(
            2,
            1.0,
            vec![0.0, 0.0, f64::NEG_INFINITY, f64::NEG_INFINITY],
        )
        .unwrap();
        assert_eq!(kl_divergence(&everywhere, &half).unwrap(), f64::INFINITY);
        assert!((kl_divergence(&half, &everywhere).unwrap() - 2.0_f64.ln()).abs() < 1e-12);
        assert!((total_variation(&half, &everywhere).unwrap() - 0.5).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn every_density_sums_to_one_and_divergences_are_not_negative(
            pairs in prop::collection::vec((-300.0_f64..300.0, -300.0_f64..300.0), 16),
        ) {
            let (a, b): (Vec<f64>, Vec<f64>) = pairs.into_iter().unzip();
            let a = DensityGrid::from_log_values(4, 2.5, a).unwrap();
            let b = DensityGrid::from_log_values(4, 2.5, b).unwrap();
            prop_assert!((a.cell_probabilities().sum::<f64>() - 1.0).abs() < 1e-12);
            prop_assert!(kl_divergence(&a, &b).unwrap() >= 0.0);
            let distance = total_variation(&a, &b).unwrap();
            prop_assert!((0.0..=1.0).contains(&distance));
        }
    }
}
