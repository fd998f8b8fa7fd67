//! Samples and the data nearest to them: a net that has stored its data shows here.

use ebm_diagnostics::{FeatureMatrix, Nearest, nearest};
use ebm_figures::{RgbImage, image_grid};
use serde::Serialize;

use super::feature_quality::spread;
use crate::ExperimentError;
use crate::classifier::{ImageView, Split};

/// The number of samples, and of held-out data, whose distance is taken; more hardly change the median.
const MEASURED: usize = 200;
/// Pairs in the picture.
const SHOWN: usize = 32;
const COLUMNS: usize = 8;

/// Data that are compared at once.
const PIECE: usize = 2_000;

/// How far samples lie from the data that are nearest to them, pixel by pixel: the root mean square over pixels, in units
/// of the data.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct NearestData {
    /// The median over samples of the distance to the nearest of all data. Samples carry the noise of the data, which
    /// adds to it.
    pub samples: f64,
    /// The median over held-out data of the distance to the nearest of the others.
    pub held_out: f64,
    /// Rows of samples, each above the row of their nearest data.
    #[serde(skip)]
    pub picture: RgbImage,
}

impl NearestData {
    /// Samples and data of other sizes are brought to squares of the height of the samples.
    pub(super) fn of(
        samples: ImageView<'_>,
        data: ImageView<'_>,
        split: &Split,
    ) -> Result<Self, ExperimentError> {
        let side = samples.height;
        let channels = samples.channels;
        let length = channels * side * side;
        let some = |count| spread(count, MEASURED);
        let samples = samples.at_side(side, &some(samples.count()).collect::<Vec<_>>());
        let held_out: Vec<_> = some(split.held_out.len())
            .map(|place| split.held_out[place])
            .collect();
        let held_out = data.at_side(side, &held_out);

        let all: Vec<_> = (0..data.count()).collect();
        let of_samples = search(&samples, data, &all, side)?;
        let of_held_out = search(&held_out, data, &split.kept, side)?;
        let median = |found: &[Nearest]| {
            let mut distances: Vec<_> = found.iter().map(|nearest| nearest.distance).collect();
            distances.sort_by(f64::total_cmp);
            distances[distances.len() / 2] / (length as f64).sqrt()
        };
        let shown = &of_samples[..of_samples.len().min(SHOWN)];
        let mut pairs = Vec::with_capacity(2 * shown.len() * length);
        for (row, found) in shown.chunks(COLUMNS).enumerate() {
            let own = &samples[row * COLUMNS * length..][..found.len() * length];
            let nearest: Vec<_> = found.iter().map(|found| found.index).collect();
            // The last row may be short; black images fill it, so that the data stand below their samples.
            let black = vec![-1.0; (COLUMNS - found.len()) * length];
            for part in [own, &black, &data.at_side(side, &nearest), &black] {
                pairs.extend_from_slice(part);
            }
        }
        let count = pairs.len() / length;
        let scale = (64 / side.max(1)).max(1);
        Ok(Self {
            samples: median(&of_samples),
            held_out: median(&of_held_out),
            picture: image_grid(&pairs, [count, channels, side, side], COLUMNS, scale)?,
        })
    }

    pub(super) fn row(&self) -> [String; 3] {
        [
            "median distance to the nearest datum, a pixel".to_owned(),
            format!("{:.3}", self.samples),
            format!("{:.3}", self.held_out),
        ]
    }
}

/// The nearest of the data at `from` to each image; the index is that in the data.
fn search(
    images: &[f32],
    data: ImageView<'_>,
    from: &[usize],
    side: usize,
) -> Result<Vec<Nearest>, ExperimentError> {
    let length = data.channels * side * side;
    let images = FeatureMatrix::new(images, length)?;
    let mut best: Vec<Nearest> = Vec::new();
    for piece in from.chunks(PIECE) {
        let known = data.at_side(side, piece);
        let mut found = nearest(&images, &FeatureMatrix::new(&known, length)?)?;
        for nearest in &mut found {
            nearest.index = piece[nearest.index];
        }
        if best.is_empty() {
            best = found;
            continue;
        }
        for (best, found) in best.iter_mut().zip(found) {
            if found.distance < best.distance {
                *best = found;
            }
        }
    }
    Ok(best)
}
