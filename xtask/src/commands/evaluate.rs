//! `evaluate`: long chains under a learned energy, with any kernel, at any temperature and from any start.

use std::path::PathBuf;

use clap::Args;
use ebm_experiment::evaluation::{
    EvaluationEnd, EvaluationFolder, EvaluationOptions, EvaluationStart, StartOptions,
};
use ebm_experiment::{Computation, EngineChoice, Evaluation, ExperimentError};
use ebm_langevin::{KernelName, Momentum};

use crate::advice::{command_line, resume as resume_command};
use crate::backend::{BackendName, compute};
use crate::cli::{BackendArguments, DataDirectory, TrainedArguments, named_or_file, one_of};
use crate::error::{DriverError, unless_stopped};
use crate::logging::Screen;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask evaluate --run runs/short-run --steps 20000
  cargo xtask evaluate --run runs/mnist_convergent --start data --steps 100000
  cargo xtask evaluate --run runs/mnist_convergent --kernel mala --target-acceptance 0.574 --steps 1000000
  cargo xtask evaluate --run runs/convergent-digits --kernel mala --target-acceptance 0.574 --adapt-scales 2000
  cargo xtask evaluate --run runs/gmm-mala --kernel mala --rungs 6
  cargo xtask evaluate --weights cifar10.pth --experiment cifar10_nonconvergent --epsilon 0.01 --steps 150
  cargo xtask evaluate --resume runs/mnist_convergent/evaluation
  cargo xtask evaluate --resume runs/mnist_convergent/evaluation --steps 2000000")]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// Continue the evaluation in this folder; with --steps, to more steps in total.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "run", "weights", "average", "kernel", "friction", "leapfrogs", "epsilon", "target_acceptance", "adapt_scales",
            "rungs", "swap_rate", "swap_every", "temp_factor", "start", "states", "data_of", "chains", "record_every", "seed",
            "out",
        ]
    )]
    pub(crate) resume: Option<PathBuf>,
    /// ula; mala and hmc, which are exact; or underdamped.
    #[arg(long, value_name = "KERNEL", default_value = "ula", value_parser = one_of(KernelName::ALL, KernelName::name))]
    pub(crate) kernel: KernelName,
    /// γ of underdamped Langevin [default: 1]. Momenta are drawn anew at each record, at each exchange of temperatures and at
    /// least every 100 steps, so keep 1/(γε) below that.
    #[arg(long, value_name = "GAMMA")]
    pub(crate) friction: Option<f64>,
    /// Leapfrog steps of a trajectory of HMC, which is one of its --steps [default: 5].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) leapfrogs: Option<u64>,
    /// Step size ε [default: that of the training].
    #[arg(long)]
    pub(crate) epsilon: Option<f64>,
    /// Find the ε at which MALA or HMC has this acceptance rate; 0.574 mixes best for MALA in many dimensions, 0.651 for HMC.
    #[arg(long, value_name = "RATE", conflicts_with = "epsilon")]
    pub(crate) target_acceptance: Option<f64>,
    /// Take a burn-in of this many steps first, in which ULA or MALA finds a length for each element of the state: longer
    /// steps where the density is wider. The spread of the starts counts, so start from data or the bank.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) adapt_scales: Option<u64>,
    /// Parallel tempering with this many temperatures, the one that was asked for and hotter ones; each costs as much as all
    /// chains do alone. Exact with MALA and HMC.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) rungs: u32,
    /// The share of exchanges between neighbouring temperatures for which these are chosen [default: 0.23].
    #[arg(long, value_name = "SHARE")]
    pub(crate) swap_rate: Option<f64>,
    /// Steps between two exchanges of temperatures; even and odd pairs of neighbours take turns [default: 10].
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) swap_every: Option<u64>,
    /// T as a multiple of the training's ε²/2. ULA's drift is ε²/2T, so a lower T asks for a smaller ε.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) temp_factor: f64,
    #[command(flatten)]
    pub(crate) start: StartArguments,
    /// Langevin steps of each chain [default: 100·L].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) steps: Option<u64>,
    /// Steps between two records [default: as many as make 1,000 records].
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) record_every: Option<u64>,
    /// Seed of the chains.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the evaluation [default: RUN/evaluation, or evaluation].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
}

/// Where chains start, and how many.
#[derive(Debug, Args)]
pub(crate) struct StartArguments {
    /// Where chains start: uniform or gaussian noise, data, or the persistent bank of the run [default: as in
    /// learning; for `likelihood` the bank, or the data].
    #[arg(
        long,
        value_name = "START",
        conflicts_with = "states",
        value_parser = one_of(EvaluationStart::ALL, EvaluationStart::name)
    )]
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

