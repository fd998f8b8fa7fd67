//! Short-run samples, which are the samples of learning, drawn anew and in numbers that suffice to judge them.

use ebm_core::States;
use ebm_data::LoadedData;
use ebm_diagnostics::DEFAULT_NEIGHBOURS;
use ebm_langevin::{ChainRun, Chains};

use super::{StartName, Starts};
use crate::Compute;
use crate::ExperimentError;
use crate::classifier::ImageView;
use crate::quality::{DigitQuality, digit_quality, samples_to_judge};

/// The family of noise of the short-run samples; groups of chains have 0, 1 and 2.
pub(super) const FAMILY: u64 = 3;

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
        let initial = self.draw(start, FAMILY, self.sample_count())?;
        let config = &self.subject.config;
        let run = ChainRun::new(config.kernel(), config.langevin.steps)
            .with_noise(self.steps_key(FAMILY));
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

    fn digits(&self) -> Option<ImageView<'_>> {
        match self.dataset? {
            _ if Self::of_learning(self.subject) == StartName::Data => None,
            LoadedData::Images { images, .. } if self.subject.config.is_digits() => {
                Some(images.into())
            }
            _ => None,
        }
    }
}
