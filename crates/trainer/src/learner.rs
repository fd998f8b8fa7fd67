//! One iteration of Algorithm 1, and the state it moves.

use std::collections::HashMap;
use std::path::Path;

use burn::module::AutodiffModule;
use burn::tensor::backend::{AutodiffBackend, Backend};
use burn::tensor::{Tensor, TensorData};
use ebm_core::{Energy, NoiseKey, Stream};
use ebm_data::Dataset;
use ebm_diagnostics::IterationMetrics;
use ebm_energy_net::{NamedParameter, named_parameters};
use ebm_langevin::{ChainRun, Engine, PersistentBank};

use crate::difference::{Difference, Loss};
use crate::stabilisers::{adjusted, project};
use crate::{DivergenceCause, LearnerView, LearningConfig, Optimizer, TrainerError};
use crate::{averaging, checkpoint};

/// A net that is being learned: parameters θ, optimiser, bank and iteration number. The rest of a run's state is
/// in its config, because all noise is a function of seed and iteration.
///
/// `N` is any burn module that is also an [`Energy`]; `E` computes the chains.
pub struct Learner<B: AutodiffBackend, N, E> {
    pub(crate) config: LearningConfig,
    pub(crate) net: N,
    /// The average of θ, where the config asks for it.
    pub(crate) average: Option<N>,
    pub(crate) optimizer: Optimizer<B::InnerBackend>,
    pub(crate) bank: Option<PersistentBank>,
    pub(crate) learning_rate: f64,
    pub(crate) iteration: u64,
    engine: E,
    dataset: Dataset,
    device: B::Device,
    samples: Option<Tensor<B::InnerBackend, 4>>,
    pub(crate) metadata: HashMap<String, String>,
}

