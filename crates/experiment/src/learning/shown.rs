//! The samples that a report shows and judges.

use ebm_core::{NoiseKey, Stream};
use ebm_data::LoadedData;
use ebm_diagnostics::DEFAULT_NEIGHBOURS;
use ebm_langevin::LangevinError;
use ebm_trainer::LearnerView;

use crate::classifier::ImageView;
use crate::config::ExperimentConfig;
use crate::quality::{DigitQuality, digit_quality, or_warning, samples_to_judge};
use crate::{Compute, ExperimentError};

/// Short-run samples at some iteration of learning.
#[derive(Default)]
pub(crate) struct Shown {
    /// Row by row; empty where there is nothing to show.
    pub(crate) states: Vec<f32>,
    /// Whether they were drawn anew from noise, rather than taken from the last iteration.
    pub(crate) are_fresh: bool,
    /// Their quality, if it can be measured and was requested.
    pub(crate) quality: Option<DigitQuality>,
}

impl Shown {
    /// Fresh chains where chains start from noise; otherwise, or when chains may no longer run because of a stop,
    /// those of the last iteration. At the end of learning there are enough of them to judge their quality.
    ///
    /// # Errors
    /// [`ExperimentError::Stopped`] at the end of learning: the report of a run that has ended would lack them for
    /// ever.
    pub(crate) fn draw(
        config: &ExperimentConfig,
        dataset: &LoadedData,
        learner: &dyn LearnerView,
        is_finished: bool,
        compute: &dyn Compute,
    ) -> Result<Self, ExperimentError> {
        if config.is_toy() {
            return Ok(Self::default());
        }
        let is_judged = is_finished && config.judges_digits();
        let chains = &config.langevin;
        if let Some(noise) = chains.start.noise() {
            let key = NoiseKey::new(config.seed, Stream::WatchStart, learner.iteration());
            // The picture shows the first 64, which are the same whatever the number.
            let judged = match dataset.count() {
                Some(data) if is_judged => samples_to_judge(data),
                _ => 0,
            };
            let start = noise.draw(chains.start_factor, key, judged.max(64), dataset.shape())?;
            match learner
                .chains()
                .run(&start, &learner.watch_run(chains.steps))
            {
                Ok(outcome) => {
                    let states = outcome.states.into_values();
                    let quality = if is_judged {
                        quality(dataset, &states, compute)?
                    } else {
                        None
                    };
                    return Ok(Self {
                        states,
                        are_fresh: true,
                        quality,
                    });
                }
                Err(LangevinError::Cancelled) if is_finished => {
                    return Err(ExperimentError::Stopped);
                }
                // A run that goes on gets another report.
                Err(LangevinError::Cancelled) => {}
                Err(error) => tracing::warn!("no fresh samples: {error}"),
            }
        }
        Ok(Self {
            states: learner.samples()?.into_values(),
            are_fresh: false,
            quality: None,
        })
    }
}

fn quality(
    dataset: &LoadedData,
    samples: &[f32],
    compute: &dyn Compute,
) -> Result<Option<DigitQuality>, ExperimentError> {
    let LoadedData::Images { images, .. } = dataset else {
        return Ok(None);
    };
    let data = ImageView::from(images);
    let samples = ImageView {
        values: samples,
        ..data
    };
    let quality = digit_quality(samples, data, DEFAULT_NEIGHBOURS, compute).map(Some);
    or_warning("quality of samples", quality)
}
