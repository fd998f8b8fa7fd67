//! One iteration of Algorithm 1, and the state that it changes.

use std::collections::HashMap;
use std::path::Path;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use ebm_core::{Dataset, Energy, NoiseKey, StateShape, States, Stream};
use ebm_diagnostics::IterationMetrics;
use ebm_energy_net::{NamedParameter, named_parameters};
use ebm_langevin::{
    Batch, BoundEngine, ChainRun, Chains, Engine, NoiseStart, Numbers, PersistentBank,
};

use crate::difference::{Difference, Loss};
use crate::numbers::{IterationNumbers, Judgement, means};
use crate::state::State;
use crate::unread::Unread;
use crate::{
    AnyLearner, Attempt, DivergenceCause, Gradients, LearnerView, LearningConfig, TrainerError,
    checkpoint,
};

/// The longest drift of a sound chain in a step, in lengths of the noise of a step. Sound chains drift about as far as
/// the noise carries them.
const LARGEST_DRIFT: f64 = 100.0;

/// A net that is being learned: parameters θ, optimiser, bank and iteration number. The rest of a run's state is
/// in its config, because all noise is a function of seed and iteration.
///
/// `N` is any burn module that is also an [`Energy`].
pub struct Learner<B: AutodiffBackend, N> {
    pub(crate) config: LearningConfig,
    pub(crate) state: State<B, N>,
    /// Without the samples of unread iterations.
    pub(crate) bank: Option<PersistentBank>,
    /// The iterations that were advanced and not read, if there are any.
    pub(crate) unread: Option<Unread<B, N>>,
    /// Runs chains; bound to the net.
    chains: Box<dyn BoundEngine<B, N>>,
    /// The iteration of the net that the chains are bound to.
    bound: u64,
    engine: Box<dyn Engine<B, N>>,
    dataset: Box<dyn Dataset>,
    device: B::Device,
    pub(crate) metadata: HashMap<String, String>,
}

/// An iteration up to its update.
pub(crate) struct Walk<B: AutodiffBackend> {
    pub(crate) numbers: IterationNumbers,
    /// F of the data and of the samples, in this order.
    pub(crate) energies: Numbers<B::InnerBackend>,
    pub(crate) gradients: Gradients<B>,
    /// x⁻.
    pub(crate) samples: Batch<B::InnerBackend>,
    /// Where in the bank they belong, if there is one.
    pub(crate) places: Option<Vec<usize>>,
}