impl<B, N, E> Learner<B, N, E>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
    E: Engine<B, N>,
{
    /// A learner before its first iteration.
    ///
    /// # Errors
    /// [`TrainerError::Setting`] when a setting is out of range or does not fit the data.
    pub fn new(
        config: LearningConfig,
        net: N,
        engine: E,
        dataset: Dataset,
        device: B::Device,
    ) -> Result<Self, TrainerError> {
        config.validate()?;
        config.check_batch(dataset.len())?;
        let per_chain = dataset.shape().iter().product();
        let bank = config.bank_size(dataset.len()).map(|size| {
            let key = NoiseKey::new(config.seed, Stream::BankStart, 0);
            PersistentBank::uniform(size, per_chain, key)
        });
        let net = project(&config.stabilisers, net);
        let average = config.optimizer.averaging.map(|_| net.clone().no_grad());
        Ok(Self {
            average,
            optimizer: Optimizer::new(config.optimizer.method),
            learning_rate: config.optimizer.learning_rate,
            iteration: 0,
            samples: None,
            metadata: HashMap::new(),
            config,
            net,
            bank,
            engine,
            dataset,
            device,
        })
    }

    /// Puts text entries, such as the net's description, into the header of every weight file that is written.
    #[must_use]
    pub fn with_metadata(mut self, metadata: HashMap<String, String>) -> Self {
        self.metadata = metadata;
        self
    }

    /// The net.
    pub fn net(&self) -> &N {
        &self.net
    }

    /// The net with the average of the parameters over learning ([`OptimizerConfig::averaging`]), if one is kept.
    ///
    /// [`OptimizerConfig::averaging`]: crate::OptimizerConfig::averaging
    pub fn average(&self) -> Option<&N> {
        self.average.as_ref()
    }

    /// One learning iteration: Algorithm 1 of arXiv 1903.12370.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`] when energies are not finite or ran away; then, as after any error, the
    /// parameters, the bank and the iteration number are those of before.
    pub fn iterate(&mut self) -> Result<IterationMetrics, TrainerError> {
        let iteration = self.iteration + 1;
        let keys = [Stream::DataBatch, Stream::DataNoise].map(|stream| self.key(stream, iteration));
        let data = self.data_batch(keys, self.config.batch_size)?;
        let (start, places) = self.chain_start(iteration, &data)?;

        let outcome = self.engine.run(
            &self.net.clone().no_grad(),
            self.tensor(start),
            &self.chain_run(Stream::Langevin, iteration, 0, self.config.langevin.steps),
        )?;
        let samples = outcome.states;

        let difference = Difference::new(
            &self.net,
            &self.engine,
            self.tensor(data),
            samples.clone(),
            Loss {
                scale: self.difference_scale(),
                energy_penalty: self.config.stabilisers.energy_penalty,
            },
        )?;
        let metrics = IterationMetrics {
            iteration,
            energy_difference: difference.value,
            gradient_magnitude: outcome.gradient_magnitude,
            energy_data: difference.energy_data,
            energy_samples: difference.energy_samples,
            learning_rate: self.learning_rate,
        };
        self.check_divergence(&metrics)?;
        // Written back first: it is the only part that can still fail, and it changes nothing when it does.
        if let (Some(bank), Some(places)) = (&mut self.bank, places) {
            bank.write_back(&places, &host(&samples))?;
        }

        let temperature = self.config.langevin.epsilon.learned_temperature().get();
        let stabilisers = &self.config.stabilisers;
        let gradients = adjusted(stabilisers, &self.net, difference.gradients(), temperature);
        let net = self.optimizer.step::<B, N>(
            self.net.clone(),
            &gradients,
            self.learning_rate,
            temperature,
        );
        self.net = project(stabilisers, net);
        let settings = &self.config.optimizer;
        if let (Some(average), Some(limit)) = (self.average.take(), settings.averaging) {
            let decay = averaging::decay(limit, iteration);
            self.average = Some(averaging::update::<B, N>(average, &self.net, decay));
        }
        self.learning_rate =
            (self.learning_rate * settings.decay).max(settings.minimum_learning_rate);
        self.samples = Some(samples);
        self.iteration = iteration;
        Ok(metrics)
    }

    /// Checks that an update has not made a parameter infinite or not a number, which energies would show only in
    /// the next iteration.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`].
    pub fn check_parameters(&self) -> Result<(), TrainerError> {
        let is_finite = |parameter: &NamedParameter| parameter.values.iter().all(|v| v.is_finite());
        if named_parameters(&self.net).iter().all(is_finite) {
            return Ok(());
        }
        Err(TrainerError::Diverged {
            iteration: self.iteration,
            cause: DivergenceCause::Parameters,
        })
    }

    /// The engine's name.
    pub fn engine_name(&self) -> &'static str {
        self.engine.name()
    }

    /// Continues from a checkpoint folder.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`], [`TrainerError::Net`] or [`TrainerError::Io`] when it is damaged or of another run.
    pub fn restore(self, folder: &Path) -> Result<Self, TrainerError> {
        checkpoint::restore(self, folder)
    }

    /// x⁺: a batch of data with noise ε_data, `[batch, channels, height, width]`.
    fn data_batch(
        &self,
        [batch, noise]: [NoiseKey; 2],
        count: usize,
    ) -> Result<Vec<f32>, TrainerError> {
        let scale = self.config.data_noise;
        Ok(self.dataset.noisy_batch(&batch, &noise, count, scale)?)
    }

    /// The initial states of the chains, and their places if they come from the bank.
    #[allow(clippy::type_complexity)]
    fn chain_start(
        &self,
        iteration: u64,
        data: &[f32],
    ) -> Result<(Vec<f32>, Option<Vec<usize>>), TrainerError> {
        let chains = &self.config.langevin;
        let count = self.config.batch_size;
        if let Some(bank) = &self.bank {
            let places = bank.draw(count, self.key(Stream::BankDraw, iteration))?;
            return Ok((bank.gather(&places), Some(places)));
        }
        let states = match chains.start.noise() {
            Some(noise) => noise.draw(
                chains.start_factor,
                self.key(Stream::ChainStart, iteration),
                count,
                self.per_chain(),
            )?,
            None => data.to_vec(),
        };
        Ok((states, None))
    }

    fn check_divergence(&self, metrics: &IterationMetrics) -> Result<(), TrainerError> {
        let difference = metrics.energy_data - metrics.energy_samples;
        let limit = self.config.divergence_limit;
        let numbers = [
            difference,
            metrics.energy_difference,
            metrics.gradient_magnitude,
        ];
        let cause = if !numbers.iter().all(|number| number.is_finite()) {
            DivergenceCause::NotFinite {
                energy_data: metrics.energy_data,
                energy_samples: metrics.energy_samples,
                gradient_magnitude: metrics.gradient_magnitude,
            }
        } else if difference.abs() > limit {
            DivergenceCause::EnergyDifference { difference, limit }
        } else {
            return Ok(());
        };
        Err(TrainerError::Diverged {
            iteration: metrics.iteration,
            cause,
        })
    }

    /// d is measured in units of U = F/T.
    fn difference_scale(&self) -> f64 {
        1.0 / self.config.langevin.epsilon.learned_temperature().get()
    }

    fn chain_run(&self, stream: Stream, iteration: u64, first_step: u64, steps: u64) -> ChainRun {
        ChainRun {
            kernel: self.config.kernel().into(),
            steps,
            first_step,
            noise: self.key(stream, iteration),
            final_energies: false,
        }
    }

    fn key(&self, stream: Stream, iteration: u64) -> NoiseKey {
        NoiseKey::new(self.config.seed, stream, iteration)
    }

    fn per_chain(&self) -> usize {
        self.dataset.shape().iter().product()
    }

    fn tensor(&self, states: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.dataset.shape();
        let chains = states.len() / self.per_chain();
        let data = TensorData::new(states, [chains, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }

    /// F of states under `net`, which has no gradients.
    fn energies_under(&self, net: &N, states: &[f32]) -> Result<Vec<f64>, TrainerError> {
        let run = ChainRun {
            final_energies: true,
            ..self.chain_run(Stream::Watch, self.iteration, 0, 0)
        };
        // In pieces, because a plot grid has 40,000 points and activations are wide.
        let piece = self.per_chain() * 4096;
        let mut energies = Vec::with_capacity(states.len() / self.per_chain());
        for states in states.chunks(piece) {
            let outcome = self.engine.run(net, self.tensor(states.to_vec()), &run)?;
            energies.extend(outcome.energies.iter().flatten().map(|f| f64::from(*f)));
        }
        Ok(energies)
    }

    pub(crate) fn device(&self) -> &B::Device {
        &self.device
    }
}

impl<B, N, E> LearnerView for Learner<B, N, E>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
    E: Engine<B, N>,
{
    fn config(&self) -> &LearningConfig {
        &self.config
    }

    fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    fn iteration(&self) -> u64 {
        self.iteration
    }

    fn samples(&self) -> Result<Vec<f32>, TrainerError> {
        Ok(self.samples.as_ref().map(host).unwrap_or_default())
    }

    fn watch_data(&self, count: usize) -> Result<Vec<f32>, TrainerError> {
        let streams = [Stream::WatchStart, Stream::WatchDataNoise];
        self.data_batch(
            streams.map(|stream| self.key(stream, self.iteration)),
            count,
        )
    }

    fn bank(&self) -> Option<&PersistentBank> {
        self.bank.as_ref()
    }

    fn energies(&self, states: &[f32]) -> Result<Vec<f64>, TrainerError> {
        self.energies_under(&self.net.clone().no_grad(), states)
    }

    fn average_energies(&self, states: &[f32]) -> Result<Option<Vec<f64>>, TrainerError> {
        let average = self.average.as_ref();
        average
            .map(|net| self.energies_under(net, states))
            .transpose()
    }

    fn run_chains(
        &self,
        states: Vec<f32>,
        first_step: u64,
        steps: u64,
    ) -> Result<Vec<f32>, TrainerError> {
        let run = self.chain_run(Stream::Watch, self.iteration, first_step, steps);
        let net = self.net.clone().no_grad();
        let outcome = self.engine.run(&net, self.tensor(states), &run)?;
        Ok(host(&outcome.states))
    }

    fn save_weights(&self, path: &Path) -> Result<(), TrainerError> {
        Ok(ebm_energy_net::save_weights(
            &self.net,
            path,
            self.metadata.clone(),
        )?)
    }

    fn save_average(&self, path: &Path) -> Result<bool, TrainerError> {
        let Some(average) = &self.average else {
            return Ok(false);
        };
        ebm_energy_net::save_weights(average, path, self.metadata.clone())?;
        Ok(true)
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), TrainerError> {
        checkpoint::save(self, folder)
    }
}

fn host<B: Backend>(states: &Tensor<B, 4>) -> Vec<f32> {
    states.to_data().iter::<f32>().collect()
}
