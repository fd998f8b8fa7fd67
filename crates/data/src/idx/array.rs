//! The IDX format itself: a header of big-endian words, then bytes.

use std::borrow::Cow;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::error::DataError;

/// The first word of an image file.
pub(super) const IMAGES: u32 = 0x0803;
/// The first word of a label file.
pub(super) const LABELS: u32 = 0x0801;
/// DEFLATE cannot shrink data more than about 1030-fold, so a small file cannot hold a large promise.
const LARGEST_RATIO: usize = 1032;

/// The contents of an IDX file of bytes with `RANK` dimensions.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ByteArray<const RANK: usize> {
    pub(super) shape: [usize; RANK],
    pub(super) bytes: Vec<u8>,
}

/// Parses a whole IDX file of bytes, plain or gzipped, whose first word must be `magic`. `path` is named in errors.
pub(super) fn parse<const RANK: usize>(
    path: &Path,
    bytes: &[u8],
    magic: u32,
) -> Result<ByteArray<RANK>, DataError> {
    let gzipped = bytes.starts_with(&[0x1f, 0x8b]);
    let mut reader: Box<dyn Read + '_> = if gzipped {
        Box::new(MultiGzDecoder::new(bytes))
    } else {
        Box::new(bytes)
    };
    let mut read = |limit: usize, promise: &dyn Fn() -> String| {
        let mut contents = Vec::new();
        // The memory grows with the bytes that are read, never with what a header promises.
        match reader
            .by_ref()
            .take(limit as u64)
            .read_to_end(&mut contents)
        {
            Ok(_) => Ok(contents),
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(DataError::Truncated {
                    path: path.to_path_buf(),
                    promise: promise(),
                    found: contents.len(),
                })
            }
            Err(error) => Err(DataError::Damaged {
                path: path.to_path_buf(),
                problem: error.to_string(),
            }),
        }
    };
    let truncated = |promise: String, found: usize| DataError::Truncated {
        path: path.to_path_buf(),
        promise,
        found,
    };

    let header_len = 4 + 4 * RANK;
    let header_promise = || format!("an IDX header has {header_len} bytes");
    let header = read(header_len, &header_promise)?;
    let mut words = header
        .chunks_exact(4)
        .map(|word| u32::from_be_bytes([word[0], word[1], word[2], word[3]]));
    match words.next() {
        Some(found) if found == magic => {}
        Some(found) => return Err(wrong_magic(path, found, magic)),
        None => return Err(truncated(header_promise(), header.len())),
    }
    let mut shape = [0; RANK];
    for length in &mut shape {
        *length = words
            .next()
            .ok_or_else(|| truncated(header_promise(), header.len()))? as usize;
    }
    if shape.contains(&0) {
        return Err(DataError::Format {
            path: path.to_path_buf(),
            problem: format!("the header says {}, which is empty", describe(&shape)),
            fix: "use a file that holds data",
        });
    }
    let total = shape
        .iter()
        .try_fold(1, |product: usize, &length| product.checked_mul(length));
    let promise = || match total {
        Some(total) => format!("the header promises {} ({total} bytes)", describe(&shape)),
        None => format!("the header promises {}", describe(&shape)),
    };
    let most = if gzipped {
        bytes.len().saturating_mul(LARGEST_RATIO)
    } else {
        bytes.len()
    };
    let Some(total) = total.filter(|&total| total <= most) else {
        let found = if gzipped {
            bytes.len()
        } else {
            bytes.len() - header_len
        };
        return Err(truncated(promise(), found));
    };
    let contents = read(total, &promise)?;
    if contents.len() < total {
        return Err(truncated(promise(), contents.len()));
    }
    if !read(1, &promise)?.is_empty() {
        return Err(DataError::TrailingBytes {
            path: path.to_path_buf(),
            promise: promise(),
        });
    }
    Ok(ByteArray {
        shape,
        bytes: contents,
    })
}

fn describe(shape: &[usize]) -> Cow<'static, str> {
    match *shape {
        [count, height, width] => format!("{count} images of {height}×{width}").into(),
        [count] => format!("{count} labels").into(),
        _ => "data".into(),
    }
}

