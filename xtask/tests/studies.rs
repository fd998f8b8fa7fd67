//! Studies: several variants learned, diagnosed and compared by one command.
#![allow(clippy::unwrap_used)]

mod common;

use std::process::Stdio;

use common::{Ended, Place, TINY, signal, wait_for_first_iteration};
use serde_json::{Value, json};

/// Two variants that learn and one that runs away at its second iteration.
fn tiny() -> Value {
    let sets: Vec<_> = TINY.iter().skip(1).step_by(2).collect();
    json!({
        "description": "tiny",
        "base": "short-run",
        "set": sets,
        "variants": [
            {"name": "noise"},
            {"name": "wild", "set": ["optimizer.learning_rate=1e6"]},
            {"name": "cd", "set": ["langevin.start=data", "stabilisers.weight_decay=0.01"]},
        ],
        "diagnosis": {"chains": 6, "multiple": 5},
    })
}

fn place(study: &Value) -> Place {
    let place = Place::new();
    place.write("mine.json", study.to_string());
    place
}

fn results(place: &Place, study: &str) -> Vec<Value> {
    let results = place.json(&format!("{study}/results.json"));
    let variants = results["variants"].as_array().unwrap().clone();
    variants.into_iter().map(|v| v["result"].clone()).collect()
}

#[test]
fn a_study_learns_diagnoses_and_compares_its_variants() {
    let place = place(&tiny());
    let arguments = ["experiment", "--config", "mine.json", "--iterations", "4"];
    let ended = place
        .run([&arguments[..], &["--out", "study"]].concat())
        .well();

    // Each variant is what `experiment` and `diagnose` make of the same settings.
    place
        .experiment(
            "short-run",
            &[&TINY, &["--iterations", "4", "--out", "alone"]],
        )
        .well();
    for file in [
        "config.json",
        "metrics.jsonl",
        "weights.safetensors",
        "samples.png",
    ] {
        let [alone, variant] =
            ["alone", "study/noise"].map(|run| place.bytes(&format!("{run}/{file}")));
        assert!(alone == variant, "{file}");
    }
    let diagnose = [
        "diagnose",
        "--run",
        "alone",
        "--chains",
        "6",
        "--multiple",
        "5",
    ];
    place.run(diagnose).well();
    let [alone, variant] = ["alone", "study/noise"]
        .map(|run| place.json(&format!("{run}/diagnosis/verdict.json"))["sentence"].clone());
    assert_eq!(alone, variant);

    let found = results(&place, "study");
    assert_eq!(found[0]["iterations"], 4);
    assert_eq!(found[0]["verdict"], variant);
    assert_eq!(found[0]["ran_away"], Value::Null);
    assert!(found[0]["convergence"].is_string() && found[2]["convergence"].is_string());
    assert!(
        found
            .iter()
            .all(|result| result["chain_steps"] == 4 * 3 * 8)
    );
    // To run away is a result.
    let cause = found[1]["ran_away"].as_str().unwrap();
    assert!(
        cause.starts_with("learning ran away at iteration 2"),
        "{cause}"
    );
    assert_eq!(found[1]["iterations"], 1);
    assert!(!place.path("study/wild/diagnosis").exists());
    assert_eq!(place.json("study/wild/run.json")["ran_away"], cause);
    assert_eq!(
        place.json("study/cd/config.json")["stabilisers"],
        json!({"weight_decay": 0.01})
    );

    let rows: Vec<Vec<&str>> = ended
        .stdout
        .lines()
        .skip_while(|line| !line.starts_with("variant "))
        .map(|line| {
            line.split("  ")
                .map(str::trim)
                .filter(|cell| !cell.is_empty())
                .collect()
        })
        .collect();
    assert_eq!(
        rows[0][..4],
        ["variant", "iterations", "chain steps", "stable?"]
    );
    assert_eq!(rows[1][..3], ["noise", "4", "96.0"]);
    assert_eq!(rows[2][..4], ["wild", "1", "96.0", "ran away"]);
    assert_eq!(rows[3][0], "cd");
    let page = place.text("study/compare.html");
    for part in [
        "The study mine",
        "langevin.start",
        "stabilisers.weight_decay",
        "Ran away",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }

    // There is nothing left to do, and the folder says how to do it again.
    let before = place.contents();
    place
        .run(["experiment", "--resume", "study"])
        .badly(2, &["study is complete", "study/compare.html"]);
    place
        .run([&arguments[..], &["--out", "study"]].concat())
        .badly(2, &["study already exists"]);
    assert_eq!(before, place.contents());
    place
        .run([
            "experiment",
            "--config",
            "study/study.json",
            "--out",
            "again",
        ])
        .well();
    assert_eq!(results(&place, "again"), found);
}

