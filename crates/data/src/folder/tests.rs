//! Folders as users have them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use image::{GrayImage, Luma, Rgb, RgbImage};
use tempfile::TempDir;

use super::*;

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

fn load(folder: &Path) -> Result<ImageSet, DataError> {
    load_folder(folder, &ImageConfig::default(), OnBroken::Refuse)
}

fn skip(folder: &Path) -> Result<ImageSet, DataError> {
    load_folder(folder, &ImageConfig::default(), OnBroken::Skip)
}

#[test]
fn images_load_in_path_order() {
    let folder = folder();
    let set = load(folder.path()).unwrap();
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
    let first = load_folder(folder.path(), &config, OnBroken::Refuse).unwrap();
    assert_eq!(first.states, set.states.gather(&[0]));
}

#[test]
fn files_of_other_kinds_are_counted() {
    let folder = folder();
    for name in [
        "b/scan.HEIC",
        "scan.heic",
        "README",
        "video.mp4",
        ".DS_Store",
    ] {
        fs::write(folder.path().join(name), "").unwrap();
    }
    let left_out = load(folder.path()).unwrap().left_out;
    let expected = [("", 1), ("heic", 2), ("mp4", 1), ("txt", 1)];
    let expected = expected.map(|(ending, count)| (ending.to_owned(), count));
    assert_eq!(left_out.other_kinds, expected.into());
    assert_eq!(left_out.broken, []);
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
            let error = load(folder.path()).err();
            let error = error.unwrap_or_else(|| panic!("{name}: {cut} bytes pass"));
            assert!(error.to_string().contains(name), "{cut} bytes: {error}");
        }
    }
}

/// Three images in order: good, broken in four ways, good.
fn damaged_folder() -> TempDir {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("a1.png"), "hello").unwrap();
    fs::write(at("b/empty.jpg"), "").unwrap();
    RgbImage::new(400, 2).save(at("b/line.png")).unwrap();
    fs::write(at("d.gif"), "GIF89a").unwrap();
    folder
}

#[test]
fn all_broken_images_are_named_at_once() {
    let folder = damaged_folder();
    let error = load(folder.path()).unwrap_err().to_string();
    let lines: Vec<_> = error.lines().collect();
    let folder = folder.path().display();
    assert_eq!(lines[0], format!("{folder}: 4 of 7 images cannot be used:"));
    for (line, name) in lines[1..5]
        .iter()
        .zip(["a1.png", "b/empty.jpg", "b/line.png", "d.gif"])
    {
        assert!(
            line.starts_with(&format!("  {folder}/{name}: the image ")),
            "{line}"
        );
    }
    assert_eq!(
        lines[5..],
        [
            "replace them or take them out of the folder, or set \"broken\" to \"skip\" to go on without them"
        ]
    );
}

#[test]
fn broken_images_are_skipped_and_listed() {
    let whole = load(folder().path()).unwrap();
    let folder = damaged_folder();
    let set = skip(folder.path()).unwrap();
    assert_eq!(set.states, whole.states);
    let path = |name: &str| folder.path().join(name).display().to_string();
    let files: Vec<_> = set
        .left_out
        .broken
        .iter()
        .map(|image| &image.file)
        .collect();
    let expected = ["a1.png", "b/empty.jpg", "b/line.png", "d.gif"].map(path);
    assert_eq!(files, expected.each_ref());
    let line = &set.left_out.broken[2].problem;
    assert_eq!(line, "the image is 400×2, too narrow to use");

    // The limit counts them: of a.png, a1.png and b/empty.jpg one is left.
    let config = ImageConfig {
        limit: Some(3),
        ..ImageConfig::default()
    };
    let first = load_folder(folder.path(), &config, OnBroken::Skip).unwrap();
    assert_eq!(first.states, whole.states.gather(&[0]));
    assert_eq!(first.left_out.broken, set.left_out.broken[..2]);
}

#[test]
fn images_too_large_to_pad_are_broken_images() {
    let folder = folder();
    let config = ImageConfig {
        fit: crate::Fit::Pad,
        ..ImageConfig::default()
    };
    let set = load_folder(folder.path(), &config, OnBroken::Skip).unwrap();
    assert_eq!((set.count(), set.left_out.broken.len()), (2, 1));
    let problem = &set.left_out.broken[0].problem;
    assert!(
        problem.contains("60×40") && problem.contains("at least 60"),
        "{problem}"
    );
}

