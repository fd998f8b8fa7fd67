//! `classifier train`: the digit classifier anew, from the embedded labels.

use std::collections::HashMap;
use std::path::PathBuf;

use burn::module::AutodiffModule;
use burn::tensor::backend::AutodiffBackend;
use clap::{Args, Subcommand};
use ebm_energy_net::save_weights;

use crate::backend::{BackendName, BackendTask, dispatch};
use crate::digits::training::{TrainingSettings, digits, held_out_accuracy, train};
use crate::error::DriverError;
use crate::logging::Screen;
use crate::run_folder::check_new_file;

/// Arguments of `classifier`.
#[derive(Debug, Args)]
pub(crate) struct ClassifierArguments {
    #[command(subcommand)]
    pub(crate) command: ClassifierCommand,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ClassifierCommand {
    /// Train the digit classifier that `quality` measures with. The program has its weights already; this is how they
    /// came to be. Takes less than a minute.
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
        /// How many times each digit is shown.
        #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=1000))]
        epochs: u32,
    },
}

pub(crate) fn run(arguments: &ClassifierArguments, screen: &Screen) -> Result<(), DriverError> {
    let ClassifierCommand::Train { out, seed, epochs } = &arguments.command;
    check_new_file(out)?;
    let job = TrainJob {
        out: out.clone(),
        settings: TrainingSettings {
            seed: *seed,
            epochs: *epochs,
        },
        screen,
    };
    dispatch(BackendName::default(), job)
}

struct TrainJob<'a> {
    out: PathBuf,
    settings: TrainingSettings,
    screen: &'a Screen,
}

impl BackendTask for TrainJob<'_> {
    type Output = ();

    fn run<B: AutodiffBackend>(self, device: B::Device) -> Result<(), DriverError> {
        let TrainingSettings { seed, epochs } = self.settings;
        let digits = digits()?;
        let mut progress = |epoch: u32, loss: f64| {
            self.screen.tell(&format!(
                "epoch {epoch} of {epochs}: mean loss {loss:.4} nats"
            ));
        };
        let net = train::<B>(&digits, self.settings, &device, &mut progress)?.valid();
        let (right, of) = held_out_accuracy(&net, &digits, &device);
        let metadata = HashMap::from(
            [
                ("digits.seed", seed.to_string()),
                ("digits.epochs", epochs.to_string()),
                ("digits.held_out", of.to_string()),
                ("digits.held_out_right", right.to_string()),
            ]
            .map(|(key, value)| (key.to_owned(), value)),
        );
        save_weights(&net, &self.out, metadata)?;
        self.screen.tell(&format!(
            "{right} of {of} held-out digits read right ({:.2} %)\nWeights: {}",
            100.0 * right as f64 / of.max(1) as f64,
            self.out.display()
        ));
        Ok(())
    }
}
