//! Where the chains of an evaluation start.

use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use ebm_core::{NoiseKey, States, Stream};
use ebm_energy_net::read_tensors;
use ebm_langevin::{ChainStart, NoiseStart};
use serde::{Deserialize, Serialize};

use crate::cli::DataDirectory;
use crate::config::{ExperimentConfig, Source};
use crate::diagnosis::enough;
use crate::error::DriverError;
use crate::job::load_data;
use crate::run_folder::RunFolder;
use crate::trained::{NewestWeights, Trained};
use crate::trained_chains::MOST_NUMBERS;

/// Where chains start, and how many.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Where chains start: uniform or gaussian noise, data, or the persistent bank of the run [default: as in learning].
    #[arg(long, value_enum, conflicts_with = "states")]
    pub(crate) start: Option<EvaluationStart>,
    /// Start from the states in this safetensors file, such as samples or a bank.
    #[arg(long, value_name = "FILE")]
    pub(crate) states: Option<PathBuf>,
    /// Start from the data of this named experiment or experiment file instead of the training's.
    #[arg(long, value_name = "NAME|FILE", conflicts_with = "states")]
    pub(crate) data_of: Option<String>,
    /// How many chains.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) chains: u32,
}

/// Where the chains of an evaluation start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EvaluationStart {
    Uniform,
    Gaussian,
    Data,
    Bank,
}

/// Draws initial states.
pub(crate) struct Starts<'a> {
    pub(crate) arguments: &'a StartArguments,
    pub(crate) trained: &'a Trained,
    /// The run folder that the net is from, which may hold a bank.
    pub(crate) run: Option<&'a Path>,
    /// Where data sets are.
    pub(crate) data: &'a DataDirectory,
    pub(crate) seed: u64,
}

impl Starts<'_> {
    /// In words where the states come from, and the states, row by row.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when there are too few, and those of the files they are in.
    pub(crate) fn draw(&self) -> Result<(String, Vec<f32>), DriverError> {
        let count = self.arguments.chains as usize;
        let per_chain = self.per_chain();
        if count.saturating_mul(per_chain) > MOST_NUMBERS {
            return Err(DriverError::Usage(format!(
                "--chains {count} makes more than {MOST_NUMBERS} numbers; run fewer"
            )));
        }
        if let Some(file) = &self.arguments.states {
            let what = file.display().to_string();
            return Ok((what.clone(), self.choose(&self.read_states(file)?, &what)?));
        }
        let factor = self.trained.langevin.start_factor;
        let shape = self.trained.state_shape;
        let noise = |noise: NoiseStart| {
            let states = noise.draw(factor, self.key(), count, shape);
            states.map(States::into_values)
        };
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

    /// As asked for, or as learning starts its chains.
    fn start(&self) -> Result<EvaluationStart, DriverError> {
        match (self.arguments.start, &self.arguments.data_of) {
            (Some(EvaluationStart::Data) | None, Some(_)) => return Ok(EvaluationStart::Data),
            (Some(_), Some(_)) => {
                return Err(DriverError::Usage(
                    "--data-of names data to start from; leave it out, or use --start data".into(),
                ));
            }
            (Some(start), None) => return Ok(start),
            (None, None) => {}
        }
        Ok(match self.trained.langevin.start {
            ChainStart::Uniform => EvaluationStart::Uniform,
            ChainStart::Gaussian => EvaluationStart::Gaussian,
            ChainStart::Data => EvaluationStart::Data,
            ChainStart::Persistent if self.bank().is_ok() => EvaluationStart::Bank,
            // What the bank of the learning was filled with.
            ChainStart::Persistent => EvaluationStart::Uniform,
        })
    }

    fn draw_data(&self) -> Result<(String, Vec<f32>), DriverError> {
        let (data, noise) = match (&self.arguments.data_of, &self.trained.data) {
            (Some(name), _) => {
                let file = PathBuf::from(name);
                let source = if file.is_file() {
                    Source::File(file)
                } else {
                    Source::Named(name.clone())
                };
                let config = ExperimentConfig::load(&source, &[])?.0;
                (config.data, config.data_noise)
            }
            (None, Some(data)) => (data.clone(), self.trained.data_noise),
            (None, None) => {
                return Err(DriverError::Usage(
                    "the weights do not say what they learned from; name data to start from with --data-of NAME|FILE, or use --start uniform"
                        .into(),
                ));
            }
        };
        if data.shape() != self.trained.state_shape {
            return Err(DriverError::Usage(format!(
                "--data-of: these data are {:?}, the net takes {:?}",
                data.shape(),
                self.trained.state_shape
            )));
        }
        let dataset = load_data(&data, self.data)?;
        let count = self.arguments.chains as usize;
        enough("the data set", dataset.len().unwrap_or(count), count)?;
        let key = NoiseKey::new(self.seed, Stream::WatchDataNoise, 0);
        let states = dataset.noisy_batch(&self.key(), &key, count, noise)?;
        let what = if noise > 0.0 {
            format!("data with noise {noise}")
        } else {
            "data".to_owned()
        };
        Ok((what, states))
    }

    /// The bank of the run's newest checkpoint.
    fn bank(&self) -> Result<PathBuf, DriverError> {
        let none = || {
            DriverError::Usage(
                "--start bank: there is no persistent bank; give --run of a run with persistent chains, or states with --states FILE"
                    .into(),
            )
        };
        let folder = RunFolder::open(self.run.ok_or_else(none)?)?;
        let bank = NewestWeights::of(&folder, false)?.bank;
        bank.filter(|bank| bank.is_file()).ok_or_else(none)
    }

    /// The tensor "states" of a safetensors file, or its only one.
    fn read_states(&self, file: &Path) -> Result<Vec<f32>, DriverError> {
        let mut tensors = read_tensors(file)?;
        let place = tensors
            .iter()
            .position(|tensor| tensor.name == "states")
            .or((tensors.len() == 1).then_some(0));
        let Some(place) = place else {
            return Err(DriverError::Usage(format!(
                "{}: must hold a tensor \"states\", or one tensor only",
                file.display()
            )));
        };
        let tensor = tensors.swap_remove(place);
        let shape = self.trained.state_shape;
        // A bank is flat, samples have the shape of the net's states.
        let is_list = matches!(tensor.shape.split_first(), Some((_, rest)) if rest == shape || rest == [self.per_chain()]);
        if !is_list || tensor.values.iter().any(|value| !value.is_finite()) {
            return Err(DriverError::Usage(format!(
                "{}: tensor \"{}\" of shape {:?} must be a list of finite states of {shape:?}",
                file.display(),
                tensor.name,
                tensor.shape
            )));
        }
        Ok(tensor.values)
    }

    /// As many different states as there are chains; all of them in their order where there are just as many.
    fn choose(&self, states: &[f32], what: &str) -> Result<Vec<f32>, DriverError> {
        let (count, per_chain) = (self.arguments.chains as usize, self.per_chain());
        let available = states.len() / per_chain;
        enough(what, available, count)?;
        if available == count {
            return Ok(states.to_vec());
        }
        let rows = self.key().choose(count, available).into_iter();
        Ok(rows
            .flat_map(|row| &states[row * per_chain..(row + 1) * per_chain])
            .copied()
            .collect())
    }

    fn key(&self) -> NoiseKey {
        NoiseKey::new(self.seed, Stream::WatchStart, 0)
    }

    fn per_chain(&self) -> usize {
        self.trained.state_shape.iter().product::<usize>().max(1)
    }
}
