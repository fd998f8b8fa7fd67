//! The backend ndarray, with which the program is built on request: it computes what flex computes.
#![cfg(feature = "ndarray")]
#![allow(clippy::unwrap_used)]

mod common;

use common::{Place, TINY, assert_agree};

#[test]
fn backends_learn_the_same() {
    let place = Place::new();
    let [flex, ndarray] = ["flex", "ndarray"].map(|backend| {
        // The fused engine would compute most of both: it is the same on every backend.
        let arguments = ["--backend", backend, "--engine", "tensor", "--out", backend];
        let small = ["--set", "net.width=4", "--iterations", "3"];
        place
            .experiment("short-run", &[&TINY, &small, &arguments])
            .well();
        place.metrics(backend)
    });
    assert_agree(&flex, &ndarray);
}

#[test]
fn a_run_goes_on_with_its_backend() {
    let place = Place::new();
    let arguments = ["--iterations", "2", "--out", "run", "--backend", "ndarray"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    let backend_after = |more: &[&str]| {
        let resume = ["experiment", "--resume", "run", "--iterations"];
        place.run([&resume, more].concat()).well();
        place.json("run/run.json")["backend"].clone()
    };
    assert_eq!(backend_after(&["3"]), "ndarray");
    assert_eq!(backend_after(&["4", "--backend", "flex"]), "flex");
}

#[test]
fn backends_judge_samples_alike() {
    let place = Place::new();
    let arguments = ["--iterations", "2", "--out", "run"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    place
        .run(["sample", "--run", "run", "--count", "40"])
        .well();
    let [first, second] = ["flex", "ndarray"].map(|backend| {
        let out = format!("{backend}.json");
        place
            .run([
                "quality",
                "--run",
                "run",
                "--backend",
                backend,
                "--out",
                &out,
            ])
            .well();
        let value = &place.json(&out)["digits"]["samples"]["frechet"]["value"];
        value.as_f64().unwrap()
    });
    assert!((first - second).abs() < 1e-3 * first, "{first} {second}");
}
