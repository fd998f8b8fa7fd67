//! `cargo xtask`: experiments, samples, data and measurements from the command line.

mod advice;
mod aligned;
mod arrays;
mod backend;
mod cli;
mod commands;
mod comparison;
mod config;
mod diagnosis;
mod digits;
mod error;
mod estimate;
mod evaluation;
mod job;
mod json;
mod landscape;
mod learning;
mod logging;
mod mapping;
mod npy;
mod observers;
mod quality;
mod report;
mod run_folder;
mod stop;
mod study;
mod trained;
mod trained_chains;
mod work_folder;

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
        Command::Evaluate(arguments) => commands::evaluate::run(&arguments, &screen),
        Command::Map(arguments) => commands::map::run(&arguments, &screen),
        Command::Diagnose(arguments) => commands::diagnose::run(&arguments, &screen),
        Command::Compare(arguments) => commands::compare::run(&arguments, &screen),
        Command::Quality(arguments) => commands::quality::run(&arguments, &screen),
        Command::Classifier(arguments) => commands::classifier::run(&arguments, &screen),
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
