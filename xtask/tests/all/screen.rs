//! What is printed, and where.
#![allow(clippy::unwrap_used)]

use std::process::Stdio;

use crate::common::{Ended, Place, TINY, experiment};
use serde_json::Value;

#[test]
fn the_list_has_all_experiments() {
    let ended = Place::new().run(["experiment", "--list"]).well();
    let names: Vec<_> = ended
        .stdout
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split(' ').next())
        .collect();
    assert_eq!(names.len(), 17);
    assert_eq!(names[0], "short-run");
    for name in [
        "cifar10_nonconvergent",
        "mnist_convergent",
        "gmm_convergent",
        "rings_nonconvergent",
    ] {
        assert!(names.contains(&name), "{names:?}");
    }
    let (_, studies) = ended.stdout.split_once("Studies").unwrap();
    assert!(studies.contains("\nbudget ") && studies.contains("\nablation "));
}

#[test]
fn a_dry_run_prints_config_and_cost_and_creates_nothing() {
    let place = Place::new();
    let arguments = ["--dry-run", "--iterations", "2", "--out", "dry"];
    let ended = place.experiment("short-run", &[&TINY, &arguments]).well();
    assert!(place.contents().is_empty());
    let said = ended.stdout + &ended.stderr;
    assert!(
        said.contains("2 iterations × 3 Langevin steps × 8 chains"),
        "{said}"
    );
    assert!(
        said.contains("chain steps/s") && said.contains("Expected time: "),
        "{said}"
    );

    let end = said.rfind("\n}").unwrap() + 2;
    place.write("again.json", &said[..end]);
    place
        .run(["experiment", "--config", "again.json", "--out", "again"])
        .well();
    assert_eq!(place.json("again/config.json"), place.json("again.json"));
    place
        .experiment(
            "short-run",
            &[&TINY, &["--iterations", "2", "--out", "named"]],
        )
        .well();
    assert_eq!(
        place.text("named/metrics.jsonl"),
        place.text("again/metrics.jsonl")
    );
}

#[test]
fn quiet_success_is_silent_and_quiet_failure_is_not() {
    let place = Place::new();
    let arguments = ["--quiet", "--iterations", "2", "--out", "run"];
    let ended = place.experiment("short-run", &[&TINY, &arguments]).well();
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""));
    place
        .experiment("short-run", &[&TINY, &arguments])
        .badly(2, &["already exists"]);
}

#[test]
fn log_lines_are_json_when_asked() {
    let place = Place::new();
    let arguments = ["--log-json", "--iterations", "2", "--out", "run"];
    let ended = place.experiment("short-run", &[&TINY, &arguments]).well();
    let lines: Vec<Value> = ended
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let learning = lines
        .iter()
        .find(|line| line["fields"]["message"] == "learning")
        .unwrap();
    assert_eq!(learning["fields"]["iteration"], 1);
    assert_eq!(learning["fields"]["of"], 2);
    assert!(learning["fields"]["d"].is_f64() && learning["level"] == "INFO");
}

#[test]
fn logs_that_nobody_sees_in_colour_have_none() {
    let place = Place::new();
    let ended = place
        .experiment("short-run", &[&TINY, &["--iterations", "2"]])
        .well();
    assert!(
        ended.stderr.contains("learning iteration=1 of=2"),
        "{ended:?}"
    );
    assert!(
        !ended.stderr.contains('\u{1b}') && !ended.stderr.contains("WARN"),
        "{ended:?}"
    );
}

#[test]
fn nonsense_in_rust_log_does_not_matter() {
    let place = Place::new();
    for (out, filter) in [("a", "=[[{{"), ("b", ""), ("c", "trace")] {
        let arguments = experiment("short-run", &[&TINY, &["--iterations", "2", "--out", out]]);
        let output = place.command(arguments).env("RUST_LOG", filter).output();
        Ended::of(output.unwrap()).well();
    }
}

#[test]
fn learning_goes_on_when_nobody_reads_any_more() {
    let place = Place::new();
    // Three log lines at least: none may end the run.
    let arguments = experiment(
        "short-run",
        &[&TINY, &["--iterations", "20", "--out", "run"]],
    );
    let mut child = place
        .command(arguments)
        .env("RUST_LOG", "debug")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    drop(child.stderr.take());
    assert!(child.wait().unwrap().success());
    assert_eq!(place.metrics("run").len(), 20);
    assert!(place.path("run/report.html").is_file());

    let sample = ["sample", "--run", "run", "--count", "2", "--steps", "1"];
    let mut child = place
        .command(sample)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    assert!(child.wait().unwrap().success());
}

#[test]
fn no_more_threads_than_processors_are_started() {
    let place = Place::new();
    for (asked, is_told) in [("100000", true), ("1", false)] {
        let mut command = place.command(["experiment", "--list"]);
        command.env("RAYON_NUM_THREADS", asked);
        let ended = Ended::of(command.output().unwrap()).well();
        let told = ended
            .stderr
            .contains("RAYON_NUM_THREADS=100000 is more than");
        assert_eq!(told, is_told, "{ended:#?}");
    }
}
