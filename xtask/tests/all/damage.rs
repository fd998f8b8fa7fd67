//! Files of a run folder that were cut or have a wrong bit: refused, or the run goes on as if nothing had been. Never
//! other numbers without a word.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};

use crate::common::{Place, TINY};
use crate::number::number;

/// Flipped bits in each file; more with EBM_FLIPS.
const FLIPS: u64 = 5;

/// What is only written and never read.
const NEVER_READ: [&str; 3] = ["png", "svg", "html"];

fn files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            files(&path, found);
        } else if !path
            .extension()
            .is_some_and(|ending| NEVER_READ.iter().any(|known| ending == *known))
            && !path.ends_with(".lock")
        {
            found.push(path);
        }
    }
    found.sort();
}

#[test]
fn a_damaged_file_never_changes_numbers_without_a_word() {
    let place = Place::new();
    let shared = [
        &TINY[..],
        &[
            "--set",
            "langevin.start=persistent",
            "--set",
            "output.checkpoint_every=2",
            "--set",
            "optimizer.averaging=0.9",
        ],
    ]
    .concat();
    place
        .experiment(
            "short-run",
            &[&shared, &["--iterations", "6", "--out", "whole"]],
        )
        .well();
    place
        .experiment(
            "short-run",
            &[&shared, &["--iterations", "4", "--out", "run"]],
        )
        .well();
    let mut all = Vec::new();
    files(&place.path("run"), &mut all);
    assert!(all.len() >= 12, "{all:?}");
    let sound: Vec<Vec<u8>> = all.iter().map(|path| fs::read(path).unwrap()).collect();
    let flips = number("EBM_FLIPS", FLIPS) as usize;
    let [mut refused, mut unharmed] = [0, 0];
    for (path, bytes) in all.iter().zip(&sound) {
        let mut harmed: Vec<(String, Vec<u8>)> =
            [0, 1, bytes.len() / 2, bytes.len().saturating_sub(1)]
                .into_iter()
                .map(|length| (format!("cut to {length}"), bytes[..length].to_vec()))
                .collect();
        for flip in 0..flips {
            let at = (2 * flip + 1) * bytes.len() / (2 * flips);
            let bit = (at * 5 + flip) % 8;
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << bit;
            harmed.push((format!("byte {at}, bit {bit}"), flipped));
        }
        for (how, harmed) in harmed {
            let when = format!("{}, {how}", path.display());
            fs::write(path, &harmed).unwrap();
            let ended = place.run(["experiment", "--resume", "run", "--iterations", "6"]);
            match ended.code {
                Some(0) => {
                    unharmed += 1;
                    let files = [
                        "metrics.jsonl",
                        "weights.safetensors",
                        "weights-average.safetensors",
                    ];
                    place.assert_same("whole", "run", &files, &when);
                }
                Some(1 | 2) => {
                    refused += 1;
                    assert_eq!(
                        ended.stderr.matches("error: ").count(),
                        1,
                        "{when}: {ended:#?}"
                    );
                    assert!(ended.stderr.contains("run/"), "{when}: {ended:#?}");
                }
                _ => panic!("{when}: {ended:#?}"),
            }
            restore(&place, &all, &sound);
        }
    }
    assert!(
        refused > 0 && unharmed > 0,
        "{refused} refused, {unharmed} unharmed"
    );
}

/// The folder as it was before it went on.
fn restore(place: &Place, all: &[PathBuf], sound: &[Vec<u8>]) {
    fs::remove_dir_all(place.path("run")).unwrap();
    for (path, bytes) in all.iter().zip(sound) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}
