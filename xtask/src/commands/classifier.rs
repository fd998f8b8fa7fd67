//! `classifier train`: trains a classifier from labelled images, or that of digits anew.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use ebm_experiment::classifier::{Lesson, TrainingSettings};
use ebm_experiment::tools::check_new_file;

use crate::backend::{BackendName, compute};
use crate::cli::DataDirectory;
use crate::error::DriverError;
use crate::logging::Screen;

/// Arguments of `classifier`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask classifier train --set data.source=folder --set data.path=flowers --out flowers.safetensors
  cargo xtask classifier train --set data.source=cifar10 --out cifar10.safetensors
  cargo xtask classifier train")]
pub(crate) struct ClassifierArguments {
    #[command(subcommand)]
    pub(crate) command: ClassifierCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClassifierCommand {
    /// Train a classifier for `quality --classifier` from labelled images, in a few minutes. Without --set it is that
    /// of digits, which comes with the program.
    Train {
        /// A key of the section data of an experiment, such as data.source=folder and data.path=flowers, a folder whose
        /// subfolders are the classes; may be repeated [default: the embedded digits].
        #[arg(long, value_name = "KEY=VALUE")]
        set: Vec<String>,
        #[command(flatten)]
        data: DataDirectory,
        /// The file for the weights [default: classifier.safetensors, or digit-classifier.safetensors].
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        /// Seed of the initial weights, the order, shifts and mirrors.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// How many times each image is shown [default: 12 for the digits; else so often that about 400,000 are shown
        /// in all, at most 50 times].
        #[arg(long, value_parser = clap::value_parser!(u32).range(1..=1000))]
        epochs: Option<u32>,
    },
}

pub(crate) fn run(arguments: &ClassifierArguments, screen: &Screen) -> Result<(), DriverError> {
    let ClassifierCommand::Train {
        set,
        data,
        out,
        seed,
        epochs,
    } = &arguments.command;
    let name = ["digit-classifier.safetensors", "classifier.safetensors"][set.len().min(1)];
    let out = out.as_deref().unwrap_or(Path::new(name));
    check_new_file(out)?;
    let lesson = Lesson::of_data(set, data.folder())?;
    let epochs = epochs.unwrap_or(lesson.default_epochs());
    let settings = TrainingSettings {
        seed: *seed,
        epochs,
    };
    let mut progress = |epoch: u32, loss: f64| {
        screen.tell(&format!(
            "epoch {epoch} of {epochs}: mean loss {loss:.4} nats"
        ));
    };
    let compute = compute(BackendName::default())?;
    let trained = compute.train_classifier(&lesson, settings, &mut progress)?;
    trained.write(out)?;
    let it = &trained.description;
    let (right, of, percent) = (it.held_out_right, it.held_out, 100.0 * it.accuracy());
    screen.tell(&format!(
        "{right} of {of} held-out {} read right ({percent:.2} %)\nWeights: {}",
        if set.is_empty() { "digits" } else { "images" },
        out.display()
    ));
    Ok(())
}
