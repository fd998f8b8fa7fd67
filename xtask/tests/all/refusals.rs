//! Bad input: one message that names the thing and the fix, the right exit code, and nothing touched.
#![allow(clippy::unwrap_used)]

use crate::common::{Ended, Place, TINY, experiment};

/// Runs `experiment` with these arguments and asserts that it is refused and leaves everything as it is.
#[track_caller]
fn refused(place: &Place, arguments: &[&str], code: i32, parts: &[&str]) {
    let before = place.contents();
    place
        .run([&["experiment"], arguments].concat())
        .badly(code, parts);
    assert_eq!(before, place.contents());
}

#[test]
fn names_and_flags() {
    let place = Place::new();
    refused(
        &place,
        &["shortrun"],
        2,
        &[
            "\"shortrun\"",
            "did you mean \"short-run\"",
            "gmm_convergent",
        ],
    );
    refused(&place, &["./mine.json"], 2, &["--config FILE"]);
    refused(&place, &[], 2, &["--list", "--config", "--resume"]);
    refused(
        &place,
        &["short-run", "--sett", "a=1"],
        2,
        &["'--sett'", "'--set'"],
    );
    refused(
        &place,
        &["short-run", "--seed", "two"],
        2,
        &["'two'", "--seed"],
    );
    refused(
        &place,
        &["short-run", "--backend", "cpu"],
        2,
        &["'cpu'", "flex, ndarray, cuda, wgpu and vulkan", "auto"],
    );
    refused(
        &place,
        &["short-run", "--config", "a.json"],
        2,
        &["cannot be used with"],
    );
    refused(&place, &["short-run", "--out", ""], 2, &["--out"]);
}

#[test]
fn engines() {
    let place = Place::new();
    refused(
        &place,
        &["short-run", "--engine", "gpu"],
        2,
        &["'gpu'", "auto, tensor, fused, fused-bf16, cube"],
    );
    for backend in ["cuda", "cuda:1", "wgpu", "vulkan:cpu"] {
        refused(
            &place,
            &["short-run", "--engine", "fused", "--backend", backend],
            2,
            &["--engine fused runs on the CPU", "--backend flex", backend],
        );
    }
    for backend in ["flex", "ndarray"] {
        refused(
            &place,
            &["short-run", "--engine", "cube", "--backend", backend],
            2,
            &[
                "--engine cube runs on a GPU",
                "--backend cuda or wgpu",
                backend,
            ],
        );
    }
    refused(&place, &["short-run", "--engine", "cube"], 2, &["flex"]);
    for engine in ["cube-tf32", "cube-bf16"] {
        let arguments = ["short-run", "--engine", engine];
        refused(&place, &arguments, 2, &[engine, "--backend cuda"]);
    }
}

