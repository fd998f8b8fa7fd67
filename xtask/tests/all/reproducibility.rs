//! The same seed gives the same numbers.
#![allow(clippy::unwrap_used)]

use crate::common::{Ended, Place, TINY, assert_agree, experiment};

/// A batch of two and a half blocks, so that threads have something to share out.
const BLOCKS: [&str; 6] = [
    "--set",
    "batch_size=40",
    "--set",
    "net.width=4",
    "--iterations",
    "3",
];

#[test]
fn the_number_of_threads_changes_nothing() {
    let place = Place::new();
    let runs = ["1", "2", "3"].map(|threads| {
        let arguments = experiment("short-run", &[&TINY, &BLOCKS, &["--out", threads]]);
        let mut command = place.command(arguments);
        Ended::of(command.env("RAYON_NUM_THREADS", threads).output().unwrap()).well();
        place.text(&format!("{threads}/metrics.jsonl"))
    });
    assert_eq!(runs[0], runs[1]);
    assert_eq!(runs[0], runs[2]);
}

#[test]
fn another_seed_gives_another_run() {
    let place = Place::new();
    let runs = ["1", "2"].map(|seed| {
        place
            .experiment(
                "short-run",
                &[&TINY, &BLOCKS, &["--seed", seed, "--out", seed]],
            )
            .well();
        place.text(&format!("{seed}/metrics.jsonl"))
    });
    assert_ne!(runs[0], runs[1]);
}

#[test]
fn engines_agree() {
    let place = Place::new();
    let [tensor, fused] = ["tensor", "fused"].map(|engine| {
        let engine = ["--engine", engine, "--out", engine];
        place
            .experiment("short-run", &[&TINY, &BLOCKS, &engine])
            .well();
        assert_eq!(
            place.json(&format!("{}/run.json", engine[1]))["engine"],
            engine[1]
        );
        place.metrics(engine[1])
    });
    assert_agree(&tensor, &fused);
}
