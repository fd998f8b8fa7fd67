//! `map`: the metastable basins of a learned energy.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use burn::tensor::backend::AutodiffBackend;
use clap::Args;
use ebm_experiment::EngineChoice;
use ebm_langevin::{ChainStart, LangevinError};

use crate::advice::{command_line, shell_word};
use crate::backend::{BackendName, BackendTask, dispatch};
use crate::cli::{BackendArguments, DataDirectory};
use crate::config::are_digits;
use crate::diagnosis::short;
use crate::error::DriverError;
use crate::evaluation::{EvaluationStart, StartArguments, Starts, temperature};
use crate::logging::Screen;
use crate::mapping::{
    Cost, MOST_STEPS, MapFolder, MapJob, Page, Settings, Start, State, Summary, batch,
};
use crate::stop::on_interrupt;
use crate::trained::{Trained, TrainedArguments};
use crate::trained_chains::MOST_NUMBERS;

/// Arguments of `map`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask map --run runs/gmm_convergent
  cargo xtask map --run runs/convergent-digits --start data --start bank --chains 200
  cargo xtask map --run runs/convergent-digits --alpha 2e4 --out stronger
  cargo xtask map --resume runs/convergent-digits/map")]
pub(crate) struct MapArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// Continue the map in this folder. With --alpha or --alpha-range, if no minimum has been grouped yet.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "run", "weights", "average", "start", "data_of", "chains", "gather_steps", "temp_factor", "resolution",
            "patience", "trials", "groupings", "multiples", "graph_basins", "seed", "out",
        ]
    )]
    pub(crate) resume: Option<PathBuf>,
    /// Where chains start: data, bank, uniform or gaussian; may be repeated [default: data, the bank of the run if it has one,
    /// and the noise that learning or its bank starts from].
    #[arg(long, value_enum)]
    pub(crate) start: Vec<EvaluationStart>,
    /// Start from the data of this named experiment or experiment file instead of the training's.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) data_of: Option<String>,
    /// Chains from each start.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) chains: u32,
    /// Langevin steps of each chain, as in learning, before it descends to its minimum; may be 0 [default: 100·L].
    #[arg(long, value_name = "STEPS")]
    pub(crate) gather_steps: Option<u64>,
    /// τ, the temperature at which chains look for ways as a multiple of that of the training. A low one keeps them at the
    /// bottom of their valleys; ε falls with √τ, so that the drift stays that of learning.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1)]
    pub(crate) temp_factor: f64,
    /// δ, the distance at which a chain has reached a minimum, in units of the states [default: a tenth of the root mean square
    /// distance between minima].
    #[arg(long, value_name = "DISTANCE")]
    pub(crate) resolution: Option<f64>,
    /// M: a chain gives up after so many steps that brought it no nearer.
    #[arg(long, value_name = "STEPS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=MOST_STEPS))]
    pub(crate) patience: u64,
    /// How often each direction of a pair is tried.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub(crate) trials: u32,
    /// α, the pull in nats of U/τ per unit of distance [default: found by a sweep].
    #[arg(long, conflicts_with = "alpha_range")]
    pub(crate) alpha: Option<f64>,
    /// The range of α of the sweep [default: pulls αTτ from r/50 to 2r, with r the mean of ‖∇F‖₂].
    #[arg(long, value_name = "LOW,HIGH", value_delimiter = ',')]
    pub(crate) alpha_range: Vec<f64>,
    /// How often the minima are grouped, each time with another seed.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) groupings: u32,
    /// Group the minima once more at these multiples of α, such as 0.5,0.7,1.4, to see how the basins depend on it.
    #[arg(long, value_name = "FACTORS", value_delimiter = ',')]
    pub(crate) multiples: Vec<f64>,
    /// Barriers are sought between so many basins at most, those with the most minima.
    #[arg(long, value_name = "COUNT", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) graph_basins: u32,
    /// Seed of everything.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the map [default: RUN/map, or map].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
}

pub(crate) fn run(arguments: &MapArguments, screen: &Screen) -> Result<(), DriverError> {
    let strength = arguments.strength()?;
    match &arguments.resume {
        Some(root) => resume(arguments, strength, MapFolder::open(root)?, screen),
        None => start(arguments, strength, screen),
    }
}

/// α and its range, as far as they were asked for.
type Strength = (Option<f64>, Option<[f64; 2]>);

