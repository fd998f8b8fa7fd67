//! Images of any size, brought to the form that a classifier reads.

use ebm_data::ImageSet;
use image::imageops::{FilterType, resize};
use image::{ImageBuffer, Luma};
use rayon::prelude::*;

/// Images of any size.
#[derive(Debug, Clone, Copy)]
pub struct ImageView<'a> {
    /// `[count, channels, height, width]`, whatever the range.
    pub values: &'a [f32],
    /// 1 for grey images, 3 for colour.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageView<'_> {
    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len() / self.length()
    }

    /// Share of all values that lie outside [−1, 1].
    #[must_use]
    pub fn share_outside(&self) -> f64 {
        let outside = self.values.iter().filter(|value| value.abs() > 1.0).count();
        outside as f64 / self.values.len().max(1) as f64
    }

    /// A warning if these images do not seem to lie in [−1, 1].
    #[must_use]
    pub fn doubt(&self) -> Option<&'static str> {
        if self.share_outside() > 0.5 {
            return Some(
                "more than half of the pixels lie outside [−1, 1] and are clamped; from [0, 255] scale images with \
                 x/127.5 − 1",
            );
        }
        self.values.iter().all(|value| *value >= 0.0).then_some(
            "no pixel is below 0, and images are expected in [−1, 1]; from [0, 1] scale them with 2x − 1",
        )
    }

    /// Values of an image.
    fn length(&self) -> usize {
        (self.channels * self.height * self.width).max(1)
    }

    /// The images at `indices` as `[indices.len(), channels, side, side]` in [−1, 1]: values are clamped to [−1, 1], and
    /// images of another size are resampled (bilinear, widened when shrinking so that nothing is skipped), each axis by
    /// its own factor. The result is deterministic.
    #[must_use]
    pub fn at_side(&self, side: usize, indices: &[usize]) -> Vec<f32> {
        let plane = self.height * self.width;
        let mut out = vec![0.0; indices.len() * self.channels * side * side];
        out.par_chunks_exact_mut(self.channels * side * side)
            .zip(indices)
            .for_each(|(out, index)| {
                let image = &self.values[index * self.length()..][..self.length()];
                let planes = image.chunks_exact(plane);
                for (image, out) in planes.zip(out.chunks_exact_mut(side * side)) {
                    let clamped = image.iter().map(|value| value.clamp(-1.0, 1.0));
                    if [self.height, self.width] == [side, side] {
                        out.iter_mut()
                            .zip(clamped)
                            .for_each(|(to, from)| *to = from);
                    } else {
                        self.resample(clamped, side, out);
                    }
                }
            });
        out
    }

    /// Resamples one channel of an image.
    fn resample(&self, plane: impl Iterator<Item = f32>, side: usize, out: &mut [f32]) {
        // The library keeps the colours of floats within [0, 1].
        let scaled = plane.map(|value| 0.5 * (value + 1.0)).collect();
        let picture: Option<ImageBuffer<Luma<f32>, Vec<f32>>> =
            ImageBuffer::from_raw(self.width as u32, self.height as u32, scaled);
        // There are as many values as pixels, so there is a picture.
        if let Some(picture) = picture {
            let resized = resize(&picture, side as u32, side as u32, FilterType::Triangle);
            for (to, from) in out.iter_mut().zip(resized.iter()) {
                *to = 2.0 * from - 1.0;
            }
        }
    }
}

impl<'a> From<&'a ImageSet> for ImageView<'a> {
    fn from(set: &'a ImageSet) -> Self {
        let [channels, height, width] = set.states.shape().dims();
        Self {
            values: set.states.values(),
            channels,
            height,
            width,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIDE: usize = 28;

    fn brought(values: &[f32], height: usize, width: usize) -> Vec<f32> {
        let images = ImageView {
            values,
            channels: 1,
            height,
            width,
        };
        let all: Vec<usize> = (0..images.count()).collect();
        images.at_side(SIDE, &all)
    }

    #[test]
    fn images_of_the_right_size_are_only_clamped() {
        let image: Vec<f32> = (0..SIDE * SIDE).map(|i| i as f32 / 200.0 - 2.0).collect();
        let expected: Vec<f32> = image.iter().map(|value| value.clamp(-1.0, 1.0)).collect();
        assert_eq!(brought(&image, SIDE, SIDE), expected);
    }

    /// A plane stays a plane, away from the border: exactly under bilinear interpolation, nearly where it is widened.
    /// Half a pixel beside it would be off by more than 0.005.
    #[test]
    fn resampling_is_linear_in_both_directions() {
        for (height, width) in [(32, 32), (14, 56)] {
            let plane =
                |row: f32, column: f32| 0.8 * row / height as f32 - 0.6 * column / width as f32;
            let image: Vec<f32> = (0..height * width)
                .map(|i| plane((i / width) as f32 + 0.5, (i % width) as f32 + 0.5))
                .collect();
            let out = brought(&[image.clone(), image].concat(), height, width);
            assert_eq!(out.len(), 2 * SIDE * SIDE);
            for second in [0, SIDE * SIDE] {
                for (row, column) in [(2, 2), (13, 20), (25, 7)] {
                    let at = |place: usize, length: usize| {
                        (place as f32 + 0.5) * length as f32 / SIDE as f32
                    };
                    let expected = plane(at(row, height), at(column, width));
                    let got = out[second + row * SIDE + column];
                    assert!(
                        (got - expected).abs() < 2e-3,
                        "{height}×{width}: {got} {expected}"
                    );
                }
            }
        }
    }

    /// Each channel is resampled like a grey image.
    #[test]
    fn channels_are_resampled_alone() {
        let planes: Vec<Vec<f32>> = [1.0, 2.0, 3.0]
            .map(|slope| (0..12 * 20).map(|i| (slope * i as f32).sin()).collect())
            .to_vec();
        let colour = ImageView {
            values: &[vec![0.0; 3 * 12 * 20], planes.concat()].concat(),
            channels: 3,
            height: 12,
            width: 20,
        };
        let expected: Vec<f32> = planes
            .iter()
            .flat_map(|plane| brought(plane, 12, 20))
            .collect();
        assert_eq!(colour.count(), 2);
        assert_eq!(colour.at_side(SIDE, &[1]), expected);
    }

    #[test]
    fn other_ranges_are_noticed() {
        let doubt = |values: &[f32]| {
            let images = ImageView {
                values,
                channels: 1,
                height: 2,
                width: 2,
            };
            (images.share_outside(), images.doubt())
        };
        assert_eq!(doubt(&[-1.0, 1.0, 0.5, 0.0]), (0.0, None));
        // Two of four are not more than half.
        assert_eq!(doubt(&[-1.5, 3.0, 0.5, 0.0]), (0.5, None));
        let (share, said) = doubt(&[-3.0, 3.0, 2.0, 0.0]);
        assert!(share == 0.75 && said.is_some_and(|said| said.contains("more than half")));
        let (share, said) = doubt(&[0.0, 1.0, 0.5, 0.0]);
        assert!(share == 0.0 && said.is_some_and(|said| said.contains("2x − 1")));
        assert!(doubt(&[0.0, 255.0, 128.0, 3.0]).1.is_some());
    }

    #[test]
    fn far_values_stay_within_the_range() {
        let out = brought(&[-27.0, 5.0, 1e30, -1e30], 2, 2);
        assert!(out.iter().all(|value| (-1.0..=1.0).contains(value)));
        assert!(out.contains(&1.0) && out.contains(&-1.0));
    }
}
