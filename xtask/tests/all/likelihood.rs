//! `likelihood`.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Place, signal};

/// Under a net of the plane, learned until its chains converge, both sides of log Z lie within their errors of the sum
/// over a grid. Four standard errors and 0.02 nats: a false alarm for 1 seed in about 10,000, and the seed is fixed.
#[test]
fn both_sides_of_log_z_are_those_of_a_grid() {
    let place = Place::new();
    let settings = [
        "--iterations",
        "300",
        "--out",
        "run",
        "--set",
        "langevin.steps=100",
        "--set",
        "langevin.bank_size=2000",
        "--set",
        "landscape.resolution=20",
        "--set",
        "landscape.samples=100",
    ];
    place.experiment("gmm-mala", &[&settings]).well();
    let ended = place.run(["likelihood", "--run", "run"]).well();
    let found = place.json("run/likelihood/likelihood.json");
    assert_eq!(found["agreement"], "agree", "{found}");
    let number = |side: &str, key: &str| found[side][key].as_f64().unwrap();
    let grid = found["grid_log_partition"].as_f64().unwrap();
    for side in ["forward", "reverse"] {
        let off = number(side, "log_partition") - grid;
        assert!(
            off.abs() < 0.02 + 4.0 * number(side, "standard_error"),
            "{side}: {off}"
        );
    }
    // The mean of −U − log Z over the data, by either side.
    let set = &found["sets"][0];
    assert_eq!(set["name"], "data of learning");
    let of_forward = -set["mean_energy"].as_f64().unwrap() - number("forward", "log_partition");
    assert_eq!(set["log_likelihood"][1].as_f64(), Some(of_forward));
    assert_eq!(set["energies"].as_array().unwrap().len(), 1000);
    assert!(
        ended.stdout.contains("Both sides of log Z agree"),
        "{ended:?}"
    );
    image::open(place.path("run/likelihood/log-likelihoods.png")).unwrap();
    let page = place.text("run/likelihood/likelihood.html");
    assert!(page.contains("sum over a grid"));

    let before = place.contents();
    place.run(["likelihood", "--run", "run"]).badly(
        2,
        &[
            "run/likelihood already holds an estimate of the likelihood",
            "--out",
        ],
    );
    let other = ["likelihood", "--run", "run", "--out", "b"];
    place
        .run([&other[..], &["--data", "mnist"]].concat())
        .badly(2, &["mnist", "does not take such data"]);
    place
        .run([&other[..], &["--data", "minst"]].concat())
        .badly(2, &["\"minst\"", "mnist, fashion-mnist"]);
    place
        .run([&other[..], &["--chains", "1"]].concat())
        .badly(2, &["chains", "at least 2"]);
    assert_eq!(before, place.contents());
}

/// Ctrl-C while chains are on the path leaves no estimate, and the same command starts anew.
#[cfg(unix)]
#[test]
fn a_stop_leaves_no_estimate() {
    let place = Place::with_image_run("2");
    let arguments = ["likelihood", "--run", "run", "--rungs", "1000000"];
    let mut child = place
        .command(arguments)
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while !place.path("run/likelihood").is_dir() {
        assert!(begun.elapsed() < Duration::from_secs(60), "it never began");
        std::thread::sleep(Duration::from_millis(20));
    }
    std::thread::sleep(Duration::from_millis(200));
    signal(&child, "INT");
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(!place.path("run/likelihood/likelihood.json").exists());
}

/// Images have more sets, and a net that has learned next to nothing still gives every number.
#[test]
fn images_are_set_beside_their_negatives_and_noise() {
    let place = Place::with_image_run("2");
    let arguments = [
        "likelihood",
        "--run",
        "run",
        "--chains",
        "4",
        "--rungs",
        "3",
        "--images",
        "10",
    ];
    place
        .run([&arguments[..], &["--data", "embedded-digits"]].concat())
        .well();
    let found = place.json("run/likelihood/likelihood.json");
    let names: Vec<_> = found["sets"]
        .as_array()
        .unwrap()
        .iter()
        .map(|set| set["name"].clone())
        .collect();
    assert_eq!(
        names,
        [
            "data of learning",
            "embedded-digits",
            "data of learning, inverted",
            "uniform noise"
        ]
    );
    // 20 pilot chains of 3 trajectories of 5 steps and their first gradient; 4 chains there and back, and the burn-in.
    assert_eq!(found["gradients"], 20 * 16 + 4 * (2 * 16 + 501));
    assert!(found["grid_log_partition"].is_null());
}
