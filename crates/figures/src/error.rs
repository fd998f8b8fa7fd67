//! The one error type of the crate.

use std::path::PathBuf;

use ebm_diagnostics::DiagnosticsError;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FiguresError {
    /// The values that were to be drawn.
    #[error(transparent)]
    Values(#[from] DiagnosticsError),

    /// A file could not be written.
    #[error(
        "cannot write {}: {source}; check that its folder exists, is writable and has space left",
        path.display()
    )]
    Write {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A merge of a disconnectivity graph does not fit its basins and the merges before it.
    #[error("merge {merge} (the first is 0) {problem}")]
    Merge {
        /// 0-based position of the merge.
        merge: usize,
        /// What is wrong with it, and what would be right.
        problem: String,
    },

    /// A figure could not be drawn.
    #[error("cannot draw the figure: {0}")]
    Drawing(String),

    /// An image could not be encoded as PNG.
    #[error("cannot encode the image as PNG: {0}")]
    Png(String),
}

/// Result of every fallible function of this crate.
pub type Result<T> = std::result::Result<T, FiguresError>;

/// Writes a file that appears whole or not at all.
pub(crate) fn write_atomically(path: impl AsRef<std::path::Path>, bytes: &[u8]) -> Result<()> {
    let path = path.as_ref();
    ebm_core::write_atomically(path, bytes).map_err(|source| FiguresError::Write {
        path: path.to_path_buf(),
        source,
    })
}
