//! `compare`.
#![allow(clippy::unwrap_used)]

use std::fs;

use crate::common::{Place, TINY, TINY_TOY};

#[test]
fn runs_stand_side_by_side_with_what_differs() {
    let place = Place::new();
    for (out, steps) in [("a", "langevin.steps=3"), ("b", "langevin.steps=4")] {
        let arguments = ["--iterations", "3", "--out", out, "--set", steps];
        place.experiment("short-run", &[&TINY, &arguments]).well();
    }
    let diagnose = ["diagnose", "--run", "b", "--chains", "6", "--multiple", "5"];
    place.run(diagnose).well();
    let sentence = place.json("b/diagnosis/verdict.json")["sentence"].clone();

    let ended = place.run(["compare", "a", "b"]).well();
    assert!(
        ended
            .stdout
            .contains("Comparison: runs/compare/compare.html"),
        "{ended:#?}"
    );
    assert!(
        ended
            .stdout
            .contains(&format!("b: {}", sentence.as_str().unwrap()))
    );
    assert!(ended.stdout.contains("a: Learning not shown to be stable"));
    assert!(ended.stdout.contains("cargo xtask diagnose --run a"));
    let page = place.text("runs/compare/compare.html");
    assert!(page.contains("langevin.steps") && page.contains("cargo xtask compare a b"));
    assert!(page.contains("coverage by them"));
    // The same in both.
    assert!(!page.contains("langevin.epsilon") && !page.contains("batch_size"));
    // Samples, d and r of each.
    assert_eq!(page.matches("<figure>").count(), 6);
    assert_eq!(page.matches("class=\"row\"").count(), 3);

    place.run(["compare", "a", "b", "a"]).well();
    assert!(place.path("runs/compare-2/compare.html").is_file());
    place
        .run(["compare", "a", "b", "--out", "runs/compare"])
        .badly(2, &["runs/compare already holds a comparison", "--out"]);
}

#[test]
fn toys_and_images_can_be_compared() {
    let place = Place::new();
    let arguments = ["--iterations", "130", "--out", "toy"];
    place
        .experiment("gmm_convergent", &[&TINY_TOY, &arguments])
        .well();
    let arguments = ["--iterations", "2", "--out", "images"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    place
        .run([
            "diagnose",
            "--run",
            "toy",
            "--chains",
            "6",
            "--multiple",
            "5",
        ])
        .well();
    let likelihood = "likelihood --run toy --chains 4 --rungs 3 --images 10";
    place.run(likelihood.split(' ')).well();
    // A run that was moved may have lost how it was made.
    fs::remove_file(place.path("images/run.json")).unwrap();
    place
        .run(["compare", "toy", "images", "--out", "both"])
        .well();
    let page = place.text("both/compare.html");
    assert!(page.contains("KL(q‖p)") && page.contains("of 8"));
    assert!(page.contains("data.source"));
    assert!(page.contains("log p of data of learning (nats each)"));

    // What is judged is a net that learned on since.
    place
        .run(["experiment", "--resume", "toy", "--iterations", "140"])
        .well();
    let ended = place.run(["compare", "toy", "images"]).well();
    assert!(
        ended
            .stdout
            .contains("Diagnosed after iteration 130; the run has 140 now"),
        "{ended:#?}"
    );
}

#[test]
fn a_folder_that_is_no_run_is_named() {
    let place = Place::new();
    let arguments = ["--iterations", "2", "--out", "run"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    place.write("other/notes.txt", "mine");
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        let before = place.contents();
        place
            .run([&["compare"], arguments].concat())
            .badly(code, parts);
        assert_eq!(before, place.contents());
    };
    refused(&["run", "other"], 2, &["other is not a run folder"]);
    refused(
        &["run", "nowhere", "--out", "new"],
        2,
        &["nowhere is not a run folder"],
    );
    refused(&["run"], 2, &["2 values required"]);
    place.write("run/diagnosis/verdict.json", "{");
    refused(
        &["run", "run"],
        1,
        &[
            "run/diagnosis/verdict.json: not readable",
            "diagnose the run again",
        ],
    );
    fs::remove_file(place.path("run/diagnosis/verdict.json")).unwrap();
    place.write("run/likelihood/likelihood.json", "{}");
    refused(
        &["run", "run"],
        1,
        &[
            "run/likelihood/likelihood.json: not readable",
            "estimate the likelihood again",
        ],
    );
}
