//! Feature vectors of samples, the input of the measures of sample quality.

use crate::check::check_same_length;
use crate::{DiagnosticsError, Result};

/// Features `[samples, dimension]` of a set of samples, row by row, borrowed as `f32` or `f64`: activations of a
/// network, or the states themselves.
#[derive(Debug, Clone, Copy)]
pub struct FeatureMatrix<'a, T> {
    values: &'a [T],
    dimension: usize,
}

impl<'a, T: Copy + Into<f64> + Sync> FeatureMatrix<'a, T> {
    /// Features from `values`, row by row, with `dimension` features in a row.
    ///
    /// # Errors
    /// [`DiagnosticsError::Parameter`] for dimension 0 or values that do not fill whole rows,
    /// [`DiagnosticsError::SeriesTooShort`] for no sample and [`DiagnosticsError::NotFinite`] for NaN or infinite
    /// features.
    pub fn new(values: &'a [T], dimension: usize) -> Result<Self> {
        if dimension == 0 || !values.len().is_multiple_of(dimension) {
            return Err(DiagnosticsError::Parameter {
                name: "dimension",
                value: format!("{dimension} for {} values", values.len()),
                requirement: "the values have to be whole rows of at least one feature",
            });
        }
        if values.is_empty() {
            return Err(DiagnosticsError::SeriesTooShort {
                what: "the set of samples",
                length: 0,
                needed: 1,
            });
        }
        if let Some(index) = values.iter().position(|x| !(*x).into().is_finite()) {
            return Err(DiagnosticsError::NotFinite {
                what: "the features",
                index,
            });
        }
        Ok(Self { values, dimension })
    }

    /// Number of samples.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.values.len() / self.dimension
    }

    /// Number of features of a sample.
    #[must_use]
    pub fn dimension(&self) -> usize {
        self.dimension
    }

    /// The features of one sample.
    pub(crate) fn row(&self, sample: usize) -> &'a [T] {
        &self.values[sample * self.dimension..(sample + 1) * self.dimension]
    }

    /// Mean of every feature.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let n = self.samples() as f64;
        let mut mean = vec![0.0; self.dimension];
        for row in self.values.chunks_exact(self.dimension) {
            for (sum, value) in mean.iter_mut().zip(row) {
                *sum += (*value).into();
            }
        }
        mean.iter_mut().for_each(|sum| *sum /= n);
        mean
    }
}

/// Errors unless both sets have features of one dimension and at least `needed` samples.
pub(crate) fn check_pair<T: Copy + Into<f64> + Sync>(
    real: &FeatureMatrix<'_, T>,
    fake: &FeatureMatrix<'_, T>,
    needed: usize,
) -> Result<()> {
    let what = "the feature vectors of both sets";
    check_same_length(what, real.dimension(), fake.dimension())?;
    for (what, set) in [
        ("the set of real samples", real),
        ("the set of generated samples", fake),
    ] {
        if set.samples() < needed {
            return Err(DiagnosticsError::SeriesTooShort {
                what,
                length: set.samples(),
                needed,
            });
        }
    }
    Ok(())
}

/// Squared distance of two rows, summed in eight lanes, which the compiler turns into vector instructions.
pub(crate) fn squared_distance<A: Copy + Into<f64>, B: Copy + Into<f64>>(a: &[A], b: &[B]) -> f64 {
    const LANES: usize = 8;
    let mut sums = [0.0; LANES];
    let (a_lanes, b_lanes) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest: f64 = a_lanes
        .remainder()
        .iter()
        .zip(b_lanes.remainder())
        .map(|(x, y)| difference(*x, *y).powi(2))
        .sum();
    for (x, y) in a_lanes.zip(b_lanes) {
        for lane in 0..LANES {
            sums[lane] += difference(x[lane], y[lane]).powi(2);
        }
    }
    sums.iter().sum::<f64>() + rest
}

fn difference<A: Into<f64>, B: Into<f64>>(x: A, y: B) -> f64 {
    x.into() - y.into()
}
