//! Learning that runs away.
#![allow(clippy::unwrap_used, clippy::panic)]

use serde_json::Value;

use crate::common::{Place, TINY};

#[test]
fn a_run_away_stops_and_says_when_and_what_to_change() {
    for name in ["1e6", "1e30"] {
        let place = Place::new();
        let arguments = [
            "--iterations",
            "9",
            "--out",
            "run",
            "--set",
            "output.checkpoint_every=1",
            "--set",
            &format!("optimizer.learning_rate={name}"),
        ];
        let ended = place.experiment("short-run", &[&TINY, &arguments]);
        ended.badly(
            1,
            &[
                "learning ran away at iteration 2",
                "The last checkpoint before that is run/checkpoints/00000001",
                "Plots: run/report.html",
                "--set minimum_data_noise=0.08",
                "--set optimizer.learning_rate=3.3e",
                "--set langevin.steps=6",
            ],
        );
        let report = place.text("run/report.html");
        assert!(report.contains("Ran away"));
        assert_eq!(place.metrics("run").len(), 1);
        assert!(!place.path("run/weights.safetensors").exists());
    }
}

#[test]
fn nothing_is_promised_that_is_not_there() {
    let place = Place::new();
    let arguments = [
        "--iterations",
        "2",
        "--out",
        "run",
        "--set",
        "data_noise=1e300",
    ];
    let ended = place.experiment("short-run", &[&TINY, &arguments]).badly(
        1,
        &["ran away at iteration 1", "before the first checkpoint"],
    );
    assert_eq!(
        ended.stderr.contains("report.html"),
        place.path("run/report.html").exists()
    );
}

/// The seed of a run whose largest difference of mean energies comes at its fifth iteration or later, this iteration,
/// and a limit that is passed there for the first time.
fn late_runaway(place: &Place) -> (String, usize, String) {
    for seed in 1..30 {
        let seed = seed.to_string();
        let arguments = ["--iterations", "12", "--seed", &seed, "--out", &seed];
        place.experiment("short-run", &[&TINY, &arguments]).well();
        let records = place.metrics(&seed);
        let difference = |record: &Value| {
            let [data, samples] =
                ["energy_data", "energy_samples"].map(|key| record[key].as_f64().unwrap());
            (data - samples).abs()
        };
        let differences: Vec<f64> = records.iter().map(difference).collect();
        let largest = differences.iter().copied().fold(0.0, f64::max);
        let at = differences
            .iter()
            .position(|difference| *difference == largest)
            .unwrap();
        if at >= 4 {
            return (
                seed,
                at + 1,
                format!("divergence_limit={}", largest * 0.999),
            );
        }
    }
    panic!("no seed")
}

/// By hand afterwards or by the settings from the beginning: the same run.
#[test]
fn a_run_that_ran_away_goes_back_and_on() {
    let place = Place::new();
    let (seed, at, limit) = late_runaway(&place);
    let shared = [
        "--seed",
        &seed,
        "--iterations",
        "12",
        "--set",
        &limit,
        "--set",
        "output.checkpoint_every=1",
        "--set",
        "output.keep_checkpoints=100",
    ];
    // So many that the run comes to its end, since it may run away again.
    let more = [
        "--set",
        "recovery.distance=2",
        "--set",
        "recovery.learning_rate_factor=0.5",
        "--set",
        "recovery.attempts=200",
    ];
    place
        .experiment("short-run", &[&TINY, &shared, &["--out", "run"]])
        .badly(1, &["--resume run --attempt"]);
    let resume = ["experiment", "--resume", "run"];
    // Alone it would do the same again.
    place.run(resume).badly(
        2,
        &[
            "run ran away",
            "--resume run --attempt",
            "recovery.steps_factor=2",
        ],
    );
    let ended = place
        .run([&resume[..], &["--attempt"], &more].concat())
        .well();
    let told = format!("Learning ran away at iteration {at}");
    assert!(
        ended.stderr.contains(&told) && ended.stderr.contains("the rate times 0.5"),
        "{ended:#?}"
    );
    let info = place.json("run/run.json");
    let first = &info["recoveries"][0];
    assert_eq!(first["ran_away_at"], at);
    assert_eq!(first["back_to"], (at - 2) / 2 * 2);
    assert_eq!(info.get("ran_away"), None);
    assert!(place.text("run/report.html").contains(&told));
    let iterations: Vec<u64> = place
        .metrics("run")
        .iter()
        .map(|record| record["iteration"].as_u64().unwrap())
        .collect();
    assert_eq!(iterations, (1..=12).collect::<Vec<_>>());
    let undone = place.text("run/undone/metrics-0.jsonl");
    assert_eq!(undone.lines().count(), at - 1 - (at - 2) / 2 * 2);

    place
        .experiment("short-run", &[&TINY, &shared, &more, &["--out", "whole"]])
        .well();
    let files = [
        "metrics.jsonl",
        "weights.safetensors",
        "config.json",
        "run.json",
    ];
    place.assert_same("run", "whole", &files, "by hand");

    place
        .run([
            "diagnose",
            "--run",
            "run",
            "--chains",
            "4",
            "--multiple",
            "3",
        ])
        .well();
    let verdict = place.json("run/diagnosis/verdict.json");
    assert_eq!(verdict["recoveries"], info["recoveries"]);
    assert!(place.text("run/diagnosis/diagnosis.html").contains(&told));
}

/// At this rate the first update spoils the parameters, whatever the noise.
#[test]
fn a_run_that_runs_away_at_every_attempt_ends_and_can_be_tried_again() {
    let place = Place::new();
    let wild = [
        "--iterations",
        "9",
        "--set",
        "optimizer.learning_rate=1e6",
        "--set",
        "recovery.attempts=2",
        "--out",
        "run",
    ];
    place
        .experiment("short-run", &[&TINY, &wild])
        .badly(1, &["ran away at iteration 2"]);
    let info = place.json("run/run.json");
    assert_eq!(info["recoveries"].as_array().unwrap().len(), 2);
    assert!(info["ran_away"].is_string());
    let resume = ["experiment", "--resume", "run"];
    place.run(resume).badly(2, &["--attempt"]);
    let calm = ["--attempt", "--set", "recovery.learning_rate_factor=1e-12"];
    let ended = place.run([&resume[..], &calm].concat()).well();
    assert!(ended.stdout.contains("iterations in"), "{ended:#?}");
    let info = place.json("run/run.json");
    // It is the run that these settings would have given from the beginning.
    assert_eq!(info["recoveries"].as_array().unwrap().len(), 1);
    assert_eq!(place.metrics("run").len(), 9);
}

#[test]
fn what_cannot_change_while_a_run_goes_on_is_refused() {
    let place = Place::with_image_run("2");
    let resume = ["experiment", "--resume", "run", "--iterations", "3"];
    place
        .run([&resume[..], &["--set", "langevin.steps=4"]].concat())
        .badly(2, &["--set langevin.steps=4", "recovery and output"]);
    place
        .run([&resume[..], &["--attempt"]].concat())
        .badly(2, &["--attempt", "did not"]);
    place
        .run([&resume[..], &["--set", "output.images_every=1"]].concat())
        .well();
    assert!(place.path("run/shortrun/00000003.png").is_file());
}
