//! Short-run samples, which are the samples of learning, drawn anew and in numbers that suffice to judge them.

use ebm_core::States;
use ebm_data::LoadedData;
use ebm_diagnostics::DEFAULT_NEIGHBOURS;
use ebm_langevin::{ChainRun, Chains};
use serde::{Deserialize, Serialize};

use super::{StartName, Starts};
use crate::Compute;
use crate::ExperimentError;
use crate::classifier::ImageView;
use crate::quality::{DigitQuality, digit_quality, samples_to_judge};

/// The family of noise of the short-run samples; groups of chains have 0, 1 and 2.
pub(super) const FAMILY: u64 = 3;

/// Where chains start that are judged alike, whatever those of learning do; their noise has the families after
/// [`FAMILY`].
pub(crate) const JUDGED_STARTS: [StartName; 2] = [StartName::Noise, StartName::Data];

/// Samples of digits from one start.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JudgedStart {
    /// Where their chains started.
    pub start: StartName,
    /// The steps of the chains.
    pub steps: u64,
    /// The quality of where they ended. Chains from the data are compared with their own starts among others: they are
    /// best if they do not move.
    pub quality: DigitQuality,
}

impl Starts<'_> {
    /// The number of short-run samples that are judged besides the groups of chains: 0 if nothing is measured for
    /// such data, and never more than there are different starts.
    pub(crate) fn sample_count(&self) -> usize {
        let config = &self.subject.config;
        let wanted = if config.is_toy() {
            config.landscape.unwrap_or_default().samples
        } else {
            self.digits()
                .map_or(0, |data| samples_to_judge(data.count()))
        };
        let available = match Self::of_learning(self.subject) {
            StartName::Noise => None,
            StartName::Data => self.dataset.and_then(LoadedData::count),
            StartName::Bank => self.subject.bank.as_ref().map(|bank| bank.len()),
        };
        available.map_or(wanted, |available| wanted.min(available))
    }

    /// The samples.
    pub(super) fn short_run_samples(&self, net: &dyn Chains) -> Result<States, ExperimentError> {
        let start = Self::of_learning(self.subject);
        let steps = self.subject.config.langevin.steps;
        self.samples(net, start, FAMILY, self.sample_count(), steps)
    }

    /// Where `count` chains from a start end after so many steps, with noise of a family.
    fn samples(
        &self,
        net: &dyn Chains,
        start: StartName,
        family: u64,
        count: usize,
        steps: u64,
    ) -> Result<States, ExperimentError> {
        let initial = self.draw(start, family, count)?;
        let run =
            ChainRun::new(self.subject.config.kernel(), steps).with_noise(self.steps_key(family));
        Ok(net.run(&initial, &run)?.states)
    }

    /// The quality of short-run samples, where the data are digits and at hand. Chains that start from the data are
    /// not judged: they would be compared with their own starts, and would be best if they did not move.
    ///
    /// # Errors
    /// [`ExperimentError::Diagnostics`] when there are too few samples or data.
    pub(crate) fn judge_digits(
        &self,
        net: &dyn Chains,
        compute: &dyn Compute,
    ) -> Result<Option<DigitQuality>, ExperimentError> {
        let Some(data) = self.digits() else {
            return Ok(None);
        };
        let samples = self.short_run_samples(net)?;
        let samples = ImageView {
            values: samples.values(),
            ..data
        };
        digit_quality(samples, data, DEFAULT_NEIGHBOURS, compute).map(Some)
    }

    /// Chains that [`Self::judge_start`] runs.
    pub(super) fn judged_count(&self) -> usize {
        self.data_of_digits()
            .map_or(0, |data| samples_to_judge(data.count()))
    }

    /// The quality of digits after so many steps from a start, where the data are digits and at hand; `number` is that
    /// of the start.
    ///
    /// # Errors
    /// As [`Self::judge_digits`], and those of drawing the starts.
    pub(super) fn judge_start(
        &self,
        net: &dyn Chains,
        compute: &dyn Compute,
        start: StartName,
        number: u64,
        steps: u64,
    ) -> Result<Option<JudgedStart>, ExperimentError> {
        let Some(data) = self.data_of_digits() else {
            return Ok(None);
        };
        let states = self.samples(net, start, FAMILY + 1 + number, self.judged_count(), steps)?;
        // Clamped to the range of the data they would look like images.
        if !states.is_finite() {
            tracing::warn!("chains from {} ran away and are not judged", start.as_str());
            return Ok(None);
        }
        let samples = ImageView {
            values: states.values(),
            ..data
        };
        let quality = digit_quality(samples, data, DEFAULT_NEIGHBOURS, compute)?;
        Ok(Some(JudgedStart {
            start,
            steps,
            quality,
        }))
    }

    fn digits(&self) -> Option<ImageView<'_>> {
        self.data_of_digits()
            .filter(|_| Self::of_learning(self.subject) != StartName::Data)
    }

    fn data_of_digits(&self) -> Option<ImageView<'_>> {
        match self.dataset? {
            LoadedData::Images { images, .. } if self.subject.config.is_digits() => {
                Some(images.into())
            }
            _ => None,
        }
    }
}
