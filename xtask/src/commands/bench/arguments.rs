//! The flags of `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use ebm_benches::Case;
use ebm_experiment::EngineChoice;

use crate::backend::BackendChoice;

/// Arguments of `bench`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask bench
  cargo xtask bench --engine fused --net vanilla --seconds 10 --out vanilla.json
  cargo xtask bench --backend flex --peers peers/bin/python --out compared.json
  cargo xtask bench --learning gmm_convergent,cifar10_nonconvergent")]
pub(crate) struct BenchArguments {
    /// A backend to measure, as elsewhere; may be repeated [default: all that this build and machine have].
    #[arg(long, value_name = "NAME[:DEVICE]", value_delimiter = ',')]
    pub(crate) backend: Vec<BackendChoice>,
    /// An engine to measure; may be repeated [default: all that the backend has].
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    pub(crate) engine: Vec<MeasuredEngine>,
    /// A net to measure; may be repeated [default: all].
    #[arg(long, value_enum, value_name = "NAME", value_delimiter = ',')]
    pub(crate) net: Vec<MeasuredNet>,
    /// How many chains step together; may be repeated [default: 100; 10000 too for toy, and on a GPU 1000 for vanilla].
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch: Vec<u32>,
    /// Also measure a learning iteration of these experiments, next to its Langevin steps alone. Their data are replaced by noise
    /// where they are images, so that nothing needs to be downloaded. On every backend, with the engines of --engine or with auto.
    #[arg(long, value_name = "EXPERIMENT", value_delimiter = ',')]
    pub(crate) learning: Vec<String>,
    /// Also run toy and vanilla with the engine cube and 100 chains for so many steps, and say what memory the GPU had reserved
    /// before and after.
    #[arg(long, value_name = "STEPS", value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
    pub(crate) endurance: Option<u64>,
    /// Seconds to measure each case for, beside the warm-up.
    #[arg(long, default_value = "2", value_name = "S", value_parser = parse_seconds)]
    pub(crate) seconds: f64,
    /// How often everything is measured, in turn with the peers [default: 3 with --peers, otherwise 1].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    pub(crate) rounds: Option<u32>,
    /// Also measure PyTorch and JAX, with this Python interpreter.
    #[arg(long, value_name = "PYTHON")]
    pub(crate) peers: Option<PathBuf>,
    /// How peers may round the factors of f32 products on a GPU; may be repeated. Equal precisions are compared.
    #[arg(
        long,
        value_enum,
        value_name = "NAME",
        value_delimiter = ',',
        requires = "peers",
        default_value = "f32"
    )]
    pub(crate) peers_precision: Vec<Precision>,
    /// The script that measures the peers [default: benches/peers/langevin_peers.py].
    #[arg(long, value_name = "FILE", requires = "peers")]
    pub(crate) peers_script: Option<PathBuf>,
    /// Write all numbers and the facts about this machine to this file.
    #[arg(long, value_name = "FILE.json")]
    pub(crate) out: Option<PathBuf>,
}

/// An engine to measure. There is no `auto`: a figure belongs to an engine with a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MeasuredEngine {
    Tensor,
    Fused,
    Cube,
    CubeTf32,
    CubeBf16,
}

impl MeasuredEngine {
    /// What is left of the factors of its products on a device. For `tensor` on a GPU burn decides, which may take TF32.
    pub(crate) fn precision(self, is_gpu: bool) -> &'static str {
        match self {
            Self::Tensor if is_gpu => "as burn has it",
            Self::Tensor | Self::Fused | Self::Cube => Precision::F32.as_str(),
            Self::CubeTf32 => Precision::Tf32.as_str(),
            Self::CubeBf16 => Precision::Bf16.as_str(),
        }
    }

    pub(crate) fn as_str(self) -> &'static str {
        EngineChoice::from(self).name()
    }
}

impl From<MeasuredEngine> for EngineChoice {
    fn from(engine: MeasuredEngine) -> Self {
        match engine {
            MeasuredEngine::Tensor => Self::Tensor,
            MeasuredEngine::Fused => Self::Fused,
            MeasuredEngine::Cube => Self::Cube,
            MeasuredEngine::CubeTf32 => Self::CubeTf32,
            MeasuredEngine::CubeBf16 => Self::CubeBf16,
        }
    }
}

/// What is left of the factors of a peer's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Precision {
    /// All bits.
    F32,
    /// A mantissa of 10 bits, on tensor cores.
    Tf32,
    /// A mantissa of 7 bits, on tensor cores.
    Bf16,
}

impl Precision {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
}

/// A published net.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MeasuredNet {
    Toy,
    Vanilla,
    Nonlocal,
}

impl MeasuredNet {
    /// The net with its states and step size.
    pub(crate) fn case(self) -> Case {
        let [toy, vanilla, nonlocal] = Case::published();
        match self {
            Self::Toy => toy,
            Self::Vanilla => vanilla,
            Self::Nonlocal => nonlocal,
        }
    }

    /// The batches of published figures.
    pub(crate) fn batches(self, is_gpu: bool) -> &'static [usize] {
        match self {
            Self::Toy => &[100, 10_000],
            Self::Vanilla if is_gpu => &[100, 1_000],
            Self::Vanilla | Self::Nonlocal => &[100],
        }
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (1e-3..=3600.0).contains(seconds))
        .ok_or_else(|| "must be a number of seconds from 0.001 to 3600".to_owned())
}
