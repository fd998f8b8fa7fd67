//! Where the chains of an evaluation start.

use std::path::{Path, PathBuf};

use ebm_core::{NoiseKey, States, Stream};
use ebm_energy_net::read_tensors;
use ebm_langevin::{ChainStart, LangevinError, NoiseStart};
use serde::{Deserialize, Serialize};

use crate::compute::MOST_NUMBERS;
use crate::config::{ExperimentConfig, Source};
use crate::data::load_data;
use crate::diagnosis::enough;
use crate::run_folder::RunFolder;
use crate::trained::{NewestWeights, Trained};
use crate::words::as_typed;
use crate::{ExperimentError, memory};

/// Where chains start, and how many.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StartOptions {
    /// The start; by default as in learning.
    pub start: Option<EvaluationStart>,
    /// A safetensors file with the states to start from, such as samples or a bank; instead of `start`.
    pub states: Option<PathBuf>,
    /// Start from the data of this experiment instead of the training's.
    pub data_of: Option<Source>,
    /// How many chains.
    pub chains: usize,
}

/// As in learning, 100 chains.
impl Default for StartOptions {
    fn default() -> Self {
        Self {
            start: None,
            states: None,
            data_of: None,
            chains: 100,
        }
    }
}

/// Where the chains of an evaluation or a map start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EvaluationStart {
    /// Uniform noise.
    Uniform,
    /// Gaussian noise.
    Gaussian,
    /// Data, with their noise as in learning.
    Data,
    /// The persistent bank of the run.
    Bank,
}

impl EvaluationStart {
    /// All of them.
    pub const ALL: &[Self] = &[Self::Uniform, Self::Gaussian, Self::Data, Self::Bank];

    /// Its name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Gaussian => "gaussian",
            Self::Data => "data",
            Self::Bank => "bank",
        }
    }
}

/// Draws initial states.
pub(crate) struct Starts<'a> {
    pub(crate) options: &'a StartOptions,
    pub(crate) trained: &'a Trained,
    /// Where data sets are, if not in the usual place.
    pub(crate) data_directory: Option<&'a Path>,
    pub(crate) seed: u64,
    /// The setting that says how many chains there are, for messages.
    pub(crate) setting: &'static str,
}

