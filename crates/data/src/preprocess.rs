//! From source pictures to what a network reads.

use std::path::Path;

use image::imageops::FilterType;
use image::{DynamicImage, GenericImageView};
use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// How a picture is brought to the configured square.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Fit {
    /// The shorter side is resampled to `size` (bilinear, widened when shrinking so that nothing is skipped), then the
    /// central square is kept: what the paper's authors do.
    #[default]
    Resize,
    /// The picture is centred in a black (−1) square without resampling.
    Pad,
}

/// How source images become network inputs, and how many of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImageConfig {
    /// Side of the square network input in pixels.
    pub size: usize,
    /// 1 (grey) or 3 (colour); by default what the source has: 1 for digits and IDX files, 3 for CIFAR and photographs.
    /// Colour becomes grey by the Rec. 709 luma weights; grey becomes colour by repetition.
    pub channels: Option<usize>,
    /// How a picture is brought to that square.
    pub fit: Fit,
    /// Use only this number of images, the first ones of the source.
    pub limit: Option<usize>,
}

impl Default for ImageConfig {
    fn default() -> Self {
        Self {
            size: 32,
            channels: None,
            fit: Fit::Resize,
            limit: None,
        }
    }
}

/// Larger squares are surely a slip of the keyboard: one image would take 192 MiB.
const LARGEST_SIZE: usize = 4096;
/// Resizing the shorter side to `size` may make the longer side at most this many times as long, in memory.
const LARGEST_ASPECT: u32 = 32;

impl ImageConfig {
    /// Checks every value.
    ///
    /// # Errors
    /// [`DataError::Config`] for a value out of range.
    pub fn validate(&self) -> Result<(), DataError> {
        if !(1..=LARGEST_SIZE).contains(&self.size) {
            return Err(DataError::Config {
                key: "size",
                problem: format!("{} pixels is not between 1 and {LARGEST_SIZE}", self.size),
                fix: "set the side of the square images, such as 32",
            });
        }
        if let Some(channels) = self.channels
            && channels != 1
            && channels != 3
        {
            return Err(DataError::Config {
                key: "channels",
                problem: format!("{channels} channels are not supported"),
                fix: "set 1 for grey or 3 for colour",
            });
        }
        if self.limit == Some(0) {
            return Err(DataError::Config {
                key: "limit",
                problem: "0 leaves no images".into(),
                fix: "set at least 1, or leave the key out to use all",
            });
        }
        Ok(())
    }

    /// How many of `available` images are used.
    pub(crate) fn count(&self, available: usize) -> usize {
        self.limit.map_or(available, |limit| limit.min(available))
    }

    /// Writes `picture` to `out`, shape `[channels, size, size]`, values in [−1, 1]. `path` is named in errors.
    pub(crate) fn prepare(
        &self,
        path: &Path,
        picture: DynamicImage,
        channels: usize,
        out: &mut [f32],
    ) -> Result<(), DataError> {
        let picture = match channels {
            1 => DynamicImage::ImageLuma8(picture.into_luma8()),
            _ => DynamicImage::ImageRgb8(picture.into_rgb8()),
        };
        let picture = self.fit_square(path, picture)?;
        let (width, height) = picture.dimensions();
        let side = self.size;
        // Only padding leaves a border: both offsets are 0 after a resize.
        let left = (side - width as usize) / 2;
        let top = (side - height as usize) / 2;
        out.fill(-1.0);
        let bytes = picture.as_bytes();
        for (row, line) in bytes.chunks_exact(width as usize * channels).enumerate() {
            for (column, pixel) in line.chunks_exact(channels).enumerate() {
                for (channel, &byte) in pixel.iter().enumerate() {
                    out[(channel * side + top + row) * side + left + column] = scale(byte);
                }
            }
        }
        Ok(())
    }

    /// A picture at most `size` wide and high: exactly so for [`Fit::Resize`].
    fn fit_square(&self, path: &Path, picture: DynamicImage) -> Result<DynamicImage, DataError> {
        let (width, height) = picture.dimensions();
        let side = self.size as u32;
        let (shorter, longer) = (width.min(height), width.max(height));
        if shorter == 0 || longer / shorter >= LARGEST_ASPECT {
            return Err(DataError::Format {
                path: path.to_path_buf(),
                problem: format!("the image is {width}×{height}, too narrow to use"),
                fix: "crop it or take it out of the folder",
            });
        }
        match self.fit {
            Fit::Pad if longer > side => Err(DataError::TooLargeToPad {
                path: path.to_path_buf(),
                width,
                height,
                size: self.size,
            }),
            Fit::Pad => Ok(picture),
            Fit::Resize => {
                let scaled = |length: u32| {
                    let exact = u64::from(length) * u64::from(side) / u64::from(shorter);
                    u32::try_from(exact).unwrap_or(u32::MAX)
                };
                let (wide, high) = (scaled(width), scaled(height));
                let picture = if (wide, high) == (width, height) {
                    picture
                } else {
                    picture.resize_exact(wide, high, FilterType::Triangle)
                };
                Ok(picture.crop_imm((wide - side) / 2, (high - side) / 2, side, side))
            }
        }
    }
}

