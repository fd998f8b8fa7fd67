//! `diagnose`.
#![allow(clippy::unwrap_used)]

use std::fs;

use ebm_core::checksum::seal;

use crate::common::{Ended, Place, TINY, signal};

/// The smallest chains that are judged.
const SMALL: [&str; 4] = ["--chains", "6", "--multiple", "40"];

fn diagnose(place: &Place, arguments: &[&str]) -> Ended {
    let run = ["diagnose", "--run", "run"];
    place.run([&run, &SMALL[..], arguments].concat())
}

#[test]
fn a_run_of_images_gives_verdict_figures_and_grids() {
    let place = Place::with_image_run("3");
    let ended = diagnose(&place, &[]).well();
    let verdict = place.json("run/diagnosis/verdict.json");
    let sentence = verdict["sentence"].as_str().unwrap();
    assert!(ended.stdout.contains(sentence), "{ended:#?}");
    assert!(
        ended
            .stdout
            .contains("2 groups of 6 chains, 120 Langevin steps each")
    );
    // Three iterations are too few for the first axis, and that is no failure.
    let start = "Learning not shown to be stable (too few iterations";
    assert!(sentence.starts_with(start), "{sentence}");
    assert!(verdict["learning"]["judged"]["oscillation"].is_null());
    let test = &verdict["convergence"]["judged"];
    // 4 quantities of 2 groups at 2 multiples.
    assert_eq!(test["changes"].as_array().unwrap().len(), 16);
    assert_eq!(test["options"]["training_steps"], 3);
    assert!(!test["mixing"].as_array().unwrap().is_empty());
    // Every fifth of the 100 digits is held out, and as many samples are drawn.
    for set in ["samples", "held_out"] {
        let frechet = &verdict["digits"][set]["frechet"];
        assert_eq!(frechet["samples"], serde_json::json!([80, 20]));
    }
    for part in [
        "20 short-run samples (as many held-out data)",
        "too few images for 64 features",
    ] {
        assert!(ended.stdout.contains(part), "no {part:?} in {ended:#?}");
    }
    for name in ["energies", "correlations"] {
        image::open(place.path(&format!("run/diagnosis/{name}.png"))).unwrap();
        assert!(
            place
                .text(&format!("run/diagnosis/{name}.svg"))
                .contains("<svg")
        );
    }
    for start in ["noise", "data"] {
        for multiple in [1, 10, 40] {
            image::open(place.path(&format!("run/diagnosis/{start}-{multiple}L.png"))).unwrap();
        }
    }
    let page = place.text("run/diagnosis/diagnosis.html");
    let order = [
        "Learning not shown to be stable",
        "<svg",
        "Change of the chains",
        "Fréchet distance to 80 data",
        "\"iterations\"",
        "diagnose --run run",
    ];
    let escaped = page.replace("&quot;", "\"");
    let found: Vec<_> = order
        .iter()
        .map(|part| escaped.find(part).unwrap())
        .collect();
    assert!(found.is_sorted(), "{found:?}");
}

/// Chains that start at data are not judged against these, and those of a bank are called what they are.
#[test]
fn digits_are_judged_only_where_chains_do_not_start_from_them() {
    let place = Place::new();
    for start in ["data", "persistent"] {
        let set = format!("langevin.start={start}");
        let arguments = ["--iterations", "2", "--set", &set, "--out", start];
        place.experiment("short-run", &[&TINY, &arguments]).well();
        let ended = place
            .run([&["diagnose", "--run", start], &SMALL[..]].concat())
            .well();
        let verdict = place.json(&format!("{start}/diagnosis/verdict.json"));
        let is_judged = start == "persistent";
        assert_eq!(verdict["digits"].is_object(), is_judged, "{verdict}");
        let said = "20 samples after 3 steps from the bank (as many held-out data)";
        assert_eq!(ended.stdout.contains(said), is_judged, "{ended:#?}");
        assert_eq!(ended.stdout.contains("Fréchet"), is_judged, "{ended:#?}");
    }
    place
        .run(["compare", "data", "persistent", "--out", "both"])
        .well();
    let page = place.text("both/compare.html");
    assert!(page.contains("samples after 3 steps from the bank"));
}