/// Without the broken ones and within the limit, as the images themselves.
#[test]
fn folders_below_are_classes_if_all_images_lie_in_them() {
    assert_eq!(load(folder().path()).unwrap().labels, None);
    let place = tempfile::tempdir().unwrap();
    for name in [
        "rose/1.png",
        "daisy/deep/3.png",
        "daisy/2.png",
        "tulip/1.png",
    ] {
        let path = place.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        GrayImage::new(8, 8).save(path).unwrap();
    }
    fs::write(place.path().join("notes.txt"), "no image").unwrap();
    fs::write(place.path().join("daisy/1.png"), "broken").unwrap();
    let labels = |limit| {
        let config = ImageConfig {
            limit,
            ..ImageConfig::default()
        };
        let set = load_folder(place.path(), &config, OnBroken::Skip).unwrap();
        let labels = set.labels.as_ref().unwrap();
        assert_eq!(labels.names, ["daisy", "rose", "tulip"]);
        assert_eq!(labels.classes.len(), set.count());
        labels.classes.clone()
    };
    assert_eq!(labels(None), [0, 0, 1, 2]);
    assert_eq!(labels(Some(4)), [0, 0, 1]);
}

#[test]
fn nothing_but_broken_images_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["text.png", "more.png"] {
        fs::write(folder.path().join(name), "hello").unwrap();
    }
    let error = skip(folder.path()).unwrap_err().to_string();
    assert!(
        error.contains("2 of 2 images") && error.contains("text.png"),
        "{error}"
    );
    assert!(!error.contains("skip"), "{error}");
}

#[test]
fn removing_states_keeps_the_order_of_the_others() {
    let states = || States::new(2, (0..10).map(|value| value as f32).collect()).unwrap();
    for (indices, kept) in [
        (&[][..], &[0, 1, 2, 3, 4][..]),
        (&[0], &[1, 2, 3, 4]),
        (&[4], &[0, 1, 2, 3]),
        (&[1, 2], &[0, 3, 4]),
        (&[0, 1, 2, 3, 4], &[]),
    ] {
        assert_eq!(
            remove(states(), indices),
            states().gather(kept),
            "{indices:?}"
        );
    }
}

#[test]
fn a_wrong_extension_does_not_matter() {
    let folder = folder();
    fs::rename(folder.path().join("c.jpg"), folder.path().join("c.png")).unwrap();
    assert_eq!(load(folder.path()).unwrap().count(), 3);
}

#[test]
fn empty_and_missing_folders_are_errors() {
    let folder = tempfile::tempdir().unwrap();
    let message = |path: &Path| load(path).unwrap_err().to_string();
    let empty = message(folder.path());
    assert!(
        empty.contains("no image in this folder or below; check"),
        "{empty}"
    );
    fs::write(folder.path().join("image.heic"), "").unwrap();
    let other = message(folder.path());
    assert!(
        other.contains("only other files: 1 .heic; check"),
        "{other}"
    );
    assert!(
        other.ends_with(
            "or convert the images to one of .jpg, .jpeg, .jfif, .png, .bmp, .gif, .webp, .qoi, .pbm, .pgm, \
                             .ppm"
        ),
        "{other}"
    );
    assert!(message(&folder.path().join("missing")).contains("missing"));
}

#[cfg(unix)]
#[test]
fn a_loop_of_links_is_an_error_and_a_link_to_nothing_a_broken_image() {
    use std::os::unix::fs::symlink;
    let folder = folder();
    symlink("nowhere.txt", folder.path().join("b/nothing.txt")).unwrap();
    symlink("nowhere.png", folder.path().join("b/nothing.png")).unwrap();
    let set = skip(folder.path()).unwrap();
    assert_eq!((set.count(), set.left_out.broken.len()), (3, 1));
    let broken = &set.left_out.broken[0];
    assert!(broken.file.ends_with("b/nothing.png"), "{broken:?}");
    assert!(broken.problem.starts_with("cannot read"), "{broken:?}");
    assert_eq!(set.left_out.other_kinds["txt"], 2);

    symlink(folder.path(), folder.path().join("b/loop")).unwrap();
    let error = skip(folder.path()).unwrap_err();
    assert!(error.to_string().contains("loop"), "{error}");
}

/// 20,000 images of 192 MiB, the first of which is broken.
#[cfg(target_os = "linux")]
#[test]
fn what_does_not_fit_into_memory_is_refused_before_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let first = folder.path().join("0.png");
    fs::write(&first, "hello").unwrap();
    for index in 1..20_000 {
        fs::hard_link(&first, folder.path().join(format!("{index}.png"))).unwrap();
    }
    let config = ImageConfig {
        size: 4096,
        ..ImageConfig::default()
    };
    let error = load_folder(folder.path(), &config, OnBroken::Skip).unwrap_err();
    let DataError::OutOfMemory { count, needed, .. } = error else {
        panic!("{error}")
    };
    assert_eq!((count, needed), (20_000, 20_000 * 3 * 4096 * 4096 * 4));
}
