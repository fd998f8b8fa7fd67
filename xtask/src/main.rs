//! `ebm`: experiments, samples, data and measurements from the command line.

mod advice;
mod backend;
mod cli;
mod commands;
mod error;
mod logging;
mod progress;
mod progress_log;
mod stop;
mod threads;

use std::process::ExitCode;

use ebm_experiment::ExperimentError;

use crate::cli::{Cli, Command};
use crate::error::{DriverError, printable};

fn main() -> ExitCode {
    let cli = Cli::read();
    let screen = logging::init(cli.log_json, cli.quiet);
    threads::limit();
    let result = match cli.command {
        Command::Experiment(arguments) => commands::experiment::run(&arguments, &screen),
        Command::Sample(arguments) => commands::sample::run(&arguments, &screen),
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments, &screen),
        Command::Map(arguments) => commands::map::run(&arguments, &screen),
        Command::Diagnose(arguments) => commands::diagnose::run(&arguments, &screen),
        Command::Compare(arguments) => commands::compare::run(&arguments, &screen),
        Command::Quality(arguments) => commands::quality::run(&arguments, &screen),
        Command::Likelihood(arguments) => commands::likelihood::run(&arguments, &screen),
        Command::Score(arguments) => commands::score::run(&arguments, &screen),
        Command::Restore(arguments) => commands::restore::run(&arguments, &screen),
        Command::Classifier(arguments) => commands::classifier::run(&arguments, &screen),
        Command::Data(arguments) => commands::data::run(&arguments, &screen),
        Command::Bench(arguments) => commands::bench::run(&arguments, &screen),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A stop that was asked for has already said how to go on.
            let is_stop = matches!(
                error,
                DriverError::Interrupted | DriverError::Experiment(ExperimentError::Stopped)
            );
            if !is_stop {
                screen.say(&format!("error: {}", printable(&error.to_string())));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
