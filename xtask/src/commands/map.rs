//! `map`: the metastable basins of a learned energy.

use std::path::PathBuf;

use clap::Args;
use ebm_experiment::evaluation::EvaluationStart;
use ebm_experiment::mapping::{MOST_STEPS, MapFolder, MapOptions, Strength};
use ebm_experiment::{Computation, ExperimentError, Map};

use crate::advice::{command_line, resume as resume_command};
use crate::backend::compute;
use crate::cli::{BackendArguments, DataDirectory, TrainedArguments, named_or_file, one_of};
use crate::error::DriverError;
use crate::logging::Screen;

/// Arguments of `map`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask map --run runs/gmm_convergent
  cargo xtask map --run runs/convergent-digits --start data --start bank --chains 200
  cargo xtask map --run runs/convergent-digits --alpha 240 --out stronger
  cargo xtask map --resume runs/convergent-digits/map")]
pub(crate) struct MapArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// Continue the map in this folder. --alpha and --alpha-range may be given until the first minimum is grouped.
    #[arg(
        long,
        value_name = "DIR",
        conflicts_with_all = [
            "run", "weights", "average", "start", "data_of", "chains", "gather_steps", "temp_factor", "resolution",
            "patience", "trials", "groupings", "multiples", "graph_basins", "seed", "out",
        ]
    )]
    pub(crate) resume: Option<PathBuf>,
    /// Where chains start: data, bank, uniform or gaussian; may be repeated [default: data, the bank of the run if it
    /// has one, and the noise that learning or its bank starts from].
    #[arg(long, value_name = "START", value_parser = one_of(EvaluationStart::ALL, EvaluationStart::name))]
    pub(crate) start: Vec<EvaluationStart>,
    /// Start from the data of this named experiment or experiment file instead of the training's.
    #[arg(long, value_name = "NAME|FILE")]
    pub(crate) data_of: Option<String>,
    /// The number of chains from each start.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) chains: u32,
    /// Langevin steps of each chain, as in learning, before it descends to its minimum; may be 0 [default: 100·L].
    #[arg(long, value_name = "STEPS")]
    pub(crate) gather_steps: Option<u64>,
    /// τ, the temperature of the attracted chains as a multiple of that of the training. A low τ keeps them at the
    /// bottom of their valleys; ε falls with √τ, so that the drift stays that of learning.
    #[arg(long, value_name = "FACTOR", default_value_t = 0.1)]
    pub(crate) temp_factor: f64,
    /// δ, the distance at which a chain has reached a minimum, in units of the states [default: a tenth of the root
    /// mean square distance between minima].
    #[arg(long, value_name = "DISTANCE")]
    pub(crate) resolution: Option<f64>,
    /// M: a chain gives up after this number of steps that brought it no nearer to its target.
    #[arg(long, value_name = "STEPS", default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=MOST_STEPS))]
    pub(crate) patience: u64,
    /// The number of tries in each direction of a pair of minima.
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
    /// The largest number of basins between which barriers are sought; those with the most minima are taken.
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
    let (folder, result) = match &arguments.resume {
        Some(root) => {
            let (folder, state) = MapFolder::open(root)?;
            let earlier = (&state.settings.backend[..], &state.settings.engine[..]);
            let (backend, engine) = arguments.backend.resolve_names(Some(earlier))?;
            let compute = compute(backend)?;
            let on = Computation::on(&*compute).with_engine(engine);
            let result = Map::resume(&folder, state, strength, on, screen);
            (root.clone(), result)
        }
        None => {
            let trained = arguments.trained.find()?;
            let out = arguments
                .trained
                .folder_for(arguments.out.as_deref(), "map");
            let (backend, engine) = arguments.backend.resolve(None)?;
            let (options, data) = (arguments.options(strength), arguments.data.folder());
            let compute = compute(backend)?;
            let on = Computation::on(&*compute).with_engine(engine);
            let result = Map::start(&trained, &options, &out, data, on, screen);
            (out, result)
        }
    };
    let map = match result {
        Err(ExperimentError::Stopped) => {
            screen.say(&format!(
                "Stopped; all finished experiments are saved. Go on with:\n  {}",
                resume_command("map", &folder)
            ));
            return Err(DriverError::Interrupted);
        }
        result => result?,
    };
    if let Some(doubt) = &map.doubt {
        tracing::warn!("{doubt} (--temp-factor, --resolution)");
    }
    screen.tell(&format!(
        "\n{}\nMap: {} — open {}",
        map.summary.sentence,
        map.folder.display(),
        map.page.display()
    ));
    Ok(())
}

impl MapArguments {
    /// How α is found, if the arguments say so.
    fn strength(&self) -> Result<Option<Strength>, DriverError> {
        match (self.alpha, &self.alpha_range[..]) {
            (Some(alpha), _) => Ok(Some(Strength::Alpha(alpha))),
            (None, []) => Ok(None),
            (None, &[low, high]) => Ok(Some(Strength::SweepOver([low, high]))),
            (None, others) => {
                let given: Vec<_> = others.iter().map(ToString::to_string).collect();
                Err(DriverError::Usage(format!(
                    "--alpha-range {}: give two numbers > 0 with the smaller first, LOW,HIGH",
                    given.join(",")
                )))
            }
        }
    }

    fn options(&self, strength: Option<Strength>) -> MapOptions {
        MapOptions {
            starts: self.start.clone(),
            data_of: self.data_of.as_deref().map(named_or_file),
            chains: self.chains as usize,
            gather_steps: self.gather_steps,
            temperature_factor: self.temp_factor,
            resolution: self.resolution,
            patience: self.patience,
            trials: self.trials,
            strength: strength.unwrap_or_default(),
            groupings: self.groupings as usize,
            multiples: self.multiples.clone(),
            graph_basins: self.graph_basins as usize,
            seed: self.seed,
            command: command_line(),
        }
    }
}
