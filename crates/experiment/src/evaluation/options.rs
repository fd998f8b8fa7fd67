//! The options of an evaluation.

use ebm_langevin::{KernelName, Momentum};

use super::{EvaluationSettings, StartOptions, step_size, temperature};
use crate::{ExperimentError, Trained};

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
            if self.kernel != KernelName::Mala {
                return Err(ExperimentError::setting(
                    setting,
                    format!("is for MALA, and not for {}", self.kernel),
                ));
            }
            if !(rate > 0.0 && rate < 1.0) {
                return Err(ExperimentError::setting(
                    setting,
                    format!("{rate}: must lie between 0 and 1"),
                ));
            }
        }
        let epsilon = self.epsilon.unwrap_or(training_epsilon);
        step_size(epsilon)?;
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
            settings.kernel()?;
        }
        Ok(settings)
    }
}
