//! The options of a map.

use std::path::Path;

use ebm_core::States;
use ebm_langevin::{ChainStart, LangevinError};

use super::{MOST_STEPS, MapSettings, Start, batch};
use crate::compute::MOST_NUMBERS;
use crate::config::{Source, are_digits};
use crate::evaluation::{EvaluationStart, StartOptions, Starts, temperature};
use crate::once::each_once;
use crate::{ExperimentError, Trained};

/// The options of a map.
#[derive(Debug, Clone, PartialEq)]
pub struct MapOptions {
    /// Where chains start. If it is empty: data, the bank of the run if it has one, and the noise that learning or
    /// its bank starts from.
    pub starts: Vec<EvaluationStart>,
    /// Start from the data of this experiment instead of the training's.
    pub data_of: Option<Source>,
    /// The number of chains from each start.
    pub chains: usize,
    /// Langevin steps of each chain, as in learning, before it descends to its minimum; by default 100·L.
    pub gather_steps: Option<u64>,
    /// τ, the temperature of the attracted chains as a multiple of that of the training.
    pub temperature_factor: f64,
    /// δ, the distance at which a chain has reached a minimum, in units of the states; by default a tenth of the root
    /// mean square distance between minima.
    pub resolution: Option<f64>,
    /// M: a chain gives up after this number of steps that brought it no nearer to its target; at most
    /// [`MOST_STEPS`].
    pub patience: u64,
    /// The number of tries in each direction of a pair.
    pub trials: u32,
    /// How α is found.
    pub strength: Strength,
    /// The number of groupings of the minima, each with another seed.
    pub groupings: usize,
    /// Multiples of α at which the minima are grouped once more.
    pub multiples: Vec<f64>,
    /// The largest number of basins between which barriers are sought; those with the most minima are taken.
    pub graph_basins: usize,
    /// Seed of everything.
    pub seed: u64,
    /// The request for the map, such as a command line, which is kept with it.
    pub command: String,
}

/// How α, the pull in nats of U/τ per unit of distance, is found.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Strength {
    /// By a sweep over pulls αTτ from r/50 to 2r, where r is the mean of ‖∇F‖₂.
    #[default]
    Sweep,
    /// By a sweep over this range of α, the smaller end first.
    SweepOver([f64; 2]),
    /// It is this.
    Alpha(f64),
}

impl Default for MapOptions {
    fn default() -> Self {
        Self {
            starts: Vec::new(),
            data_of: None,
            chains: 100,
            gather_steps: None,
            temperature_factor: 0.1,
            resolution: None,
            patience: 200,
            trials: 2,
            strength: Strength::Sweep,
            groupings: 3,
            multiples: Vec::new(),
            graph_basins: 30,
            seed: 1,
            command: String::new(),
        }
    }
}

impl Strength {
    /// α and its range, if they were given.
    pub(super) fn settings(self) -> Result<(Option<f64>, Option<[f64; 2]>), ExperimentError> {
        match self {
            Self::Sweep => Ok((None, None)),
            Self::Alpha(alpha) => {
                positive("alpha", alpha)?;
                Ok((Some(alpha), None))
            }
            Self::SweepOver([low, high]) if low > 0.0 && high.is_finite() && low < high => {
                Ok((None, Some([low, high])))
            }
            Self::SweepOver([low, high]) => {
                let problem = format!("{low},{high}: give two numbers > 0 with the smaller first");
                Err(ExperimentError::setting("alpha_range", problem))
            }
        }
    }
}

