//! Image states of the chains as one picture.

use std::io::Cursor;
use std::path::Path;

use image::imageops::{FilterType, replace, resize};
use image::{ImageFormat, Rgb, RgbImage};

use crate::error::write_atomically;
use crate::{FiguresError, Result};
use ebm_diagnostics::DiagnosticsError;

/// Pixels between two images, and around all of them.
const GAP: u32 = 2;
/// Largest number of pixels of a picture (the memory then is about 200 MB).
const LARGEST_AREA: u64 = 1 << 26;

/// Tiles `count` images into a grid of `columns`, row by row.
///
/// `states` holds the images as `[count, channels, height, width]` with values in [−1, 1]; values
/// outside are clamped and NaN becomes black. One channel is grey, three are red, green and blue.
/// Every pixel becomes `scale × scale` pixels; images are separated by 2 white pixels.
///
/// # Errors
/// [`DiagnosticsError::Parameter`] for another number of channels, an empty shape, no columns, no
/// scale or a picture of more than 2²⁶ pixels, and [`DiagnosticsError::LengthsDiffer`] when the
/// number of values does not fit the shape.
pub fn image_grid(
    states: &[f32],
    [count, channels, height, width]: [usize; 4],
    columns: usize,
    scale: usize,
) -> Result<RgbImage> {
    if channels != 1 && channels != 3 {
        return Err(parameter(
            "channels",
            channels,
            "an image has 1 (grey) or 3 (colour) channels",
        ));
    }
    for (name, value) in [
        ("count", count),
        ("height", height),
        ("width", width),
        ("columns", columns),
        ("scale", scale),
    ] {
        if value == 0 {
            return Err(parameter(name, value, "it has to be at least 1"));
        }
    }
    let size = [count, channels, height, width]
        .iter()
        .try_fold(1_usize, |product, axis| product.checked_mul(*axis));
    if size != Some(states.len()) {
        return Err(DiagnosticsError::LengthsDiffer {
            what: "the values and the product of their shape",
            left: states.len(),
            right: size.unwrap_or(usize::MAX),
        }
        .into());
    }
    let columns = columns.min(count);
    let rows = count.div_ceil(columns);
    let length = |tiles: usize, pixels: usize| -> Option<u32> {
        let tile = pixels.checked_mul(scale)?.checked_add(GAP as usize)?;
        u32::try_from(tiles.checked_mul(tile)?.checked_add(GAP as usize)?).ok()
    };
    let (total_width, total_height) = length(columns, width)
        .zip(length(rows, height))
        .filter(|(w, h)| u64::from(*w) * u64::from(*h) <= LARGEST_AREA)
        .ok_or_else(|| {
            parameter(
                "scale",
                scale,
                "the picture would have more than 2^26 pixels; use a smaller scale or fewer images",
            )
        })?;

    let mut picture = RgbImage::from_pixel(total_width, total_height, Rgb([255; 3]));
    let plane = height * width;
    // Fits: every length was shown to be within u32 above.
    let (tile_width, tile_height) = ((width * scale) as u32, (height * scale) as u32);
    for (index, state) in states.chunks_exact(channels * plane).enumerate() {
        let tile = RgbImage::from_fn(width as u32, height as u32, |x, y| {
            let pixel = y as usize * width + x as usize;
            Rgb(std::array::from_fn(|channel| {
                to_byte(state[channel.min(channels - 1) * plane + pixel])
            }))
        });
        let enlarged = resize(&tile, tile_width, tile_height, FilterType::Nearest);
        let left = i64::from(GAP) + (index % columns) as i64 * i64::from(tile_width + GAP);
        let top = i64::from(GAP) + (index / columns) as i64 * i64::from(tile_height + GAP);
        replace(&mut picture, &enlarged, left, top);
    }
    Ok(picture)
}

/// The picture as the bytes of a PNG file.
///
/// # Errors
/// [`FiguresError::Png`] when encoding fails.
pub fn png_bytes(image: &RgbImage) -> Result<Vec<u8>> {
    let mut bytes = Cursor::new(Vec::new());
    image
        .write_to(&mut bytes, ImageFormat::Png)
        .map_err(|error| FiguresError::Png(error.to_string()))?;
    Ok(bytes.into_inner())
}

/// Writes the picture as a PNG file.
///
/// # Errors
/// As [`png_bytes`], and [`FiguresError::Write`].
pub fn write_png(image: &RgbImage, path: impl AsRef<Path>) -> Result<()> {
    write_atomically(path, &png_bytes(image)?)
}

/// [−1, 1] to [0, 255]; the cast of NaN is 0.
fn to_byte(value: f32) -> u8 {
    ((value.clamp(-1.0, 1.0) + 1.0) * 127.5).round() as u8
}

fn parameter(name: &'static str, value: usize, requirement: &'static str) -> FiguresError {
    let value = value.to_string();
    DiagnosticsError::Parameter {
        name,
        value,
        requirement,
    }
    .into()
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn grey_values_are_mapped_and_clamped() {
        let states = [-1.0, 0.0, 1.0, 7.0, f32::NAN, f32::NEG_INFINITY];
        let picture = image_grid(&states, [1, 1, 2, 3], 8, 1).unwrap();
        assert_eq!(picture.dimensions(), (3 + 4, 2 + 4));
        let row = |y| [2, 3, 4].map(|x| picture.get_pixel(x, y).0[0]);
        assert_eq!(row(2), [0, 128, 255]);
        assert_eq!(row(3), [255, 0, 0]);
    }

    #[test]
    fn colours_are_planes_and_tiles_go_row_by_row() {
        let colours = [[1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]];
        let picture = image_grid(colours.as_flattened(), [3, 3, 1, 1], 2, 4).unwrap();
        assert_eq!(picture.dimensions(), (2 * 6 + 2, 2 * 6 + 2));
        assert_eq!(picture.get_pixel(5, 5).0, [255, 0, 0]);
        assert_eq!(picture.get_pixel(8, 2).0, [0, 255, 0]);
        assert_eq!(picture.get_pixel(2, 8).0, [0, 0, 255]);
        // The separators and the empty places are white.
        assert_eq!(picture.get_pixel(6, 2).0, [255; 3]);
        assert_eq!(picture.get_pixel(10, 10).0, [255; 3]);
    }

    #[test]
    fn unusable_shapes_are_errors() {
        assert!(image_grid(&[0.0; 4], [1, 4, 1, 1], 1, 1).is_err());
        assert!(image_grid(&[0.0; 4], [1, 1, 1, 1], 1, 1).is_err());
        assert!(image_grid(&[], [0, 1, 1, 1], 1, 1).is_err());
        assert!(image_grid(&[0.0], [1, 1, 1, 1], 0, 1).is_err());
        assert!(image_grid(&[0.0], [1, 1, 1, 1], 1, usize::MAX).is_err());
        assert!(image_grid(&[0.0], [1, 1, 1, 1], 1, 1 << 14).is_err());
        assert!(image_grid(&[0.0], [usize::MAX, 3, 2, 2], 1, 1).is_err());
    }

    #[test]
    fn png_files_can_be_read_back() {
        let picture = image_grid(&[0.5; 4], [1, 1, 2, 2], 1, 3).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("samples.png");
        write_png(&picture, &path).unwrap();
        assert_eq!(image::open(&path).unwrap().to_rgb8(), picture);
    }
}
