//! `evaluate`: long chains under a learned energy, with ULA or MALA, at any temperature and from any start.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burn::tensor::backend::AutodiffBackend;
use burn::tensor::{Tensor, TensorData};
use clap::{Args, ValueEnum};
use ebm_core::{NoiseKey, Stream};
use ebm_data::data_directory;
use ebm_energy_net::{Net, load_weights, read_tensors};
use ebm_langevin::{
    ChainRun, CpuEngine, Engine, EngineChoice, Kernel, NoiseStart, StepSizeSearch, Ula,
    find_step_size,
};

use crate::advice::shell_word;
use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::{BackendArguments, DataDirectory};
use crate::config::{ExperimentConfig, Source};
use crate::error::DriverError;
use crate::evaluation::{
    ChainState, Ended, EvaluationFolder, KernelName, Page, Piece, Record, Settings, Walk,
    step_size, temperature,
};
use crate::logging::Screen;
use crate::run_folder::RunFolder;
use crate::stop::on_interrupt;
use crate::trained::{NewestWeights, Trained, TrainedArguments};

const TEMPLATE: &str = "{bar:24} {pos}/{len} steps  {msg}  {elapsed} gone, {eta} left";

/// Records of a whole evaluation, unless asked for more or fewer.
const RECORDS: u64 = 1_000;

/// 1 GiB of states.
const MOST_NUMBERS: usize = 1 << 28;

/// Arguments of `evaluate`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask evaluate --run runs/short-run --steps 20000
  cargo xtask evaluate --run runs/mnist_convergent --start data --steps 100000
  cargo xtask evaluate --run runs/mnist_convergent --kernel mala --target-acceptance 0.574 --steps 1000000
  cargo xtask evaluate --weights net.safetensors --experiment cifar10_nonconvergent --epsilon 0.01 --steps 150
  cargo xtask evaluate --resume runs/mnist_convergent/evaluation")]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// Continue the evaluation in this folder.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "run", "weights", "average", "kernel", "epsilon", "target_acceptance", "temp_factor", "start", "states",
            "data_of", "chains", "steps", "record_every", "seed", "out",
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
    /// T as a multiple of the training's ε²/2.
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0)]
    pub(crate) temp_factor: f64,
    /// Where chains start: uniform or gaussian noise, data, or the persistent bank of the run [default: as in learning].
    #[arg(long, value_enum, conflicts_with = "states")]
    pub(crate) start: Option<EvaluationStart>,
    /// Start from the states in this safetensors file, such as samples or a bank.
    #[arg(long, value_name = "FILE")]
    pub(crate) states: Option<PathBuf>,
    /// With --start data: the named experiment or experiment file whose data they are [default: the training's].
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) data_of: Option<String>,
    /// How many chains.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) chains: u32,
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

/// Where the chains of an evaluation start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EvaluationStart {
    Uniform,
    Gaussian,
    Data,
    Bank,
}

