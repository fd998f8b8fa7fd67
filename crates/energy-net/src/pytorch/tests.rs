//! Every golden file with a part missing or a byte changed. None of these may panic.
#![allow(clippy::unwrap_used)]

use std::path::Path;

use super::{Problem, read};

fn files() -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pytorch");
    std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .map(|path| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            (name, std::fs::read(path).unwrap())
        })
        .filter(|(name, _)| name.ends_with(".pth"))
        .collect()
}

#[test]
fn no_part_of_a_file_is_taken_for_the_whole() {
    for (name, bytes) in files() {
        for length in 0..bytes.len() {
            let problem = read(&bytes[..length]).unwrap_err();
            // A file that is refused for what it holds may be refused before its end.
            assert!(
                matches!(problem, Problem::Damaged(_)) || read(&bytes).is_err(),
                "{name}, {length} bytes: {problem:?}"
            );
        }
    }
}

/// In an archive a changed bit is seen, or it lies where it says nothing of the weights. In the older format one
/// within a number cannot be seen.
#[test]
fn no_changed_bit_of_an_archive_changes_the_weights() {
    for (name, bytes) in files() {
        let sound = read(&bytes).ok();
        for position in 0..bytes.len() {
            let mut harmed = bytes.clone();
            harmed[position] ^= 1 << (position % 8);
            if let Ok(weights) = read(&harmed)
                && name.ends_with(".zip.pth")
            {
                assert_eq!(Some(weights), sound, "{name}, byte {position}");
            }
        }
    }
}

/// The pickles of the older format end within the first 1,600 bytes of this file.
#[test]
fn no_byte_of_a_pickle_is_unexpected() {
    let (_, bytes) = files()
        .into_iter()
        .find(|(name, _)| name == "toy.pth")
        .unwrap();
    for position in 0..1600 {
        for value in 0..=255 {
            let mut harmed = bytes.clone();
            harmed[position] = value;
            if let Ok(weights) = read(&harmed) {
                assert!(!weights.is_empty());
            }
        }
    }
}
