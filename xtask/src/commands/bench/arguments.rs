//! The flags of `bench`.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use ebm_benches::{BenchSettings, ENGINES, Peers, Precision};
use ebm_energy_net::Architecture;
use ebm_experiment::EngineChoice;

use crate::advice::command_line;
use crate::backend::BackendChoice;
use crate::cli::one_of;
use crate::error::DriverError;

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
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = one_of(ENGINES, EngineChoice::name))]
    pub(crate) engine: Vec<EngineChoice>,
    /// A net to measure; may be repeated [default: all].
    #[arg(long, value_name = "NAME", value_delimiter = ',', value_parser = one_of(&Architecture::ALL, Architecture::name))]
    pub(crate) net: Vec<Architecture>,
    /// How many chains step together; may be repeated [default: 100; 10000 too for toy, and on a GPU 1000 for vanilla].
    #[arg(long, value_name = "N", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) batch: Vec<u32>,
    /// Also measure a learning iteration of these experiments, next to its Langevin steps alone. Their data are
    /// replaced by noise where they are images, so that nothing needs to be downloaded. On every backend, with the
    /// engines of --engine or with auto.
    #[arg(long, value_name = "EXPERIMENT", value_delimiter = ',')]
    pub(crate) learning: Vec<String>,
    /// Also run toy and vanilla with the engine cube and 100 chains for so many steps, and say what memory the GPU had
    /// reserved before and after.
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
    /// How peers may round the factors of products, tf32 on a GPU alone; may be repeated. Equal precisions are compared.
    #[arg(
        long,
        value_name = "NAME",
        value_delimiter = ',',
        value_parser = precision(),
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

impl BenchArguments {
    /// What they ask for.
    ///
    /// # Errors
    /// [`DriverError::Bench`] when there are no such peers.
    pub(crate) fn settings(&self) -> Result<BenchSettings, DriverError> {
        let peers = match &self.peers {
            Some(interpreter) => {
                let script = self.peers_script.as_deref();
                Some(Peers::find(interpreter, script, &self.peers_precision)?)
            }
            None => None,
        };
        Ok(BenchSettings {
            command: command_line(),
            nets: self.net.clone(),
            engines: self.engine.clone(),
            batches: self.batch.iter().map(|&batch| batch as usize).collect(),
            learning: self.learning.clone(),
            endurance: self.endurance,
            seconds: self.seconds,
            rounds: self.rounds,
            peers,
            out: self.out.clone(),
        })
    }
}

/// Takes the name of a precision, and says in the help what it is.
fn precision() -> impl TypedValueParser<Value = Precision> {
    let names = Precision::ALL.map(|precision| {
        let help = match precision {
            Precision::F32 => "All bits",
            Precision::Tf32 => "A mantissa of 10 bits, on tensor cores",
            Precision::Bf16 => "A mantissa of 7 bits, on tensor cores",
        };
        PossibleValue::new(precision.name()).help(help)
    });
    PossibleValuesParser::new(names).map(|given| {
        let found = Precision::ALL.into_iter().find(|one| one.name() == given);
        // The parser before lets no other name through.
        found.unwrap_or(Precision::F32)
    })
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let seconds = text.parse().ok();
    seconds
        .filter(|seconds| (1e-3..=3600.0).contains(seconds))
        .ok_or_else(|| "must be a number of seconds from 0.001 to 3600".to_owned())
}