pub(crate) fn run(arguments: &EvaluateArguments, screen: &Screen) -> Result<(), DriverError> {
    if let Some(root) = &arguments.resume {
        let (folder, settings) = EvaluationFolder::open(root)?;
        let backend = settings.backend.parse().ok();
        let (backend, engine) = BackendArguments {
            backend: arguments.backend.backend.or(backend),
            engine: arguments.backend.engine,
        }
        .resolve(None)?;
        let chains = folder.read_chains(&settings)?;
        return evaluate(&folder, &settings, chains, backend, engine, screen);
    }
    let trained = arguments.trained.find()?;
    let out = match (&arguments.out, &arguments.trained.run) {
        (Some(out), _) => out.clone(),
        (None, Some(run)) => run.join("evaluation"),
        (None, None) => PathBuf::from("evaluation"),
    };
    EvaluationFolder::check_free(&out)?;
    let (backend, engine) = arguments.backend.resolve(None)?;
    let (start, states) = arguments.draw(&trained)?;
    let mut settings = arguments.settings(&trained, start, states.len())?;
    settings.backend = backend.as_str().to_owned();
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
    let chains = ChainState { step: 0, states };
    let folder = EvaluationFolder::create(&out, &settings, &trained.weights, &chains)?;
    evaluate(&folder, &settings, chains, backend, engine, screen)
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
    let records = folder.read_records(chains.step)?;
    let job = EvaluateJob {
        folder,
        settings,
        chains,
        records,
        backend,
        engine,
        stop: on_interrupt(),
        screen,
    };
    let (ended, records) = dispatch(backend, job)?;
    let page = Page {
        settings,
        folder,
        records: &records,
        ended,
        command: format!(
            "cargo xtask evaluate --resume {}",
            shell_word(folder.root())
        ),
    };
    page.write()?;
    if let Ended::Stopped { step } = ended {
        screen.say(&format!(
            "Stopped after step {step}; the states are saved. Go on with:\n  {}",
            page.command
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
    fn settings(
        &self,
        trained: &Trained,
        start: String,
        numbers: usize,
    ) -> Result<Settings, DriverError> {
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
            chains: numbers / trained.state_shape.iter().product::<usize>().max(1),
            steps,
            record_every: self.record_every.unwrap_or(steps.div_ceil(RECORDS)),
            seed: self.seed,
            backend: String::new(),
            engine: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        settings.kernel()?;
        Ok(settings)
    }

    /// Initial states, and in words where they come from.
    fn draw(&self, trained: &Trained) -> Result<(String, Vec<f32>), DriverError> {
        let count = self.chains as usize;
        let per_chain = trained.state_shape.iter().product::<usize>();
        if count.saturating_mul(per_chain) > MOST_NUMBERS {
            return Err(DriverError::Usage(format!(
                "--chains {count} makes more than {MOST_NUMBERS} numbers; run fewer"
            )));
        }
        let key = NoiseKey::new(self.seed, Stream::WatchStart, 0);
        let choose = |states: &[f32], what: &str| -> Result<Vec<f32>, DriverError> {
            let available = states.len() / per_chain.max(1);
            if available < count || !states.len().is_multiple_of(per_chain.max(1)) {
                return Err(DriverError::Usage(format!(
                    "{what} holds {available} states of {:?}, too few for {count} chains; give --chains {available} or fewer",
                    trained.state_shape
                )));
            }
            let rows = key.choose(count, available).into_iter();
            Ok(rows
                .flat_map(|row| &states[row * per_chain..(row + 1) * per_chain])
                .copied()
                .collect())
        };
        if let Some(file) = &self.states {
            let states = read_states(file, trained.state_shape)?;
            let what = file.display().to_string();
            return Ok((what.clone(), choose(&states, &what)?));
        }
        let factor = trained.langevin.start_factor;
        let noise = |noise: NoiseStart| noise.draw(factor, key, count, per_chain);
        Ok(match self.start(trained) {
            EvaluationStart::Uniform => ("uniform noise".into(), noise(NoiseStart::Uniform)?),
            EvaluationStart::Gaussian => ("Gaussian noise".into(), noise(NoiseStart::Gaussian)?),
            EvaluationStart::Data => self.draw_data(trained, key)?,
            EvaluationStart::Bank => {
                let bank = self.bank()?;
                let states = read_states(&bank, trained.state_shape)?;
                ("the bank".into(), choose(&states, "the bank")?)
            }
        })
    }

    /// As asked for, or as learning starts its chains.
    fn start(&self, trained: &Trained) -> EvaluationStart {
        let of_learning = || match trained.langevin.start {
            ebm_langevin::ChainStart::Gaussian => EvaluationStart::Gaussian,
            ebm_langevin::ChainStart::Data if trained.config.is_some() => EvaluationStart::Data,
            ebm_langevin::ChainStart::Persistent if self.bank().is_ok() => EvaluationStart::Bank,
            _ => EvaluationStart::Uniform,
        };
        let asked_for_data = self.data_of.as_ref().map(|_| EvaluationStart::Data);
        self.start.or(asked_for_data).unwrap_or_else(of_learning)
    }

    fn draw_data(
        &self,
        trained: &Trained,
        key: NoiseKey,
    ) -> Result<(String, Vec<f32>), DriverError> {
        let loaded;
        let config = match (&self.data_of, &trained.config) {
            (Some(name), _) => {
                let file = PathBuf::from(name);
                let source = if file.is_file() {
                    Source::File(file)
                } else {
                    Source::Named(name.clone())
                };
                loaded = ExperimentConfig::load(&source, &[])?.0;
                &loaded
            }
            (None, Some(config)) => config,
            (None, None) => {
                return Err(DriverError::Usage(
                    "--start data: the weights do not say what they learned from; name the data with --data-of NAME|FILE"
                        .into(),
                ));
            }
        };
        if config.data.shape() != trained.state_shape {
            return Err(DriverError::Usage(format!(
                "--data-of: these data are {:?}, the net takes {:?}",
                config.data.shape(),
                trained.state_shape
            )));
        }
        let directory = if config.data.is_fetched() {
            data_directory(self.data.data_dir.as_deref())?
        } else {
            PathBuf::new()
        };
        let dataset = config.data.load(&directory)?;
        let count = self.chains as usize;
        if let Some(available) = dataset.len().filter(|available| *available < count) {
            return Err(DriverError::Usage(format!(
                "the data set has {available} images, too few for {count} different chains; give --chains {available} or fewer"
            )));
        }
        let mut states = dataset.batch(&key, count)?;
        let per_chain = trained.state_shape.iter().product();
        let mut draws = vec![0.0; states.len()];
        NoiseKey::new(self.seed, Stream::WatchDataNoise, 0).normals(0, 0, per_chain, &mut draws);
        for (value, noise) in states.iter_mut().zip(draws) {
            *value += config.data_noise as f32 * noise;
        }
        let what = if config.data_noise > 0.0 {
            format!("data with noise {}", config.data_noise)
        } else {
            "data".to_owned()
        };
        Ok((what, states))
    }

    /// The bank of the run's newest checkpoint.
    fn bank(&self) -> Result<PathBuf, DriverError> {
        let none = || {
            DriverError::Usage(
                "--start bank: there is no persistent bank; give --run of a run with persistent chains, or states with --states FILE"
                    .into(),
            )
        };
        let folder = RunFolder::open(self.trained.run.as_ref().ok_or_else(none)?)?;
        let newest = NewestWeights::of(&folder, false)?;
        let bank = newest.checkpoint.ok_or_else(none)?.join("bank.safetensors");
        if bank.is_file() {
            Ok(bank)
        } else {
            Err(none())
        }
    }
}

/// The tensor "states" of a safetensors file, or its only one.
fn read_states(file: &Path, shape: [usize; 3]) -> Result<Vec<f32>, DriverError> {
    let mut tensors = read_tensors(file)?;
    let place = tensors
        .iter()
        .position(|tensor| tensor.name == "states")
        .or((tensors.len() == 1).then_some(0));
    let Some(place) = place else {
        return Err(DriverError::Usage(format!(
            "{} holds no tensor \"states\" and not just one tensor",
            file.display()
        )));
    };
    let tensor = tensors.swap_remove(place);
    let per_chain: usize = shape.iter().product();
    // A bank is flat, samples have the shape of the net's states.
    let fits = tensor.shape[1..].iter().product::<usize>() == per_chain;
    if tensor.shape.len() < 2 || !fits || tensor.values.iter().any(|value| !value.is_finite()) {
        return Err(DriverError::Usage(format!(
            "{}: tensor \"{}\" of shape {:?} is not a list of finite states of {shape:?}",
            file.display(),
            tensor.name,
            tensor.shape
        )));
    }
    Ok(tensor.values)
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
        let chains = EngineAndNet::<B>::new(
            self.settings,
            &self.trained.weights,
            self.backend,
            self.engine,
            device,
        )?;
        self.settings.engine = Engine::<B, Net<B>>::name(&chains.engine).to_owned();
        let Some(target) = self.arguments.target_acceptance else {
            return Ok(());
        };
        let temperature = self.settings.temperature()?;
        // Proposals from states that are still falling in energy would be judged wrongly.
        let settle = ChainRun {
            kernel: Ula::new(self.trained.langevin.epsilon, temperature).into(),
            steps: self.trained.langevin.steps,
            first_step: 0,
            noise: NoiseKey::new(self.settings.seed, Stream::Watch, 1),
            final_energies: false,
        };
        let settled = chains.run(self.states.to_vec(), &settle)?.states;
        let search = StepSizeSearch {
            target,
            ..StepSizeSearch::new(NoiseKey::new(self.settings.seed, Stream::Watch, 2))
        };
        let states = chains.tensor(settled);
        let found =
            find_step_size::<B, _, _>(&chains.engine, &chains.net, &states, temperature, &search)?;
        self.settings.epsilon = found.step_size.get();
        self.screen.tell(&format!(
            "ε = {:.3e} accepts {:.1} % of the proposals, from states {} ULA steps after the start.",
            self.settings.epsilon,
            100.0 * found.acceptance_rate,
            settle.steps,
        ));
        Ok(())
    }
}

/// What runs chains on a backend.
struct EngineAndNet<B: AutodiffBackend> {
    engine: CpuEngine,
    net: Net<B>,
    shape: [usize; 3],
    device: B::Device,
}

impl<B: AutodiffBackend> EngineAndNet<B> {
    fn new(
        settings: &Settings,
        weights: &Path,
        backend: BackendName,
        engine: EngineChoice,
        device: B::Device,
    ) -> Result<Self, DriverError> {
        let shape = settings.state_shape;
        let net = settings.net.init::<B>(shape, 0, &device)?;
        let net = burn::module::Module::no_grad(load_weights(net, weights)?);
        Ok(Self {
            engine: backend.engine(engine, &net, shape)?,
            net,
            shape,
            device,
        })
    }

    fn tensor(&self, states: Vec<f32>) -> Tensor<B::InnerBackend, 4> {
        let [channels, height, width] = self.shape;
        let chains = states.len() / (channels * height * width).max(1);
        let data = TensorData::new(states, [chains, channels, height, width]);
        Tensor::from_data(data, &self.device)
    }

    fn run(&self, states: Vec<f32>, run: &ChainRun) -> Result<Piece, DriverError> {
        let outcome = Engine::<B, _>::run(&self.engine, &self.net, self.tensor(states), run)?;
        let energies = outcome.energies.unwrap_or_default();
        Ok(Piece {
            states: outcome.states.into_data().iter::<f32>().collect(),
            energies: energies.into_iter().map(f64::from).collect(),
            gradient_magnitude: outcome.gradient_magnitude,
            acceptance_rate: outcome.acceptance_rate,
        })
    }
}

/// The walk itself.
struct EvaluateJob<'a> {
    folder: &'a EvaluationFolder,
    settings: &'a Settings,
    chains: ChainState,
    records: Vec<Record>,
    backend: BackendName,
    engine: EngineChoice,
    stop: Arc<AtomicBool>,
    screen: &'a Screen,
}

impl BackendTask for EvaluateJob<'_> {
    type Output = (Ended, Vec<Record>);

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<Self::Output, DriverError> {
        let settings = self.settings;
        let mut chains = EngineAndNet::<B>::new(
            settings,
            &self.folder.weights(),
            self.backend,
            self.engine,
            device,
        )?;
        chains.engine = chains.engine.cancelled_by(Arc::clone(&self.stop));
        let kernel: Kernel = settings.kernel()?;
        let bar = self.screen.bar(settings.steps, TEMPLATE);
        bar.set_position(self.chains.step);
        bar.reset_eta();
        bar.enable_steady_tick(Duration::from_secs(1));
        let walk = Walk {
            settings,
            folder: self.folder,
            steps: &|states, first_step, steps| {
                let run = ChainRun {
                    kernel,
                    steps,
                    first_step,
                    noise: NoiseKey::new(settings.seed, Stream::Watch, 0),
                    final_energies: true,
                };
                chains.run(states, &run)
            },
            progress: &|steps, record| {
                bar.inc(steps);
                bar.set_message(format!("mean U {:.2}", record.mean_energy));
            },
        };
        let result = walk.run(self.chains, self.records);
        bar.finish_and_clear();
        result
    }
}
