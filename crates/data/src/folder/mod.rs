//! Any folder of images.

mod classes;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use ebm_core::States;
use serde::{Deserialize, Serialize};
use walkdir::{DirEntry, WalkDir};

use crate::error::DataError;
use crate::image_set::{ImageSet, fill_states};
use crate::labels::Labels;
use crate::left_out::{BrokenImage, LeftOut, list_kinds};
use crate::picture::{ENDINGS, read_picture};
use crate::preprocess::ImageConfig;

/// What becomes of images that cannot be opened, decoded or brought to the configured size.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum OnBroken {
    /// They are an error, which names them.
    #[default]
    Refuse,
    /// They are left out and listed in [`LeftOut::broken`]. [`ImageConfig::limit`] counts them.
    Skip,
}

/// Loads every image in `directory` and below, in the order of their paths, decoded in parallel. Files are images by
/// their endings: `.jpg`, `.jpeg`, `.jfif`, `.png`, `.bmp`, `.gif`, `.webp`, `.qoi`, `.pbm`, `.pgm`,
/// `.ppm`. Others are counted in [`ImageSet::left_out`]. Hidden files and folders are skipped; symbolic links are
/// followed.
///
/// If all images lie in folders below `directory`, the first of these folders on the way to an image is its class.
///
/// Photographs are turned upright by their Exif orientation. What is transparent is laid over black, which is also what
/// [`crate::Fit::Pad`] puts around a picture. 16 bits a channel are rounded to 8. CMYK becomes RGB without colour
/// management, and colour profiles are not applied. A file with several images gives its first.
///
/// # Errors
/// [`DataError::EmptyFolder`] without images; [`DataError::BrokenImages`] for images that cannot be used, with
/// [`OnBroken::Skip`] only if they are all; [`DataError::OutOfMemory`] before any is decoded; [`DataError::File`] for
/// folders that cannot be looked into; [`DataError::Config`].
pub fn load_folder(
    directory: &Path,
    config: &ImageConfig,
    on_broken: OnBroken,
) -> Result<ImageSet, DataError> {
    config.validate()?;
    let Files {
        mut images,
        other_kinds,
    } = Files::below(directory)?;
    let labels = classes::classes(directory, &images);
    let count = config.count(images.len());
    images.truncate(count);
    let channels = config.channels.unwrap_or(3);
    let shape = [channels, config.size, config.size];
    let (states, failures) = fill_states(directory, count, shape, |index, out| {
        let path = &images[index];
        config.prepare(path, read_picture(path)?, channels, out)
    })?;
    let broken: Vec<_> = failures
        .iter()
        .map(|(index, error)| BrokenImage::new(&images[*index], error))
        .collect();
    let is_refused = match on_broken {
        OnBroken::Refuse => !broken.is_empty(),
        OnBroken::Skip => broken.len() == count,
    };
    if is_refused {
        return Err(DataError::BrokenImages {
            path: directory.to_path_buf(),
            broken,
            of: count,
        });
    }
    let without: Vec<_> = failures.into_iter().map(|(index, _)| index).collect();
    let labels = labels.map(|labels| {
        let read = labels.classes.into_iter().take(count).enumerate();
        let kept = read.filter(|(index, _)| without.binary_search(index).is_err());
        Labels {
            names: labels.names,
            classes: kept.map(|(_, class)| class).collect(),
        }
    });
    Ok(ImageSet {
        states: remove(states, &without),
        labels,
        left_out: LeftOut {
            other_kinds,
            broken,
        },
    })
}

/// Loads one image file, as [`load_folder`] loads each of a folder.
///
/// # Errors
/// [`DataError::File`], [`DataError::Format`] and [`DataError::Config`].
pub fn load_image(path: &Path, config: &ImageConfig) -> Result<States, DataError> {
    config.validate()?;
    let channels = config.channels.unwrap_or(3);
    let shape = [channels, config.size, config.size];
    let mut values = vec![0.0; shape.iter().product()];
    config.prepare(path, read_picture(path)?, channels, &mut values)?;
    // The values of one whole state.
    Ok(States::new(shape, values).unwrap_or_else(|_| States::none(shape)))
}

/// The states without those at some indices, which ascend; in the same memory.
fn remove(states: States, indices: &[usize]) -> States {
    let (shape, count) = (states.shape(), states.len());
    let size = shape.size();
    let mut values = states.into_values();
    let mut indices = indices.iter().peekable();
    let mut kept = 0;
    for index in 0..count {
        if indices.next_if_eq(&&index).is_some() {
            continue;
        }
        if kept < index {
            values.copy_within(index * size..(index + 1) * size, kept * size);
        }
        kept += 1;
    }
    values.truncate(kept * size);
    values.shrink_to_fit();
    // These are always whole states.
    States::new(shape, values).unwrap_or_else(|_| States::none(shape))
}

/// The files of a folder.
struct Files {
    /// Those with the ending of an image, in the order of their paths.
    images: Vec<PathBuf>,
    /// See [`LeftOut::other_kinds`].
    other_kinds: BTreeMap<String, usize>,
}

impl Files {
    fn below(directory: &Path) -> Result<Self, DataError> {
        let mut files = Self {
            images: Vec::new(),
            other_kinds: BTreeMap::new(),
        };
        let entries = WalkDir::new(directory)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_file() => files.add(entry.into_path()),
                Ok(_) => {}
                Err(error) if is_dangling_link(&error) => {
                    files.add(error.path().unwrap_or(directory).to_path_buf());
                }
                Err(error) => {
                    return Err(DataError::File {
                        path: error.path().unwrap_or(directory).to_path_buf(),
                        action: "look into",
                        source: error.into(),
                    });
                }
            }
        }
        if files.images.is_empty() {
            return Err(DataError::EmptyFolder {
                path: directory.to_path_buf(),
                other_kinds: list_kinds(&files.other_kinds),
            });
        }
        Ok(files)
    }

    fn add(&mut self, path: PathBuf) {
        let ending = path.extension().map_or(String::new(), |ending| {
            ending.to_string_lossy().to_lowercase()
        });
        if ENDINGS.contains(&ending.as_str()) {
            self.images.push(path);
        } else {
            *self.other_kinds.entry(ending).or_default() += 1;
        }
    }
}

/// A link to nothing counts as a file, so that one of them among many images is one broken image.
fn is_dangling_link(error: &walkdir::Error) -> bool {
    let is_link = error.path().is_some_and(Path::is_symlink);
    error.depth() > 0 && error.loop_ancestor().is_none() && is_link
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

#[cfg(test)]
mod tests;
