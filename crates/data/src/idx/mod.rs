//! IDX files: the format of MNIST, Fashion-MNIST and EMNIST, plain or gzipped.
//!
//! An image file is the big-endian words 0x00000803, count, height, width, then one byte a pixel, row by row.
//! A label file is 0x00000801, count, then one byte a label. (EMNIST's files hold the letters transposed; they are
//! used as stored.)

mod array;

use std::path::Path;

use image::{DynamicImage, GrayImage};

use self::array::{IMAGES, LABELS, parse};
use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::labels::Labels;
use crate::preprocess::ImageConfig;

/// Loads the images of an IDX file, with the labels of a second one if given; both plain or gzipped, which their
/// first bytes tell.
///
/// # Errors
/// One [`DataError`] for each of: unreadable, another kind of file, truncated, trailing bytes, labels that do not
/// match, or a configuration out of range.
pub fn load_idx(
    images: &Path,
    labels: Option<&Path>,
    config: &ImageConfig,
) -> Result<ImageSet, DataError> {
    let read = |path: &Path| std::fs::read(path).map_err(DataError::file(path, "read"));
    let image_bytes = read(images)?;
    let label_bytes = labels
        .map(|path| Ok((path, read(path).map_err(DataError::of_labels)?)))
        .transpose()?;
    let labels = label_bytes
        .as_ref()
        .map(|(path, bytes)| (*path, &bytes[..]));
    image_set((images, &image_bytes), labels, config)
}

/// [`load_idx`] from bytes; each comes with the path that errors name.
pub(crate) fn image_set(
    (path, bytes): (&Path, &[u8]),
    labels: Option<(&Path, &[u8])>,
    config: &ImageConfig,
) -> Result<ImageSet, DataError> {
    config.validate()?;
    let array = parse::<3>(path, bytes, IMAGES)?;
    let [available, height, width] = array.shape;
    let labels = labels
        .map(|(label_path, bytes)| parse_labels(label_path, bytes, path, available))
        .transpose()
        .map_err(DataError::of_labels)?;
    let count = config.count(available);
    let channels = config.channels.unwrap_or(1);
    let labels = labels.map(|labels| labels.truncated(count));
    // Header words are 32 bits wide, so these casts lose nothing.
    let (wide, high) = (width as u32, height as u32);
    ImageSet::build(path, count, channels, config.size, labels, |index, out| {
        let pixels = array.bytes[index * height * width..][..height * width].to_vec();
        // A buffer of just this length is always accepted.
        let picture = GrayImage::from_raw(wide, high, pixels).unwrap_or_default();
        config.prepare(path, DynamicImage::ImageLuma8(picture), channels, out)
    })
}

/// The classes of so many `images`: the labels that occur, whichever they are, with their numbers as names.
fn parse_labels(
    path: &Path,
    bytes: &[u8],
    images: &Path,
    available: usize,
) -> Result<Labels, DataError> {
    let labels = parse::<1>(path, bytes, LABELS)?;
    if labels.shape != [available] {
        return Err(DataError::Format {
            path: path.to_path_buf(),
            problem: format!(
                "{} labels for the {available} images of {}",
                labels.shape[0],
                images.display()
            ),
            fix: "use the label file that belongs to the images",
        });
    }
    Ok(Labels::of_keys(&labels.bytes, |label| label.to_string()))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::array::test_files::{file, gzip};
    use super::*;
    use crate::preprocess::Fit;

    fn exact(size: usize) -> ImageConfig {
        ImageConfig {
            size,
            fit: Fit::Pad,
            ..ImageConfig::default()
        }
    }

    #[test]
    fn plain_and_gzipped_files_load_alike() {
        let data: Vec<u8> = (0..12).map(|value| value * 20).collect();
        let plain = file(IMAGES, &[3, 2, 2], &data);
        let labels = file(LABELS, &[3], &[7, 8, 9]);
        let load = |images: &[u8], labels: &[u8]| {
            image_set(
                (Path::new("images"), images),
                Some((Path::new("labels"), labels)),
                &exact(2),
            )
            .unwrap()
        };
        let set = load(&plain, &labels);
        assert_eq!((set.count(), set.states.shape().dims()), (3, [1, 2, 2]));
        let found = set.labels.as_ref().unwrap();
        assert_eq!(found.names, ["7", "8", "9"]);
        assert_eq!(found.classes, [0, 1, 2]);
        assert_eq!(set.states.values()[1], 20.0 / 127.5 - 1.0);
        assert_eq!(set, load(&gzip(&plain), &gzip(&labels)));
    }

    #[test]
    fn the_limit_cuts_images_and_labels() {
        let config = ImageConfig {
            limit: Some(2),
            ..exact(1)
        };
        let set = image_set(
            (Path::new("images"), &file(IMAGES, &[3, 1, 1], &[1, 2, 3])),
            Some((Path::new("labels"), &file(LABELS, &[3], &[4, 5, 6]))),
            &config,
        )
        .unwrap();
        assert_eq!((set.count(), set.states.values().len()), (2, 2));
        let labels = set.labels.unwrap();
        assert_eq!((labels.names.len(), labels.classes), (3, vec![0, 1]));
    }

    #[test]
    fn labels_of_other_images_are_refused() {
        let error = image_set(
            (Path::new("images"), &file(IMAGES, &[3, 1, 1], &[1, 2, 3])),
            Some((Path::new("labels"), &file(LABELS, &[2], &[4, 5]))),
            &exact(1),
        )
        .unwrap_err()
        .to_string();
        assert_eq!(
            error,
            "labels: labels: 2 labels for the 3 images of images; use the label file that belongs to the images"
        );
    }

    #[test]
    fn files_that_are_no_labels_are_refused_with_their_key() {
        let refusal = |labels: &[u8]| {
            let images = file(IMAGES, &[2, 1, 1], &[1, 2]);
            let labels = Some((Path::new("mine.gz"), labels));
            let set = image_set((Path::new("images"), &images), labels, &exact(1));
            set.unwrap_err().to_string()
        };
        for (labels, said) in [
            (file(IMAGES, &[2, 1, 1], &[1, 2]), "an IDX image file"),
            (
                file(0x0901, &[2], &[1, 2]),
                "not an IDX file of the kind needed",
            ),
            (file(LABELS, &[2], &[1]), "truncated"),
            (file(LABELS, &[2], &[1, 2, 3]), "more bytes follow"),
            (file(LABELS, &[0], &[]), "which is empty"),
            (
                gzip(&file(LABELS, &[2], &[1, 2]))[..20].to_vec(),
                "truncated",
            ),
            (Vec::new(), "truncated"),
        ] {
            let error = refusal(&labels);
            assert!(error.starts_with("labels: mine.gz: "), "{error}");
            assert!(error.contains(said), "{error}");
        }
    }

    #[test]
    fn a_missing_file_is_named() {
        let error = load_idx(Path::new("/nowhere/images"), None, &exact(1))
            .unwrap_err()
            .to_string();
        assert!(error.contains("/nowhere/images"), "{error}");
        let folder = tempfile::tempdir().unwrap();
        let images = folder.path().join("images");
        std::fs::write(&images, file(IMAGES, &[1, 1, 1], &[1])).unwrap();
        let error = load_idx(&images, Some(Path::new("/nowhere/labels")), &exact(1));
        let error = error.unwrap_err().to_string();
        assert!(
            error.starts_with("labels: /nowhere/labels: cannot read"),
            "{error}"
        );
    }
}