#[cfg(unix)]
#[test]
fn a_stopped_study_goes_on_with_its_first_unfinished_variant() {
    let mut study = tiny();
    study["variants"].as_array_mut().unwrap().remove(1);
    let place = place(&study);
    let arguments = [
        "experiment",
        "--config",
        "mine.json",
        "--iterations",
        "1500",
    ];
    place
        .run([&arguments[..], &["--out", "whole"]].concat())
        .well();
    // Ctrl-C leaves a checkpoint, a hard kill none: the variant starts again then.
    for (kill, code) in [("INT", Some(130)), ("KILL", None)] {
        let out = format!("parts-{kill}");
        let mut child = place
            .command([&arguments[..], &["--out", &out]].concat())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for_first_iteration(
            &place.path(&format!("{out}/noise/metrics.jsonl")),
            &mut child,
        );
        signal(&child, kill);
        let ended = Ended::of(child.wait_with_output().unwrap());
        assert_eq!(ended.code, code, "{ended:#?}");
        let advice = format!("cargo xtask experiment --resume {out}");
        assert_eq!(ended.stderr.contains(&advice), kill == "INT", "{ended:#?}");
        assert!(!place.path(&format!("{out}/compare.html")).exists());
        assert!(results(&place, &out).iter().all(Value::is_null));

        place
            .run(["experiment", "--resume", &out, "--iterations", "9"])
            .badly(2, &["--iterations", "study.json"]);
        let ended = place.run(["experiment", "--resume", &out]).well();
        assert_eq!(
            ended.stdout.contains("goes on after iteration"),
            kill == "INT"
        );
        assert_eq!(results(&place, &out), results(&place, "whole"));
        for file in ["metrics.jsonl", "weights.safetensors"] {
            for variant in ["noise", "cd"] {
                let [whole, parts] =
                    ["whole", &out].map(|s| place.bytes(&format!("{s}/{variant}/{file}")));
                assert!(whole == parts, "{variant}/{file}");
            }
        }
    }
}

#[test]
fn a_dry_run_prints_a_study_and_its_cost_and_creates_nothing() {
    let place = place(&tiny());
    let before = place.contents();
    let arguments = ["experiment", "--config", "mine.json", "--iterations", "4"];
    let ended = place
        .run([&arguments[..], &["--seed", "9", "--dry-run"]].concat())
        .well();
    assert_eq!(before, place.contents());
    for name in ["noise: 96.0 chain steps", "wild: ", "cd: ", "Expected time"] {
        assert!(ended.stderr.contains(name), "{ended:#?}");
    }
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    let sets = printed["set"].as_array().unwrap();
    assert!(sets.contains(&json!("iterations=4")) && sets.contains(&json!("seed=9")));
    place.write("printed.json", &ended.stdout);
    let dry = ["experiment", "--config", "printed.json", "--dry-run"];
    assert_eq!(place.run(dry).well().stdout, ended.stdout);
}

#[test]
fn a_wrong_study_is_refused_before_anything_is_made() {
    let refused = |study: &Value, more: &[&str], parts: &[&str]| {
        let place = place(study);
        let before = place.contents();
        let arguments = ["experiment", "--config", "mine.json", "--out", "study"];
        place.run([&arguments[..], more].concat()).badly(2, parts);
        assert_eq!(before, place.contents());
    };
    let with = |change: &dyn Fn(&mut Value)| {
        let mut study = tiny();
        change(&mut study);
        study
    };
    refused(
        &with(&|study| study["variant"] = json!([])),
        &[],
        &[
            "mine.json: \"variant\" is not a known key",
            "did you mean \"variants\"?",
        ],
    );
    refused(
        &with(&|study| study["variants"] = json!([{"name": "one"}])),
        &[],
        &["mine.json: \"variants\" has 1", "at least 2"],
    );
    refused(
        &with(&|study| study["variants"][1]["name"] = json!("noise")),
        &[],
        &["\"variants[1].name\" is \"noise\"", "another name"],
    );
    refused(
        &with(&|study| study["variants"][1]["name"] = json!("../noise")),
        &[],
        &["\"variants[1].name\" is \"../noise\"", "letters"],
    );
    refused(
        &with(&|study| study["variants"][1]["sets"] = json!([])),
        &[],
        &[
            "\"variants[1].sets\" is not a known key",
            "did you mean \"set\"?",
        ],
    );
    refused(
        &with(&|study| study["diagnosis"]["chains"] = json!(2)),
        &[],
        &["\"diagnosis.chains\" is 2", "from 4 to 100000"],
    );
    refused(
        &with(&|study| study["variants"][2]["set"] = json!(["langevin.strat=data"])),
        &[],
        &[
            "mine.json, variant \"cd\": --set langevin.strat=data",
            "did you mean \"start\"?",
        ],
    );
    refused(
        &with(&|study| study["base"] = json!("shortrun")),
        &[],
        &[
            "there is no experiment \"shortrun\"",
            "did you mean \"short-run\"?",
        ],
    );
    refused(
        &with(&|study| study["base"] = json!("nowhere.json")),
        &[],
        &["variant \"noise\": ", "nowhere.json: cannot be read"],
    );
    refused(
        &tiny(),
        &["--set", "langevin.start=gaussian"],
        &[
            "--set langevin.start=gaussian",
            "variant \"cd\"",
            "langevin.start=data",
        ],
    );
    let place = Place::new();
    place.run(["experiment", "buget"]).badly(
        2,
        &[
            "did you mean \"budget\"?",
            "the studies are budget, ablation",
        ],
    );
}
