//! Samples: chains from where learning starts them, under a learned energy.

use std::path::Path;
use std::sync::Arc;

use ebm_core::{NoiseKey, States, StepSize, Stream};
use ebm_energy_net::{NamedParameter, write_tensors};
use ebm_langevin::{ChainRun, ChainStart};

use crate::compute::MOST_NUMBERS;
use crate::evaluation::{EvaluationStart, StartOptions, Starts};
use crate::npy::npy;
use crate::pictures::write_grid;
use crate::{Computation, ExperimentError, Trained};

const GRID: &str = "samples.png";
const ARRAY: &str = "samples.npy";
/// The file that [`crate::quality`] reads.
pub(crate) const TENSORS: &str = "samples.safetensors";
/// The entry of its header with the number of steps without noise.
const NOISELESS: &str = "ebm.noiseless_steps";

/// The settings of samples; the default is that of the short-run samples of learning.
#[derive(Debug, Clone, PartialEq)]
pub struct SampleOptions {
    /// How many chains.
    pub count: usize,
    /// Langevin steps of each chain; by default L of the training.
    pub steps: Option<u64>,
    /// ε; by default that of the training. The temperature stays that of the training.
    pub epsilon: Option<f64>,
    /// Steps X ← X − ∇F(X) that follow, without noise. They take out the noise that samples share with the data; after
    /// many of them the samples are minima of F. None by default, because such states are no samples of the chains
    /// that learned.
    pub noiseless_steps: u64,
    /// Where chains start; by default as in learning, and in uniform noise where that is at the data.
    pub start: Option<EvaluationStart>,
    /// Seed of the chains.
    pub seed: u64,
}

impl Default for SampleOptions {
    fn default() -> Self {
        Self {
            count: 64,
            steps: None,
            epsilon: None,
            noiseless_steps: 0,
            start: None,
            seed: 1,
        }
    }
}

/// Final states of chains, and their energies.
#[derive(Debug, Clone)]
pub struct Samples {
    /// The states.
    pub states: States,
    /// F of each.
    pub energies: Vec<f64>,
    /// Where they started, in words.
    pub from: String,
    /// Langevin steps taken, without the noiseless ones.
    pub steps: u64,
    /// Steps without noise after them.
    pub noiseless_steps: u64,
    /// r over the Langevin steps.
    pub gradient_magnitude: f64,
}

impl SampleOptions {
    /// Checks everything that needs neither a backend nor a file.
    ///
    /// # Errors
    /// [`ExperimentError::Setting`].
    pub fn check(&self, trained: &Trained) -> Result<(), ExperimentError> {
        self.step_size(trained)?;
        let numbers = self
            .count
            .saturating_mul(trained.state_shape.iter().product());
        if numbers > MOST_NUMBERS {
            let problem = format!(
                "{} makes {numbers} numbers, more than {MOST_NUMBERS} at once; draw fewer and change the seed for more",
                self.count
            );
            return Err(ExperimentError::setting("count", problem));
        }
        Ok(())
    }

    fn step_size(&self, trained: &Trained) -> Result<StepSize, ExperimentError> {
        match self.epsilon {
            Some(epsilon) => StepSize::new(epsilon)
                .map_err(|error| ExperimentError::setting("epsilon", error.to_string())),
            None => Ok(trained.langevin.epsilon),
        }
    }

