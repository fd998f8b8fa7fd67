//! `classifier train`: trains the digit classifier anew from the embedded labels.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use ebm_experiment::digits::TrainingSettings;
use ebm_experiment::tools::check_new_file;

use crate::backend::{BackendName, compute};
use crate::error::DriverError;
use crate::logging::Screen;

/// Arguments of `classifier`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierArguments {
    #[command(subcommand)]
    pub(crate) command: ClassifierCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClassifierCommand {
    /// Train the digit classifier that `quality` measures with. The program comes with its weights, which this
    /// command has made. Takes less than a minute.
    Train {
        /// The file for the weights.
        #[arg(
            long,
            value_name = "FILE",
            default_value = "digit-classifier.safetensors"
        )]
        out: PathBuf,
        /// Seed of the initial weights and of the order.
        #[arg(long, default_value_t = 1)]
        seed: u64,
        /// The number of epochs: how many times each digit is shown.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
        epochs: u32,
    },
}

pub(crate) fn run(arguments: &ClassifierArguments, screen: &Screen) -> Result<(), DriverError> {
    let ClassifierCommand::Train { out, seed, epochs } = &arguments.command;
    check_new_file(out)?;
    let settings = TrainingSettings {
        seed: *seed,
        epochs: *epochs,
    };
    let mut progress = |epoch: u32, loss: f64| {
        screen.tell(&format!(
            "epoch {epoch} of {epochs}: mean loss {loss:.4} nats"
        ));
    };
    let trained = compute(BackendName::default())?.train_classifier(settings, &mut progress)?;
    trained.write(out)?;
    screen.tell(&format!(
        "{} of {} held-out digits read right ({:.2} %)\nWeights: {}",
        trained.right,
        trained.of,
        100.0 * trained.right as f64 / trained.of.max(1) as f64,
        out.display()
    ));
    Ok(())
}
