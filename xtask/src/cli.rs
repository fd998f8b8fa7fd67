//! The command line.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};
use ebm_experiment::evaluation::EvaluationStart;
use ebm_experiment::{EngineChoice, RunInfo, Source, Trained, TrainedSource};

use crate::advice::program;

use crate::backend::{BackendChoice, BackendName};
use crate::commands::bench::BenchArguments;
use crate::commands::classifier::ClassifierArguments;
use crate::commands::compare::CompareArguments;
use crate::commands::diagnose::DiagnoseArguments;
use crate::commands::evaluate::EvaluateArguments;
use crate::commands::likelihood::LikelihoodArguments;
use crate::commands::map::MapArguments;
use crate::commands::quality::QualityArguments;
use crate::commands::restore::RestoreArguments;
use crate::commands::score::ScoreArguments;
use crate::error::DriverError;

/// Learn energy-based models with Langevin MCMC, watch what the sampler does, and sample from what was learned.
#[derive(Debug, Parser)]
#[command(name = "ebm", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// Write log lines as JSON (the level comes from RUST_LOG).
    #[arg(long, global = true)]
    pub(crate) log_json: bool,
    /// Print errors only.
    #[arg(long, global = true)]
    pub(crate) quiet: bool,
}

impl Cli {
    /// Reads the command line of this process. Ends the process after it has printed help or a usage error, if one is
    /// due.
    pub(crate) fn read() -> Self {
        let matches = named_as_called(Self::command()).get_matches();
        Self::from_arg_matches(&matches).unwrap_or_else(|error| error.exit())
    }
}

/// Help and examples name the program as it was called.
fn named_as_called(command: clap::Command) -> clap::Command {
    let name = program();
    let command = command.bin_name(name);
    command.mut_subcommands(|sub| match sub.get_after_help() {
        Some(examples) => {
            let examples = examples.to_string().replace("cargo xtask", name);
            sub.after_help(examples)
        }
        None => sub,
    })
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Learn an energy: `experiment short-run` is the place to start. A study learns several and compares them.
    Experiment(ExperimentArguments),
    /// Draw samples from a learned energy, with chains as in learning.
    Sample(SampleArguments),
    /// Run long chains under a learned energy, with any kernel, and show where they go.
    Evaluate(EvaluateArguments),
    /// Find the metastable basins of a learned energy and the barriers between them.
    Map(MapArguments),
    /// Judge a run on both axes of the paper: d and r, and long chains.
    Diagnose(DiagnoseArguments),
    /// Put several runs side by side on one page.
    Compare(CompareArguments),
    /// Measure the quality of samples: Fréchet distance, density and coverage.
    Quality(QualityArguments),
    /// Estimate the likelihood of data in nats, with bounds from both sides.
    Likelihood(LikelihoodArguments),
    /// Score images by their energy, and tell strange ones.
    Score(ScoreArguments),
    /// Fill in missing pixels of an image, or take out its noise.
    Restore(RestoreArguments),
    /// Train a classifier of your own classes, in whose features `quality` measures.
    Classifier(ClassifierArguments),
    /// Download data sets.
    Data(DataArguments),
    /// Measure Langevin steps on this machine, and compare with PyTorch and JAX.
    Bench(BenchArguments),
}

/// Arguments of `experiment`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask experiment short-run
  cargo xtask experiment short-run --set langevin.steps=60 --seed 7 --out runs/sixty-steps
  cargo xtask experiment gmm_convergent --iterations 2000
  cargo xtask experiment --config my-experiment.json --dry-run
  cargo xtask experiment --resume runs/short-run --iterations 12000
  cargo xtask experiment --resume runs/wild --attempt --set recovery.learning_rate_factor=0.5
  cargo xtask experiment budget
  cargo xtask experiment --resume runs/budget")]
