//! What of a folder of images is not in the set, and why.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::DataError;

/// A message names so many files or endings; of the rest it gives the number.
const MOST_NAMED: usize = 20;

/// An image that cannot be used, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BrokenImage {
    /// Its path.
    pub file: String,
    /// What is wrong with it.
    pub problem: String,
}

impl BrokenImage {
    pub(crate) fn new(path: &Path, error: &DataError) -> Self {
        let problem = match error {
            // The fix of all broken images is the same.
            DataError::Format { problem, .. } => problem.clone(),
            other => other.to_string(),
        };
        // Messages begin with the path.
        let file = path.display().to_string();
        let named = format!("{file}: ");
        Self {
            problem: problem.strip_prefix(&named).unwrap_or(&problem).to_owned(),
            file,
        }
    }
}

/// What of a folder of images is not in the set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LeftOut {
    /// How many files have an ending of another kind, by the ending in lower case, which is empty for files without
    /// one. Hidden files are not counted.
    pub other_kinds: BTreeMap<String, usize>,
    /// Images that cannot be used, in the order of their paths.
    pub broken: Vec<BrokenImage>,
}

impl LeftOut {
    /// Messages for a user: one for files of other kinds and one for broken images, where there are any.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        let mut messages = Vec::new();
        if !self.other_kinds.is_empty() {
            let kinds = list_kinds(&self.other_kinds);
            messages.push(format!("files of other kinds are left out: {kinds}"));
        }
        if !self.broken.is_empty() {
            let (count, list) = (self.broken.len(), list_broken(&self.broken));
            messages.push(format!(
                "images that cannot be used are left out: {count}{list}"
            ));
        }
        messages
    }
}

/// "2 .gif, 1 without an ending", the most frequent first.
pub(crate) fn list_kinds(kinds: &BTreeMap<String, usize>) -> String {
    let mut counts: Vec<_> = kinds.iter().collect();
    // Equally frequent endings stay in alphabetical order.
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let (named, rest) = counts.split_at(counts.len().min(MOST_NAMED));
    let mut parts: Vec<_> = named
        .iter()
        .map(|(ending, count)| match ending.as_str() {
            "" => format!("{count} without an ending"),
            ending => format!("{count} .{ending}"),
        })
        .collect();
    if !rest.is_empty() {
        let others: usize = rest.iter().map(|&(_, count)| count).sum();
        parts.push(format!("{others} with other endings"));
    }
    parts.join(", ")
}

/// A line for each of the first images.
pub(crate) fn list_broken(broken: &[BrokenImage]) -> String {
    let mut list = String::new();
    for BrokenImage { file, problem } in broken.iter().take(MOST_NAMED) {
        // Writing to a string cannot fail.
        let _ = write!(list, "\n  {file}: {problem}");
    }
    if broken.len() > MOST_NAMED {
        let _ = write!(list, "\n  and {} more", broken.len() - MOST_NAMED);
    }
    list
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(count: usize) -> Vec<BrokenImage> {
        let image = |index| BrokenImage {
            file: format!("{index}.png"),
            problem: "it is cut".to_owned(),
        };
        (0..count).map(image).collect()
    }

    #[test]
    fn endings_are_told_by_how_often_they_are_there() {
        let kinds = [("", 1), ("csv", 1), ("heic", 30), ("txt", 2)];
        let other_kinds = kinds.map(|(ending, count)| (ending.to_owned(), count));
        let left_out = LeftOut {
            other_kinds: other_kinds.into(),
            broken: Vec::new(),
        };
        assert_eq!(
            left_out.messages(),
            ["files of other kinds are left out: 30 .heic, 2 .txt, 1 without an ending, 1 .csv"]
        );
        assert_eq!(LeftOut::default().messages(), [""; 0]);
        // Some instruments number their files in the ending.
        let numbered = (100..125).map(|number| (number.to_string(), 1)).collect();
        let told = list_kinds(&numbered);
        assert!(told.starts_with("1 .100, 1 .101, "), "{told}");
        assert!(told.ends_with(", 1 .119, 5 with other endings"), "{told}");
    }

    #[test]
    fn twenty_broken_images_are_named_and_then_counted() {
        assert_eq!(list_broken(&broken(1)), "\n  0.png: it is cut");
        let twenty = list_broken(&broken(20));
        assert!(twenty.ends_with("\n  19.png: it is cut"), "{twenty}");
        assert_eq!(list_broken(&broken(23)), twenty + "\n  and 3 more");
    }

    #[test]
    fn the_path_is_said_once() {
        let path = Path::new("a/b.png");
        let error = DataError::TooLargeToPad {
            path: path.to_path_buf(),
            width: 7,
            height: 3,
            size: 6,
        };
        let image = BrokenImage::new(path, &error);
        assert_eq!(image.file, "a/b.png");
        assert!(image.problem.starts_with("the image is 7×3, too large"));
    }
}
