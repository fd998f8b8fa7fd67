//! The one error type of the crate.

use std::path::PathBuf;

/// What went wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DiagnosticsError {
    /// A file could not be opened or read.
    #[error("cannot read {}: {source}; check that the path is right and readable", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },

    /// A line of a metrics file is not a record.
    #[error(
        "{}, line {line}: not a metrics record: {source}; correct or delete this line",
        path.display()
    )]
    MalformedLine {
        /// The metrics file.
        path: PathBuf,
        /// 1-based line number.
        line: usize,
        /// What the JSON parser said.
        source: serde_json::Error,
    },

    /// The last line of a metrics file was cut off while it was being written.
    #[error(
        "{}, line {line}: the last line is torn (no line end and not a whole record), as after an \
         interrupted run; delete it, or read only the complete lines",
        path.display()
    )]
    TornLastLine {
        /// The metrics file.
        path: PathBuf,
        /// 1-based line number.
        line: usize,
    },

    /// A record could not be turned into JSON.
    #[error("cannot write a record as JSON: {0}")]
    Encode(#[source] serde_json::Error),

    /// A series has too few values.
    #[error("{what} has {length} values but at least {needed} are needed")]
    SeriesTooShort {
        /// Which series.
        what: &'static str,
        /// Number of values given.
        length: usize,
        /// Smallest number of values that works.
        needed: usize,
    },

    /// Two series that belong together differ in length.
    #[error("{what} must have the same length, got {left} and {right}")]
    LengthsDiffer {
        /// Which pair.
        what: &'static str,
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },

    /// A value is NaN or infinite where a number is needed.
    #[error("{what} is not finite at index {index}; remove it or look for a diverged chain")]
    NotFinite {
        /// Which series.
        what: &'static str,
        /// 0-based position of the first such value.
        index: usize,
    },

    /// All values of a series are the same where a test needs them to vary.
    #[error(
        "{what} are all the same, so there is no spread to measure by; check that the right series was given"
    )]
    NoSpread {
        /// Which values.
        what: &'static str,
    },

    /// A group of chains has no record at a step that the judgement needs.
    #[error(
        "the group \"{group}\" has no record at step {step}, {multiple} times the training length; record its chains \
         at that step, or ask for other multiples"
    )]
    MissingRecord {
        /// Name of the group.
        group: String,
        /// The Langevin step.
        step: u64,
        /// How many times the training length that is.
        multiple: u64,
    },

    /// A parameter is outside its range.
    #[error("{name} is {value}, but {requirement}")]
    Parameter {
        /// The parameter.
        name: &'static str,
        /// The value given.
        value: String,
        /// What it has to satisfy.
        requirement: &'static str,
    },

    /// Two densities live on different grids.
    #[error(
        "the two densities lie on different grids ({left} and {right}); build both with the same resolution and half \
         width"
    )]
    GridsDiffer {
        /// First grid, in words.
        left: String,
        /// Second grid, in words.
        right: String,
    },

    /// A density has no mass on its grid.
    #[error(
        "the density has no mass on the grid over [-{half_width}, {half_width}]²; use a larger half width, and check \
         that the values are log densities and not energies"
    )]
    NoMass {
        /// Half the side of the grid.
        half_width: f64,
    },

    /// The samples of a kernel density lie on a line or a point.
    #[error(
        "the covariance of the samples is singular, so they have no two-dimensional kernel density; use more and \
         distinct samples"
    )]
    SingularCovariance,
}

impl DiagnosticsError {
    /// Whether the given values allow no answer, such as chains that all fell into one state. All other errors are
    /// failures of files, and the same values may give an answer later.
    #[must_use]
    pub fn lies_in_the_values(&self) -> bool {
        match self {
            Self::SeriesTooShort { .. }
            | Self::LengthsDiffer { .. }
            | Self::NotFinite { .. }
            | Self::NoSpread { .. }
            | Self::MissingRecord { .. }
            | Self::Parameter { .. }
            | Self::GridsDiffer { .. }
            | Self::NoMass { .. }
            | Self::SingularCovariance => true,
            Self::Read { .. }
            | Self::MalformedLine { .. }
            | Self::TornLastLine { .. }
            | Self::Encode(_) => false,
        }
    }
}
