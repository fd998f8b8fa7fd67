//! CIFAR-10 in its binary form.
//!
//! Each record has 3073 bytes: the label 0..=9, then 32×32 red, 32×32 green and 32×32 blue bytes, row by row.

use std::path::{Path, PathBuf};

use image::{DynamicImage, RgbImage};

use crate::error::DataError;
use crate::image_set::ImageSet;
use crate::labels::Labels;
use crate::preprocess::ImageConfig;

const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;
/// The classes in the order of their labels.
const CLASSES: [&str; 10] = [
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
];

/// The files of the training set; the test set is `test_batch.bin`.
pub const CIFAR_TRAINING_BATCHES: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];

/// Loads the given binary batch files of `directory`, such as [`CIFAR_TRAINING_BATCHES`], one after the other.
///
/// # Errors
/// One [`DataError`] for each of: a missing or unreadable file, an incomplete record, a label above 9, or a
/// configuration out of range.
pub fn load_cifar(
    directory: &Path,
    batches: &[&str],
    config: &ImageConfig,
) -> Result<ImageSet, DataError> {
    config.validate()?;
    let files = batches
        .iter()
        .map(|batch| {
            let path = directory.join(batch);
            let bytes = std::fs::read(&path).map_err(DataError::file(&path, "read"))?;
            check(&path, &bytes)?;
            Ok((path, bytes))
        })
        .collect::<Result<Vec<(PathBuf, Vec<u8>)>, DataError>>()?;
    let mut records: Vec<(&Path, &[u8])> = files
        .iter()
        .flat_map(|(path, bytes)| {
            bytes
                .chunks_exact(RECORD)
                .map(|record| (path.as_path(), record))
        })
        .collect();
    records.truncate(config.count(records.len()));
    let channels = config.channels.unwrap_or(3);
    let labels = Labels {
        names: CLASSES.map(str::to_owned).to_vec(),
        classes: records
            .iter()
            .map(|(_, record)| usize::from(record[0]))
            .collect(),
    };
    ImageSet::build(
        directory,
        records.len(),
        channels,
        config.size,
        Some(labels),
        |index, out| {
            let (path, record) = records[index];
            let planes = &record[1..];
            let picture = RgbImage::from_fn(SIDE as u32, SIDE as u32, |x, y| {
                let at = y as usize * SIDE + x as usize;
                image::Rgb([planes[at], planes[PLANE + at], planes[2 * PLANE + at]])
            });
            config.prepare(path, DynamicImage::ImageRgb8(picture), channels, out)
        },
    )
}

fn check(path: &Path, bytes: &[u8]) -> Result<(), DataError> {
    let whole = bytes.len() / RECORD;
    if bytes.is_empty() || !bytes.len().is_multiple_of(RECORD) {
        return Err(DataError::Truncated {
            path: path.to_path_buf(),
            promise: format!(
                "a CIFAR-10 binary batch has {RECORD} bytes an image, {} for {} images,",
                (whole + 1) * RECORD,
                whole + 1
            ),
            found: bytes.len(),
        });
    }
    match bytes
        .chunks_exact(RECORD)
        .position(|record| usize::from(record[0]) >= CLASSES.len())
    {
        Some(index) => Err(DataError::Format {
            path: path.to_path_buf(),
            problem: format!(
                "image {index} has label {}, and CIFAR-10 has labels 0 to 9",
                bytes[index * RECORD]
            ),
            fix: "use the binary version of CIFAR-10 (not CIFAR-100, not the Python version), or download it again",
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(label: u8, rgb: [u8; 3]) -> Vec<u8> {
        let mut bytes = vec![label];
        bytes.extend(rgb.iter().flat_map(|&byte| [byte; PLANE]));
        bytes
    }

    #[test]
    fn records_load_in_file_order() {
        let folder = tempfile::tempdir().unwrap();
        for (index, batch) in CIFAR_TRAINING_BATCHES.iter().enumerate() {
            let mut bytes = record(index as u8, [255, 0, 0]);
            bytes.extend(record(9, [0, 0, 255]));
            std::fs::write(folder.path().join(batch), bytes).unwrap();
        }
        let config = ImageConfig::default();
        let set = load_cifar(folder.path(), &CIFAR_TRAINING_BATCHES, &config).unwrap();
        assert_eq!((set.count(), set.states.shape().dims()), (10, [3, 32, 32]));
        let labels = set.labels.unwrap();
        assert_eq!(labels.classes, [0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
        assert_eq!(
            (&*labels.names[0], &*labels.names[9]),
            ("airplane", "truck")
        );
        let (red, others) = set.states.get(2).unwrap().split_at(PLANE);
        assert!(red.iter().all(|&red| red == 1.0));
        assert!(others.iter().all(|&other| other == -1.0));

        let config = ImageConfig {
            limit: Some(3),
            channels: Some(1),
            ..config
        };
        let set = load_cifar(folder.path(), &CIFAR_TRAINING_BATCHES, &config).unwrap();
        assert_eq!((set.count(), set.states.shape().dims()), (3, [1, 32, 32]));
    }

    #[test]
    fn incomplete_foreign_and_missing_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let load = |bytes: &[u8]| {
            std::fs::write(folder.path().join("test_batch.bin"), bytes).unwrap();
            load_cifar(folder.path(), &["test_batch.bin"], &ImageConfig::default())
                .unwrap_err()
                .to_string()
        };
        let error = load(&record(1, [0; 3])[1..]);
        assert!(
            error.contains("test_batch.bin: truncated") && error.contains("3072"),
            "{error}"
        );
        assert!(load(&[]).contains("truncated"));
        assert!(load(&record(10, [0; 3])).contains("label 10"));
        let error = load_cifar(
            folder.path(),
            &["data_batch_1.bin"],
            &ImageConfig::default(),
        )
        .unwrap_err();
        assert!(error.to_string().contains("data_batch_1.bin"));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(
            bytes in prop::collection::vec(any::<u8>(), 0..64), records in 0usize..3,
        ) {
            let mut whole = record(3, [1, 2, 3]).repeat(records);
            prop_assert_eq!(check(Path::new("x"), &whole).is_ok(), records > 0);
            whole.extend(&bytes);
            prop_assert_eq!(check(Path::new("x"), &whole).is_ok(), records > 0 && bytes.is_empty());
        }
    }
}
