//! `cargo xtask`: experiments, samples, data and measurements from the command line.

mod advice;
mod aligned;
mod backend;
mod cli;
mod commands;
mod comparison;
mod config;
mod diagnosis;
mod error;
mod estimate;
mod job;
mod landscape;
mod learning;
mod logging;
mod observers;
mod report;
mod run_folder;
mod stop;
mod study;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::error::DriverError;

fn main() -> ExitCode {
    let cli = Cli::parse();
    let screen = logging::init(cli.log_json, cli.is_quiet());
    let result = match cli.command {
        Command::Experiment(arguments) => commands::experiment::run(arguments, &screen),
        Command::Sample(arguments) => commands::sample::run(&arguments, &screen),
        Command::Diagnose(arguments) => commands::diagnose::run(&arguments, &screen),
        Command::Compare(arguments) => commands::compare::run(&arguments, &screen),
        Command::Data(arguments) => commands::data::run(&arguments, &screen),
        Command::Bench(arguments) => commands::bench::run(&arguments, &screen),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // A stop that was asked for has already said how to go on.
            if !matches!(error, DriverError::Interrupted) {
                screen.say(&format!("error: {error}"));
            }
            ExitCode::from(error.exit_code())
        }
    }
}