fn start(arguments: &MapArguments, strength: Strength, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let out = match (&arguments.out, &arguments.trained.run) {
        (Some(out), _) => out.clone(),
        (None, Some(run)) => run.join("map"),
        (None, None) => PathBuf::from("map"),
    };
    MapFolder::check_free(&out)?;
    let (backend, engine) = arguments.backend.resolve(None)?;
    let mut settings = arguments.settings(&trained, strength)?;
    let initial = arguments.draw(&trained, &mut settings.starts)?;
    settings.backend = backend.to_string();
    let prepare = Prepare {
        trained: &trained,
        settings: &mut settings,
        initial: &initial,
        backend,
        engine,
        screen,
    };
    dispatch(backend, prepare)?;
    let state = State {
        settings,
        chain_steps: 0,
        found: None,
        sweep: None,
        strength: None,
        groupings: Vec::new(),
        others: Vec::new(),
        barriers: None,
    };
    // Before there is anything that Ctrl-C could leave half done.
    let stop = on_interrupt();
    let folder = MapFolder::create(&out, &state, &trained.weights, initial)?;
    map(&folder, state, (backend, engine), stop, screen)
}

fn resume(
    arguments: &MapArguments,
    strength: Strength,
    (folder, mut state): (MapFolder, State),
    screen: &Screen,
) -> Result<(), DriverError> {
    if strength != (None, None) {
        if !state.groupings.is_empty() {
            return Err(DriverError::Usage(format!(
                "{} has grouped minima with its α already; for another one map anew into another folder",
                folder.root().display()
            )));
        }
        (state.settings.alpha, state.settings.alpha_range) = strength;
        (state.sweep, state.strength) = (None, None);
    }
    let earlier = (&state.settings.backend[..], &state.settings.engine[..]);
    let (backend, engine) = arguments.backend.resolve_names(Some(earlier))?;
    map(&folder, state, (backend, engine), on_interrupt(), screen)
}

/// From `state` to the end, with pictures and page.
fn map(
    folder: &MapFolder,
    state: State,
    (backend, engine): (BackendName, EngineChoice),
    stop: Arc<AtomicBool>,
    screen: &Screen,
) -> Result<(), DriverError> {
    let job = MapJob {
        folder,
        state,
        backend,
        engine,
        stop,
        screen,
    };
    let (state, minima) = match dispatch(backend, job) {
        Err(DriverError::Langevin(LangevinError::Cancelled)) => {
            screen.say(&format!(
                "Stopped; all finished experiments are saved. Go on with:\n  cargo xtask map --resume {}",
                shell_word(folder.root())
            ));
            return Err(DriverError::Interrupted);
        }
        result => result?,
    };
    let summary = Summary::new(&state, &minima)?;
    let page = Page {
        state: &state,
        minima: &minima,
        summary: &summary,
        folder,
    };
    page.write()?;
    let (held, resolution) = (summary.strength.flat_distance, summary.gathering.resolution);
    if held > resolution {
        tracing::warn!(
            "where U is flat, noise holds a chain {} from its target, farther than δ = {}, so chains may have failed that no barrier stopped; a lower --temp-factor or a larger --resolution would tell",
            short(held),
            short(resolution)
        );
    }
    screen.tell(&format!(
        "\n{}\nMap: {} — open {}",
        summary.sentence,
        folder.root().display(),
        folder.page().display()
    ));
    Ok(())
}

impl MapArguments {
    fn strength(&self) -> Result<Strength, DriverError> {
        if let Some(alpha) = self.alpha {
            positive("--alpha", alpha)?;
        }
        let range = match self.alpha_range[..] {
            [] => None,
            [low, high] if low > 0.0 && high.is_finite() && low < high => Some([low, high]),
            _ => {
                let given: Vec<_> = self.alpha_range.iter().map(ToString::to_string).collect();
                return Err(DriverError::Usage(format!(
                    "--alpha-range {}: give two numbers > 0 with the smaller first, LOW,HIGH",
                    given.join(",")
                )));
            }
        };
        Ok((self.alpha, range))
    }

