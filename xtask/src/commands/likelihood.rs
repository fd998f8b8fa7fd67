//! `likelihood`: log Z from both sides, and nats for each datum.

use std::path::PathBuf;

use clap::Args;
use ebm_experiment::likelihood::{Agreement, LikelihoodOptions, page_in};
use ebm_experiment::{Computation, OtherData, likelihood};
use ebm_langevin::AnnealingOptions;

use crate::backend::compute;
use crate::cli::{BackendArguments, DataDirectory, TrainedArguments};
use crate::commands::evaluate::StartArguments;
use crate::error::{DriverError, unless_stopped};
use crate::logging::Screen;

/// Arguments of `likelihood`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask likelihood --run runs/gmm_convergent
  cargo xtask likelihood --run runs/convergent-digits --average --data mnist --rungs 10000
  cargo xtask likelihood --run runs/short-run --chains 50 --rungs 500")]
pub(crate) struct LikelihoodArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    #[command(flatten)]
    pub(crate) start: StartArguments,
    /// Steps of β between a Gaussian and the energy; the two sides of log Z come nearer as one over their number.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) rungs: u32,
    /// Leapfrog steps of a trajectory.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    pub(crate) leapfrogs: u64,
    /// Trajectories under the energy before the chains of the reverse side go back to the Gaussian.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(..=1_000_000_000))]
    pub(crate) burn_in: u64,
    /// Also tell the likelihood of these data: mnist, fashion-mnist, cifar10, flowers102, embedded-digits, gmm, rings, a
    /// folder of images or an IDX file; may be repeated.
    #[arg(long, value_name = "NAME|FOLDER|FILE")]
    pub(crate) data: Vec<OtherData>,
    /// The most data of each set.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(2..=10_000_000))]
    pub(crate) images: u32,
    /// Seed of all noise.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the estimate [default: RUN/likelihood, or likelihood].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) folder: DataDirectory,
}

pub(crate) fn run(arguments: &LikelihoodArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let out = arguments
        .trained
        .folder_for(arguments.out.as_deref(), "likelihood");
    let (backend, engine) = arguments.backend.resolve(None)?;
    let compute = compute(backend)?;
    let on = Computation::on(&*compute).with_engine(engine);
    let (options, folder) = (arguments.options(), arguments.folder.folder());
    let found = unless_stopped(
        likelihood(&trained, &options, &out, folder, on, screen),
        screen,
        "Stopped; no estimate was written. Fewer --chains or --rungs take less time.",
    )?;
    screen.tell(&format!("\n{}.", found.sentence));
    for set in &found.sets {
        screen.tell(&match (found.agreement, set.log_likelihood) {
            (Agreement::Agree | Agreement::Apart, [Some(low), Some(high)]) => {
                format!("{}: {low:.2} to {high:.2} nats each", set.name)
            }
            _ => format!("{}: mean U {:.2} nats", set.name, set.mean_energy),
        });
    }
    screen.tell(&format!(
        "Likelihood: {} — open {}",
        out.display(),
        page_in(&out).display()
    ));
    Ok(())
}

impl LikelihoodArguments {
    fn options(&self) -> LikelihoodOptions {
        LikelihoodOptions {
            start: (&self.start).into(),
            annealing: AnnealingOptions {
                rungs: self.rungs as usize,
                leapfrogs: self.leapfrogs,
                seed: self.seed,
                ..AnnealingOptions::default()
            },
            burn_in: self.burn_in,
            images: self.images as usize,
            others: self.data.clone(),
            seed: self.seed,
        }
    }
}
