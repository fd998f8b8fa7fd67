//! Learning that runs away.
#![allow(clippy::unwrap_used)]

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
                "--set data_noise=0.2",
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