fn wrong_magic(path: &Path, found: u32, expected: u32) -> DataError {
    let (kind, fix) = match (found, expected) {
        (LABELS, IMAGES) => (
            "an IDX label file",
            "name the image file (…-images-idx3-ubyte)",
        ),
        (IMAGES, LABELS) => (
            "an IDX image file",
            "name the label file (…-labels-idx1-ubyte)",
        ),
        _ => (
            "not an IDX file of the kind needed",
            "check the path, or download the file again",
        ),
    };
    DataError::Format {
        path: path.to_path_buf(),
        problem: format!("{kind}: its first word is {found:#010x} and should be {expected:#010x}"),
        fix,
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
pub(super) mod test_files {
    use flate2::Compression;
    use flate2::write::GzEncoder;
    use std::io::Write;

    pub(crate) fn file(magic: u32, shape: &[u32], data: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        bytes.extend(shape.iter().flat_map(|length| length.to_be_bytes()));
        bytes.extend(data);
        bytes
    }

    pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::test_files::{file, gzip};
    use super::*;
    use proptest::prelude::*;

    fn parse_images(bytes: &[u8]) -> Result<ByteArray<3>, DataError> {
        parse(Path::new("t.gz"), bytes, IMAGES)
    }

    fn message(bytes: &[u8]) -> String {
        parse_images(bytes).unwrap_err().to_string()
    }

    #[test]
    fn a_wrong_magic_number_names_what_it_is() {
        let error = message(&file(LABELS, &[3], &[0; 12]));
        assert!(
            error.contains("IDX label file") && error.contains("0x00000801"),
            "{error}"
        );
        let error = message(b"<html><body>Not found</body></html>");
        assert!(
            error.contains("t.gz") && error.contains("not an IDX file"),
            "{error}"
        );
    }

    #[test]
    fn truncated_files_say_what_is_missing() {
        let whole = file(IMAGES, &[10_000, 28, 28], &[0; 1234]);
        let error = message(&whole);
        assert!(
            error.contains("10000 images of 28×28 (7840000 bytes) but the file holds 1234"),
            "{error}"
        );
        assert!(message(&whole[..7]).contains("truncated: an IDX header"));
        assert!(message(&[]).contains("truncated"));
        let noise: Vec<u8> = (0..784u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
            .collect();
        let zipped = gzip(&file(IMAGES, &[1, 28, 28], &noise));
        assert!(message(&zipped[..zipped.len() / 2]).contains("truncated"));
        assert!(
            message(&zipped[..zipped.len() - 4]).contains("truncated"),
            "the gzip trailer is checked"
        );
    }

    #[test]
    fn huge_promises_are_refused_before_anything_is_reserved() {
        for shape in [[u32::MAX; 3], [u32::MAX, 1, 1], [60_000, 2000, 2000]] {
            let bytes = file(IMAGES, &shape, &[0; 4]);
            assert!(message(&bytes).contains("truncated"));
            assert!(message(&gzip(&bytes)).contains("truncated"));
        }
    }

    #[test]
    fn trailing_bytes_and_empty_files_are_errors() {
        let bytes = file(IMAGES, &[1, 2, 2], &[0; 5]);
        assert!(message(&bytes).contains("more bytes follow"));
        assert!(message(&gzip(&bytes)).contains("more bytes follow"));
        assert!(message(&file(IMAGES, &[0, 2, 2], &[])).contains("empty"));
        let mut junk = gzip(&file(IMAGES, &[1, 1, 1], &[0]));
        junk.extend(b"junk after the gzip data");
        assert!(message(&junk).contains("damaged"), "{}", message(&junk));
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_images(&bytes);
            let _ = parse_images(&[&[0x1f, 0x8b][..], &bytes].concat());
            let _ = parse_images(&[&IMAGES.to_be_bytes()[..], &bytes].concat());
        }

        /// Whatever is cut off or added, the answer is an error and never another picture.
        #[test]
        fn every_truncation_is_an_error(
            count in 1u32..4, height in 1u32..5, width in 1u32..5, cut in 1usize..64, zip: bool,
        ) {
            let pixels = vec![7; (count * height * width) as usize];
            let whole = file(IMAGES, &[count, height, width], &pixels);
            let whole = if zip { gzip(&whole) } else { whole };
            prop_assert!(parse_images(&whole).is_ok());
            let short = &whole[..whole.len().saturating_sub(cut)];
            prop_assert!(parse_images(short).is_err());
            prop_assert!(parse_images(&[&whole[..], &[0; 3]].concat()).is_err());
        }
    }
}
