//! Any folder of JPEG and PNG images.

use std::path::{Path, PathBuf};

use image::{DynamicImage, ImageReader};
use walkdir::{DirEntry, WalkDir};

use crate::error::DataError;
use crate::guard;
use crate::image_set::ImageSet;
use crate::preprocess::ImageConfig;

/// Loads every `.jpg`, `.jpeg` and `.png` file in `directory` and below, in the order of their paths, decoded in
/// parallel. Hidden files and folders and all other kinds of files are skipped; symbolic links are followed.
///
/// # Errors
/// [`DataError::EmptyFolder`] without images; [`DataError::Format`] for an image that cannot be decoded to its end;
/// [`DataError::File`] for unreadable files; [`DataError::Config`].
pub fn load_folder(directory: &Path, config: &ImageConfig) -> Result<ImageSet, DataError> {
    config.validate()?;
    let mut paths = image_paths(directory)?;
    paths.truncate(config.count(paths.len()));
    let channels = config.channels.unwrap_or(3);
    ImageSet::build(
        directory,
        paths.len(),
        channels,
        config.size,
        None,
        |index, out| {
            let path = &paths[index];
            config.prepare(path, decode(path)?, channels, out)
        },
    )
}

fn image_paths(directory: &Path) -> Result<Vec<PathBuf>, DataError> {
    let mut paths = Vec::new();
    let entries = WalkDir::new(directory)
        .follow_links(true)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry));
    for entry in entries {
        let entry = entry.map_err(|error| DataError::File {
            path: error.path().unwrap_or(directory).to_path_buf(),
            action: "look into",
            source: error.into(),
        })?;
        if entry.file_type().is_file() && has_image_extension(entry.path()) {
            paths.push(entry.into_path());
        }
    }
    if paths.is_empty() {
        return Err(DataError::EmptyFolder {
            path: directory.to_path_buf(),
        });
    }
    Ok(paths)
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn has_image_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        ["jpg", "jpeg", "png"]
            .iter()
            .any(|known| extension.eq_ignore_ascii_case(known))
    })
}

fn decode(path: &Path) -> Result<DynamicImage, DataError> {
    let unreadable = |problem: String| DataError::Format {
        path: path.to_path_buf(),
        problem,
        fix: "replace the image or take it out of the folder",
    };
    let bytes = std::fs::read(path).map_err(DataError::file(path, "read"))?;
    if is_cut_jpeg(&bytes) {
        return Err(unreadable(
            "the JPEG image is truncated: it has no end marker".into(),
        ));
    }
    // The kind is told from the first bytes: photographs often carry the wrong extension.
    let reader = |bytes| {
        ImageReader::new(std::io::Cursor::new(bytes))
            .with_guessed_format()
            .map_err(DataError::file(path, "read"))
    };
    let first = reader(&bytes)?;
    let format = first.format();
    // A file whose beginning is damaged is told by the decoder.
    if let Ok(size) = first.into_dimensions() {
        guard::check_promise(format, size, bytes.len()).map_err(unreadable)?;
    }
    let whole = reader(&bytes)?;
    guard::decode(|| whole.decode()).map_err(unreadable)
}

