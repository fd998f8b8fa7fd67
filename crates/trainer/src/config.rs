//! The settings of learning, as plain data with the paper's defaults.

use ebm_core::StepSize;
use ebm_langevin::{AnyKernel, ChainStart, KernelName, Momentum, Ula};
use serde::{Deserialize, Serialize};

use crate::{Recovery, Stabilisers, TrainerError};

/// States in the bank of a toy density, if the config does not give their number.
pub const TOY_BANK_SIZE: usize = 10_000;

/// All that Algorithm 1 of arXiv 1903.12370 needs besides a net and data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearningConfig {
    /// Seed of every random number of the run.
    pub seed: u64,
    /// The number of learning iterations in total.
    pub iterations: u64,
    /// n, the number of data and of chains in an iteration.
    pub batch_size: usize,
    /// ε_data, the standard deviation of the Gaussian noise added to data; about 2ε–3ε or more for images, 0 for toys.
    pub data_noise: f64,
    /// After every iteration, ε_data ← max(minimum, ε_data × decay). Much noise at first keeps young energies from
    /// running away, and little at last gives sharp samples (Nijkamp, Hill, Zhu and Wu, arXiv 1904.09770, smooth their
    /// data so). 1 by default, which keeps it constant.
    #[serde(default = "one")]
    pub data_noise_decay: f64,
    /// The floor of the falling noise.
    #[serde(default)]
    pub minimum_data_noise: f64,
    /// The chains.
    pub langevin: LangevinConfig,
    /// The update of the parameters.
    pub optimizer: OptimizerConfig,
    /// Learning has run away when |mean F(data) − mean F(samples)| exceeds this; in units of F. It also has when r
    /// exceeds a hundred times the length ε√N of the noise of a step, where N is the number of elements of a state.
    pub divergence_limit: f64,
    /// Stabilisers of earlier work; none by default.
    #[serde(default, skip_serializing_if = "Stabilisers::is_plain")]
    pub stabilisers: Stabilisers,
    /// What follows when learning has run away; by default it ends.
    #[serde(default, skip_serializing_if = "Recovery::is_default")]
    pub recovery: Recovery,
}

/// The chains of a learning iteration.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LangevinConfig {
    /// L, Langevin steps for each learning iteration.
    pub steps: u64,
    /// ε, step size and standard deviation of the noise.
    pub epsilon: StepSize,
    /// The kernel of a step. MALA leaves exp(−F/T), T = ε²/2, exactly invariant, while the steps of ULA have a bias
    /// that grows with ε; the paper learns with ULA.
    #[serde(default)]
    pub kernel: KernelName,
    /// γ of underdamped Langevin; 1 by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub friction: Option<f64>,
    /// Leapfrog steps of a trajectory of HMC, which counts as one of the `steps` and computes so many gradients; 5 by
    /// default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub leapfrogs: Option<u64>,
    /// Where chains start.
    pub start: ChainStart,
    /// Factor of a noise start: U(−1, 1) × factor or N(0, 1) × factor.
    #[serde(default = "one")]
    pub start_factor: f64,
    /// States in the persistent bank; by default one for each training image, or 10,000 for a toy density.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bank_size: Option<usize>,
    /// The probability with which a chain of the bank starts anew, from U(−1, 1) × factor, whenever it is drawn (as Du
    /// and Mordatch do in arXiv 1903.08689). Such chains bring the bank to modes that old chains do not reach. 0 by
    /// default.
    #[serde(default)]
    pub bank_restart: f64,
}

/// The update of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerConfig {
    /// Which update.
    pub method: Method,
    /// The initial rate.
    pub learning_rate: f64,
    /// The floor of the decaying rate.
    #[serde(default)]
    pub minimum_learning_rate: f64,
    /// After every iteration, rate ← max(minimum, rate × decay).
    #[serde(default = "one")]
    pub decay: f64,
    /// The rate grows linearly over so many first iterations: iteration t takes t / warm_up of it. 0 by default.
    #[serde(default)]
    pub warm_up: u64,
    /// β₁ of Adam, the decay of its average of gradients. Energies learned by short chains oscillate, because samples
    /// answer an update with a delay; an average over many updates adds to the delay, and 0 adds none.
    #[serde(default = "beta1")]
    pub beta1: f64,
    /// β₂ of Adam, the decay of its average of squared gradients.
    #[serde(default = "beta2")]
    pub beta2: f64,
    /// The largest decay β of an exponential moving average of θ, such as 0.9999 for about the last 10,000
    /// iterations. The average is kept beside θ for use after learning; learning does not see it. None by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub averaging: Option<f64>,
}

