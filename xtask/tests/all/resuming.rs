//! A run in parts is the run in one piece.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{Ended, Place, TINY, TINY_TOY, experiment, signal, wait_for_first_iteration};

const STARTS: [&str; 2] = ["langevin.start=uniform", "langevin.start=persistent"];

#[test]
fn a_run_in_two_parts_equals_the_run_at_once() {
    for start in STARTS {
        let place = Place::new();
        let shared = [
            &TINY[..],
            &["--set", start, "--set", "output.checkpoint_every=2"],
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
                &[&shared, &["--iterations", "3", "--out", "parts"]],
            )
            .well();
        let ended = place
            .run(["experiment", "--resume", "parts", "--iterations", "6"])
            .well();
        assert!(
            ended.stdout.contains("goes on after iteration 3"),
            "{ended:?}"
        );
        assert_same(&place, "whole", "parts");
    }
}

fn assert_same(place: &Place, left: &str, right: &str) {
    let files = ["metrics.jsonl", "config.json", "weights.safetensors"];
    place.assert_same(left, right, &files, "in parts");
}

#[cfg(unix)]
#[test]
fn a_run_stopped_with_ctrl_c_goes_on_as_if_nothing_had_been() {
    for start in STARTS {
        let place = Place::new();
        // So many iterations that the signal cannot come too late, however slow the machine.
        let shared = [&TINY[..], &["--set", start]].concat();
        let endless = ["--iterations", "1000000", "--out", "stopped"];
        let mut child = place
            .command(experiment("short-run", &[&shared, &endless]))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_first_iteration(&place.path("stopped/metrics.jsonl"), &mut child);
        signal(&child, "INT");
        let ended = Ended::of(child.wait_with_output().unwrap());
        assert_eq!(ended.code, Some(130), "{ended:#?}");
        let advice = "cargo xtask experiment --resume stopped";
        assert!(ended.stderr.contains(advice), "{ended:#?}");
        assert!(place.path("stopped/report.html").is_file());

        let done = place.metrics("stopped").len();
        let total = (done + 5).to_string();
        let whole = ["--iterations", &total, "--out", "whole"];
        place.experiment("short-run", &[&shared, &whole]).well();
        let resume = ["experiment", "--resume", "stopped", "--iterations", &total];
        let ended = place.run(resume).well();
        let from = format!("goes on after iteration {done}");
        assert!(ended.stdout.contains(&from), "{ended:?}");
        assert_same(&place, "whole", "stopped");
    }
}

/// As `timeout` does it: the process gets the signal twice.
#[cfg(unix)]
#[test]
fn a_polite_kill_writes_a_checkpoint_however_often_it_comes() {
    let place = Place::new();
    let arguments = ["--iterations", "1000000", "--out", "run"];
    let mut child = place
        .command(experiment("short-run", &[&TINY, &arguments]))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_first_iteration(&place.path("run/metrics.jsonl"), &mut child);
    signal(&child, "TERM");
    let _ = Command::new("kill")
        .args(["-TERM", &child.id().to_string()])
        .status();
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert!(ended.stderr.contains("--resume run"), "{ended:#?}");
    let newest = format!("run/checkpoints/{:08}", place.metrics("run").len());
    assert!(place.path(&newest).is_dir(), "no {newest}");
}

