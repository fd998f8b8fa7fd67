//! Densities and colour scales as images.

use image::imageops::{FilterType, resize};
use image::{Rgb, RgbImage};
use plotters::style::colors::colormaps::{ColorMap, ViridisRGB};

use super::canvas::PlacedImage;
use crate::Result;
use crate::image_grid::png_bytes;
use ebm_diagnostics::DensityGrid;

/// Colours the cells of a grid by `shade`, a value in [0, 1] from a log density, and scales them
/// to a square of `side` units. The highest y is at the top, as on paper.
pub(crate) fn density_image(
    grid: &DensityGrid,
    place: (i32, i32),
    side: u32,
    shade: impl Fn(f64) -> f64,
) -> Result<PlacedImage> {
    let cells = grid.resolution() as u32;
    let image = RgbImage::from_fn(cells, cells, |column, line| {
        let row = (cells - 1 - line) as usize;
        let value = grid.log_values()[row * grid.resolution() + column as usize];
        colour(shade(value))
    });
    placed(&resize(&image, side, side, FilterType::Triangle), place)
}

/// A vertical colour scale, 1 at the top.
pub(crate) fn colour_bar(place: (i32, i32), width: u32, height: u32) -> Result<PlacedImage> {
    let image = RgbImage::from_fn(width, height, |_, line| {
        colour(1.0 - f64::from(line) / f64::from(height.saturating_sub(1).max(1)))
    });
    placed(&image, place)
}

fn colour(shade: f64) -> Rgb<u8> {
    let colour = ViridisRGB.get_color(shade.clamp(0.0, 1.0) as f32);
    Rgb([colour.0, colour.1, colour.2])
}

fn placed(image: &RgbImage, place: (i32, i32)) -> Result<PlacedImage> {
    Ok(PlacedImage {
        left: place.0,
        top: place.1,
        width: image.width(),
        height: image.height(),
        png: png_bytes(image)?,
    })
}