/// Which update of the parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Method {
    /// Adam with ε = 1e-8 and, by default, β = (0.9, 0.999): PyTorch's defaults.
    Adam,
    /// Plain stochastic gradient descent with the rate multiplied by ε²/2, so that tuning does not depend on ε.
    Sgd,
}

const SMALLEST_EPSILON: f64 = 1e-15;

impl Default for LearningConfig {
    /// The settings with which arXiv 1903.12370 learns images by non-convergent chains: CIFAR-10 with 150 steps from
    /// uniform noise.
    fn default() -> Self {
        Self {
            seed: 123,
            iterations: 100_000,
            batch_size: 100,
            data_noise: 0.03,
            data_noise_decay: 1.0,
            minimum_data_noise: 0.0,
            langevin: LangevinConfig::default(),
            optimizer: OptimizerConfig::default(),
            divergence_limit: 1_000.0,
            stabilisers: Stabilisers::default(),
            recovery: Recovery::default(),
        }
    }
}

impl Default for LangevinConfig {
    /// 150 steps of ε = 0.01 from uniform noise.
    fn default() -> Self {
        Self {
            steps: 150,
            epsilon: StepSize::default(),
            kernel: KernelName::Ula,
            friction: None,
            leapfrogs: None,
            start: ChainStart::Uniform,
            start_factor: 1.0,
            bank_size: None,
            bank_restart: 0.0,
        }
    }
}

impl Default for OptimizerConfig {
    /// Adam with the rate 1e-4.
    fn default() -> Self {
        Self::adam(1e-4)
    }
}

impl LangevinConfig {
    /// The step of the chains of learning, with the bounds that `stabilisers` give it.
    #[must_use]
    pub fn kernel(&self, stabilisers: &Stabilisers) -> AnyKernel {
        self.kernel_of_size(self.epsilon, stabilisers)
    }

    /// A step of another size at the temperature T = ε²/2 that learning gave the energy. ULA alone has bounds, and steps
    /// of size 0 are those of ULA.
    #[must_use]
    pub fn kernel_of_size(&self, size: StepSize, stabilisers: &Stabilisers) -> AnyKernel {
        let temperature = self.epsilon.learned_temperature();
        let unadjusted = || stabilisers.bounded(Ula::new(size, temperature)).into();
        match self.kernel {
            KernelName::Ula => unadjusted(),
            name => name
                .kernel(size, temperature, self.momentum())
                .unwrap_or_else(|_| unadjusted()),
        }
    }

    /// What only kernels with momenta have.
    #[must_use]
    pub fn momentum(&self) -> Momentum {
        let default = Momentum::default();
        Momentum {
            friction: self.friction.unwrap_or(default.friction),
            leapfrogs: self.leapfrogs.unwrap_or(default.leapfrogs),
        }
    }

    /// Gradients of F that the steps of a chain ask for in an iteration.
    #[must_use]
    pub fn gradients(&self) -> u64 {
        let each = self.kernel.gradients_per_step(self.momentum());
        self.steps.saturating_mul(each)
    }

    /// Checks what only kernels with momenta have.
    ///
    /// # Errors
    /// [`TrainerError::Setting`] for a key that the kernel does not have, and for one out of range.
    pub fn check_momentum(&self) -> Result<(), TrainerError> {
        let of_others = |key, value: f64, kernel: &str| {
            let problem = format!("only `langevin.kernel` = \"{kernel}\" has it: remove the key");
            Err(setting(key, value, problem))
        };
        if let Some(friction) = self.friction {
            if self.kernel != KernelName::Underdamped {
                return of_others("langevin.friction", friction, "underdamped");
            }
            non_negative("langevin.friction", friction)?;
        }
        if let Some(leapfrogs) = self.leapfrogs {
            if self.kernel != KernelName::Hmc {
                return of_others("langevin.leapfrogs", leapfrogs as f64, "hmc");
            }
            at_least_one("langevin.leapfrogs", leapfrogs)?;
        }
        Ok(())
    }