pub(crate) struct ExperimentArguments {
    /// A named experiment or study; `--list` shows them.
    #[arg(conflicts_with_all = ["config", "resume"])]
    pub(crate) name: Option<String>,
    /// List the named experiments and studies.
    #[arg(long, exclusive = true)]
    pub(crate) list: bool,
    /// An experiment file, in this program's format or that of the paper's authors, or a study file.
    #[arg(long, value_name = "FILE", conflicts_with = "resume")]
    pub(crate) config: Option<PathBuf>,
    /// Override a key of the experiment, such as langevin.steps=200; may be repeated. With --resume only keys of
    /// recovery and output.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Seed of all random numbers.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) seed: Option<u64>,
    /// The number of learning iterations in total.
    #[arg(long)]
    pub(crate) iterations: Option<u64>,
    /// The folder of the run or study; by default a new one below runs/.
    #[arg(long, value_name = "DIR", conflicts_with = "resume")]
    pub(crate) out: Option<PathBuf>,
    /// Continue the run in this folder from its newest checkpoint, or the study in it from its first unfinished
    /// variant.
    #[arg(long, value_name = "DIR")]
    pub(crate) resume: Option<PathBuf>,
    /// Let a run that ran away go back to an earlier checkpoint and try once more, with other noise.
    #[arg(long, requires = "resume")]
    pub(crate) attempt: bool,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
    /// Print the resolved config and the expected cost, and end.
    #[arg(long, conflicts_with = "resume")]
    pub(crate) dry_run: bool,
}

/// Arguments of `sample`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask sample --run runs/short-run
  cargo xtask sample --run runs/short-run --steps 10000 --count 16 --out long-chains
  cargo xtask sample --weights weights.pth --experiment mnist_convergent")]
pub(crate) struct SampleArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// How many chains.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) count: u32,
    /// Langevin steps [default: L of the training].
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Step size ε [default: that of the training]. The temperature stays that of the training.
    #[arg(long)]
    pub(crate) epsilon: Option<f64>,
    /// Steps without noise at the end, X ← X − ∇F(X): they take out the noise that samples share with the data.
    #[arg(long, value_name = "STEPS", default_value_t = 0)]
    pub(crate) noiseless_steps: u64,
    /// Where chains start: uniform or gaussian noise, or the persistent bank of the run [default: as in learning, or
    /// uniform].
    #[arg(long, value_name = "START", value_parser = one_of(SAMPLE_STARTS, EvaluationStart::name))]
    pub(crate) start: Option<EvaluationStart>,
    /// Seed of the chains.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the samples [default: RUN/samples, or samples].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
}

/// Arguments of `data`.
#[derive(Debug, Args)]
pub(crate) struct DataArguments {
    #[command(subcommand)]
    pub(crate) command: DataCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Download a data set, check it and unpack it; continues where an earlier call was cut off.
    Fetch {
        /// mnist, fashion-mnist, cifar10 or flowers102.
        name: String,
        #[command(flatten)]
        data: DataDirectory,
    },
}

/// Where data sets are.
#[derive(Debug, Args)]
pub(crate) struct DataDirectory {
    /// The folder of downloaded data sets [default: EBM_DATA_DIR, or `ebm` in the user's data directory].
    #[arg(long, value_name = "DIR")]
    pub(crate) data_dir: Option<PathBuf>,
}

impl DataDirectory {
    pub(crate) fn folder(&self) -> Option<&Path> {
        self.data_dir.as_deref()
    }
}

/// What computes.
#[derive(Debug, Args)]
pub(crate) struct BackendArguments {
    /// The backend that computes, if the build has it: flex or ndarray (CPU); cuda (an NVIDIA GPU) or cuda:1 (the
    /// second one); wgpu (the GPU that wgpu prefers), wgpu:0 (the first discrete GPU), wgpu:integrated or wgpu:cpu (a
    /// software driver); vulkan, with the same devices, for wgpu that uses nothing but Vulkan; or auto, the best of
    /// cuda, wgpu and flex that starts here [default: flex, or that of the run that is resumed or diagnosed].
    #[arg(long, value_name = "NAME[:DEVICE]")]
    pub(crate) backend: Option<BackendChoice>,
    /// The engine that runs the chains: fused (hand-written CPU code) or fused-bf16 (factors of its products rounded to
    /// BF16); cube (hand-written GPU kernels), or cube-tf32 and cube-bf16 (for images on the tensor cores of NVIDIA
    /// GPUs, factors rounded); tensor (burn's operations); or auto, which is fused on the CPU, and on a GPU cube if it
    /// has all layers of the net, otherwise tensor [default: auto, or that of the run that is resumed or diagnosed, if
    /// both compute on the CPU or both on a GPU].
    #[arg(long, value_name = "NAME", value_parser = one_of(&EngineChoice::ALL, EngineChoice::name))]
    pub(crate) engine: Option<EngineChoice>,
}

