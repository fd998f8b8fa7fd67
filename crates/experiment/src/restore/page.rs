//! `restore.html`: the image before, the mean, the spread and the draws.

use std::fs;
use std::path::Path;

use ebm_figures::{Report, RgbImage, image_grid, write_png};

use super::run::{Pictures, Restored};
use crate::ExperimentError;
use crate::json::write_json;
use crate::npy::npy;
use crate::pictures::{grid, write_grid};

pub(super) const PAGE: &str = "restore.html";
/// Written last: a folder that has it holds a restoration.
pub(super) const RECORD: &str = "restore.json";

pub(super) struct Page<'a> {
    pub(super) restored: &'a Restored,
    pub(super) pictures: &'a Pictures,
    pub(super) shape: [usize; 3],
}

impl Page<'_> {
    /// Writes pictures, array, page and record into the folder.
    pub(super) fn write(&self, out: &Path) -> Result<(), ExperimentError> {
        let (restored, pictures) = (self.restored, self.pictures);
        let summary = self.summary()?;
        write_png(&summary, out.join("summary.png"))?;
        let draws = pictures.draws.values();
        write_grid(draws, self.shape, &out.join("draws.png"))?;
        let path = out.join("draws.npy");
        let [channels, height, width] = self.shape;
        let array = npy(draws, &[restored.draws, channels, height, width]);
        fs::write(&path, array).map_err(|error| ExperimentError::io(&path, error))?;
        let what = match pictures.clean {
            Some(_) => {
                "The clean image, the image before, the mean of the draws and their spread (white is the largest)."
            }
            None => {
                "The image before, the mean of the draws and their spread (white is the largest)."
            }
        };
        Report::new(format!("Restored by {}", restored.weights))
            .verdict(
                format!("{}.", restored.sentence),
                "Chains under the learned energy fill in what is missing, or take out the noise. Where the draws differ, the \
                 energy does not know.",
            )
            .image(&summary, what)?
            .image(&grid(draws, self.shape)?, "The draws.")?
            .config(serde_json::to_string_pretty(restored).unwrap_or_default())
            .write_html(out.join(PAGE))?;
        write_json(&out.join(RECORD), restored)
    }

    fn summary(&self) -> Result<RgbImage, ExperimentError> {
        let Pictures {
            before,
            clean,
            mean,
            spread,
            ..
        } = self.pictures;
        let largest = spread.iter().copied().fold(f32::MIN_POSITIVE, f32::max);
        let spread: Vec<f32> = spread.iter().map(|x| 2.0 * x / largest - 1.0).collect();
        let images: Vec<&[f32]> = clean
            .iter()
            .chain([before, mean, &spread])
            .map(Vec::as_slice)
            .collect();
        let [channels, height, width] = self.shape;
        let scale = (128 / height.max(1)).max(1);
        let count = images.len();
        Ok(image_grid(
            &images.concat(),
            [count, channels, height, width],
            count,
            scale,
        )?)
    }
}