    /// With this number of Langevin steps.
    #[must_use]
    pub fn with_steps(self, steps: u64) -> Self {
        Self { steps, ..self }
    }

    /// With the step size ε.
    #[must_use]
    pub fn with_epsilon(self, epsilon: StepSize) -> Self {
        Self { epsilon, ..self }
    }

    /// With this start of the chains.
    #[must_use]
    pub fn with_start(self, start: ChainStart) -> Self {
        Self { start, ..self }
    }

    /// With steps of this kernel.
    #[must_use]
    pub fn with_kernel(self, kernel: KernelName) -> Self {
        Self { kernel, ..self }
    }

    /// With chains of the bank that start anew with this probability.
    #[must_use]
    pub fn with_bank_restart(self, probability: f64) -> Self {
        Self {
            bank_restart: probability,
            ..self
        }
    }

    /// With persistent chains and a bank of this size.
    #[must_use]
    pub fn with_bank(self, size: usize) -> Self {
        Self {
            start: ChainStart::Persistent,
            bank_size: Some(size),
            ..self
        }
    }
}

impl OptimizerConfig {
    /// Adam with a constant rate.
    #[must_use]
    pub fn adam(learning_rate: f64) -> Self {
        Self {
            method: Method::Adam,
            learning_rate,
            minimum_learning_rate: 0.0,
            decay: 1.0,
            warm_up: 0,
            beta1: BETAS[0],
            beta2: BETAS[1],
            averaging: None,
        }
    }

    /// Plain descent with a constant rate.
    #[must_use]
    pub fn sgd(learning_rate: f64) -> Self {
        Self {
            method: Method::Sgd,
            ..Self::adam(learning_rate)
        }
    }

    /// With Adam's β₁ and β₂.
    #[must_use]
    pub fn with_betas(self, [beta1, beta2]: [f64; 2]) -> Self {
        Self {
            beta1,
            beta2,
            ..self
        }
    }

    /// With a rate that grows linearly over so many first iterations.
    #[must_use]
    pub fn with_warm_up(self, iterations: u64) -> Self {
        Self {
            warm_up: iterations,
            ..self
        }
    }

    /// With an average of the parameters, of a decay such as 0.9999.
    #[must_use]
    pub fn with_averaging(self, decay: f64) -> Self {
        Self {
            averaging: Some(decay),
            ..self
        }
    }
}

/// Adam's constants (Kingma and Ba, "Adam: A Method for Stochastic Optimization", 2015).
const BETAS: [f64; 2] = [0.9, 0.999];

fn one() -> f64 {
    1.0
}

fn beta1() -> f64 {
    BETAS[0]
}

fn beta2() -> f64 {
    BETAS[1]
}

impl LearningConfig {
    /// The settings with which arXiv 1903.12370 learns toy densities by convergent chains: 500 steps of ε = 0.125 of
    /// persistent chains, and plain descent.
    #[must_use]
    pub fn for_toys() -> Self {
        let epsilon = StepSize::new(0.125).unwrap_or_default();
        Self {
            data_noise: 0.0,
            langevin: LangevinConfig::default()
                .with_steps(500)
                .with_epsilon(epsilon)
                .with_start(ChainStart::Persistent),
            optimizer: OptimizerConfig::sgd(0.1),
            ..Self::default()
        }
    }