impl BackendArguments {
    /// The backend and the engine that were asked for, or else those of an earlier part of the run.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when they do not go together.
    pub(crate) fn resolve(
        &self,
        earlier: Option<&RunInfo>,
    ) -> Result<(BackendName, EngineChoice), DriverError> {
        self.resolve_names(earlier.map(|info| (info.backend.as_str(), info.engine.as_str())))
    }

    /// As [`Self::resolve`], with the names of the earlier backend and engine.
    ///
    /// # Errors
    /// As [`Self::resolve`].
    pub(crate) fn resolve_names(
        &self,
        earlier: Option<(&str, &str)>,
    ) -> Result<(BackendName, EngineChoice), DriverError> {
        let earlier_backend: Option<BackendName> =
            earlier.and_then(|(backend, _)| backend.parse().ok());
        let backend = match self.backend {
            Some(choice) => choice.resolve(),
            None => earlier_backend.unwrap_or_default(),
        };
        let engine = self.engine.or_else(|| {
            // A run that moves between CPU and GPU does not keep its engine.
            earlier_backend.filter(|earlier| earlier.is_gpu() == backend.is_gpu())?;
            let engine: EngineChoice = earlier?.1.parse().ok()?;
            // Tensor cores are CUDA's alone.
            let is_possible = !matches!(engine, EngineChoice::CubeTf32 | EngineChoice::CubeBf16)
                || matches!(backend, BackendName::Cuda(_));
            is_possible.then_some(engine)
        });
        let engine = engine.unwrap_or_default();
        backend.check_engine(engine)?;
        Ok((backend, engine))
    }
}

/// Takes the name of one of `all`.
pub(crate) fn one_of<T: Copy + Send + Sync + 'static>(
    all: &'static [T],
    name: fn(T) -> &'static str,
) -> impl TypedValueParser<Value = T> {
    let names: Vec<_> = all.iter().map(|value| name(*value)).collect();
    PossibleValuesParser::new(names).map(move |given| {
        let found = all.iter().find(|value| name(**value) == given);
        // The parser before this accepts no other name.
        *found.unwrap_or(&all[0])
    })
}

/// Samples from data would be no samples of chains from noise, and `evaluate` runs such chains.
const SAMPLE_STARTS: &[EvaluationStart] = &[
    EvaluationStart::Uniform,
    EvaluationStart::Gaussian,
    EvaluationStart::Bank,
];

/// Which net.
#[derive(Debug, Args)]
pub(crate) struct TrainedArguments {
    /// A run folder: its newest weights are used.
    #[arg(long, value_name = "DIR", conflicts_with_all = ["weights", "experiment", "config"])]
    pub(crate) run: Option<PathBuf>,
    /// A safetensors file, or a file that PyTorch's torch.save wrote. Files that this program wrote name their net;
    /// for other files name the experiment.
    #[arg(long, value_name = "FILE", conflicts_with = "average")]
    pub(crate) weights: Option<PathBuf>,
    /// The named experiment that the weights belong to.
    #[arg(
        long,
        value_name = "NAME",
        requires = "weights",
        conflicts_with = "config"
    )]
    pub(crate) experiment: Option<String>,
    /// The experiment file that the weights belong to.
    #[arg(long, value_name = "FILE", requires = "weights")]
    pub(crate) config: Option<PathBuf>,
    /// Use the average of the parameters over learning; the run needs `optimizer.averaging`.
    #[arg(long)]
    pub(crate) average: bool,
}