impl Starts<'_> {
    /// The origin of the states in words, and the states, row by row.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] when there are too few, and those of the files they are in.
    pub(crate) fn draw(&self) -> Result<(String, States), ExperimentError> {
        let count = self.options.chains;
        let per_chain = self.per_chain();
        memory::check_chains(self.setting, count, per_chain)?;
        if count.saturating_mul(per_chain) > MOST_NUMBERS {
            let problem =
                format!("{count}: these make more than {MOST_NUMBERS} numbers; run fewer");
            return Err(ExperimentError::setting(self.setting, problem));
        }
        if let Some(file) = &self.options.states {
            let what = file.display().to_string();
            return Ok((what.clone(), self.choose(&self.read_states(file)?, &what)?));
        }
        let factor = self.trained.langevin.start_factor;
        let noise =
            |noise: NoiseStart| noise.draw(factor, self.key(), count, self.trained.state_shape);
        Ok(match self.start()? {
            EvaluationStart::Uniform => ("uniform noise".into(), noise(NoiseStart::Uniform)?),
            EvaluationStart::Gaussian => ("Gaussian noise".into(), noise(NoiseStart::Gaussian)?),
            EvaluationStart::Data => self.draw_data()?,
            EvaluationStart::Bank => {
                let bank = self.bank()?;
                let states = self.read_states(&bank)?;
                ("the bank".into(), self.choose(&states, "the bank")?)
            }
        })
    }

    /// Whether there is a persistent bank to start from.
    pub(crate) fn has_bank(&self) -> bool {
        self.bank().is_ok()
    }

    /// The requested start, or that of the chains of learning.
    fn start(&self) -> Result<EvaluationStart, ExperimentError> {
        match (self.options.start, &self.options.data_of) {
            (Some(EvaluationStart::Data) | None, Some(_)) => return Ok(EvaluationStart::Data),
            (Some(_), Some(_)) => {
                let problem = "names data to start from; leave it out, or start from data";
                return Err(ExperimentError::setting("data_of", problem));
            }
            (Some(start), None) => return Ok(start),
            (None, None) => {}
        }
        Ok(match self.trained.langevin.start {
            ChainStart::Uniform => EvaluationStart::Uniform,
            ChainStart::Gaussian => EvaluationStart::Gaussian,
            ChainStart::Data => EvaluationStart::Data,
            ChainStart::Persistent if self.bank().is_ok() => EvaluationStart::Bank,
            // The noise with which the bank was filled at first.
            ChainStart::Persistent => EvaluationStart::Uniform,
        })
    }

    fn draw_data(&self) -> Result<(String, States), ExperimentError> {
        let (data, noise) = match (&self.options.data_of, &self.trained.data) {
            (Some(source), _) => {
                let config = ExperimentConfig::load(source, &[])?.0;
                let noise = config.learning().data_noise_at(config.iterations);
                (config.data, Some(noise))
            }
            (None, Some(data)) => (data.clone(), self.trained.data_noise),
            (None, None) => {
                let problem = "is needed, because the weights do not say what they learned from; name an experiment \
                    with the data, or start from noise";
                return Err(ExperimentError::setting("data_of", problem));
            }
        };
        if data.shape() != self.trained.state_shape {
            let [data, net] = [data.shape(), self.trained.state_shape];
            let problem = format!("names data of shape {data:?}, and the net takes {net:?}");
            return Err(ExperimentError::setting("data_of", problem));
        }
        let dataset = load_data(&data, self.data_directory)?;
        let count = self.options.chains;
        enough(
            self.setting,
            "the data set",
            dataset.count().unwrap_or(count),
            count,
        )?;
        let key = NoiseKey::new(self.seed, Stream::WatchDataNoise, 0);
        let states = dataset.noisy_batch(&self.key(), &key, count, noise.unwrap_or(0.0))?;
        let what = match noise {
            Some(noise) if noise > 0.0 => format!("data with noise {}", as_typed(noise, 4)),
            Some(_) => "data".to_owned(),
            None => {
                "data without noise (the weights do not say how much they learned with)".to_owned()
            }
        };
        Ok((what, states))
    }

    /// The bank of the run's newest checkpoint.
    fn bank(&self) -> Result<PathBuf, ExperimentError> {
        let none = || {
            let problem = "bank: there is no persistent bank; take a run with persistent chains";
            ExperimentError::setting("start", problem)
        };
        let folder = RunFolder::open(self.trained.run.as_deref().ok_or_else(none)?)?;
        let bank = NewestWeights::of(&folder, false)?.bank;
        bank.filter(|bank| bank.is_file()).ok_or_else(none)
    }

    /// The tensor "states" of a safetensors file, or its only one.
    fn read_states(&self, file: &Path) -> Result<States, ExperimentError> {
        let mut tensors = read_tensors(file)?;
        let place = tensors
            .iter()
            .position(|tensor| tensor.name == "states")
            .or((tensors.len() == 1).then_some(0));
        let Some(place) = place else {
            return Err(ExperimentError::Request(format!(
                "{}: must hold a tensor \"states\", or one tensor only",
                file.display()
            )));
        };
        let tensor = tensors.swap_remove(place);
        let shape = self.trained.state_shape;
        // A bank is flat, samples have the shape of the net's states.
        let is_list = matches!(tensor.shape.split_first(), Some((_, rest)) if rest == shape || rest == [self.per_chain()]);
        if !is_list || tensor.values.iter().any(|value| !value.is_finite()) {
            return Err(ExperimentError::Request(format!(
                "{}: tensor \"{}\" of shape {:?} must be a list of finite states of {shape:?}",
                file.display(),
                tensor.name,
                tensor.shape
            )));
        }
        self.states(tensor.values)
    }

    /// As many different states as there are chains. If the numbers are equal, all states in their order.
    fn choose(&self, states: &States, what: &str) -> Result<States, ExperimentError> {
        let count = self.options.chains;
        enough(self.setting, what, states.len(), count)?;
        if states.len() == count {
            return Ok(states.clone());
        }
        Ok(states.gather(&self.key().choose(count, states.len())))
    }

    fn states(&self, values: Vec<f32>) -> Result<States, ExperimentError> {
        Ok(States::new(self.trained.state_shape, values).map_err(LangevinError::from)?)
    }

    fn key(&self) -> NoiseKey {
        NoiseKey::new(self.seed, Stream::WatchStart, 0)
    }

    fn per_chain(&self) -> usize {
        self.trained.state_shape.iter().product::<usize>().max(1)
    }
}