    /// With another seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        Self { seed, ..self }
    }

    /// With this number of learning iterations.
    #[must_use]
    pub fn with_iterations(self, iterations: u64) -> Self {
        Self { iterations, ..self }
    }

    /// With this number of data and of chains in an iteration.
    #[must_use]
    pub fn with_batch_size(self, batch_size: usize) -> Self {
        Self { batch_size, ..self }
    }

    /// With the noise ε_data.
    #[must_use]
    pub fn with_data_noise(self, data_noise: f64) -> Self {
        Self { data_noise, ..self }
    }

    /// With noise ε_data that falls by the factor `decay` in every iteration, down to `minimum`.
    #[must_use]
    pub fn with_falling_data_noise(self, decay: f64, minimum: f64) -> Self {
        Self {
            data_noise_decay: decay,
            minimum_data_noise: minimum,
            ..self
        }
    }

    /// ε_data of an iteration, counted from 1.
    #[must_use]
    pub fn data_noise_at(&self, iteration: u64) -> f64 {
        let falls = i32::try_from(iteration.saturating_sub(1)).unwrap_or(i32::MAX);
        let fallen = self.data_noise * self.data_noise_decay.powi(falls);
        fallen.max(self.minimum_data_noise)
    }

    /// With these chains.
    #[must_use]
    pub fn with_langevin(self, langevin: LangevinConfig) -> Self {
        Self { langevin, ..self }
    }

    /// With this update.
    #[must_use]
    pub fn with_optimizer(self, optimizer: OptimizerConfig) -> Self {
        Self { optimizer, ..self }
    }

    /// With these stabilisers.
    #[must_use]
    pub fn with_stabilisers(self, stabilisers: Stabilisers) -> Self {
        Self {
            stabilisers,
            ..self
        }
    }

    /// With these recoveries.
    #[must_use]
    pub fn with_recovery(self, recovery: Recovery) -> Self {
        Self { recovery, ..self }
    }

    /// The step of the chains of learning. Settings that [`Self::validate`] refuses, MALA without noise, have that of
    /// ULA.
    #[must_use]
    pub fn kernel(&self) -> AnyKernel {
        self.langevin.kernel(&self.stabilisers)
    }

    /// The number of states in the persistent bank, if chains start from one. `data` is the number of data; a density
    /// has none.
    #[must_use]
    pub fn bank_size(&self, data: Option<usize>) -> Option<usize> {
        let size = self.langevin.bank_size.or(data).unwrap_or(TOY_BANK_SIZE);
        (self.langevin.start == ChainStart::Persistent).then_some(size)
    }

    /// Checks that a batch of different states can be drawn from a data set of `data` states and from the bank.
    ///
    /// # Errors
    /// [`TrainerError::Setting`] for the batch size.
    pub fn check_batch(&self, data: Option<usize>) -> Result<(), TrainerError> {
        let sources = [
            (data, "images of the data set"),
            (self.bank_size(data), "states of the bank"),
        ];
        for (count, what) in sources {
            if let Some(count) = count
                && self.batch_size > count
            {
                return Err(setting(
                    "batch_size",
                    self.batch_size,
                    format!("must be at most the {count} {what}"),
                ));
            }
        }
        Ok(())
    }

    /// Checks every range.
    ///
    /// # Errors
    /// [`TrainerError::Setting`] for the first key out of range.
    pub fn validate(&self) -> Result<(), TrainerError> {
        let optimizer = &self.optimizer;
        at_least_one("iterations", self.iterations)?;
        at_least_one("batch_size", self.batch_size as u64)?;
        at_least_one("langevin.steps", self.langevin.steps)?;
        non_negative("data_noise", self.data_noise)?;
        non_negative("minimum_data_noise", self.minimum_data_noise)?;
        decay("data_noise_decay", self.data_noise_decay)?;
        if self.minimum_data_noise > 0.0 && self.data_noise_decay == 1.0 {
            return Err(setting(
                "minimum_data_noise",
                self.minimum_data_noise,
                "must be 0 where data_noise_decay is 1, because only noise that falls has a floor",
            ));
        }
        if self.minimum_data_noise > self.data_noise {
            return Err(setting(
                "minimum_data_noise",
                self.minimum_data_noise,
                "must not exceed data_noise",
            ));
        }
        positive("langevin.start_factor", self.langevin.start_factor)?;
        // Below, 1/T = 2/ε² does not fit an f32, and d is infinite.
        let epsilon = self.langevin.epsilon.get();
        if epsilon != 0.0 && epsilon < SMALLEST_EPSILON {
            return Err(setting(
                "langevin.epsilon",
                epsilon,
                format!("must be 0 or at least {SMALLEST_EPSILON:e}"),
            ));
        }
        positive("optimizer.learning_rate", optimizer.learning_rate)?;
        non_negative(
            "optimizer.minimum_learning_rate",
            optimizer.minimum_learning_rate,
        )?;
        positive("divergence_limit", self.divergence_limit)?;
        self.stabilisers.validate()?;
        self.recovery.validate()?;
        if optimizer.minimum_learning_rate > optimizer.learning_rate {
            return Err(setting(
                "optimizer.minimum_learning_rate",
                optimizer.minimum_learning_rate,
                "must not exceed optimizer.learning_rate",
            ));
        }
        decay("optimizer.decay", optimizer.decay)?;
        for (key, beta, default) in [
            ("optimizer.beta1", optimizer.beta1, BETAS[0]),
            ("optimizer.beta2", optimizer.beta2, BETAS[1]),
        ] {
            if !(0.0..1.0).contains(&beta) {
                return Err(setting(key, beta, "must be 0 or more and below 1"));
            }
            if optimizer.method == Method::Sgd && beta != default {
                return Err(setting(
                    key,
                    beta,
                    "only `optimizer.method` = \"adam\" has it: remove the key",
                ));
            }
        }
        if let Some(averaging) = optimizer.averaging
            && !(averaging > 0.0 && averaging < 1.0)
        {
            return Err(setting(
                "optimizer.averaging",
                averaging,
                "must lie between 0 and 1, such as 0.9999",
            ));
        }
        self.langevin.check_momentum()?;
        if self.langevin.kernel != KernelName::Ula {
            if epsilon == 0.0 {
                let kernel = self.langevin.kernel.name();
                return Err(setting(
                    "langevin.epsilon",
                    epsilon,
                    format!("must be above 0 with `langevin.kernel` = \"{kernel}\""),
                ));
            }
            let stabilisers = &self.stabilisers;
            for (key, bound) in [
                (
                    "stabilisers.langevin_gradient_clip",
                    stabilisers.langevin_gradient_clip,
                ),
                ("stabilisers.state_clamp", stabilisers.state_clamp),
            ] {
                if let Some(bound) = bound {
                    return Err(setting(
                        key,
                        bound.get(),
                        "only `langevin.kernel` = \"ula\" has such bounds: remove the key",
                    ));
                }
            }
        }
        let restart = self.langevin.bank_restart;
        if !(0.0..=1.0).contains(&restart) {
            return Err(setting(
                "langevin.bank_restart",
                restart,
                "must lie between 0 and 1",
            ));
        }
        if restart > 0.0 && self.langevin.start != ChainStart::Persistent {
            return Err(setting(
                "langevin.bank_restart",
                restart,
                "only chains with `langevin.start` = \"persistent\" have a bank: remove the key",
            ));
        }
        if let Some(size) = self.langevin.bank_size {
            if self.langevin.start != ChainStart::Persistent {
                return Err(setting(
                    "langevin.bank_size",
                    size,
                    "only chains with `langevin.start` = \"persistent\" have a bank: remove the key",
                ));
            }
            if size < self.batch_size {
                return Err(setting(
                    "langevin.bank_size",
                    size,
                    format!(
                        "must be at least batch_size ({}), since a batch is drawn from the bank without replacement",
                        self.batch_size
                    ),
                ));
            }
        }
        Ok(())
    }
}

fn setting(key: &'static str, value: impl ToString, allowed: impl Into<String>) -> TrainerError {
    TrainerError::Setting {
        key,
        value: value.to_string(),
        allowed: allowed.into(),
    }
}

fn at_least_one(key: &'static str, value: u64) -> Result<(), TrainerError> {
    if value >= 1 {
        Ok(())
    } else {
        Err(setting(key, value, "must be at least 1"))
    }
}

pub(crate) fn positive(key: &'static str, value: f64) -> Result<(), TrainerError> {
    if value.is_finite() && value > 0.0 {
        Ok(())
    } else {
        Err(setting(key, value, "must be a finite number above 0"))
    }
}

fn decay(key: &'static str, value: f64) -> Result<(), TrainerError> {
    if value > 0.0 && value <= 1.0 {
        Ok(())
    } else {
        Err(setting(key, value, "must be above 0 and at most 1"))
    }
}

fn non_negative(key: &'static str, value: f64) -> Result<(), TrainerError> {
    if value.is_finite() && value >= 0.0 {
        Ok(())
    } else {
        Err(setting(key, value, "must be a finite number, 0 or more"))
    }
}
