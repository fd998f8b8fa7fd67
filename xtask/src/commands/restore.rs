//! `restore`: missing pixels filled in, or noise taken out, by chains of a learned energy.

use std::path::PathBuf;

use clap::{ArgGroup, Args};
use ebm_experiment::restore::{Corruption, Mask, RestoreOptions, RestoreSubject, page_in};
use ebm_experiment::{Computation, restore};

use crate::backend::compute;
use crate::cli::{BackendArguments, DataDirectory, TrainedArguments};
use crate::error::{DriverError, unless_stopped};
use crate::logging::Screen;

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("subject").required(true).args(["image", "datum"]))]
#[command(group = ArgGroup::new("corruption").required(true).args(["mask", "noise"]))]
#[command(after_help = "Examples:
  cargo xtask restore --run runs/short-run --datum 7 --mask bottom
  cargo xtask restore --run runs/short-run --image digit.png --mask scratch.png
  cargo xtask restore --run runs/short-run --datum 7 --noise 0.5 --add-noise")]
pub(crate) struct RestoreArguments {
    #[command(flatten)]
    pub(crate) trained: TrainedArguments,
    /// An image file; it is brought to the size of the net's states.
    #[arg(long, value_name = "FILE")]
    pub(crate) image: Option<PathBuf>,
    /// An image of the data of learning, by its number from 0.
    #[arg(long, value_name = "N")]
    pub(crate) datum: Option<usize>,
    /// Fill in what is missing: top, bottom, left, right, centre, or where the image in a file is white.
    #[arg(long, value_name = "PART|FILE")]
    pub(crate) mask: Option<String>,
    /// Take out noise of this standard deviation; black and white are 2 apart.
    #[arg(long, value_name = "DEVIATION")]
    pub(crate) noise: Option<f64>,
    /// The image is clean: put the noise on it first, and tell how near the result comes.
    #[arg(long, requires = "noise")]
    pub(crate) add_noise: bool,
    /// How many chains.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) draws: u32,
    /// Langevin steps of each [default: L of the training].
    #[arg(long)]
    pub(crate) steps: Option<u64>,
    /// Seed of all noise.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// The folder for the result [default: RUN/restore, or restore].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) backend: BackendArguments,
    #[command(flatten)]
    pub(crate) folder: DataDirectory,
}

pub(crate) fn run(arguments: &RestoreArguments, screen: &Screen) -> Result<(), DriverError> {
    let trained = arguments.trained.find()?;
    let options = arguments.options()?;
    let out = arguments
        .trained
        .folder_for(arguments.out.as_deref(), "restore");
    let (backend, engine) = arguments.backend.resolve(None)?;
    let compute = compute(backend)?;
    let on = Computation::on(&*compute).with_engine(engine);
    let folder = arguments.folder.folder();
    let restored = unless_stopped(
        restore(&trained, &options, &out, folder, on, screen),
        screen,
        "Stopped; nothing was written. Fewer --draws or --steps take less time.",
    )?;
    screen.tell(&format!(
        "\n{}.\nRestored: {} — open {}",
        restored.sentence,
        out.display(),
        page_in(&out).display()
    ));
    Ok(())
}

impl RestoreArguments {
    fn options(&self) -> Result<RestoreOptions, DriverError> {
        let subject = match (&self.image, self.datum) {
            (Some(file), _) => RestoreSubject::File(file.clone()),
            (None, Some(number)) => RestoreSubject::Datum(number),
            (None, None) => {
                return Err(DriverError::Usage(
                    "say what to restore: --image or --datum".into(),
                ));
            }
        };
        let corruption = match (&self.mask, self.noise) {
            (Some(mask), _) => Corruption::Missing(Mask::from(mask.as_str())),
            (None, Some(deviation)) => Corruption::Noise {
                deviation,
                add: self.add_noise,
            },
            (None, None) => {
                return Err(DriverError::Usage(
                    "say what is wrong: --mask or --noise".into(),
                ));
            }
        };
        Ok(RestoreOptions {
            draws: self.draws as usize,
            steps: self.steps,
            seed: self.seed,
            ..RestoreOptions::new(subject, corruption)
        })
    }
}