impl TrainedArguments {
    /// The weights and the settings they belong to.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when no net is named; those of [`TrainedSource::find`].
    pub(crate) fn find(&self) -> Result<Trained, DriverError> {
        let source = match (&self.run, &self.weights) {
            (Some(folder), _) => TrainedSource::Run {
                folder: folder.clone(),
                average: self.average,
            },
            (None, Some(file)) => TrainedSource::Weights {
                file: file.clone(),
                experiment: match (&self.experiment, &self.config) {
                    (Some(name), _) => Some(Source::Named(name.clone())),
                    (None, Some(file)) => Some(Source::File(file.clone())),
                    (None, None) => None,
                },
            },
            (None, None) => {
                return Err(DriverError::Usage(
                    "say which net: --run DIR or --weights FILE".into(),
                ));
            }
        };
        Ok(source.find()?)
    }

    /// The folder of a result: as asked for, or in the run folder, or here.
    pub(crate) fn folder_for(&self, out: Option<&Path>, name: &str) -> PathBuf {
        match (out, &self.run) {
            (Some(out), _) => out.to_owned(),
            (None, Some(run)) => run.join(name),
            (None, None) => PathBuf::from(name),
        }
    }
}

/// An experiment by name, or by its file.
pub(crate) fn named_or_file(text: &str) -> Source {
    let file = PathBuf::from(text);
    if file.is_file() {
        Source::File(file)
    } else {
        Source::Named(text.to_owned())
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn resolved(
        backend: Option<&str>,
        engine: Option<EngineChoice>,
        earlier: Option<(&str, &str)>,
    ) -> Result<(String, EngineChoice), DriverError> {
        let backend = backend.map(|name| name.parse().unwrap());
        let arguments = BackendArguments { backend, engine };
        let (backend, engine) = arguments.resolve_names(earlier)?;
        Ok((backend.to_string(), engine))
    }

    /// The engine goes along from CPU to CPU and from GPU to GPU.
    #[test]
    fn what_of_an_earlier_part_is_kept() {
        use EngineChoice::{Auto, Cube, CubeBf16, CubeTf32, Fused, FusedBf16, Tensor};
        let cases = [
            (None, ("flex", "fused"), ("flex", Fused)),
            (None, ("cuda:1", "cube"), ("cuda:1", Cube)),
            (None, ("cuda", "cube-tf32"), ("cuda", CubeTf32)),
            (
                None,
                ("vulkan:integrated", "tensor"),
                ("vulkan:integrated", Tensor),
            ),
            (Some("ndarray"), ("flex", "tensor"), ("ndarray", Tensor)),
            (Some("wgpu:0"), ("cuda", "cube"), ("wgpu:0", Cube)),
            (None, ("flex", "fused-bf16"), ("flex", FusedBf16)),
            (Some("cuda"), ("flex", "fused"), ("cuda", Auto)),
            (Some("wgpu:cpu"), ("flex", "tensor"), ("wgpu:cpu", Auto)),
            (Some("flex"), ("cuda:1", "cube"), ("flex", Auto)),
            (Some("wgpu"), ("cuda", "cube-tf32"), ("wgpu", Auto)),
            (Some("cuda"), ("cuda:1", "cube-bf16"), ("cuda", CubeBf16)),
            (Some("vulkan"), ("cuda:1", "cube-bf16"), ("vulkan", Auto)),
            (Some("flex"), ("wgpu", "tensor"), ("flex", Auto)),
        ];
        for (asked, earlier, (backend, engine)) in cases {
            let found = resolved(asked, None, Some(earlier)).unwrap();
            assert_eq!(found, (backend.to_owned(), engine), "{asked:?} {earlier:?}");
        }
        let asked = resolved(None, Some(EngineChoice::Tensor), Some(("cuda", "cube")));
        assert_eq!(asked.unwrap(), ("cuda".to_owned(), Tensor));
        assert_eq!(
            resolved(None, None, None).unwrap(),
            ("flex".to_owned(), Auto)
        );
        let asked = resolved(None, Some(EngineChoice::Fused), Some(("cuda", "cube")));
        assert!(matches!(asked, Err(DriverError::Usage(_))));
        let asked = resolved(
            Some("flex"),
            Some(EngineChoice::Cube),
            Some(("cuda", "cube")),
        );
        assert!(matches!(asked, Err(DriverError::Usage(_))));
    }
}
