//! The settings of a map.

use ebm_core::{StepSize, Temperature};
use ebm_energy_net::NetConfig;
use ebm_landscape::Diffusion;
use ebm_langevin::Ula;
use ebm_trainer::Stabilisers;
use serde::{Deserialize, Serialize};

use crate::ExperimentError;
use crate::compute::MOST_NUMBERS;
use crate::evaluation::{EvaluationStart, step_size, temperature};

/// The largest number of steps of a path.
pub const MOST_STEPS: u64 = 5_000;

/// The largest number of attracted chains that run at once.
const MOST_CHAINS: usize = 4_096;

/// The largest number of values in the states that run at once: 64 MiB.
const MOST_MOVING: usize = 1 << 24;

/// Where some of the chains start.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Start {
    /// The start.
    pub start: EvaluationStart,
    /// The same in words, with the noise that data get.
    pub what: String,
}

/// Everything that determines a map, besides the weights and the initial states, which are files in the same folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MapSettings {
    /// Where the weights came from.
    pub weights: String,
    /// The net.
    pub net: NetConfig,
    /// `[channels, height, width]` of a state.
    pub state_shape: [usize; 3],
    /// ε of the training.
    pub training_epsilon: f64,
    /// The stabilisers of the training; their bounds apply to the gathering.
    #[serde(default, skip_serializing_if = "Stabilisers::is_plain")]
    pub stabilisers: Stabilisers,
    /// Where chains start, as many from each.
    pub starts: Vec<Start>,
    /// Chains from each start.
    pub chains: usize,
    /// Langevin steps of each before its descent.
    pub gather_steps: u64,
    /// τ, the temperature of the diffusion as a multiple of that of U.
    pub temperature_factor: f64,
    /// δ, if it was given.
    pub resolution: Option<f64>,
    /// M.
    pub patience: u64,
    /// The largest number of steps of a path.
    pub most_steps: u64,
    /// The number of tries in each direction of a pair.
    pub trials: u32,
    /// Chains that are on their way at once.
    pub batch: usize,
    /// α, if it was given, in nats of U/τ per unit of distance.
    pub alpha: Option<f64>,
    /// The range of α of the sweep, if it was given.
    pub alpha_range: Option<[f64; 2]>,
    /// Groupings with different seeds.
    pub groupings: usize,
    /// Multiples of α at which the minima are grouped once more.
    pub multiples: Vec<f64>,
    /// The largest number of basins between which barriers are sought.
    pub graph_basins: usize,
    /// Whether the digit classifier reads the minima.
    pub is_digits: bool,
    /// Seed of everything.
    pub seed: u64,
    /// The backend.
    pub backend: String,
    /// The engine.
    pub engine: String,
    /// Version of this program.
    pub version: String,
    /// The command line that started it.
    pub command: String,
}

impl MapSettings {
    /// T in units of F, so that U = F/T.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for an ε that is no step size.
    pub fn temperature(&self) -> Result<Temperature, ExperimentError> {
        Ok(step_size(self.training_epsilon)?.learned_temperature())
    }

    /// The steps of the gathering: those of learning.
    ///
    /// # Errors
    /// As [`Self::temperature`].
    pub(crate) fn kernel(&self) -> Result<Ula, ExperimentError> {
        let ula = Ula::new(step_size(self.training_epsilon)?, self.temperature()?);
        Ok(self.stabilisers.bounded(ula))
    }

    /// αTτ/α: the pull in units of F that α = 1 makes.
    ///
    /// # Errors
    /// As [`Self::temperature`].
    pub(crate) fn pull_of_one(&self) -> Result<f64, ExperimentError> {
        Ok(self.temperature()?.get() * self.temperature_factor)
    }

    /// Attraction–diffusion within δ = `resolution`, with the noise of the grouping of this number.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`] for an impossible τ.
    pub(crate) fn diffusion(
        &self,
        resolution: f64,
        grouping: usize,
    ) -> Result<Diffusion, ExperimentError> {
        temperature(self.training_epsilon, self.temperature_factor)?;
        if self.training_epsilon == 0.0 {
            return Err(ExperimentError::Request(
                "the net learned without noise (ε = 0), which gives the chains of a map no step size; choose a net \
                 that learned with noise"
                    .into(),
            ));
        }
        // The drift ε²/2τT then stays that of learning.
        let epsilon = self.training_epsilon * self.temperature_factor.sqrt();
        Ok(Diffusion {
            step_size: StepSize::new(epsilon).map_err(|error| {
                ExperimentError::setting("temperature_factor", format!("{error}"))
            })?,
            temperature_factor: self.temperature_factor,
            resolution,
            patience: self.patience,
            most_steps: self.most_steps,
            trials: self.trials,
            batch: self.batch,
            seed: self.seed.wrapping_add(grouping as u64),
        })
    }

    /// Whether states are pictures rather than points.
    pub(crate) fn is_image(&self) -> bool {
        self.state_shape[1] > 1
    }

    /// Values of a state.
    pub(crate) fn state_size(&self) -> usize {
        self.state_shape.iter().product()
    }

    /// Chains of all starts together.
    pub(crate) fn all_chains(&self) -> usize {
        self.chains * self.starts.len()
    }

    /// Where the chain of this number started, and its number among those.
    pub(crate) fn origin(&self, chain: usize) -> Option<(&Start, usize)> {
        let start = self.starts.get(chain / self.chains.max(1))?;
        Some((start, chain % self.chains))
    }

    /// Refuses settings that no map has, such as those of a damaged file.
    ///
    /// # Errors
    /// What is wrong.
    pub(super) fn check(&self) -> Result<(), String> {
        let numbers = self
            .state_shape
            .iter()
            .chain([&self.starts.len()])
            .try_fold(self.chains, |product, side| product.checked_mul(*side));
        if !numbers.is_some_and(|numbers| (1..=MOST_NUMBERS).contains(&numbers)) {
            return Err(format!(
                "{} chains of {:?} from each of {} starts are not from 1 to {MOST_NUMBERS} numbers",
                self.chains,
                self.state_shape,
                self.starts.len()
            ));
        }
        let diffusion = self.diffusion(self.resolution.unwrap_or(1.0), 0);
        diffusion
            .and_then(|diffusion| Ok(diffusion.check()?))
            .map_err(|error| error.to_string())
    }
}

/// Chains that are on their way at once, for states of this many values.
pub(crate) fn batch(state_size: usize) -> usize {
    (MOST_MOVING / state_size.max(1)).clamp(1, MOST_CHAINS)
}
