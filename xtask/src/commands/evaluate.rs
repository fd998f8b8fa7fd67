//! `evaluate`: long chains under a learned energy, with ULA or MALA, at any temperature and from any start.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use ebm_core::{NoiseKey, Stream};
use ebm_experiment::EngineChoice;
use ebm_langevin::ChainRun;

use crate::advice::{command_line, shell_word};
use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::{BackendArguments, DataDirectory};
use crate::error::DriverError;
use crate::evaluation::{
    ChainState, Ended, EvaluationFolder, KernelName, Page, Record, Settings, StartArguments,
    Starts, Sums, Walk, find_step_size, step_size, temperature,
};
use crate::logging::Screen;
use crate::stop::on_interrupt;
use crate::trained::{Trained, TrainedArguments};

const TEMPLATE: &str = "{bar:24} {pos}/{len} steps  {msg}  {elapsed} gone, {eta} left";

/// Records of a whole evaluation, unless asked for more or fewer.
const RECORDS: u64 = 1_000;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask evaluate --run runs/short-run --steps 20000
  cargo xtask evaluate --run runs/mnist_convergent --start data --steps 100000
  cargo xtask evaluate --run runs/mnist_convergent --kernel mala --target-acceptance 0.574 --steps 1000000
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
            "run", "weights", "average", "kernel", "epsilon", "target_acceptance", "temp_factor", "start", "states",
            "data_of", "chains", "record_every", "seed", "out",
        ]
    )]
    pub(crate) resume: Option<PathBuf>,
    /// ula, as in learning, or mala, which is exact.
    #[arg(long, value_enum, default_value = "ula")]
    pub(crate) kernel: KernelName,
    /// Step size ε [default: that of the training].
    #[arg(long)]
    pub(crate) epsilon: Option<f64>,
    /// Look for the ε at which MALA accepts this share of its proposals; 0.574 mixes best in many dimensions.
    #[arg(long, value_name = "RATE", conflicts_with = "epsilon")]
    pub(crate) target_acceptance: Option<f64>,
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

pub(crate) fn run(arguments: &EvaluateArguments, screen: &Screen) -> Result<(), DriverError> {
    match &arguments.resume {
        Some(root) => resume(arguments, EvaluationFolder::open(root)?, screen),
        None => start(arguments, screen),
    }
}

fn start(arguments: &EvaluateArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let out = match (&arguments.out, &arguments.trained.run) {
        (Some(out), _) => out.clone(),
        (None, Some(run)) => run.join("evaluation"),
        (None, None) => PathBuf::from("evaluation"),
    };
    EvaluationFolder::check_free(&out)?;
    let (backend, engine) = arguments.backend.resolve(None)?;
    let engine = engine_for(arguments.kernel, backend, engine);
    let starts = Starts {
        arguments: &arguments.start,
        trained: &trained,
        run: arguments.trained.run.as_deref(),
        data: &arguments.data,
        seed: arguments.seed,
    };
    let (from, states) = starts.draw()?;
    let mut settings = arguments.settings(&trained, from)?;
    settings.backend = backend.to_string();
    let prepare = Prepare {
        arguments,
        trained: &trained,
        settings: &mut settings,
        states: &states,
        backend,
        engine,
        screen,
    };
    dispatch(backend, prepare)?;
    let chains = ChainState {
        step: 0,
        states,
        since: Sums::default(),
    };
    let folder = EvaluationFolder::create(&out, &settings, &trained.weights, &chains)?;
    evaluate(&folder, &settings, chains, backend, engine, screen)
}

fn resume(
    arguments: &EvaluateArguments,
    (folder, mut settings): (EvaluationFolder, Settings),
    screen: &Screen,
) -> Result<(), DriverError> {
    let chains = folder.read_chains(&settings)?;
    if let Some(steps) = arguments.steps {
        if steps < settings.steps {
            return Err(DriverError::Usage(format!(
                "--steps {steps}: the evaluation has {} steps in all; give more",
                settings.steps
            )));
        }
        settings.steps = steps;
    }
    let earlier = (settings.backend.as_str(), settings.engine.as_str());
    let (backend, engine) = arguments.backend.resolve_names(Some(earlier))?;
    let engine = engine_for(settings.kernel, backend, engine);
    evaluate(&folder, &settings, chains, backend, engine, screen)
}

/// The engine that moves the chains, so that records name it: MALA runs on tensors on a GPU.
fn engine_for(kernel: KernelName, backend: BackendName, engine: EngineChoice) -> EngineChoice {
    if kernel == KernelName::Ula || !backend.is_gpu() || engine == EngineChoice::Tensor {
        return engine;
    }
    tracing::info!("tensor engine: the cube engine has no MALA");
    EngineChoice::Tensor
}

