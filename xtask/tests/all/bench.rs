//! `bench` says positive numbers, and refuses early. How large they are is the machine's business.
#![allow(clippy::unwrap_used)]

use crate::common::{Ended, Place};
use serde_json::Value;

const TINY_BENCH: [&str; 7] = [
    "bench",
    "--backend",
    "flex",
    "--net",
    "toy",
    "--seconds",
    "0.05",
];

fn bench(place: &Place, arguments: &[&str]) -> Ended {
    place.run([&TINY_BENCH[..], arguments].concat())
}

#[track_caller]
fn is_positive(value: &Value) {
    assert!(value.as_f64().is_some_and(|value| value > 0.0), "{value}");
}

#[test]
fn a_table_and_a_file() {
    let place = Place::new();
    let arguments = ["--batch", "8", "--engine", "tensor", "--out", "f.json"];
    let ended = bench(&place, &arguments).well();
    for part in ["ms/step", "chain steps/s", "GFLOP/s", "tensor-flex", "toy"] {
        assert!(ended.stdout.contains(part), "no {part} in {}", ended.stdout);
    }
    let record = place.json("f.json");
    let cases = record["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 1);
    assert_eq!(cases[0]["engine"], "tensor-flex");
    assert_eq!(cases[0]["batch"], 8);
    for key in [
        "ms_per_step",
        "chain_steps_per_s",
        "gflops",
        "share_of_matrix_product",
    ] {
        is_positive(&cases[0][key]);
    }
    let blocks = cases[0]["rounds_ms"][0].as_array().unwrap();
    assert_eq!(blocks.len(), 5);
    blocks.iter().for_each(is_positive);
    assert_eq!(cases[0]["working_set"], Value::Null);
    is_positive(&record["matrix_product_gflops"]);
    is_positive(&record["machine"]["cores"]);
    assert!(
        record["command"]
            .as_str()
            .unwrap()
            .contains("bench --backend flex")
    );
    // Nothing but the file is left behind.
    assert_eq!(place.contents().len(), 1);
}

#[test]
fn bad_flags() {
    let place = Place::new();
    for (arguments, parts) in [
        (
            &["--engine", "auto"][..],
            &["'auto'", "fused, fused-bf16"][..],
        ),
        (&["--net", "big"], &["'big'", "toy, vanilla, nonlocal"]),
        (&["--batch", "0"], &["'0'", "--batch"]),
        (&["--seconds=-1"], &["'-1'", "0.001 to 3600"]),
        (&["--seconds", "nan"], &["'nan'", "0.001 to 3600"]),
        (&["--rounds", "0"], &["'0'", "--rounds"]),
        (&["--peers-script", "a.py"], &["--peers"]),
        (&["--out", "."], &["is a folder", "./bench.json"]),
    ] {
        place.run([&["bench"], arguments].concat()).badly(2, parts);
    }
    assert!(place.contents().is_empty());
}

#[cfg(not(feature = "cuda"))]
#[test]
fn what_a_build_lacks_is_said() {
    let place = Place::new();
    let cuda = ["bench", "--backend", "cuda", "--net", "toy"];
    place
        .run(cuda)
        .badly(2, &["no cuda backend", "--features cuda"]);
    let arguments = ["--backend", "cuda", "--batch", "8", "--engine", "tensor"];
    let ended = bench(&place, &arguments).well();
    for part in ["Not measured", "cuda: this build has no cuda backend"] {
        assert!(ended.stdout.contains(part), "no {part} in {}", ended.stdout);
    }
}

#[test]
fn peers_that_are_not_there() {
    let place = Place::new();
    bench(&place, &["--peers", "no/python"]).badly(2, &["no Python interpreter no/python"]);
    let arguments = ["--peers", "sh", "--peers-script", "none.py"];
    bench(&place, &arguments).badly(2, &["no peer script none.py", "--peers-script"]);
    assert!(place.contents().is_empty());
}

/// A program that stands in for the interpreter: it answers `--version`, and else runs `body`.
#[cfg(unix)]
fn interpreter(place: &Place, body: &str) {
    use std::os::unix::fs::PermissionsExt;
    let text = format!("#!/bin/sh\nif [ \"$1\" = --version ]; then exit 0; fi\n{body}\n");
    place.write("python", text);
    let mode = std::fs::Permissions::from_mode(0o755);
    std::fs::set_permissions(place.path("python"), mode).unwrap();
}

#[cfg(unix)]
const TINY_PEERS: [&str; 10] = [
    "--batch",
    "8",
    "--engine",
    "fused,tensor",
    "--rounds",
    "2",
    "--peers",
    "./python",
    "--out",
    "f.json",
];

#[cfg(unix)]
#[test]
fn ratios_to_peers() {
    let place = Place::new();
    let line = |engine: &str, ms: &str| {
        format!(
            r#"{{"engine":"{engine}","net":"toy","batch":8,"ms_per_step":{ms},"chain_steps_per_s":1}}"#
        )
    };
    let body = format!(
        "echo \"$@\" >> calls\necho 'a greeting'\ncat <<'END'\n{}\n{}\n{}\nEND",
        line("slow", "5000"),
        line("fast", "1000"),
        r#"{"engine":"jax","skipped":"not installed"}"#,
    );
    interpreter(&place, &body);
    let ended = bench(&place, &TINY_PEERS).well();
    for part in ["slow", "fast", "best peer", "×", "jax: not installed"] {
        assert!(ended.stdout.contains(part), "no {part} in {}", ended.stdout);
    }
    let calls = place.text("calls");
    assert_eq!(calls.lines().count(), 2, "{calls}");
    assert!(calls.contains(
        "langevin_peers.py --device cpu --only toy --batches 8 --precision f32 --threads 2"
    ));
    let record = place.json("f.json");
    assert_eq!(record["peers"][0]["rounds_ms"].as_array().unwrap().len(), 2);
    let ratios = record["ratios"].as_array().unwrap();
    let cases = record["cases"].as_array().unwrap();
    assert_eq!(ratios.len(), 2 * cases.len());
    let fused = cases.iter().find(|case| case["engine"] == "fused-flex");
    for key in ["weights_bytes", "block_bytes", "block_chains", "blocks"] {
        is_positive(&fused.unwrap()["working_set"][key]);
    }
    for (case, ratios) in cases.iter().zip(ratios.chunks(2)) {
        assert_eq!(case["rounds_ms"].as_array().unwrap().len(), 2);
        let ours = case["ms_per_step"].as_f64().unwrap();
        for (ratio, (peer, ms)) in ratios.iter().zip([("slow", 5000.0), ("fast", 1000.0)]) {
            assert_eq!(ratio["peer"], peer);
            assert_eq!(ratio["is_best_peer"], peer == "fast");
            let times = ratio["times_as_fast"].as_f64().unwrap();
            assert!((times * ours / ms - 1.0).abs() < 1e-9, "{ratio}");
        }
    }
}

#[cfg(unix)]
#[test]
fn peers_that_fail() {
    let place = Place::new();
    for (body, parts) in [
        (
            "echo 'no such module' >&2; exit 3",
            ["exit status: 3", "no such module"],
        ),
        ("echo '{\"engine\":\"x\"}'", ["printed", "lacks engine"]),
        (
            r#"echo '{"engine":"x","net":"toy","batch":8,"ms_per_step":0}'"#,
            ["printed", "above 0"],
        ),
    ] {
        interpreter(&place, body);
        bench(&place, &TINY_PEERS).badly(1, &parts);
        // What was measured is not lost.
        let record = place.json("f.json");
        is_positive(&record["cases"][0]["ms_per_step"]);
        assert_eq!(record["failed"].as_array().unwrap().len(), 1);
        assert!(
            record["failed"][0]["reason"]
                .as_str()
                .unwrap()
                .contains(parts[1])
        );
        std::fs::remove_file(place.path("f.json")).unwrap();
    }
}

#[test]
fn earlier_figures_stay() {
    let place = Place::new();
    place.write("f.json", "figures");
    bench(&place, &["--out", "f.json"]).badly(2, &["f.json is there already", "new file"]);
    assert_eq!(place.text("f.json"), "figures");
}

#[test]
fn a_learning_iteration_next_to_its_steps() {
    let place = Place::new();
    let arguments = [
        "--batch",
        "8",
        "--engine",
        "fused",
        "--learning",
        "short-run",
        "--out",
        "f.json",
    ];
    let ended = bench(&place, &arguments).well();
    assert!(
        ended.stdout.contains("A learning iteration"),
        "{}",
        ended.stdout
    );
    let record = place.json("f.json");
    let learning = &record["learning"][0];
    assert_eq!(learning["experiment"], "short-run");
    assert_eq!(learning["engine"], "fused-flex");
    for key in ["iteration_ms", "steps_ms", "ratio"] {
        is_positive(&learning[key]);
    }
    assert_eq!(learning["together"], 1);
    assert!(learning["iterations_ms"].as_array().unwrap().len() >= 3);
    bench(&place, &["--learning", "none"]).badly(2, &["none"]);
}
