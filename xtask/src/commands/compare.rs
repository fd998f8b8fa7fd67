//! `compare`: several runs on one page.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::advice::shell_word;
use crate::comparison::{ComparedRun, PAGE, write_page};
use crate::error::DriverError;
use crate::logging::Screen;
use crate::run_folder::create_free;

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
    if let Some(out) = &arguments.out
        && out.join(PAGE).exists()
    {
        return Err(DriverError::Usage(format!(
            "{} already holds a comparison; choose another folder with --out",
            out.display()
        )));
    }
    let runs = arguments
        .runs
        .iter()
        .map(|root| ComparedRun::open(root))
        .collect::<Result<Vec<_>, _>>()?;
    // Only now that every run can be read is anything created.
    let out = match &arguments.out {
        Some(out) => {
            std::fs::create_dir_all(out).map_err(|error| DriverError::io(out, error))?;
            out.clone()
        }
        None => create_free(Path::new("runs"), "compare")?,
    };
    let folders: Vec<_> = arguments.runs.iter().map(|run| shell_word(run)).collect();
    write_page(
        &runs,
        None,
        format!("cargo xtask compare {}", folders.join(" ")),
        &out,
    )?;
    for run in &runs {
        screen.tell(&format!("{}: {}", run.name, run.verdict()));
    }
    screen.tell(&format!("Comparison: {}", out.join(PAGE).display()));
    Ok(())
}
