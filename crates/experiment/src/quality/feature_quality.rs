//! Two sets of features compared.

use ebm_diagnostics::{
    FeatureMatrix, FrechetDistance, NeighbourQuality, frechet_distance, neighbour_quality,
};
use serde::{Deserialize, Serialize};

use crate::ExperimentError;

/// Samples of either set among which neighbours are sought, at most: the time grows with the square of the number.
const MOST_COMPARED: usize = 5000;

/// Features of samples against those of data. The Fréchet distance of Inception features is the FID.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FeatureQuality {
    /// Between all samples and all data.
    pub frechet: FrechetDistance,
    /// Between equally many of both, at most 5,000, because these measures depend on both numbers.
    pub neighbours: NeighbourQuality,
}

impl FeatureQuality {
    /// Compares `samples` with `data`, both `[count, dimension]`.
    ///
    /// # Errors
    /// [`ExperimentError::Diagnostics`] when a set is too small for that many neighbours.
    pub fn new(
        samples: &[f32],
        data: &[f32],
        dimension: usize,
        neighbours: usize,
    ) -> Result<Self, ExperimentError> {
        let matrix = |values| FeatureMatrix::new(values, dimension);
        let (data_matrix, sample_matrix) = (matrix(data)?, matrix(samples)?);
        let counts = [data_matrix.samples(), sample_matrix.samples()];
        let equal = counts[0].min(counts[1]).min(MOST_COMPARED);
        let [few_data, few_samples] = [data, samples].map(|values| rows(values, dimension, equal));
        // The cheap measure comes first, because it refuses sets that are too small.
        Ok(Self {
            neighbours: neighbour_quality(&matrix(&few_data)?, &matrix(&few_samples)?, neighbours)?,
            frechet: frechet_distance(&data_matrix, &sample_matrix)?,
        })
    }

    /// A remark if there are so few samples or data that the fitted Gaussians are flat; empty otherwise.
    pub fn doubt(&self) -> String {
        if self.frechet.rank_deficient {
            format!(" (too few images for {} features)", self.frechet.dimension)
        } else {
            String::new()
        }
    }

    /// The numbers with their names; `count` says how many samples they are of.
    pub fn rows(&self, count: String) -> Vec<[String; 2]> {
        let Self {
            frechet,
            neighbours,
        } = self;
        let number = |value: f64| format!("{value:.3}");
        vec![
            ["how many".into(), count],
            [
                format!("Fréchet distance to {} data", frechet.samples[0]),
                format!("{:.3}{}", frechet.value, self.doubt()),
            ],
            [
                format!("density, {} neighbours", neighbours.neighbours),
                number(neighbours.density),
            ],
            ["coverage".into(), number(neighbours.coverage)],
            ["precision".into(), number(neighbours.precision)],
            ["recall".into(), number(neighbours.recall)],
            [
                "these four: of each set".into(),
                neighbours.samples[0].to_string(),
            ],
        ]
    }
}

/// `count` of `of` places, evenly spread from the first on; all where there are no more.
pub(super) fn spread(of: usize, count: usize) -> impl Iterator<Item = usize> {
    let count = count.min(of);
    (0..count).map(move |place| place * of / count)
}

/// `count` rows, evenly spread.
fn rows(values: &[f32], dimension: usize, count: usize) -> Vec<f32> {
    spread(values.len() / dimension, count)
        .flat_map(|row| &values[row * dimension..][..dimension])
        .copied()
        .collect()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_spread_over_the_whole_set() {
        assert_eq!(spread(10, 5).collect::<Vec<_>>(), [0, 2, 4, 6, 8]);
        assert_eq!(spread(3, 7).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(0, 7).count(), 0);
        assert_eq!(
            rows(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0], 2, 2),
            [1.0, 2.0, 5.0, 6.0]
        );
    }

    /// Moving every sample by the same vector adds its squared length to the distance and nothing else; a set within
    /// its own neighbourhoods is covered.
    #[test]
    fn all_data_count_for_the_distance_and_equal_numbers_for_neighbours() {
        let wave = |k: usize| (k as f32 * 1.7).sin();
        let data: Vec<f32> = (0..60).map(wave).collect();
        let moved: Vec<f32> = data.iter().map(|x| x + 2.0).collect();
        let quality = FeatureQuality::new(&moved, &data, 2, 3).unwrap();
        assert!((quality.frechet.value - 8.0).abs() < 1e-5, "{quality:?}");
        let few = FeatureQuality::new(&data[..20], &data, 2, 3).unwrap();
        assert_eq!(few.frechet.samples, [30, 10]);
        assert_eq!(few.neighbours.samples, [10, 10]);
        let same = FeatureQuality::new(&data, &data, 2, 3).unwrap();
        assert_eq!(
            (same.neighbours.coverage, same.neighbours.recall),
            (1.0, 1.0)
        );
        assert!(FeatureQuality::new(&data[..6], &data, 2, 3).is_err());
    }
}