impl MapOptions {
    /// All settings except the words for the starts and the engine.
    pub(super) fn settings(
        &self,
        trained: &Trained,
        data_directory: Option<&Path>,
    ) -> Result<MapSettings, ExperimentError> {
        let (alpha, alpha_range) = self.strength.settings()?;
        let training_epsilon = trained.langevin.epsilon.get();
        temperature(training_epsilon, self.temperature_factor)?;
        if let Some(resolution) = self.resolution {
            positive("resolution", resolution)?;
        }
        for multiple in &self.multiples {
            positive("multiples", *multiple)?;
        }
        let starts = self.starts_for(trained, data_directory);
        let size: usize = trained.state_shape.iter().product();
        let count = self.chains.saturating_mul(starts.len());
        if count.saturating_mul(size) > MOST_NUMBERS {
            let problem = format!(
                "{}: {count} chains are more than {MOST_NUMBERS} numbers; run fewer",
                self.chains
            );
            return Err(ExperimentError::setting("chains", problem));
        }
        if count < 2 {
            return Err(ExperimentError::setting(
                "chains",
                "1: a map needs two chains at least",
            ));
        }
        let default_steps = trained.langevin.steps.saturating_mul(100);
        Ok(MapSettings {
            weights: trained.weights.display().to_string(),
            net: trained.net,
            state_shape: trained.state_shape,
            training_epsilon,
            stabilisers: trained.stabilisers,
            starts: starts
                .into_iter()
                .map(|start| Start {
                    start,
                    what: String::new(),
                })
                .collect(),
            chains: self.chains,
            gather_steps: self.gather_steps.unwrap_or(default_steps),
            temperature_factor: self.temperature_factor,
            resolution: self.resolution,
            patience: self.patience,
            most_steps: MOST_STEPS,
            trials: self.trials,
            batch: batch(size),
            alpha,
            alpha_range,
            groupings: self.groupings,
            multiples: self.multiples.clone(),
            graph_basins: self.graph_basins,
            is_digits: trained.data.as_ref().is_some_and(are_digits),
            seed: self.seed,
            backend: String::new(),
            engine: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.command.clone(),
        })
    }

    /// The requested starts, each once, or all that the net has.
    fn starts_for(&self, trained: &Trained, data_directory: Option<&Path>) -> Vec<EvaluationStart> {
        let mut starts = self.starts.clone();
        if starts.is_empty() {
            if trained.data.is_some() || self.data_of.is_some() {
                starts.push(EvaluationStart::Data);
            }
            let options = self.start_options(EvaluationStart::Bank);
            if self.drawing(trained, &options, data_directory).has_bank() {
                starts.push(EvaluationStart::Bank);
            }
            match trained.langevin.start {
                ChainStart::Gaussian => starts.push(EvaluationStart::Gaussian),
                // A bank is first filled with uniform noise.
                ChainStart::Uniform | ChainStart::Persistent => {
                    starts.push(EvaluationStart::Uniform);
                }
                ChainStart::Data => {}
            }
            // The case of weights that do not name their data.
            if starts.is_empty() {
                starts.push(EvaluationStart::Uniform);
            }
        }
        each_once(starts)
    }

    /// Draws all initial states, and describes each start in words.
    pub(super) fn draw(
        &self,
        trained: &Trained,
        starts: &mut [Start],
        data_directory: Option<&Path>,
    ) -> Result<States, ExperimentError> {
        if self.data_of.is_some() && starts.iter().all(|it| it.start != EvaluationStart::Data) {
            let problem = "names data to start from; leave it out, or start from data too";
            return Err(ExperimentError::setting("data_of", problem));
        }
        let mut initial = States::none(trained.state_shape);
        for start in starts {
            let options = self.start_options(start.start);
            let (what, states) = self.drawing(trained, &options, data_directory).draw()?;
            start.what = what;
            initial.append(&states).map_err(LangevinError::from)?;
        }
        Ok(initial)
    }

    fn start_options(&self, start: EvaluationStart) -> StartOptions {
        StartOptions {
            start: Some(start),
            states: None,
            data_of: self
                .data_of
                .clone()
                .filter(|_| start == EvaluationStart::Data),
            chains: self.chains,
        }
    }

    fn drawing<'a>(
        &self,
        trained: &'a Trained,
        options: &'a StartOptions,
        data_directory: Option<&'a Path>,
    ) -> Starts<'a> {
        Starts {
            options,
            trained,
            data_directory,
            seed: self.seed,
            setting: "chains",
        }
    }
}

fn positive(setting: &'static str, value: f64) -> Result<(), ExperimentError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(ExperimentError::setting(
        setting,
        format!("{value}: must be a finite number > 0"),
    ))
}