#[test]
fn devices_that_no_backend_has() {
    let place = Place::new();
    for backend in [
        "flex:0",
        "cuda:first",
        "cuda:65536",
        "wgpu:gpu",
        "vulkan:",
        "auto:1",
    ] {
        let quoted = format!("'{backend}'");
        refused(
            &place,
            &["short-run", "--backend", backend],
            2,
            &[&quoted, "cuda:1", "wgpu:integrated"],
        );
    }
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_backend_that_this_build_lacks() {
    let arguments = ["short-run", "--backend", "cuda"];
    refused(
        &Place::new(),
        &arguments,
        2,
        &["no cuda backend", "--features cuda"],
    );
}

#[cfg(not(feature = "wgpu"))]
#[test]
fn backends_of_a_feature_that_this_build_lacks() {
    let place = Place::new();
    for backend in ["wgpu", "wgpu:integrated", "vulkan", "vulkan:1"] {
        let no = format!("no {backend} backend");
        let again = format!("--features wgpu -- ... --backend {backend}");
        refused(
            &place,
            &["short-run", "--backend", backend, "--engine", "cube"],
            2,
            &[&no, &again],
        );
    }
}

/// The best that a build without GPU has is the CPU, and it says so.
#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
#[test]
fn auto_in_a_build_without_gpu() {
    let place = Place::new();
    let arguments = ["--iterations", "1", "--out", "run", "--backend", "auto"];
    let ended = place.experiment("short-run", &[&TINY, &arguments]).well();
    let line = "--backend auto is flex here (no cuda in this build; no wgpu in this build)";
    assert_eq!(ended.stderr.matches(line).count(), 1, "{ended:#?}");
    let info = place.json("run/run.json");
    assert_eq!(
        (&info["backend"], &info["engine"]),
        (&"flex".into(), &"fused".into())
    );
    refused(
        &place,
        &["short-run", "--backend", "auto", "--engine", "cube"],
        2,
        &["--engine cube runs on a GPU", "flex"],
    );
}

#[test]
fn settings() {
    let place = Place::new();
    let cases: [(&str, &str, &[&str]); 14] = [
        (
            "short-run",
            "langevin.epsilon=-0.01",
            &["langevin.epsilon", "-0.01", "≥ 0"],
        ),
        (
            "short-run",
            "langevin.epsilon=1e-300",
            &["langevin.epsilon", "at least 1e-15"],
        ),
        (
            "short-run",
            "langevin.steps=0",
            &["langevin.steps", "at least 1"],
        ),
        ("short-run", "batch_size=0", &["batch_size", "at least 1"]),
        (
            "short-run",
            "batch_size=10001",
            &["batch_size", "at most the 10000 images"],
        ),
        ("short-run", "iterations=0", &["iterations", "at least 1"]),
        (
            "short-run",
            "langevin.stepps=3",
            &["langevin.stepps", "did you mean \"steps\""],
        ),
        ("short-run", "langevin.steps", &["no \"=\"", "KEY=VALUE"]),
        (
            "short-run",
            "landscape.every=2",
            &["landscape", "gmm and rings"],
        ),
        (
            "gmm_convergent",
            "batch_size=10001",
            &["batch_size", "langevin.bank_size", "10000"],
        ),
        (
            "gmm_convergent",
            "langevin.bank_size=99",
            &["langevin.bank_size", "batch_size (100)"],
        ),
        (
            "gmm_convergent",
            "langevin.bank_size=18446744073709551615",
            &["langevin.bank_size", "at most"],
        ),
        (
            "gmm_convergent",
            "landscape.samples=2",
            &["landscape.samples", "at least 3"],
        ),
        (
            "gmm_convergent",
            "net.width=1000000",
            &["net.width", "4096"],
        ),
    ];
    for (name, setting, parts) in cases {
        refused(&place, &[name, "--set", setting], 2, parts);
    }
}

#[test]
fn config_files() {
    let place = Place::new();
    place.write(
        "unknown.json",
        r#"{"data": {"source": "gmm"}, "iteratons": 3}"#,
    );
    place.write("text.json", "iterations = 3");
    place.write("list.json", "[]");
    place.write("clear.json", r#"{"data": {"source": "\u001b[2J"}}"#);
    place.write("twice.json", "{\"seed\": 1,\n\"seed\": 2}");
    place.write("empty.json", "{}");
    let cases: [(&str, &[&str]); 7] = [
        ("clear.json", &["\\u{1b}[2J", "must be one of"]),
        (
            "twice.json",
            &["twice.json: \"seed\"", "line 1 and again in line 2"],
        ),
        (
            "nowhere.json",
            &["nowhere.json: cannot be read", "check that the path"],
        ),
        (
            "unknown.json",
            &[
                "unknown.json",
                "\"iteratons\"",
                "did you mean \"iterations\"",
            ],
        ),
        ("text.json", &["text.json: not valid JSON", "line 1"]),
        ("list.json", &["list.json: must be a JSON object"]),
        ("empty.json", &["empty.json: \"data\" is missing"]),
    ];
    for (file, parts) in cases {
        refused(&place, &["--config", file], 2, parts);
    }
}

#[test]
fn data() {
    let place = Place::new();
    let mut idx = b"\0\0\x08\x03\0\0\0\x02\0\0\0\x04\0\0\0\x04".to_vec();
    idx.extend([0; 20]);
    place.write("truncated.idx", &idx);
    place.write("labels.idx", b"\0\0\x08\x01\0\0\0\x02\0\x01");
    place.write("other.idx", "PK some archive of another kind");
    place.write("no images/readme.txt", "none here");
    place.write("broken/a.jpg", "no picture");
    place.write("broken/b.pgm", "P2 1 1 255 7");
    place.write("broken/c.png", "no picture");
    let idx = |file: &str| format!(r#"{{"source": "idx", "images": "{file}"}}"#);
    let folder = |path: &str| format!(r#"{{"source": "folder", "path": "{path}"}}"#);
    let cases: [(String, &[&str]); 8] = [
        (
            r#"{"source": "mnist"}"#.into(),
            &["\"mnist\" is not in", "`cargo xtask data fetch mnist`"],
        ),
        (
            r#"{"source": "flowers102"}"#.into(),
            &["cargo xtask data fetch flowers102"],
        ),
        (
            idx("truncated.idx"),
            &[
                "truncated.idx: truncated",
                "2 images of 4×4",
                "holds 20",
                "cargo xtask data fetch NAME",
            ],
        ),
        (
            idx("labels.idx"),
            &["labels.idx: an IDX label file", "image file"],
        ),
        (
            idx("other.idx"),
            &["other.idx: not an IDX file", "check the path"],
        ),
        (
            idx("nowhere.idx"),
            &["nowhere.idx: cannot read", "check that the path"],
        ),
        (
            folder("no images"),
            &[
                "no images: no image in this folder",
                "1 .txt",
                "check the path",
            ],
        ),
        (
            folder("broken"),
            &[
                "broken: 2 of 3 images cannot be used",
                "broken/a.jpg: the image cannot be decoded",
                "broken/c.png: the image cannot be decoded",
                "\"broken\" to \"skip\"",
            ],
        ),
    ];
    for (data, parts) in cases {
        place.write("config.json", format!(r#"{{"data": {data}}}"#));
        refused(&place, &["--config", "config.json"], 1, parts);
    }
}

#[test]
fn output_folders() {
    let place = Place::new();
    place.write("taken/notes.txt", "mine");
    place.write("file", "in the way");
    let taken = [&["short-run", "--out", "taken"], &TINY[..]].concat();
    refused(
        &place,
        &taken,
        2,
        &["taken already exists", "--resume taken", "--out"],
    );
    for out in ["file", "file/below"] {
        let arguments = [&["short-run", "--out", out], &TINY[..]].concat();
        refused(
            &place,
            &arguments,
            1,
            &[out, "choose another folder with --out"],
        );
    }
}

/// Linux ends a process that writes past its limit unless the signal is ignored; then writing fails as on a full disk.
#[cfg(target_os = "linux")]
#[test]
fn files_that_cannot_be_written_do_not_cost_the_numbers() {
    let place = Place::new();
    let arguments = [
        "--iterations",
        "6",
        "--set",
        "output.checkpoint_every=4",
        "--out",
        "run",
    ];
    let arguments = experiment("short-run", &[&TINY, &arguments]);
    // 4 or 8 kB, depending on the shell; weights and optimiser have more.
    let mut command = place.in_shell("trap '' XFSZ; ulimit -f 8", arguments);
    Ended::of(command.output().unwrap()).badly(
        1,
        &[
            "run/checkpoints/00000004",
            "too large",
            "no checkpoint yet",
            "  cargo xtask experiment --config run/config.json",
        ],
    );
    assert_eq!(place.metrics("run").len(), 4);
    let left = place.contents();
    assert!(
        !left
            .iter()
            .any(|path| path.to_string_lossy().contains("unfinished")),
        "{left:?}"
    );
}

/// An account without a home needs none for data that come with the program.
#[test]
fn no_data_folder_is_needed_for_data_that_come_with_the_program() {
    let place = Place::new();
    let arguments = experiment(
        "short-run",
        &[&TINY, &["--iterations", "2", "--out", "run"]],
    );
    let mut command = place.command(arguments);
    command
        .env_remove("EBM_DATA_DIR")
        .env_remove("HOME")
        .env_remove("XDG_DATA_HOME");
    Ended::of(command.output().unwrap()).well();
}