/// From `chains` to the end, with pictures and page.
fn evaluate(
    folder: &EvaluationFolder,
    settings: &Settings,
    chains: ChainState,
    backend: BackendName,
    engine: EngineChoice,
    screen: &Screen,
) -> Result<(), DriverError> {
    let job = EvaluateJob {
        folder,
        records: folder.read_records(settings, chains.step)?,
        settings: settings.clone(),
        chains,
        backend,
        engine,
        stop: on_interrupt(),
        screen,
    };
    let (settings, ended, records) = dispatch(backend, job)?;
    let page = Page {
        settings: &settings,
        folder,
        records: &records,
        ended,
    };
    page.write()?;
    if let Ended::Stopped { step } = ended {
        screen.say(&format!(
            "Stopped after step {step}; the states are saved. Go on with:\n  cargo xtask evaluate --resume {}",
            shell_word(folder.root())
        ));
        return Err(DriverError::Interrupted);
    }
    screen.tell(&format!(
        "\n{}\nEvaluation: {} — open {}",
        page.sentence(),
        folder.root().display(),
        folder.page().display()
    ));
    match ended {
        Ended::RanAway { .. } => Err(DriverError::RunawayChains),
        _ => Ok(()),
    }
}

impl EvaluateArguments {
    fn settings(&self, trained: &Trained, start: String) -> Result<Settings, DriverError> {
        let training_epsilon = trained.langevin.epsilon.get();
        temperature(training_epsilon, self.temp_factor)?;
        if self.target_acceptance.is_some() && self.kernel == KernelName::Ula {
            return Err(DriverError::Usage(
                "--target-acceptance is for --kernel mala; ULA accepts everything".into(),
            ));
        }
        if let Some(rate) = self.target_acceptance
            && !(rate > 0.0 && rate < 1.0)
        {
            return Err(DriverError::Usage(format!(
                "--target-acceptance {rate}: must lie between 0 and 1"
            )));
        }
        let epsilon = self.epsilon.unwrap_or(training_epsilon);
        step_size(epsilon)?;
        let steps = self
            .steps
            .unwrap_or(trained.langevin.steps.saturating_mul(100));
        let settings = Settings {
            weights: trained.weights.display().to_string(),
            net: trained.net,
            state_shape: trained.state_shape,
            training_epsilon,
            temperature_factor: self.temp_factor,
            kernel: self.kernel,
            stabilisers: trained.stabilisers,
            epsilon,
            start,
            chains: self.start.chains as usize,
            steps,
            record_every: self.record_every.unwrap_or(steps.div_ceil(RECORDS)),
            seed: self.seed,
            backend: String::new(),
            engine: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command_line(),
        };
        // Where ε is looked for, that of the training is only where it would stand.
        if self.target_acceptance.is_none() {
            settings.kernel()?;
        }
        Ok(settings)
    }
}

/// Checks that net, weights and engine go together before anything is written, and looks for ε where that was asked for.
struct Prepare<'a> {
    arguments: &'a EvaluateArguments,
    trained: &'a Trained,
    settings: &'a mut Settings,
    states: &'a [f32],
    backend: BackendName,
    engine: EngineChoice,
    screen: &'a Screen,
}

impl BackendTask for Prepare<'_> {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<(), DriverError> {
        let weights = &self.trained.weights;
        let chains =
            self.settings
                .chains_on::<B>(weights, (self.backend, self.engine), device, None)?;
        self.settings.engine = chains.engine_name().to_owned();
        if let Some(target) = self.arguments.target_acceptance {
            let settle = self.trained.langevin.steps;
            let (epsilon, rate) =
                find_step_size(&chains, self.settings, self.states, target, settle)?;
            self.settings.epsilon = epsilon.get();
            self.screen.tell(&format!(
                "ε = {:.3e} accepts {:.1} % of the proposals, from states {settle} steps of ULA after the start.",
                epsilon.get(),
                100.0 * rate,
            ));
        }
        Ok(())
    }
}

/// The walk itself.
struct EvaluateJob<'a> {
    folder: &'a EvaluationFolder,
    settings: Settings,
    chains: ChainState,
    records: Vec<Record>,
    backend: BackendName,
    engine: EngineChoice,
    stop: Arc<AtomicBool>,
    screen: &'a Screen,
}

impl BackendTask for EvaluateJob<'_> {
    type Output = (Settings, Ended, Vec<Record>);

    fn run<B: AutodiffBackend>(mut self, device: B::Device) -> Result<Self::Output, DriverError> {
        let weights = self.folder.weights();
        let engine = (self.backend, self.engine);
        let stop = Some(&self.stop);
        let chains = self
            .settings
            .chains_on::<B>(&weights, engine, device, stop)?;
        // A later part of an evaluation may run elsewhere and farther.
        self.settings.backend = self.backend.to_string();
        self.settings.engine = chains.engine_name().to_owned();
        self.folder.write_settings(&self.settings)?;
        let kernel = self.settings.kernel()?;
        let bar = self.screen.bar(self.settings.steps, TEMPLATE);
        bar.set_position(self.chains.step);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_secs(1));
        let walk = Walk {
            settings: &self.settings,
            folder: self.folder,
            steps: &|states, first_step, steps| {
                let run = ChainRun {
                    kernel: kernel.clone(),
                    steps,
                    first_step,
                    noise: NoiseKey::new(self.settings.seed, Stream::Watch, 0),
                    final_energies: true,
                };
                chains.run(states, &run)
            },
            progress: &|steps| bar.inc(steps),
            recorded: &|record| bar.set_message(format!("mean U {:.2}", record.mean_energy)),
        };
        let result = walk.run(self.chains, self.records);
        bar.finish_and_clear();
        let (ended, records) = result?;
        Ok((self.settings, ended, records))
    }
}