    /// Draws the samples.
    ///
    /// # Errors
    /// As [`Self::check`], [`Compute::trained_net`](crate::Compute::trained_net) and the engine's;
    /// [`ExperimentError::RunawayChains`].
    pub fn draw(
        &self,
        trained: &Trained,
        Computation { compute, engine }: Computation<'_>,
    ) -> Result<Samples, ExperimentError> {
        self.check(trained)?;
        let shape = trained.state_shape;
        let from_data = trained.langevin.start == ChainStart::Data;
        let options = StartOptions {
            start: self.start.or(from_data.then_some(EvaluationStart::Uniform)),
            chains: self.count,
            ..StartOptions::default()
        };
        let (from, start) = Starts {
            options: &options,
            trained,
            data_directory: None,
            seed: self.seed,
            setting: "count",
        }
        .draw()?;
        let steps = self.steps.unwrap_or(trained.langevin.steps);
        let run = |epsilon, steps| {
            ChainRun::new(trained.kernel(epsilon), steps)
                .with_noise(NoiseKey::new(self.seed, Stream::Watch, 0))
                .with_final_energies()
        };
        let net = compute.trained_net(
            &trained.net,
            shape,
            &trained.weights,
            engine,
            &Arc::default(),
        )?;
        let mut outcome = net.run(&start, &run(self.step_size(trained)?, steps))?;
        let gradient_magnitude = outcome.gradient_magnitude;
        if self.noiseless_steps > 0 {
            let run = run(StepSize::ZERO, self.noiseless_steps);
            outcome = net.run(&outcome.states, &run)?;
        }
        if !outcome.states.is_finite() {
            return Err(ExperimentError::RunawayChains);
        }
        let energies = outcome.energies.unwrap_or_default();
        Ok(Samples {
            states: outcome.states,
            energies: energies.into_iter().map(f64::from).collect(),
            from,
            steps,
            noiseless_steps: self.noiseless_steps,
            gradient_magnitude,
        })
    }
}

impl Samples {
    /// Refuses a folder that holds samples.
    ///
    /// # Errors
    /// [`ExperimentError::Occupied`].
    pub fn check_free(folder: &Path) -> Result<(), ExperimentError> {
        if [GRID, ARRAY, TENSORS]
            .iter()
            .any(|name| folder.join(name).exists())
        {
            return Err(ExperimentError::Occupied {
                path: folder.to_owned(),
                problem: "already holds samples".to_owned(),
                can_resume: false,
            });
        }
        Ok(())
    }

    /// Mean F.
    #[must_use]
    pub fn mean_energy(&self) -> f64 {
        self.energies.iter().sum::<f64>() / self.energies.len().max(1) as f64
    }

    /// The chains in a line: how many, their steps, mean F at the end and r over the Langevin steps.
    #[must_use]
    pub fn sentence(&self) -> String {
        let noiseless = match self.noiseless_steps {
            0 => String::new(),
            more => format!(" and {more} without noise"),
        };
        format!(
            "{} chains of {} steps{noiseless} from {}: mean F {:.4}, r {:.4}",
            self.energies.len(),
            self.steps,
            self.from,
            self.mean_energy(),
            self.gradient_magnitude
        )
    }

    /// Writes `samples.npy` and `samples.safetensors` (with F), and for images the first 64 as `samples.png`.
    ///
    /// # Errors
    /// [`ExperimentError::Io`].
    pub fn write(&self, folder: &Path) -> Result<(), ExperimentError> {
        std::fs::create_dir_all(folder).map_err(|error| ExperimentError::io(folder, error))?;
        let shape = self.states.shape();
        let full_shape = shape.batch(self.states.len());
        // Points of the plane have no picture.
        if !shape.is_point() {
            write_grid(self.states.values(), shape.dims(), &folder.join(GRID))?;
        }
        let array = folder.join(ARRAY);
        ebm_core::write_atomically(&array, &npy(self.states.values(), &full_shape))
            .map_err(|error| ExperimentError::io(&array, error))?;
        let tensors = [
            NamedParameter {
                name: "states".into(),
                shape: full_shape.to_vec(),
                values: self.states.values().to_vec(),
            },
            NamedParameter {
                name: "energies".into(),
                shape: vec![self.energies.len()],
                values: self.energies.iter().map(|f| *f as f32).collect(),
            },
        ];
        Ok(write_tensors(
            &tensors,
            &folder.join(TENSORS),
            [(NOISELESS.to_owned(), self.noiseless_steps.to_string())].into(),
        )?)
    }
}
