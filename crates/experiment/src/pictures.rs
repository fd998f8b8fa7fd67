//! How pictures are written.

use std::path::Path;

use ebm_figures::{Figure, RgbImage, image_grid, write_png};

use crate::ExperimentError;

/// How many states a grid shows.
pub(crate) const SHOWN: usize = 64;
const COLUMNS: usize = 8;

/// A grid of the first 64 states, `[count, channels, height, width]` in [−1, 1].
pub(crate) fn grid(states: &[f32], shape: [usize; 3]) -> Result<RgbImage, ExperimentError> {
    let [channels, height, width] = shape;
    let per_chain = channels * height * width;
    let count = (states.len() / per_chain.max(1)).min(SHOWN);
    // About 64 pixels for an image, however small its states are.
    let scale = (64 / height.max(1)).max(1);
    let shown = &states[..count * per_chain];
    Ok(image_grid(
        shown,
        [count, channels, height, width],
        COLUMNS.min(count.max(1)),
        scale,
    )?)
}

/// Writes `name.png` and `name.svg` into a folder.
pub(crate) fn write_figure(
    figure: &Figure,
    folder: &Path,
    name: &str,
) -> Result<(), ExperimentError> {
    figure.write_png(folder.join(format!("{name}.png")))?;
    Ok(figure.write_svg(folder.join(format!("{name}.svg")))?)
}

/// Writes [`grid`] as a PNG.
pub(crate) fn write_grid(
    states: &[f32],
    shape: [usize; 3],
    path: &Path,
) -> Result<(), ExperimentError> {
    Ok(write_png(&grid(states, shape)?, path)?)
}