    /// All but the words for the starts and what the engine is.
    fn settings(
        &self,
        trained: &Trained,
        (alpha, alpha_range): Strength,
    ) -> Result<Settings, DriverError> {
        let training_epsilon = trained.langevin.epsilon.get();
        temperature(training_epsilon, self.temp_factor)?;
        if let Some(resolution) = self.resolution {
            positive("--resolution", resolution)?;
        }
        for multiple in &self.multiples {
            positive("--multiples", *multiple)?;
        }
        let starts = self.starts(trained);
        let size: usize = trained.state_shape.iter().product();
        let count = self.chains as usize * starts.len();
        if count.saturating_mul(size) > MOST_NUMBERS {
            return Err(DriverError::Usage(format!(
                "--chains {}: {count} chains are more than {MOST_NUMBERS} numbers; run fewer",
                self.chains
            )));
        }
        if count < 2 {
            return Err(DriverError::Usage(
                "--chains 1: a map needs two chains at least".into(),
            ));
        }
        let default_steps = trained.langevin.steps.saturating_mul(100);
        Ok(Settings {
            weights: trained.weights.display().to_string(),
            net: trained.net,
            state_shape: trained.state_shape,
            training_epsilon,
            stabilisers: trained.stabilisers,
            starts: starts
                .into_iter()
                .map(|start| Start {
                    start,
                    what: String::new(),
                })
                .collect(),
            chains: self.chains as usize,
            gather_steps: self.gather_steps.unwrap_or(default_steps),
            temperature_factor: self.temp_factor,
            resolution: self.resolution,
            patience: self.patience,
            most_steps: MOST_STEPS,
            trials: self.trials,
            batch: batch(size),
            alpha,
            alpha_range,
            groupings: self.groupings as usize,
            multiples: self.multiples.clone(),
            graph_basins: self.graph_basins as usize,
            is_digits: trained.data.as_ref().is_some_and(are_digits),
            seed: self.seed,
            backend: String::new(),
            engine: String::new(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            command: command_line(),
        })
    }

    /// The starts that were asked for, each once, or all that the net has.
    fn starts(&self, trained: &Trained) -> Vec<EvaluationStart> {
        let mut starts = self.start.clone();
        if starts.is_empty() {
            if trained.data.is_some() || self.data_of.is_some() {
                starts.push(EvaluationStart::Data);
            }
            let arguments = self.start_arguments(EvaluationStart::Bank);
            if self.drawing(trained, &arguments).has_bank() {
                starts.push(EvaluationStart::Bank);
            }
            match trained.langevin.start {
                ChainStart::Gaussian => starts.push(EvaluationStart::Gaussian),
                // Banks are filled with it.
                ChainStart::Uniform | ChainStart::Persistent => {
                    starts.push(EvaluationStart::Uniform);
                }
                ChainStart::Data => {}
            }
            // Weights that learned from data which they do not name.
            if starts.is_empty() {
                starts.push(EvaluationStart::Uniform);
            }
        }
        let mut once = Vec::new();
        for start in starts {
            if !once.contains(&start) {
                once.push(start);
            }
        }
        once
    }

    /// Draws all initial states, and says of each start in words what it is.
    fn draw(&self, trained: &Trained, starts: &mut [Start]) -> Result<Vec<f32>, DriverError> {
        if self.data_of.is_some() && starts.iter().all(|it| it.start != EvaluationStart::Data) {
            return Err(DriverError::Usage(
                "--data-of names data to start from; leave it out, or add --start data".into(),
            ));
        }
        let mut initial = Vec::new();
        for start in starts {
            let arguments = self.start_arguments(start.start);
            let (what, states) = self.drawing(trained, &arguments).draw()?;
            start.what = what;
            initial.extend(states);
        }
        Ok(initial)
    }

    fn start_arguments(&self, start: EvaluationStart) -> StartArguments {
        StartArguments {
            start: Some(start),
            states: None,
            data_of: self
                .data_of
                .clone()
                .filter(|_| start == EvaluationStart::Data),
            chains: self.chains,
        }
    }

    fn drawing<'a>(&'a self, trained: &'a Trained, arguments: &'a StartArguments) -> Starts<'a> {
        Starts {
            arguments,
            trained,
            run: self.trained.run.as_deref(),
            data: &self.data,
            seed: self.seed,
        }
    }
}

fn positive(flag: &str, value: f64) -> Result<(), DriverError> {
    if value.is_finite() && value > 0.0 {
        return Ok(());
    }
    Err(DriverError::Usage(format!(
        "{flag} {value}: must be a finite number > 0"
    )))
}

/// Checks that net, weights and engine go together before anything is written, and tells the cost.
struct Prepare<'a> {
    trained: &'a Trained,
    settings: &'a mut Settings,
    initial: &'a [f32],
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
        self.settings.engine = chains.landscape_engine_name().to_owned();
        let cost = Cost::measure(&chains, self.settings, self.initial)?;
        self.screen.tell(&cost.describe());
        Ok(())
    }
}