/// The decoder paints the missing part of a truncated JPEG grey instead of refusing it.
///
/// Image data start at the last start-of-scan marker FF DA and end with the marker FF D9; within them FF is always
/// followed by 00 or by another marker.
fn is_cut_jpeg(bytes: &[u8]) -> bool {
    const START_OF_IMAGE: [u8; 2] = [0xff, 0xd8];
    const START_OF_SCAN: [u8; 2] = [0xff, 0xda];
    const END_OF_IMAGE: [u8; 2] = [0xff, 0xd9];
    let last = |marker| bytes.windows(2).rposition(|pair| pair == marker);
    bytes.starts_with(&START_OF_IMAGE) && last(END_OF_IMAGE) <= last(START_OF_SCAN)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;
    use image::{GrayImage, Luma, Rgb, RgbImage};
    use std::fs;
    use tempfile::TempDir;

    fn photograph() -> RgbImage {
        RgbImage::from_fn(60, 40, |x, y| {
            let noise = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)) >> 20;
            Rgb([noise as u8, x as u8 * 4, y as u8 * 6])
        })
    }

    fn folder() -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("b")).unwrap();
        fs::create_dir(folder.path().join(".cache")).unwrap();
        photograph().save(folder.path().join("c.jpg")).unwrap();
        GrayImage::from_pixel(32, 32, Luma([255]))
            .save(folder.path().join("b/x.PNG"))
            .unwrap();
        RgbImage::from_pixel(32, 32, Rgb([0, 0, 255]))
            .save(folder.path().join("a.png"))
            .unwrap();
        fs::write(folder.path().join(".hidden.png"), "not an image").unwrap();
        fs::write(folder.path().join(".cache/y.png"), "not an image").unwrap();
        fs::write(folder.path().join("notes.txt"), "not an image").unwrap();
        folder
    }

    #[test]
    fn images_load_in_path_order() {
        let folder = folder();
        let set = load_folder(folder.path(), &ImageConfig::default()).unwrap();
        assert_eq!((set.count(), set.states.shape().dims()), (3, [3, 32, 32]));
        assert_eq!(
            set.states.get(0).unwrap()[..2048],
            [-1.0; 2048],
            "a.png has neither red nor green"
        );
        assert_eq!(
            set.states.get(1).unwrap(),
            vec![1.0; 3072],
            "b/x.PNG is white"
        );
        let config = ImageConfig {
            limit: Some(1),
            ..ImageConfig::default()
        };
        assert_eq!(
            load_folder(folder.path(), &config).unwrap().states,
            set.states.gather(&[0])
        );
    }

    #[test]
    fn truncated_images_are_named() {
        // A PNG's last 12 bytes only say that it ends; its pixels are checked before.
        for (name, tail) in [("z.jpg", 1), ("z.png", 13)] {
            let folder = folder();
            let path = folder.path().join(name);
            photograph().save(&path).unwrap();
            let whole = fs::read(&path).unwrap();
            for cut in [10, whole.len() / 3, whole.len() / 2, whole.len() - tail] {
                fs::write(&path, &whole[..cut]).unwrap();
                let error = load_folder(folder.path(), &ImageConfig::default()).err();
                let error = error.unwrap_or_else(|| panic!("{name}: {cut} bytes pass"));
                assert!(error.to_string().contains(name), "{cut} bytes: {error}");
            }
        }
    }

    /// Found by fuzzing: the decoder panics on the first, a palette of one byte, and takes 300 MB for the second.
    #[test]
    fn damaged_images_are_errors_and_take_no_more_memory_than_they_can_fill() {
        let load = |chunks: &[(&[u8; 4], &[u8])]| {
            let folder = tempfile::tempdir().unwrap();
            let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
            for (kind, data) in chunks {
                let chunk = [&kind[..], data].concat();
                let mut crc = flate2::Crc::new();
                crc.update(&chunk);
                bytes.extend((data.len() as u32).to_be_bytes());
                bytes.extend(&chunk);
                bytes.extend(crc.sum().to_be_bytes());
            }
            fs::write(folder.path().join("a.png"), bytes).unwrap();
            let error = load_folder(folder.path(), &ImageConfig::default()).unwrap_err();
            error.to_string()
        };
        let header = |side: u32, kind: u8| {
            let side = side.to_be_bytes();
            [&side[..], &side, &[8, kind, 0, 0, 0]].concat()
        };
        let pixels = b"\x78\x01\x01\x02\0\xfd\xff\0\0\0\x02\0\x01";
        let palette = load(&[
            (b"IHDR", &header(1, 3)),
            (b"PLTE", &[7]),
            (b"tRNS", &[7]),
            (b"IDAT", pixels),
            (b"IEND", b""),
        ]);
        assert!(
            palette.contains("a.png: the image cannot be decoded"),
            "{palette}"
        );
        let large = load(&[
            (b"IHDR", &header(10_000, 2)),
            (b"IDAT", pixels),
            (b"IEND", b""),
        ]);
        assert!(
            large.contains("a.png: the image claims to have 10000×10000"),
            "{large}"
        );
    }

    #[test]
    fn a_wrong_extension_does_not_matter() {
        let folder = folder();
        fs::rename(folder.path().join("c.jpg"), folder.path().join("c.png")).unwrap();
        assert_eq!(
            load_folder(folder.path(), &ImageConfig::default())
                .unwrap()
                .count(),
            3
        );
    }

    #[test]
    fn text_named_png_and_empty_and_missing_folders_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let message = |path: &Path| {
            load_folder(path, &ImageConfig::default())
                .unwrap_err()
                .to_string()
        };
        assert!(message(folder.path()).contains("no .jpg"));
        fs::write(folder.path().join("text.png"), "hello").unwrap();
        assert!(message(folder.path()).contains("text.png"));
        assert!(message(&folder.path().join("missing")).contains("missing"));
    }

    #[cfg(unix)]
    #[test]
    fn a_loop_of_links_is_an_error() {
        let folder = folder();
        std::os::unix::fs::symlink(folder.path(), folder.path().join("b/loop")).unwrap();
        let error = load_folder(folder.path(), &ImageConfig::default()).unwrap_err();
        assert!(error.to_string().contains("loop"), "{error}");
    }
}
