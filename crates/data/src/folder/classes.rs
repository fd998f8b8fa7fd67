//! Folders as classes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::labels::Labels;

/// The class of each image: the first folder below `directory` on the way to it. There are no classes if an image lies
/// in `directory` itself.
pub(super) fn classes(directory: &Path, images: &[PathBuf]) -> Option<Labels> {
    let folders: Vec<&OsStr> = images
        .iter()
        .map(|image| {
            let mut parts = image.strip_prefix(directory).ok()?.iter();
            let first = parts.next()?;
            // The last part is the file.
            parts.next().map(|_| first)
        })
        .collect::<Option<_>>()?;
    Some(Labels::of_keys(&folders, |folder| {
        folder.to_string_lossy().into_owned()
    }))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn of(images: &[&str]) -> Option<Labels> {
        let images: Vec<_> = images
            .iter()
            .map(|image| Path::new("flowers").join(image))
            .collect();
        classes(Path::new("flowers/"), &images)
    }

    #[test]
    fn the_first_folder_is_the_class() {
        let labels = of(&["rose/b/1.png", "rose/a.png", "daisy/x/y/2.png"]).unwrap();
        assert_eq!(labels.names, ["daisy", "rose"]);
        assert_eq!(labels.classes, [1, 1, 0]);
    }

    #[test]
    fn images_beside_the_folders_leave_no_classes() {
        assert_eq!(of(&["rose/a.png", "b.png"]), None);
        assert_eq!(of(&["a.png", "b.png"]), None);
    }
}