#[test]
fn a_density_in_the_plane_is_compared_with_the_truth() {
    let place = Place::with_toy_run("130");
    let ended = diagnose(&place, &["--from", "noise,bank,data"]).well();
    let verdict = place.json("run/diagnosis/verdict.json");
    let learning = &verdict["learning"]["judged"];
    assert_eq!(learning["stability"]["iterations"], 65);
    assert!(learning["oscillation"].is_object());
    let plane = &verdict["plane"];
    assert!(plane["kl_divergence"].as_f64() > Some(0.0), "{plane}");
    assert_eq!(plane["samples"], 100);
    assert_eq!(plane["modes"]["shares"].as_array().unwrap().len(), 8);
    assert_eq!(verdict["iteration"], 130);
    assert!(ended.stdout.contains("KL(q‖p)") && ended.stdout.contains("From the bank: mean U"));
    assert!(place.path("run/diagnosis/landscape.png").is_file());
    // Points have no pictures.
    assert!(!place.path("run/diagnosis/bank-1L.png").exists());
}

#[test]
fn the_same_twice_and_the_run_is_left_alone() {
    let place = Place::with_toy_run("4");
    let before = place.contents();
    let files = || {
        [
            "config.json",
            "metrics.jsonl",
            "weights.safetensors",
            "run.json",
        ]
        .map(|name| place.bytes(&format!("run/{name}")))
    };
    let run = files();
    diagnose(&place, &["--out", "a"]).well();
    diagnose(&place, &["--out", "b"]).well();
    diagnose(&place, &["--out", "c", "--seed", "2"]).well();
    assert!(place.bytes("a/verdict.json") == place.bytes("b/verdict.json"));
    assert!(place.bytes("a/energies.svg") == place.bytes("b/energies.svg"));
    assert!(place.bytes("a/energies.svg") != place.bytes("c/energies.svg"));
    assert!(run == files());
    let after = place.contents();
    assert!(before.iter().all(|path| after.contains(path)));
    assert!(
        after
            .difference(&before)
            .all(|path| !path.starts_with("run"))
    );
}

#[test]
fn final_weights_alone_will_do() {
    let place = Place::with_toy_run("4");
    fs::remove_dir_all(place.path("run/checkpoints")).unwrap();
    diagnose(&place, &["--out", "a"]).well();
    assert_eq!(place.json("a/verdict.json")["iteration"], 4);
    diagnose(&place, &["--from", "bank", "--out", "b"])
        .badly(2, &["--from bank", "no persistent bank"]);
    diagnose(&place, &["--judged-multiple", "2", "--out", "b"])
        .badly(2, &["--judged-multiple judges digits", "leave it out"]);
    diagnose(&place, &["--judged-multiple", "0", "--out", "b"]).badly(2, &["--judged-multiple"]);
    fs::remove_file(place.path("run/weights.safetensors")).unwrap();
    diagnose(&place, &["--out", "b"]).badly(
        1,
        &[
            "neither a checkpoint nor weights.safetensors",
            "cargo xtask experiment",
        ],
    );
    assert!(!place.path("b").exists());
}

/// Chains of a net that explodes are an outcome, not an error.
#[test]
fn chains_that_run_away_are_not_convergent() {
    let place = Place::new();
    // Steps far longer than the net is wide: each overshoots the last.
    let arguments = [
        "--iterations",
        "2",
        "--out",
        "run",
        "--set",
        "langevin.epsilon=0.01",
    ];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    let path = "run/checkpoints/00000002/weights.safetensors";
    let mut weights = place.bytes(path);
    let header = 8 + u64::from_le_bytes(weights[..8].try_into().unwrap()) as usize;
    for value in weights[header..].as_chunks_mut::<4>().0 {
        *value = (f32::from_le_bytes(*value) * 1e9).to_le_bytes();
    }
    seal(&mut weights, "ebm.crc32");
    fs::write(place.path(path), weights).unwrap();
    let ended = diagnose(&place, &[]).well();
    assert!(
        ended.stdout.contains("not convergent: ") && ended.stdout.contains("ran away to infinity"),
        "{ended:#?}"
    );
    let verdict = place.json("run/diagnosis/verdict.json");
    assert_eq!(verdict["convergence"]["ran_away"][0]["start"], "noise");
    assert!(place.path("run/diagnosis/diagnosis.html").is_file());
}

