//! Image grids of samples while learning, and how pictures are written.

use std::path::Path;

use ebm_diagnostics::{Figure, image_grid, write_png};
use ebm_trainer::{Event, LearnerView, Observer, ObserverError};

use crate::error::DriverError;
use crate::run_folder::RunFolder;

const SHOWN: usize = 64;
const COLUMNS: usize = 8;

/// Writes `shortrun/` and, for persistent chains, `bank/` grids at an interval and at the end. Only for images.
pub(crate) struct Pictures {
    folder: RunFolder,
    every: u64,
}

impl Pictures {
    pub(crate) fn new(folder: &RunFolder, every: u64) -> Self {
        Self {
            folder: folder.clone(),
            every,
        }
    }

    fn write(&self, learner: &dyn LearnerView) -> Result<(), DriverError> {
        let shape = learner.dataset().shape().dims();
        let name = format!("{:08}.png", learner.iteration());
        let path = self.folder.file_in("shortrun", &name)?;
        write_grid(learner.samples()?.values(), shape, &path)?;
        if let Some(bank) = learner.bank()? {
            let first: Vec<usize> = (0..SHOWN.min(bank.len())).collect();
            write_grid(
                bank.gather(&first).values(),
                shape,
                &self.folder.file_in("bank", &name)?,
            )?;
        }
        Ok(())
    }
}

impl Observer for Pictures {
    fn notice(&mut self, event: &Event<'_>) -> Result<(), ObserverError> {
        if let Event::IterationDone {
            metrics, learner, ..
        } = event
        {
            let is_last = metrics.iteration == learner.config().iterations;
            if is_last || self.looks_at(metrics.iteration) {
                self.write(*learner).map_err(ObserverError::new)?;
            }
        }
        Ok(())
    }

    fn looks_at(&self, iteration: u64) -> bool {
        iteration.is_multiple_of(self.every.max(1))
    }
}

/// A grid of the first 64 states, `[count, channels, height, width]` in [−1, 1].
pub(crate) fn grid(states: &[f32], shape: [usize; 3]) -> Result<image::RgbImage, DriverError> {
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
pub(crate) fn write_figure(figure: &Figure, folder: &Path, name: &str) -> Result<(), DriverError> {
    figure.write_png(folder.join(format!("{name}.png")))?;
    Ok(figure.write_svg(folder.join(format!("{name}.svg")))?)
}

/// Writes [`grid`] as a PNG.
pub(crate) fn write_grid(
    states: &[f32],
    shape: [usize; 3],
    path: &Path,
) -> Result<(), DriverError> {
    Ok(write_png(&grid(states, shape)?, path)?)
}
