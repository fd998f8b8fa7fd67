//! The nearest rows of another set: is a sample a copy of a datum?

use rayon::prelude::*;

use crate::Result;
use crate::features::{FeatureMatrix, check_pair, squared_distance};

/// A row of another set, and how far it is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Nearest {
    /// Its index.
    pub index: usize,
    /// Its Euclidean distance.
    pub distance: f64,
}

/// The nearest row of `reference` for each row of `samples`, the first among equal ones. All distances are computed
/// exactly, in time n·m·dimension for n and m rows.
///
/// # Errors
/// [`DiagnosticsError::LengthsDiffer`](crate::DiagnosticsError::LengthsDiffer) for rows of different dimensions.
pub fn nearest<T: Copy + Into<f64> + Sync>(
    samples: &FeatureMatrix<'_, T>,
    reference: &FeatureMatrix<'_, T>,
) -> Result<Vec<Nearest>> {
    check_pair(reference, samples, 1)?;
    let nearest_of = |sample: usize| {
        let squared = |index| squared_distance(samples.row(sample), reference.row(index));
        let (index, squared) = (0..reference.samples())
            .map(|index| (index, squared(index)))
            .min_by(|a, b| a.1.total_cmp(&b.1))
            .unwrap_or((0, f64::NAN));
        Nearest {
            index,
            distance: squared.sqrt(),
        }
    };
    Ok((0..samples.samples())
        .into_par_iter()
        .map(nearest_of)
        .collect())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_nearest_of_a_grid_is_its_corner() {
        let grid = [[0.0, 0.0], [0.0, 4.0], [3.0, 0.0], [3.0, 4.0]].concat();
        let samples = [[3.0, 4.0], [0.5, 0.0], [1.5, 0.0], [6.0, 8.0]].concat();
        let [grid, samples] = [&grid, &samples].map(|rows| FeatureMatrix::new(rows, 2).unwrap());
        let found = nearest(&samples, &grid).unwrap();
        let expected = [(3, 0.0), (0, 0.5), (0, 1.5), (3, 5.0)];
        for (found, (index, distance)) in found.iter().zip(expected) {
            assert_eq!((found.index, found.distance), (index, distance));
        }
        assert!(nearest(&samples, &FeatureMatrix::new(&[0.0; 3], 3).unwrap()).is_err());
    }

    proptest! {
        /// A row of the set itself is found, and no row is nearer than the one that is found.
        #[test]
        fn nothing_is_nearer(rows in proptest::collection::vec(-1.0..1.0_f32, 30), query in proptest::collection::vec(-1.0..1.0_f32, 3)) {
            let set = FeatureMatrix::new(&rows, 3).unwrap();
            for (index, found) in nearest(&set, &set).unwrap().iter().enumerate() {
                prop_assert_eq!(found.distance, 0.0);
                prop_assert!(found.index == index || set.row(found.index) == set.row(index));
            }
            let found = nearest(&FeatureMatrix::new(&query, 3).unwrap(), &set).unwrap()[0];
            for row in rows.chunks_exact(3) {
                let squared: f64 = row.iter().zip(&query).map(|(a, b)| f64::from(a - b).powi(2)).sum();
                prop_assert!(squared.sqrt() >= found.distance - 1e-6);
            }
        }
    }
}