impl From<&StartArguments> for StartOptions {
    fn from(arguments: &StartArguments) -> Self {
        Self {
            start: arguments.start,
            states: arguments.states.clone(),
            data_of: arguments.data_of.as_deref().map(named_or_file),
            chains: arguments.chains as usize,
        }
    }
}

pub(crate) fn run(arguments: &EvaluateArguments, screen: &Screen) -> Result<(), DriverError> {
    let evaluation = match &arguments.resume {
        Some(root) => {
            let (folder, settings) = EvaluationFolder::open(root)?;
            let earlier = (settings.backend.as_str(), settings.engine.as_str());
            let (backend, engine) = arguments.backend.resolve_names(Some(earlier))?;
            let engine = engine_for(settings.kernel, backend, engine);
            let compute = compute(backend)?;
            let on = Computation::on(&*compute).with_engine(engine);
            Evaluation::resume(&folder, settings, arguments.steps, on, screen)?
        }
        None => {
            arguments.check_kernel()?;
            let trained = arguments.trained.find()?;
            let out = arguments
                .trained
                .folder_for(arguments.out.as_deref(), "evaluation");
            let (backend, engine) = arguments.backend.resolve(None)?;
            let engine = engine_for(arguments.kernel, backend, engine);
            let (options, data) = (arguments.options(), arguments.data.folder());
            let compute = compute(backend)?;
            let on = Computation::on(&*compute).with_engine(engine);
            unless_stopped(
                Evaluation::start(&trained, &options, &out, data, on, screen),
                screen,
                "Stopped before the first step; nothing was written.",
            )?
        }
    };
    tell(&evaluation, screen)
}

/// The engine that moves the chains, so that records name it: all but ULA run on tensors on a GPU.
fn engine_for(kernel: KernelName, backend: BackendName, engine: EngineChoice) -> EngineChoice {
    if kernel == KernelName::Ula || !backend.is_gpu() || engine == EngineChoice::Tensor {
        return engine;
    }
    tracing::info!("tensor engine: the cube engine has ULA alone");
    EngineChoice::Tensor
}

fn tell(evaluation: &Evaluation, screen: &Screen) -> Result<(), DriverError> {
    if let EvaluationEnd::Stopped { step } = evaluation.ended {
        screen.say(&format!(
            "Stopped after step {step}; the states are saved. Go on with:\n  {}",
            resume_command("evaluate", &evaluation.folder)
        ));
        return Err(DriverError::Interrupted);
    }
    screen.tell(&format!(
        "\n{}\nEvaluation: {} — open {}",
        evaluation.sentence,
        evaluation.folder.display(),
        evaluation.page.display()
    ));
    match evaluation.ended {
        EvaluationEnd::RanAway { .. } => Err(ExperimentError::RunawayChains.into()),
        _ => Ok(()),
    }
}

impl EvaluateArguments {
    /// Refuses what the kernel does not have.
    fn check_kernel(&self) -> Result<(), DriverError> {
        let of_others = |flag, kernel: KernelName| {
            let name = kernel.name();
            Err(DriverError::Usage(format!(
                "{flag} is for --kernel {name}; leave it out"
            )))
        };
        if self.friction.is_some() && self.kernel != KernelName::Underdamped {
            return of_others("--friction", KernelName::Underdamped);
        }
        if self.leapfrogs.is_some() && self.kernel != KernelName::Hmc {
            return of_others("--leapfrogs", KernelName::Hmc);
        }
        if self.rungs == 1 {
            let of_tempering = [
                ("--swap-rate", self.swap_rate.is_some()),
                ("--swap-every", self.swap_every.is_some()),
            ];
            if let Some((flag, _)) = of_tempering.iter().find(|(_, is_given)| *is_given) {
                return Err(DriverError::Usage(format!(
                    "{flag} is for parallel tempering; give --rungs 2 or more, or leave it out"
                )));
            }
        }
        Ok(())
    }

    fn options(&self) -> EvaluationOptions {
        let default = Momentum::default();
        let plain = EvaluationOptions::default();
        EvaluationOptions {
            kernel: self.kernel,
            momentum: Momentum {
                friction: self.friction.unwrap_or(default.friction),
                leapfrogs: self.leapfrogs.unwrap_or(default.leapfrogs),
            },
            epsilon: self.epsilon,
            target_acceptance: self.target_acceptance,
            adapt_scales: self.adapt_scales,
            rungs: self.rungs as usize,
            swap_rate: self.swap_rate.unwrap_or(plain.swap_rate),
            swap_every: self.swap_every.unwrap_or(plain.swap_every),
            temperature_factor: self.temp_factor,
            start: (&self.start).into(),
            steps: self.steps,
            record_every: self.record_every,
            seed: self.seed,
            command: command_line(),
        }
    }
}
