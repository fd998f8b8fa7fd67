//! Places in a text.

use std::fmt;

/// A line and a column in it, both counted from 1; columns in characters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    line: usize,
    column: usize,
}

impl Place {
    /// Where the next character after `before` stands.
    pub(super) fn after(before: &str) -> Self {
        let line = before.rsplit('\n').next().unwrap_or_default();
        Self {
            line: line_after(before.as_bytes()),
            column: line.chars().count() + 1,
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {} column {}", self.line, self.column)
    }
}

/// The number of the line that the next byte after `before` belongs to.
pub(super) fn line_after(before: &[u8]) -> usize {
    1 + before.iter().filter(|&&byte| byte == b'\n').count()
}
