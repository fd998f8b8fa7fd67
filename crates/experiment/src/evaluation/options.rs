//! The options of an evaluation.

use ebm_langevin::{KernelName, Momentum};

use super::{EvaluationSettings, StartOptions, step_size, temperature};
use crate::compute::MOST_NUMBERS;
use crate::{ExperimentError, Trained, memory};

/// The default number of records of a whole evaluation.
const RECORDS: u64 = 1_000;

/// The options of an evaluation. The default is ULA from the start of learning, with chains 100 times as long.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationOptions {
    /// The kernel.
    pub kernel: KernelName,
    /// What only kernels with momenta have.
    pub momentum: Momentum,
    /// ε; by default that of the training.
    pub epsilon: Option<f64>,
    /// The acceptance rate that MALA shall have; ε is then found by a search.
    pub target_acceptance: Option<f64>,
    /// Burn-in steps in which ULA or MALA finds a length for each element of the state; none without such lengths.
    pub adapt_scales: Option<u64>,
    /// Temperatures of parallel tempering; 1 is none.
    pub rungs: usize,
    /// The share of exchanges between neighbouring temperatures for which the ladder is tuned.
    pub swap_rate: f64,
    /// Steps between two exchanges.
    pub swap_every: u64,
    /// T as a multiple of the training's ε²/2. The drift of ULA is ε²/2T, so a lower T asks for a smaller ε.
    pub temperature_factor: f64,
    /// Where chains start, and how many.
    pub start: StartOptions,
    /// Langevin steps of each chain; by default 100·L.
    pub steps: Option<u64>,
    /// Steps between two records; by default as many as make 1,000 records.
    pub record_every: Option<u64>,
    /// Seed of the chains.
    pub seed: u64,
    /// The request for the evaluation, such as a command line, which is kept with it.
    pub command: String,
}

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self {
            kernel: KernelName::Ula,
            momentum: Momentum::default(),
            epsilon: None,
            target_acceptance: None,
            adapt_scales: None,
            rungs: 1,
            swap_rate: 0.23,
            swap_every: 10,
            temperature_factor: 1.0,
            start: StartOptions::default(),
            steps: None,
            record_every: None,
            seed: 1,
            command: String::new(),
        }
    }
}

impl EvaluationOptions {
    /// The settings for a net, with chains that start as `start` says; the engine is yet to be named.
    pub(super) fn settings(
        &self,
        trained: &Trained,
        start: String,
    ) -> Result<EvaluationSettings, ExperimentError> {
        let training_epsilon = trained.langevin.epsilon.get();
        temperature(training_epsilon, self.temperature_factor)?;
        if let Some(rate) = self.target_acceptance {
            let setting = "target_acceptance";
            if !matches!(self.kernel, KernelName::Mala | KernelName::Hmc) {
                return Err(ExperimentError::setting(
                    setting,
                    format!("is for MALA and HMC, and not for {}", self.kernel),
                ));
            }
            if !(rate > 0.0 && rate < 1.0) {
                return Err(ExperimentError::setting(
                    setting,
                    format!("{rate}: must lie between 0 and 1"),
                ));
            }
        }
        self.check_scales(trained)?;
        self.check_ladder(trained)?;
        let epsilon = self.epsilon.unwrap_or(training_epsilon);
        step_size(epsilon)?;
        if epsilon == 0.0 && (self.rungs > 1 || self.adapt_scales.is_some()) {
            let problem = "0: parallel tempering and lengths of elements need a step size > 0";
            return Err(ExperimentError::setting("epsilon", problem));
        }
        let steps = self
            .steps
            .unwrap_or(trained.langevin.steps.saturating_mul(100));
        let settings = EvaluationSettings {
            weights: trained.weights.display().to_string(),
            net: trained.net,
            state_shape: trained.state_shape,
            training_epsilon,
            temperature_factor: self.temperature_factor,
            kernel: self.kernel,
            momentum: self.momentum,
            scaled: self.adapt_scales.is_some(),
            ladder: Vec::new(),
            swap_every: (self.rungs > 1).then_some(self.swap_every),
            stabilisers: trained.stabilisers,
            epsilon,
            start,
            chains: self.start.chains,
            steps,
            record_every: self.record_every.unwrap_or(match self.kernel {
                // Momenta are drawn anew at each record.
                KernelName::Underdamped => steps.div_ceil(RECORDS).max(super::settings::PIECE),
                _ => steps.div_ceil(RECORDS),
            }),
            seed: self.seed,
            backend: String::new(),
            engine: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: self.command.clone(),
        };
        // If ε is found by a search, that of the training is only a placeholder.
        if self.target_acceptance.is_none() {
            settings.kernel(None)?;
        }
        Ok(settings)
    }

    fn check_scales(&self, trained: &Trained) -> Result<(), ExperimentError> {
        let setting = "adapt_scales";
        let Some(steps) = self.adapt_scales else {
            return Ok(());
        };
        let problem = if !matches!(self.kernel, KernelName::Ula | KernelName::Mala) {
            format!("is for ULA and MALA, and not for {}", self.kernel)
        } else if self.kernel == KernelName::Ula && trained.stabilisers.bounds_steps() {
            "is not for ULA whose steps are bounded, as in this training; take MALA".to_owned()
        } else if steps == 0 {
            "0: must be at least 1 step".to_owned()
        } else {
            return Ok(());
        };
        Err(ExperimentError::setting(setting, problem))
    }

    fn check_ladder(&self, trained: &Trained) -> Result<(), ExperimentError> {
        if self.rungs == 0 {
            let problem = "0: must be at least 1";
            return Err(ExperimentError::setting("rungs", problem));
        }
        if !(self.swap_rate > 0.0 && self.swap_rate < 1.0) {
            let problem = format!("{}: must lie between 0 and 1", self.swap_rate);
            return Err(ExperimentError::setting("swap_rate", problem));
        }
        if self.swap_every == 0 {
            let problem = "0: must be at least 1";
            return Err(ExperimentError::setting("swap_every", problem));
        }
        let replicas = self.start.chains.saturating_mul(self.rungs);
        let per_chain = trained.state_shape.iter().product::<usize>().max(1);
        let too_many = replicas.saturating_mul(per_chain) > MOST_NUMBERS
            || memory::check_chains("rungs", replicas, per_chain).is_err();
        if too_many {
            let problem = format!(
                "{}: so many replicas of {} chains are more than memory holds; take fewer of either",
                self.rungs, self.start.chains
            );
            return Err(ExperimentError::setting("rungs", problem));
        }
        Ok(())
    }
}