#[test]
fn what_cannot_be_diagnosed_says_why() {
    let place = Place::with_image_run("3");
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        let before = place.contents();
        place
            .run([&["diagnose"], arguments].concat())
            .badly(code, parts);
        assert_eq!(before, place.contents());
    };
    let run = ["--run", "run", "--chains", "6", "--multiple", "40"];
    let with = |more: &[&'static str]| [&run, more].concat();
    refused(&["--run", "nowhere"], 2, &["nowhere is not a run folder"]);
    refused(
        &["--run", "run", "--chains", "3"],
        2,
        &["--chains", "4..=100000"],
    );
    refused(&["--run", "run", "--multiple", "2"], 2, &["--multiple"]);
    refused(
        &["--run", "run", "--from", "dat"],
        2,
        &["'dat'", "noise, data, bank"],
    );
    refused(
        &["--run", "run", "--chains", "101"],
        2,
        &["100 states", "give 100 or fewer"],
    );
    refused(&with(&["--from", "bank"]), 2, &["no persistent bank"]);
    place.write("file", "in the way");
    refused(&with(&["--out", "file/below"]), 1, &["file/below", "--out"]);

    let metrics = place.bytes("run/metrics.jsonl");
    place.write("run/metrics.jsonl", &metrics[..metrics.len() - 20]);
    let sealed = "run/metrics.seal.json";
    refused(&with(&[]), 1, &["run/metrics.jsonl: was changed", sealed]);
    fs::remove_file(place.path(sealed)).unwrap();
    refused(&with(&[]), 1, &["run/metrics.jsonl, line 3", "torn"]);
    place.write("run/metrics.jsonl", "");
    refused(&with(&[]), 1, &["run/metrics.jsonl: holds no iteration"]);
    fs::remove_file(place.path("run/metrics.jsonl")).unwrap();
    refused(&with(&[]), 1, &["run/metrics.jsonl: is missing"]);
    place.write("run/metrics.jsonl", metrics);

    let path = "run/checkpoints/00000003/weights.safetensors";
    let weights = place.bytes(path);
    place.write(path, &weights[..weights.len() / 2]);
    refused(&with(&[]), 1, &[path, "truncated"]);
    let mut not_finite = weights.clone();
    let last = not_finite.len() - 4;
    not_finite[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    seal(&mut not_finite, "ebm.crc32");
    place.write(path, not_finite);
    refused(&with(&[]), 1, &[path, "NaN or infinite"]);
    place.write(path, weights);

    diagnose(&place, &[]).well();
    refused(
        &with(&[]),
        2,
        &["run/diagnosis already holds a diagnosis", "--out"],
    );
}

#[cfg(unix)]
#[test]
fn ctrl_c_ends_it_and_leaves_nothing() {
    let place = Place::with_image_run("3");
    let before = place.contents();
    let long = [
        "diagnose",
        "--run",
        "run",
        "--chains",
        "64",
        "--multiple",
        "1000000",
    ];
    let mut command = place.command(long);
    let mut child = command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    // The line of the cost comes when the chains are about to start.
    let mut first = [0];
    std::io::Read::read_exact(child.stdout.as_mut().unwrap(), &mut first).unwrap();
    signal(&child, "INT");
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:#?}");
    assert!(ended.stderr.contains("nothing was written"), "{ended:#?}");
    assert_eq!(before, place.contents());
}
