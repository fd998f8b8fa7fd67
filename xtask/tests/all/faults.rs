//! Disks that are full, read-only or broken at any moment: one error, nothing lost, and the work can go on.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{Ended, Place};
use crate::jobs::Job;
use crate::number::number;

/// Of the calls that change a file, every so many-th fails in a test of its own; every one with EBM_FAULT_STRIDE=1.
const STRIDE: u64 = 37;

/// Errors of Linux by number, and whether they last.
const FAULTS: [(&str, i32, bool); 4] = [
    ("the disk is full from then on", 28, true),
    ("a write fails once", 5, false),
    ("the file system has become read-only", 30, true),
    ("the folder has vanished", 2, true),
];

/// Compiles the shim.
fn shim(place: &Place) -> PathBuf {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/all/fault_shim.c");
    let library = place.path("fault_shim.so");
    let compiled = Command::new("cc")
        .args(["-shared", "-fPIC", "-O1", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .status();
    assert!(compiled.unwrap().success());
    library
}

struct Fault {
    at: usize,
    code: i32,
    lasts: bool,
}

/// Runs a command with a fault; also tells how many calls there were.
fn run(job: &Job, place: &Place, shim: &Path, command: &[&str], fault: &Fault) -> (Ended, usize) {
    let count = place.path("calls");
    let output = place
        .command(command)
        .env("LD_PRELOAD", shim)
        .env("EBM_FAULT_BELOW", place.path(job.folder))
        .env("EBM_FAULT_AT", fault.at.to_string())
        .env("EBM_FAULT_ERRNO", fault.code.to_string())
        .env("EBM_FAULT_LASTS", u8::from(fault.lasts).to_string())
        .env("EBM_FAULT_COUNT", &count)
        .output()
        .unwrap();
    let calls = std::fs::read_to_string(count).unwrap();
    (Ended::of(output), calls.parse().unwrap())
}

fn survive(job: &Job) {
    let place = (job.place)();
    let shim = shim(&place);
    let none = Fault {
        at: 0,
        code: 0,
        lasts: false,
    };
    let (ended, calls) = run(job, &place, &shim, &job.start, &none);
    ended.well();
    assert!(calls > 30, "{}: the shim saw only {calls} calls", job.name);
    let expected = job.results(&place);
    job.clear(&place);
    let stride = number("EBM_FAULT_STRIDE", STRIDE) as usize;
    let mut seen = 0;
    for (kind, (what, code, lasts)) in FAULTS.into_iter().enumerate() {
        // Each kind begins elsewhere, so that together they meet more calls.
        let first = 1 + kind * stride / FAULTS.len();
        // The calls before the first checkpoint are few and each leaves another set of files.
        let early = if kind == 0 { 12 } else { 0 };
        for at in (1..=early).chain((first..=calls).step_by(stride)) {
            let when = format!("{what}, call {at} of {calls}");
            let (ended, _) = run(job, &place, &shim, &job.start, &Fault { at, code, lasts });
            match ended.code {
                // Nothing that matters was lost, as when an old checkpoint could not be removed.
                Some(0) => {}
                Some(1 | 2) => {
                    seen += 1;
                    let errors = ended.stderr.matches("error: ").count();
                    assert_eq!(errors, 1, "{when}: {ended:#?}");
                    let ended = job.go_on(&place);
                    assert_eq!(ended.code, Some(0), "{when}: {ended:#?}");
                }
                _ => panic!("{when}: {ended:#?}"),
            }
            job.assert_same(&place, &expected, &when);
            job.clear(&place);
        }
    }
    assert!(seen > 0, "{}: no fault was told", job.name);
}

#[test]
fn learning_survives_broken_disks() {
    survive(&Job::learning("langevin.start=persistent"));
}

#[test]
fn an_evaluation_survives_broken_disks() {
    survive(&Job::evaluation());
}

#[test]
fn a_map_survives_broken_disks() {
    survive(&Job::map());
}

#[test]
fn a_study_survives_broken_disks() {
    survive(&Job::study());
}