impl<B, N> Learner<B, N>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    /// A learner before its first iteration. Binds the engine to the net.
    ///
    /// # Errors
    /// [`TrainerError::Setting`] when a setting is out of range or does not fit the data, [`TrainerError::Langevin`]
    /// when the engine lacks something of the net.
    pub fn new(
        config: LearningConfig,
        net: N,
        engine: impl Engine<B, N> + 'static,
        dataset: impl Dataset + 'static,
        device: B::Device,
    ) -> Result<Self, TrainerError> {
        config.validate()?;
        config.check_batch(dataset.count())?;
        let bank = config.bank_size(dataset.count()).map(|size| {
            let key = NoiseKey::new(config.seed, Stream::BankStart, 0);
            PersistentBank::uniform(size, dataset.shape(), key)
        });
        let state = State::new(&config, net);
        let chains = engine.bind(state.net.clone().no_grad(), dataset.shape(), &device)?;
        Ok(Self {
            state,
            chains,
            bound: 0,
            unread: None,
            metadata: HashMap::new(),
            config,
            bank,
            engine: Box::new(engine),
            dataset: Box::new(dataset),
            device,
        })
    }

    /// Adds text entries, such as the net's description, to the header of every weight file that is written.
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
    /// [`TrainerError::Diverged`] when energies are not finite or ran away; then, as after any error of the chains or
    /// the data, the parameters, the bank and the iteration number are those of before. [`TrainerError::Unread`] when
    /// iterations that were [advanced](Self::advance) have not been [read](Self::read).
    pub fn iterate(&mut self) -> Result<IterationMetrics, TrainerError> {
        self.check_read()?;
        let walk = self.walk()?;
        let energies = means(&walk.energies.read()?, self.config.batch_size);
        let metrics = self.judgement().metrics(walk.numbers, energies)?;
        let mut samples = walk.samples;
        // The bank is written first, because this can still fail and then changes nothing.
        if let (Some(bank), Some(places)) = (&mut self.bank, walk.places) {
            let states = samples.into_states()?;
            bank.write_back(&places, &states)?;
            samples = Batch::Host(states);
        }
        self.update(walk.gradients, samples)?;
        Ok(metrics)
    }

    /// The chains of the next iteration and the gradient they lead to, without an update and without waiting for the
    /// device.
    pub(crate) fn walk(&mut self) -> Result<Walk<B>, TrainerError> {
        self.bind()?;
        let iteration = self.state.iteration + 1;
        let keys = [Stream::DataBatch, Stream::DataNoise].map(|stream| self.key(stream, iteration));
        let noise = self.config.data_noise_at(iteration);
        let data = self.data_batch(keys, self.config.batch_size, noise)?;
        let (start, places) = self.chain_start(iteration, &data)?;
        let steps = self.state.attempt.steps(self.config.langevin.steps);
        let run = ChainRun::new(self.config.kernel(), steps)
            .with_noise(self.key(Stream::Langevin, iteration));
        let launched = self.chains.launch(start, &run)?;
        let difference = Difference::new(
            &self.state.net,
            &*self.chains,
            [&Batch::Host(data), &launched.states],
            Loss {
                scale: self.judgement().scale,
                energy_penalty: self.config.stabilisers.energy_penalty,
            },
            &self.device,
        )?;
        Ok(Walk {
            numbers: IterationNumbers {
                iteration,
                learning_rate: self.state.warmed_up_rate(&self.config),
                gradient_magnitude: launched.gradient_magnitude,
                acceptance_rate: launched.acceptance_rate,
            },
            energies: difference.energies,
            gradients: difference.gradients,
            samples: launched.states,
            places,
        })
    }

    /// The update that ends an iteration; the chains learn of the new θ.
    pub(crate) fn update(
        &mut self,
        gradients: Gradients<B>,
        samples: Batch<B::InnerBackend>,
    ) -> Result<(), TrainerError> {
        self.state.update(&self.config, gradients, samples);
        self.bind()
    }

    /// Binds the chains to the current net, if they are not bound to it.
    pub(crate) fn bind(&mut self) -> Result<(), TrainerError> {
        if self.bound != self.state.iteration {
            self.rebind()?;
        }
        Ok(())
    }

    /// Binds the chains to the current net.
    pub(crate) fn rebind(&mut self) -> Result<(), TrainerError> {
        self.chains.update(self.state.net.clone().no_grad())?;
        self.bound = self.state.iteration;
        Ok(())
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
        self.chains.name()
    }

    /// Whether [`Self::advance`] returns before the iteration is computed; this depends on the engine.
    pub fn runs_ahead(&self) -> bool {
        self.chains.runs_ahead()
    }

    /// Continues from a checkpoint folder.
    ///
    /// # Errors
    /// [`TrainerError::Checkpoint`], [`TrainerError::Net`] or [`TrainerError::Io`] when it is damaged or of another
    /// run.
    pub fn restore(mut self, folder: &Path) -> Result<Self, TrainerError> {
        checkpoint::restore(&mut self, folder)?;
        Ok(self)
    }

    /// x⁺: a batch of data with noise ε_data, which is `scale`.
    fn data_batch(
        &self,
        [batch, noise]: [NoiseKey; 2],
        count: usize,
        scale: f64,
    ) -> Result<States, TrainerError> {
        let data = self.dataset.noisy_batch(&batch, &noise, count, scale);
        data.map_err(TrainerError::Data)
    }

    /// The initial states of the chains, and their places if they come from the bank.
    #[allow(clippy::type_complexity)]
    fn chain_start(
        &self,
        iteration: u64,
        data: &States,
    ) -> Result<(Batch<B::InnerBackend>, Option<Vec<usize>>), TrainerError> {
        let chains = &self.config.langevin;
        let count = self.config.batch_size;
        if let Some(bank) = &self.bank {
            let places = bank.draw(count, self.key(Stream::BankDraw, iteration))?;
            let start = match &self.unread {
                Some(unread) => unread.chains.gather(bank, &places, &self.device),
                None => Batch::Host(bank.gather(&places)),
            };
            let start = self.restarted(start, iteration)?;
            return Ok((start, Some(places)));
        }
        let states = match chains.start.noise() {
            Some(noise) => {
                let key = self.key(Stream::ChainStart, iteration);
                noise.draw(chains.start_factor, key, count, self.shape())?
            }
            None => data.clone(),
        };
        Ok((Batch::Host(states), None))
    }

    /// States of the bank, of which a share is replaced by noise.
    fn restarted(
        &self,
        start: Batch<B::InnerBackend>,
        iteration: u64,
    ) -> Result<Batch<B::InnerBackend>, TrainerError> {
        let chains = &self.config.langevin;
        if chains.bank_restart == 0.0 {
            return Ok(start);
        }
        let mut states = start.into_states()?;
        let key = self.key(Stream::ChainStart, iteration);
        let count = states.len();
        let fresh = NoiseStart::Uniform.draw(chains.start_factor, key, count, self.shape())?;
        let mut decisions = vec![0.0; count];
        // The states of the noise are step 0 of this stream.
        key.uniforms(1, 0, 1, &mut decisions);
        let size = self.shape().size();
        let rows = states.values_mut().chunks_exact_mut(size);
        for ((row, fresh), decision) in rows.zip(&fresh).zip(decisions) {
            if f64::from(decision) < chains.bank_restart {
                row.copy_from_slice(fresh);
            }
        }
        Ok(Batch::Host(states))
    }

    fn shape(&self) -> StateShape {
        self.dataset.shape()
    }

    pub(crate) fn judgement(&self) -> Judgement {
        let epsilon = self.config.langevin.epsilon.get();
        let noise = epsilon * (self.shape().size() as f64).sqrt();
        Judgement {
            scale: 1.0 / self.config.langevin.epsilon.learned_temperature().get(),
            limit: self.config.divergence_limit,
            // Without noise there is nothing to measure the drift by.
            largest_drift: if epsilon > 0.0 {
                LARGEST_DRIFT * noise
            } else {
                f64::INFINITY
            },
        }
    }

    fn key(&self, stream: Stream, iteration: u64) -> NoiseKey {
        NoiseKey::of_attempt(
            self.state.attempt.number,
            self.config.seed,
            stream,
            iteration,
        )
    }
}