/// Bytes 0..=255 to [−1, 1].
fn scale(byte: u8) -> f32 {
    f32::from(byte) / 127.5 - 1.0
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, RgbImage};

    fn prepared(config: ImageConfig, picture: DynamicImage, channels: usize) -> Vec<f32> {
        let mut out = vec![9.0; channels * config.size * config.size];
        config
            .prepare(Path::new("picture"), picture, channels, &mut out)
            .unwrap();
        out
    }

    fn config(size: usize, fit: Fit) -> ImageConfig {
        ImageConfig {
            size,
            fit,
            ..ImageConfig::default()
        }
    }

    #[test]
    fn bytes_map_to_minus_one_to_one() {
        assert_eq!([0, 255].map(scale), [-1.0, 1.0]);
        assert!((scale(128) + scale(127)).abs() < 1e-6);
    }

    #[test]
    fn an_image_of_the_right_size_passes_unchanged_in_channel_order() {
        let picture = RgbImage::from_fn(4, 4, |x, y| Rgb([x as u8 * 10, y as u8 * 20, 255]));
        let out = prepared(config(4, Fit::Resize), picture.into(), 3);
        for (row, column) in [(0, 0), (1, 3), (3, 2)] {
            let at = row * 4 + column;
            assert_eq!(out[at], scale(column as u8 * 10));
            assert_eq!(out[16 + at], scale(row as u8 * 20));
            assert_eq!(out[32 + at], 1.0);
        }
    }

    #[test]
    fn padding_centres_and_fills_with_minus_one() {
        let picture = GrayImage::from_pixel(2, 4, Luma([255]));
        let out = prepared(config(6, Fit::Pad), picture.into(), 1);
        assert_eq!(out.iter().filter(|&&value| value == 1.0).count(), 8);
        assert_eq!(out.iter().filter(|&&value| value == -1.0).count(), 28);
        assert_eq!(out[6 + 2], 1.0, "row 1, column 2 is the picture's corner");
        assert_eq!(out[6 + 1], -1.0);
    }

    #[test]
    fn a_picture_too_large_to_pad_is_an_error_with_the_fix() {
        let error = config(6, Fit::Pad)
            .prepare(
                Path::new("a.png"),
                GrayImage::new(7, 3).into(),
                1,
                &mut [0.0; 36],
            )
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("a.png") && error.contains("7×3") && error.contains("at least 7"),
            "{error}"
        );
    }

    #[test]
    fn a_picture_too_narrow_to_resize_is_an_error() {
        let error = config(6, Fit::Resize)
            .prepare(
                Path::new("line.png"),
                GrayImage::new(500, 2).into(),
                1,
                &mut [0.0; 36],
            )
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("line.png") && error.contains("500×2"),
            "{error}"
        );
    }

    /// Left third red, right third blue: the centre crop of the wide picture sees neither.
    #[test]
    fn resize_keeps_the_central_square() {
        let picture = RgbImage::from_fn(48, 16, |x, _| match x {
            0..16 => Rgb([255, 0, 0]),
            16..32 => Rgb([0, 255, 0]),
            _ => Rgb([0, 0, 255]),
        });
        let out = prepared(config(16, Fit::Resize), picture.into(), 3);
        assert!(out[..256].iter().all(|&red| red == -1.0));
        assert!(out[256..512].iter().all(|&green| green == 1.0));
        assert!(out[512..].iter().all(|&blue| blue == -1.0));
    }

    /// A ramp stays a ramp under bilinear interpolation (away from the border), whatever the direction of the change.
    #[test]
    fn resampling_is_linear() {
        let picture = GrayImage::from_fn(28, 28, |x, _| Luma([x as u8 * 9]));
        for size in [32, 14] {
            let out = prepared(config(size, Fit::Resize), picture.clone().into(), 1);
            for (column, value) in out.iter().enumerate().take(size - 2).skip(2) {
                let source = (column as f32 + 0.5) * 28.0 / size as f32 - 0.5;
                let expected = source * 9.0 / 127.5 - 1.0;
                assert!(
                    (value - expected).abs() < 1.01 / 127.5,
                    "{size}: column {column}"
                );
            }
        }
    }

    #[test]
    fn grey_and_colour_convert_both_ways() {
        let grey = GrayImage::from_pixel(3, 3, Luma([51]));
        assert_eq!(
            prepared(config(3, Fit::Resize), grey.into(), 3),
            vec![scale(51); 27]
        );
        let colour = RgbImage::from_pixel(3, 3, Rgb([0, 255, 0]));
        let out = prepared(config(3, Fit::Resize), colour.into(), 1);
        // Rec. 709: green carries 0.7152 of the luma.
        assert!((out[0] - (2.0 * 0.7152 - 1.0)).abs() < 0.02, "{}", out[0]);
    }

    #[test]
    fn values_out_of_range_name_their_key() {
        let broken = [
            (
                ImageConfig {
                    size: 0,
                    ..ImageConfig::default()
                },
                "size",
            ),
            (
                ImageConfig {
                    size: 5000,
                    ..ImageConfig::default()
                },
                "size",
            ),
            (
                ImageConfig {
                    channels: Some(2),
                    ..ImageConfig::default()
                },
                "channels",
            ),
            (
                ImageConfig {
                    limit: Some(0),
                    ..ImageConfig::default()
                },
                "limit",
            ),
        ];
        for (config, key) in broken {
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(&format!("\"{key}\"")), "{error}");
        }
        ImageConfig::default().validate().unwrap();
    }
}
