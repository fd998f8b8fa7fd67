//! `score`: what a learned energy says of images, and how well it tells two sets apart.

use std::path::PathBuf;

use clap::Args;
use ebm_experiment::score::{ScoreOptions, page_in};
use ebm_experiment::{Computation, OtherData, score};

use crate::backend::compute;
use crate::cli::{BackendArguments, DataDirectory, TrainedArguments};
use crate::error::{DriverError, unless_stopped};
use crate::logging::Screen;

/// Arguments of `score`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask score --run runs/short-run
  cargo xtask score --run runs/convergent-digits --data mnist --against fashion-mnist
  cargo xtask score --run runs/flowers-short-run --data photographs --against holiday-pictures")]
pub(crate) struct ScoreArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// The images to score: mnist, fashion-mnist, cifar10, flowers102, embedded-digits, gmm, rings, a folder of images
    /// or an IDX file [default: the data of learning].
    #[arg(long, value_name = "NAME|FOLDER|FILE")]
    pub(crate) data: Option<OtherData>,
    /// Strange images to tell from them, for a ROC curve.
    #[arg(long, value_name = "NAME|FOLDER|FILE")]
    pub(crate) against: Option<OtherData>,
    /// The most images of each set.
    #[arg(long, default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub(crate) images: u32,
    /// Score the images without the noise that data had in learning.
    #[arg(long)]
    pub(crate) without_noise: bool,
    /// Seed of choice and noise.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the scores [default: RUN/score, or score].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) folder: DataDirectory,
}

pub(crate) fn run(arguments: &ScoreArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let out = arguments
        .trained
        .folder_for(arguments.out.as_deref(), "score");
    let (backend, engine) = arguments.backend.resolve(None)?;
    let compute = compute(backend)?;
    let on = Computation::on(&*compute).with_engine(engine);
    let options = ScoreOptions {
        data: arguments.data.clone(),
        against: arguments.against.clone(),
        images: arguments.images as usize,
        noise: !arguments.without_noise,
        seed: arguments.seed,
    };
    let folder = arguments.folder.folder();
    let found = unless_stopped(
        score(&trained, &options, &out, folder, on, screen),
        screen,
        "Stopped; no scores were written. Fewer --images take less time.",
    )?;
    screen.tell(&format!("\n{}.", found.sentence));
    for separation in &found.separations {
        screen.tell(&format!(
            "AUROC of {}: {:.3}",
            separation.measure, separation.area
        ));
    }
    screen.tell(&format!(
        "Scores: {} — open {}",
        out.display(),
        page_in(&out).display()
    ));
    Ok(())
}
