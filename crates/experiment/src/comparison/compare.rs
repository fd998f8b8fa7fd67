//! From run folders to the page.

use std::path::{Path, PathBuf};

use super::{ComparedRun, PAGE, write_page};
use crate::run_folder::create_free;
use crate::{ExperimentError, Supervisor};

/// Runs that were put side by side.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The runs, in the order in which they were given.
    pub runs: Vec<ComparedRun>,
    /// The page.
    pub page: PathBuf,
}

/// Puts run folders side by side on a page in `out`, or in a new folder below runs/. `command` repeats it, for the
/// page.
///
/// # Errors
/// [`ExperimentError::Occupied`] for a folder that holds a comparison, [`ExperimentError::Request`] for one that is
/// no run, and those of damaged files.
pub fn compare(
    folders: &[PathBuf],
    out: Option<&Path>,
    command: String,
    supervisor: &dyn Supervisor,
) -> Result<Comparison, ExperimentError> {
    if let Some(out) = out.filter(|out| out.join(PAGE).exists()) {
        return Err(ExperimentError::Occupied {
            path: out.to_owned(),
            problem: "already holds a comparison".to_owned(),
            can_resume: false,
        });
    }
    let runs = folders
        .iter()
        .map(|root| ComparedRun::open(root))
        .collect::<Result<Vec<_>, _>>()?;
    // Nothing is created before every run has been read.
    let out = match out {
        Some(out) => {
            std::fs::create_dir_all(out).map_err(|error| ExperimentError::io(out, error))?;
            out.to_owned()
        }
        None => create_free(Path::new("runs"), "compare")?,
    };
    write_page(&runs, None, command, &out, supervisor)?;
    Ok(Comparison {
        page: out.join(PAGE),
        runs,
    })
}
