//! Weights projected to a largest singular value.

use burn::module::{AutodiffModule, ModuleMapper, Param};
use burn::tensor::Tensor;
use burn::tensor::backend::AutodiffBackend;
use nalgebra::DMatrix;

use super::Stabilisers;

/// W ← W / max(1, σ(W)/c) for every parameter of two or more axes that is learned; the module is returned unchanged
/// if the bound is off.
pub(crate) fn project<A: AutodiffBackend, M: AutodiffModule<A>>(
    stabilisers: &Stabilisers,
    module: M,
) -> M {
    match stabilisers.spectral_norm_bound {
        Some(largest) => module.map(&mut Projection { largest }),
        None => module,
    }
}

struct Projection {
    largest: f64,
}

impl<A: AutodiffBackend> ModuleMapper<A> for Projection {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<A, D>>) -> Param<Tensor<A, D>> {
        if D < 2 {
            return param;
        }
        param.map(|tensor| {
            if !tensor.is_require_grad() {
                return tensor;
            }
            let rows = tensor.dims()[0];
            let weight = tensor.inner();
            let values: Vec<f64> = weight.to_data().iter::<f64>().collect();
            let excess = largest_singular_value(rows, &values) / self.largest;
            // Also false if σ is not a number; the check of the parameters then finds the cause.
            let weight = if excess > 1.0 {
                weight / excess
            } else {
                weight
            };
            Tensor::from_inner(weight).require_grad()
        })
    }
}

/// σ of a row-major matrix: the root of the largest eigenvalue of its smaller Gram matrix. NaN where a value is not
/// finite.
fn largest_singular_value(rows: usize, values: &[f64]) -> f64 {
    if !values.iter().all(|value| value.is_finite()) {
        return f64::NAN;
    }
    let columns = values.len() / rows.max(1);
    let matrix = DMatrix::from_row_slice(rows, columns, values);
    let gram = if rows <= columns {
        &matrix * matrix.transpose()
    } else {
        matrix.tr_mul(&matrix)
    };
    // Rounding may leave a matrix of zeros with an eigenvalue below zero.
    gram.symmetric_eigenvalues().max().max(0.0).sqrt()
}

#[cfg(test)]
mod tests {
    use super::largest_singular_value;
    use ebm_core::{NoiseKey, Stream};

    #[test]
    fn closed_forms() {
        // Diagonal; 2×3 of ones, √6; a single row, its norm; a rotation times 2.
        let cases: [(usize, &[f64], f64); 5] = [
            (2, &[3.0, 0.0, 0.0, -4.0], 4.0),
            (2, &[1.0; 6], 6f64.sqrt()),
            (1, &[3.0, 4.0], 5.0),
            (2, &[0.0, -2.0, 2.0, 0.0], 2.0),
            (3, &[0.0; 6], 0.0),
        ];
        for (rows, values, sigma) in cases {
            let found = largest_singular_value(rows, values);
            assert!((found - sigma).abs() < 1e-12, "{found} and {sigma}");
        }
        assert!(largest_singular_value(1, &[f64::NAN, 1.0]).is_nan());
    }

    /// Against nalgebra's singular value decomposition, for matrices that are wide, tall and square.
    #[test]
    fn the_root_of_the_gram_matrix_is_the_singular_value() {
        for (number, (rows, columns)) in [(1, 9), (4, 7), (8, 3), (6, 6), (30, 90)]
            .into_iter()
            .enumerate()
        {
            let mut values = vec![0.0f32; rows * columns];
            let key = NoiseKey::new(5, Stream::Parameters, number as u64);
            key.normals(0, 0, rows * columns, &mut values);
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let matrix = nalgebra::DMatrix::from_row_slice(rows, columns, &values);
            let expected = matrix.singular_values().max();
            let found = largest_singular_value(rows, &values);
            assert!(
                (found / expected - 1.0).abs() < 1e-12,
                "{rows}×{columns}: {found} and {expected}"
            );
        }
    }
}
