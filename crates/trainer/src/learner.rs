//! One iteration of Algorithm 1, and the state it moves.

use std::collections::HashMap;
use std::path::Path;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use ebm_core::{Energy, NoiseKey, Stream};
use ebm_data::Dataset;
use ebm_diagnostics::IterationMetrics;
use ebm_energy_net::{NamedParameter, named_parameters};
use ebm_langevin::{ChainRun, Engine, PersistentBank};

use crate::difference::{Difference, Gradient, Loss};
use crate::numbers::{Judgement, MeanEnergies, Numbers, host};
use crate::state::State;
use crate::unread::Unread;
use crate::{DivergenceCause, LearnerView, LearningConfig, TrainerError, checkpoint};

/// A net that is being learned: parameters θ, optimiser, bank and iteration number. The rest of a run's state is
/// in its config, because all noise is a function of seed and iteration.
///
/// `N` is any burn module that is also an [`Energy`]; `E` computes the chains.
pub struct Learner<B: AutodiffBackend, N, E> {
    pub(crate) config: LearningConfig,
    pub(crate) state: State<B, N>,
    /// Without the samples of unread iterations.
    pub(crate) bank: Option<PersistentBank>,
    /// The iterations that were advanced and not read, if there are any.
    pub(crate) unread: Option<Unread<B, N>>,
    pub(crate) engine: E,
    dataset: Dataset,
    device: B::Device,
    pub(crate) metadata: HashMap<String, String>,
}