#[cfg(unix)]
#[test]
fn a_killed_run_goes_on_from_its_checkpoint() {
    let place = Place::new();
    let often = ["--iterations", "1000000", "--out", "killed"];
    let often = [&often[..], &["--set", "output.checkpoint_every=1"]].concat();
    let mut child = place
        .command(experiment("short-run", &[&TINY, &often]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_first_iteration(
        &place.path("killed/checkpoints/00000002/checkpoint.json"),
        &mut child,
    );
    child.kill().unwrap();
    child.wait().unwrap();
    let total = (place.metrics("killed").len() + 5).to_string();
    // As after a power cut: the last line is torn.
    let torn = place.text("killed/metrics.jsonl") + "{\"iteration\":9";
    place.write("killed/metrics.jsonl", torn);
    place
        .run(["experiment", "--resume", "killed", "--iterations", &total])
        .well();
    let whole = ["--iterations", &total, "--out", "whole"];
    place.experiment("short-run", &[&TINY, &whole]).well();
    assert_eq!(
        place.text("whole/metrics.jsonl"),
        place.text("killed/metrics.jsonl")
    );
    assert!(place.bytes("whole/weights.safetensors") == place.bytes("killed/weights.safetensors"));
}

#[cfg(target_os = "linux")]
#[test]
fn a_run_under_nohup_outlives_its_terminal() {
    let place = Place::new();
    let arguments = [
        "--iterations",
        "20",
        "--set",
        "langevin.steps=40",
        "--out",
        "run",
    ];
    let mut child = place
        .in_shell("trap '' HUP", experiment("short-run", &[&TINY, &arguments]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_first_iteration(&place.path("run/metrics.jsonl"), &mut child);
    signal(&child, "HUP");
    assert!(child.wait().unwrap().success());
    assert_eq!(place.metrics("run").len(), 20);
}

#[test]
fn two_processes_never_learn_in_one_folder() {
    let place = Place::new();
    let arguments = ["--iterations", "1000000", "--out", "run"];
    let mut child = place
        .command(experiment("short-run", &[&TINY, &arguments]))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    wait_for_first_iteration(&place.path("run/metrics.jsonl"), &mut child);
    let ended = place.run(["experiment", "--resume", "run"]);
    child.kill().unwrap();
    child.wait().unwrap();
    ended.badly(1, &["run: another process", "wait"]);
}

#[test]
fn a_run_goes_on_with_its_engine() {
    let place = Place::new();
    let arguments = ["--iterations", "2", "--out", "run", "--engine", "tensor"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    let resume = |more: &[&str]| {
        let resume = ["experiment", "--resume", "run", "--iterations"];
        place.run([&resume, more].concat()).well();
        place.json("run/run.json")["engine"].clone()
    };
    assert_eq!(resume(&["3"]), "tensor");
    assert_eq!(resume(&["4", "--engine", "auto"]), "fused");
    assert_eq!(resume(&["5"]), "fused");
}

#[test]
fn results_that_could_not_be_written_are_written_on_resuming() {
    let place = Place::new();
    place
        .experiment(
            "short-run",
            &[&TINY, &["--iterations", "3", "--out", "run"]],
        )
        .well();
    let weights = place.bytes("run/weights.safetensors");
    std::fs::remove_file(place.path("run/weights.safetensors")).unwrap();
    std::fs::remove_file(place.path("run/report.html")).unwrap();
    place.run(["experiment", "--resume", "run"]).well();
    assert!(weights == place.bytes("run/weights.safetensors"));
    assert!(place.path("run/report.html").is_file());
    assert_eq!(place.metrics("run").len(), 3);
}

#[test]
fn what_cannot_be_resumed_says_why_and_what_to_do() {
    let place = Place::new();
    let arguments = [
        "--iterations",
        "4",
        "--out",
        "run",
        "--set",
        "output.checkpoint_every=2",
    ];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    let resume = |extra: &[&str]| place.run([&["experiment", "--resume", "run"], extra].concat());

    resume(&[]).badly(2, &["4 iterations of 4", "--iterations 8"]);
    resume(&["--iterations", "3"]).badly(2, &["4 iterations of 3", "--iterations 8"]);
    resume(&["--seed", "2"]).badly(2, &["--resume", "--seed"]);
    place
        .run(["experiment", "--resume", "data"])
        .badly(2, &["data is not a run folder", "config.json"]);

    let before = place.text("run/metrics.jsonl");
    let newest = "run/checkpoints/00000004";
    type Harm<'a> = &'a dyn Fn(Vec<u8>) -> Vec<u8>;
    let damage: [(&str, Harm<'_>, &str); 6] = [
        (
            "weights.safetensors",
            &|bytes| bytes[..bytes.len() / 2].to_vec(),
            "truncated",
        ),
        (
            "weights.safetensors",
            &|_| b"no weights".to_vec(),
            "not a readable safetensors",
        ),
        ("weights.safetensors", &|_| other_weights(), "another net"),
        (
            "optimizer.safetensors",
            &|bytes| bytes[..100].to_vec(),
            "not a readable safetensors",
        ),
        (
            "optimizer.safetensors",
            &|_| other_moments(),
            "does not belong to a parameter",
        ),
        (
            "checkpoint.json",
            &|_| b"{".to_vec(),
            "not a readable checkpoint",
        ),
    ];
    for (file, harm, problem) in damage {
        let path = format!("{newest}/{file}");
        let sound = place.bytes(&path);
        place.write(&path, harm(sound.clone()));
        let advice = format!("delete the folder {newest}");
        resume(&["--iterations", "6"]).badly(1, &[newest, problem, &advice]);
        place.write(&path, sound);
    }
    assert_eq!(before, place.text("run/metrics.jsonl"));

    // The advice is good advice.
    std::fs::remove_dir_all(place.path(newest)).unwrap();
    let ended = resume(&["--iterations", "4"]).well();
    assert!(
        ended.stdout.contains("goes on after iteration 2"),
        "{ended:?}"
    );
    assert_eq!(before, place.text("run/metrics.jsonl"));

    std::fs::remove_dir_all(place.path("run/checkpoints")).unwrap();
    resume(&["--iterations", "6"]).badly(
        1,
        &["before its first checkpoint", "--config run/config.json"],
    );
}

/// The file of a net that has one number.
fn other_weights() -> Vec<u8> {
    tensor("f.0.weight")
}

/// Moments of the right name and the wrong size.
fn other_moments() -> Vec<u8> {
    tensor("f.0.weight.first_moment")
}

fn tensor(name: &str) -> Vec<u8> {
    let data = 1.0f32.to_le_bytes();
    let view =
        safetensors::tensor::TensorView::new(safetensors::Dtype::F32, vec![1], &data).unwrap();
    safetensors::serialize([(name, view)], None).unwrap()
}

/// The average of θ and the numbers of all landscapes go on with the run.
#[test]
fn averages_and_landscapes_of_a_resumed_run_are_those_of_one_run() {
    let place = Place::new();
    let settings = [
        "--set",
        "optimizer.averaging=0.9",
        "--set",
        "landscape.every=2",
    ];
    for (name, iterations) in [("whole", "6"), ("parts", "3")] {
        let arguments = ["--iterations", iterations, "--out", name];
        place
            .experiment("gmm_convergent", &[&TINY_TOY, &settings, &arguments])
            .well();
    }
    place
        .run(["experiment", "--resume", "parts", "--iterations", "6"])
        .well();
    let bytes = |name: &str| fs::read(place.path(name)).unwrap();
    assert_eq!(
        bytes("whole/weights-average.safetensors"),
        bytes("parts/weights-average.safetensors")
    );
    assert_ne!(
        bytes("whole/weights-average.safetensors"),
        bytes("whole/weights.safetensors")
    );
    let whole = place.json("whole/landscape.json");
    let parts = place.json("parts/landscape.json");
    let iterations = |records: &Value| -> Vec<u64> {
        let records = records.as_array().unwrap().iter();
        records
            .map(|record| record["iteration"].as_u64().unwrap())
            .collect()
    };
    assert_eq!(iterations(&whole), [2, 4, 6]);
    // The end of the first part was the end of a run and has its plot.
    assert_eq!(iterations(&parts), [2, 3, 4, 6]);
    assert_eq!(whole[2], parts[3]);
    assert!(
        whole[2]["average"]["kl_divergence"].as_f64() > Some(0.0),
        "{whole}"
    );
    assert!(place.path("whole/plots/divergence.png").is_file());
}

/// Ctrl-C while the samples of the report are drawn leaves the report to `--resume`, also where an earlier one is
/// there.
#[cfg(unix)]
#[test]
fn a_report_that_was_stopped_is_written_on_resuming() {
    let place = Place::new();
    // All digits, so that 1,000 samples are judged: most of the work.
    let sets = ["--set", "data.limit=10000", "--set", "langevin.steps=300"];
    let arguments = ["--iterations", "1", "--out", "run"];
    place
        .experiment("short-run", &[&TINY, &sets, &arguments])
        .well();
    assert!(place.text("run/report.html").contains("Fréchet distance"));
    let weights = place.path("run/weights.safetensors");
    fs::remove_file(&weights).unwrap();
    let mut child = place
        .command(["experiment", "--resume", "run", "--iterations", "2"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    wait_for_first_iteration(&weights, &mut child);
    signal(&child, "INT");
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert!(ended.stderr.contains("--resume run"), "{ended:#?}");
    assert!(!place.path("run/report.html").exists());
    place.run(["experiment", "--resume", "run"]).well();
    let report = place.text("run/report.html");
    assert!(report.contains("Fréchet distance") && report.contains("2 iterations done."));
}
