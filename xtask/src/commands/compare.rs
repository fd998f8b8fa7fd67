//! `compare`: several runs on one page.

use std::path::PathBuf;

use clap::Args;
use ebm_experiment::compare;

use crate::advice::{program, shell_word};
use crate::error::DriverError;
use crate::logging::Screen;

/// Arguments of `compare`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  cargo xtask compare runs/short-run runs/sixty-steps
  cargo xtask compare runs/gmm_* --out toys")]
pub(crate) struct CompareArguments {
    /// Two or more run folders.
    #[arg(value_name = "RUN", required = true, num_args = 2..)]
    pub(crate) runs: Vec<PathBuf>,
    /// The folder for the page [default: a new one below runs/].
    #[arg(long, value_name = "DIR")]
    pub(crate) out: Option<PathBuf>,
}

pub(crate) fn run(arguments: &CompareArguments, screen: &Screen) -> Result<(), DriverError> {
    let folders: Vec<_> = arguments.runs.iter().map(|run| shell_word(run)).collect();
    let command = format!("{} compare {}", program(), folders.join(" "));
    let comparison = compare(&arguments.runs, arguments.out.as_deref(), command, screen)?;
    for run in &comparison.runs {
        screen.tell(&format!("{}: {}", run.name, run.verdict(screen)));
    }
    screen.tell(&format!("Comparison: {}", comparison.page.display()));
    Ok(())
}