/// An iteration up to its update.
pub(crate) struct Walk<B: AutodiffBackend> {
    pub(crate) numbers: Numbers,
    pub(crate) energies: MeanEnergies<B::InnerBackend>,
    pub(crate) gradient: Gradient<B>,
    /// x⁻.
    pub(crate) samples: Tensor<B::InnerBackend, 4>,
    /// Where in the bank they belong, if there is one.
    pub(crate) places: Option<Vec<usize>>,
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
        Ok(Self {
            state: State::new(&config, net),
            unread: None,
            metadata: HashMap::new(),
            config,
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
        &self.state.net
    }

    /// The net with the average of the parameters over learning ([`OptimizerConfig::averaging`]), if one is kept.
    ///
    /// [`OptimizerConfig::averaging`]: crate::OptimizerConfig::averaging
    pub fn average(&self) -> Option<&N> {
        self.state.average.as_ref()
    }

    /// One learning iteration: Algorithm 1 of arXiv 1903.12370.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`] when energies are not finite or ran away; then, as after any error, the
    /// parameters, the bank and the iteration number are those of before. [`TrainerError::Unread`] when iterations that were
    /// [advanced](Self::advance) have not been [read](Self::read).
    pub fn iterate(&mut self) -> Result<IterationMetrics, TrainerError> {
        self.check_read()?;
        let walk = self.walk()?;
        let means = walk.energies.read()?;
        let metrics = self.judgement().metrics(walk.numbers, means)?;
        // Written back first: it is the only part that can still fail, and it changes nothing when it does.
        if let (Some(bank), Some(places)) = (&mut self.bank, walk.places) {
            bank.write_back(&places, &host(walk.samples.clone())?)?;
        }
        self.state
            .update(&self.config, walk.gradient.compute(), walk.samples);
        Ok(metrics)
    }

    /// The chains of the next iteration and the gradient they lead to, without an update and without waiting for the device.
    pub(crate) fn walk(&self) -> Result<Walk<B>, TrainerError> {
        let iteration = self.state.iteration + 1;
        let keys = [Stream::DataBatch, Stream::DataNoise].map(|stream| self.key(stream, iteration));
        let data = self.data_batch(keys, self.config.batch_size)?;
        let (start, places) = self.chain_start(iteration, &data)?;
        let launched = self.engine.launch(
            &self.state.net.clone().no_grad(),
            start,
            &self.chain_run(Stream::Langevin, iteration, 0, self.config.langevin.steps),
        )?;
        let difference = Difference::new(
            &self.state.net,
            &self.engine,
            self.tensor(data),
            launched.states.clone(),
            Loss {
                scale: self.judgement().scale,
                energy_penalty: self.config.stabilisers.energy_penalty,
            },
        )?;
        Ok(Walk {
            numbers: Numbers {
                iteration,
                learning_rate: self.state.learning_rate,
                gradient_magnitude: launched.gradient_magnitude,
            },
            energies: difference.energies,
            gradient: difference.gradient,
            samples: launched.states,
            places,
        })
    }

    /// Checks that an update has not made a parameter infinite or not a number, which energies would show only in
    /// the next iteration.
    ///
    /// # Errors
    /// [`TrainerError::Diverged`].
    pub fn check_parameters(&self) -> Result<(), TrainerError> {
        let is_finite = |parameter: &NamedParameter| parameter.values.iter().all(|v| v.is_finite());
        if named_parameters(&self.state.net).iter().all(is_finite) {
            return Ok(());
        }
        Err(TrainerError::Diverged {
            iteration: self.state.iteration,
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
    pub fn restore(mut self, folder: &Path) -> Result<Self, TrainerError> {
        checkpoint::restore(&mut self, folder)?;
        Ok(self)
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
    ) -> Result<(Tensor<B::InnerBackend, 4>, Option<Vec<usize>>), TrainerError> {
        let chains = &self.config.langevin;
        let count = self.config.batch_size;
        if let Some(bank) = &self.bank {
            let places = bank.draw(count, self.key(Stream::BankDraw, iteration))?;
            let upload = |states| self.tensor(states);
            let start = match &self.unread {
                Some(unread) => unread.chains.gather(bank, &places, upload),
                None => upload(bank.gather(&places)),
            };
            return Ok((start, Some(places)));
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
        Ok((self.tensor(states), None))
    }

    pub(crate) fn judgement(&self) -> Judgement {
        Judgement {
            scale: 1.0 / self.config.langevin.epsilon.learned_temperature().get(),
            limit: self.config.divergence_limit,
        }
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
            ..self.chain_run(Stream::Watch, self.state.iteration, 0, 0)
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
        self.state.iteration
    }

    fn samples(&self) -> Result<Vec<f32>, TrainerError> {
        self.state
            .samples
            .clone()
            .map_or_else(|| Ok(Vec::new()), host)
    }

    fn watch_data(&self, count: usize) -> Result<Vec<f32>, TrainerError> {
        let streams = [Stream::WatchStart, Stream::WatchDataNoise];
        self.data_batch(
            streams.map(|stream| self.key(stream, self.state.iteration)),
            count,
        )
    }

    fn bank(&self) -> Result<Option<&PersistentBank>, TrainerError> {
        self.check_read()?;
        Ok(self.bank.as_ref())
    }

    fn energies(&self, states: &[f32]) -> Result<Vec<f64>, TrainerError> {
        self.energies_under(&self.state.net.clone().no_grad(), states)
    }

    fn average_energies(&self, states: &[f32]) -> Result<Option<Vec<f64>>, TrainerError> {
        let average = self.state.average.as_ref();
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
        let run = self.chain_run(Stream::Watch, self.state.iteration, first_step, steps);
        let net = self.state.net.clone().no_grad();
        let outcome = self.engine.run(&net, self.tensor(states), &run)?;
        host(outcome.states)
    }

    fn save_weights(&self, path: &Path) -> Result<(), TrainerError> {
        Ok(ebm_energy_net::save_weights(
            &self.state.net,
            path,
            self.metadata.clone(),
        )?)
    }

    fn save_average(&self, path: &Path) -> Result<bool, TrainerError> {
        let Some(average) = &self.state.average else {
            return Ok(false);
        };
        ebm_energy_net::save_weights(average, path, self.metadata.clone())?;
        Ok(true)
    }

    fn save_checkpoint(&self, folder: &Path) -> Result<(), TrainerError> {
        self.check_read()?;
        checkpoint::save(self, folder)
    }
}
