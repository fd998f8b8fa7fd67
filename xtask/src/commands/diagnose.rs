//! `diagnose`: the verdict on both axes of a run, from its folder.

use std::path::{Path, PathBuf};

use clap::Args;
use ebm_experiment::diagnosis::{
    Diagnosis, DiagnosisOptions, LongChains, PlaneQuality, StartName, Subject, default_folder,
    page_in,
};
use ebm_experiment::{Computation, diagnose};

use crate::backend::compute;
use crate::cli::{BackendArguments, DataDirectory, one_of};
use crate::error::{DriverError, unless_stopped};
use crate::logging::Screen;

/// Arguments of `diagnose`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask diagnose --run runs/short-run
  cargo xtask diagnose --run runs/short-run --chains 32 --multiple 30 --out quick-look
  cargo xtask diagnose --run runs/mnist_convergent --from noise,data,bank")]
pub(crate) struct DiagnoseArguments {
    /// The run folder. Its newest checkpoint gives the net and the bank, its metrics give d and r of all iterations.
    #[arg(long, value_name = "DIR")]
    pub(crate) run: PathBuf,
    /// Judge the average of the parameters over learning; the run needs `optimizer.averaging`.
    #[arg(long)]
    pub(crate) average: bool,
    /// The number of chains from each start.
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(4..=100_000))]
    pub(crate) chains: u32,
    /// Length of the chains, in multiples of L, the Langevin steps of a learning iteration.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(3..=1_000_000))]
    pub(crate) multiple: u64,
    /// Also judge 1,000 samples of digits, of chains so many times L long, from noise and from data alike.
    #[arg(long, value_name = "MULTIPLE", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    pub(crate) judged_multiple: Option<u64>,
    /// Where chains start: noise, data, bank, or several with commas between [default: where learning starts its
    /// chains, and data].
    #[arg(long, value_name = "STARTS", value_delimiter = ',', value_parser = one_of(StartName::ALL, StartName::as_str))]
    pub(crate) from: Vec<StartName>,
    /// Seed of the chains.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the diagnosis [default: RUN/diagnosis].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) data: DataDirectory,
}

pub(crate) fn run(arguments: &DiagnoseArguments, screen: &Screen) -> Result<(), DriverError> {
    let subject = Subject::open(&arguments.run, arguments.average)?;
    let out = arguments
        .out
        .clone()
        .unwrap_or_else(|| default_folder(&arguments.run));
    let (backend, engine) = arguments.backend.resolve(Some(&subject.info))?;
    let options = DiagnosisOptions {
        chains: arguments.chains as usize,
        multiple: arguments.multiple,
        judged_multiple: arguments.judged_multiple,
        from: arguments.from.clone(),
        seed: arguments.seed,
    };
    let compute = compute(backend)?;
    let data = arguments.data.folder();
    let on = Computation::on(&*compute).with_engine(engine);
    let diagnosis = unless_stopped(
        diagnose(&subject, &options, &out, data, on, screen),
        screen,
        "Stopped; nothing was written. The same command starts anew. Fewer --chains or a lower --multiple take less time.",
    )?;
    tell(&diagnosis, &out, screen);
    Ok(())
}

pub(crate) fn tell(diagnosis: &Diagnosis, out: &Path, screen: &Screen) {
    screen.tell(&format!("\n{}\n", diagnosis.sentence));
    for line in diagnosis.learning.details() {
        screen.tell(&line);
    }
    if let LongChains::Judged(test) = &diagnosis.convergence {
        for change in test.changes.iter().filter(|c| c.summary == "energy") {
            screen.tell(&format!(
                "From {}: mean U {:.2} at L, {:.2} at {}·L; change {} spreads.",
                change.start.name(),
                change.mean_before,
                change.mean_after,
                change.multiple,
                change.spreads,
            ));
        }
    }
    for [name, value] in diagnosis.plane.iter().flat_map(PlaneQuality::rows) {
        screen.tell(&format!("{name}: {value}"));
    }
    if let Some(digits) = &diagnosis.digits {
        screen.tell(&digits.sentence(&diagnosis.samples()));
    }
    screen.tell(&format!(
        "Diagnosis: {} — open {}",
        out.display(),
        page_in(out).display()
    ));
}