impl<B, N> LearnerView for Learner<B, N>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    fn config(&self) -> &LearningConfig {
        &self.config
    }

    fn dataset(&self) -> &dyn Dataset {
        &*self.dataset
    }

    fn iteration(&self) -> u64 {
        self.state.iteration
    }

    fn attempt(&self) -> Attempt {
        self.state.attempt
    }

    fn samples(&self) -> Result<States, TrainerError> {
        match &self.state.samples {
            Some(samples) => Ok(samples.clone().into_states()?),
            None => Ok(States::none(self.shape())),
        }
    }

    fn watch_data(&self, count: usize) -> Result<States, TrainerError> {
        let streams = [Stream::WatchStart, Stream::WatchDataNoise];
        let iteration = self.state.iteration;
        self.data_batch(
            streams.map(|stream| self.key(stream, iteration)),
            count,
            self.config.data_noise_at(iteration),
        )
    }

    fn bank(&self) -> Result<Option<&PersistentBank>, TrainerError> {
        self.check_read()?;
        Ok(self.bank.as_ref())
    }

    fn chains(&self) -> &dyn Chains {
        &*self.chains
    }

    fn average_energies(&self, states: &States) -> Result<Option<Vec<f32>>, TrainerError> {
        let Some(average) = &self.state.average else {
            return Ok(None);
        };
        let chains = self
            .engine
            .bind(average.clone(), self.shape(), &self.device)?;
        Ok(Some(chains.energies(states)?))
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

impl<B, N> AnyLearner for Learner<B, N>
where
    B: AutodiffBackend,
    N: AutodiffModule<B> + Energy<B>,
{
    fn iterate(&mut self) -> Result<IterationMetrics, TrainerError> {
        Self::iterate(self)
    }

    fn runs_ahead(&self) -> bool {
        Self::runs_ahead(self)
    }

    fn advance(&mut self) -> Result<(), TrainerError> {
        Self::advance(self)
    }

    fn read(&mut self, metrics: &mut Vec<IterationMetrics>) -> Result<(), TrainerError> {
        Self::read(self, metrics)
    }

    fn restore_from(&mut self, folder: &Path) -> Result<(), TrainerError> {
        checkpoint::restore(self, folder)
    }

    fn begin_attempt(&mut self, attempt: Attempt) {
        let state = &mut self.state;
        state.learning_rate *= attempt.learning_rate_factor / state.attempt.learning_rate_factor;
        state.attempt = attempt;
    }

    fn unread(&self) -> usize {
        self.unread
            .as_ref()
            .map_or(0, |unread| unread.numbers.len())
    }

    fn check_parameters(&self) -> Result<(), TrainerError> {
        Self::check_parameters(self)
    }
}
