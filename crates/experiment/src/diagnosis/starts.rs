//! Where the chains of a diagnosis start.

use ebm_core::{NoiseKey, States, Stream};
use ebm_data::LoadedData;
use ebm_diagnostics::verdict::ChainOrigin;
use ebm_langevin::NoiseStart;
use serde::{Deserialize, Serialize};

use super::Subject;
use crate::ExperimentError;

/// A start by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StartName {
    /// The noise that learning starts from, or uniform noise if learning does not start from noise.
    Noise,
    /// Data, with their noise as in learning.
    Data,
    /// States of the persistent bank.
    Bank,
}

impl StartName {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Noise, Self::Data, Self::Bank];

    /// The name on the command line and in names of files.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Noise => "noise",
            Self::Data => "data",
            Self::Bank => "bank",
        }
    }
}

impl From<StartName> for ChainOrigin {
    fn from(name: StartName) -> Self {
        match name {
            StartName::Noise => Self::Noise,
            StartName::Data => Self::Data,
            StartName::Bank => Self::Bank,
        }
    }
}

/// Draws initial states for chains that only watch: the bank is read, and no stream of the learning is touched.
pub(crate) struct Starts<'a> {
    pub(crate) subject: &'a Subject,
    /// Needed for data only.
    pub(crate) dataset: Option<&'a LoadedData>,
    /// Seed of the diagnosis.
    pub(crate) seed: u64,
}

impl Starts<'_> {
    /// Where the chains of learning start, if the folder still has these states.
    pub(crate) fn of_learning(subject: &Subject) -> StartName {
        match (&subject.bank, subject.config.langevin.start.noise()) {
            (Some(_), _) => StartName::Bank,
            (None, Some(_)) => StartName::Noise,
            (None, None) => StartName::Data,
        }
    }

    /// Noise of the steps of family `family`. Each group of chains has its own, because the groups are compared as
    /// independent.
    pub(crate) fn steps_key(&self, family: u64) -> NoiseKey {
        NoiseKey::new(self.seed, Stream::Watch, family)
    }

    /// `count` states.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] when bank or data have fewer states or the run has none.
    pub(crate) fn draw(
        &self,
        start: StartName,
        family: u64,
        count: usize,
    ) -> Result<States, ExperimentError> {
        let key = NoiseKey::new(self.seed, Stream::WatchStart, family);
        let langevin = &self.subject.config.langevin;
        match start {
            StartName::Noise => {
                let noise = langevin.start.noise().unwrap_or(NoiseStart::Uniform);
                Ok(noise.draw(
                    langevin.start_factor,
                    key,
                    count,
                    self.subject.config.data.shape(),
                )?)
            }
            StartName::Data => self.draw_data(key, family, count),
            StartName::Bank => {
                let bank = self.subject.bank.as_ref();
                let bank = bank.ok_or_else(|| {
                    let root = self.subject.folder.root().display();
                    ExperimentError::setting(
                        "from",
                        format!("bank: {root} has no persistent bank; leave it out"),
                    )
                })?;
                enough("chains", "the bank", bank.len(), count)?;
                Ok(bank.gather(&key.choose(count, bank.len())))
            }
        }
    }

    fn draw_data(
        &self,
        key: NoiseKey,
        family: u64,
        count: usize,
    ) -> Result<States, ExperimentError> {
        let Some(dataset) = self.dataset else {
            return Err(ExperimentError::setting("from", "data: needs the data set"));
        };
        enough(
            "chains",
            "the data set",
            dataset.count().unwrap_or(count),
            count,
        )?;
        let noise = NoiseKey::new(self.seed, Stream::WatchDataNoise, family);
        let learning = self.subject.config.learning();
        let scale = learning.data_noise_at(self.subject.iteration);
        Ok(dataset.noisy_batch(&key, &noise, count, scale)?)
    }
}

/// Refuses more chains than there are states to start from; `setting` is the name of their number.
///
/// # Errors
/// [`ExperimentError::Setting`].
pub(crate) fn enough(
    setting: &'static str,
    what: &str,
    available: usize,
    count: usize,
) -> Result<(), ExperimentError> {
    if count <= available {
        return Ok(());
    }
    let fix = if available == 0 {
        "start elsewhere".to_owned()
    } else {
        format!("give {available} or fewer")
    };
    Err(ExperimentError::setting(
        setting,
        format!(
            "{count}: {what} has {available} states, too few for so many different chains; {fix}"
        ),
    ))
}
