//! Studies: several variants learned, diagnosed and compared by one command.
#![allow(clippy::unwrap_used)]

use std::fs;
use std::process::Stdio;

use crate::common::{Ended, Place, TINY, signal, wait_for_first_iteration};
use serde_json::{Value, json};

/// Two variants that learn and one that runs away at its second iteration.
pub(crate) fn tiny() -> Value {
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
        "diagnosis": {"chains": 6, "multiple": 5, "judged_multiple": 2},
    })
}

pub(crate) fn place(study: &Value) -> Place {
    let place = Place::new();
    place.write("mine.json", study.to_string());
    place
}

fn results(place: &Place, study: &str) -> Vec<Value> {
    let results = place.json(&format!("{study}/results.json"));
    let runs = results["runs"].as_array().unwrap().clone();
    runs.into_iter().map(|run| run["result"].clone()).collect()
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
        "--judged-multiple",
        "2",
    ];
    place.run(diagnose).well();
    let [alone, variant] = ["alone", "study/noise"]
        .map(|run| place.json(&format!("{run}/diagnosis/verdict.json"))["sentence"].clone());
    assert_eq!(alone, variant);
    let judged = |run: &str| {
        let verdict = place.json(&format!("{run}/diagnosis/verdict.json"));
        let judged = verdict["judged"].as_array().unwrap().clone();
        let told = judged
            .iter()
            .map(|it| (it["start"].clone(), it["steps"].clone()));
        assert!(told.eq([(json!("noise"), json!(6)), (json!("data"), json!(6))]));
        judged
    };
    assert_eq!(judged("alone"), judged("study/noise"));
    assert!(ended.stdout.contains("[2 of 3] wild"), "{}", ended.stdout);
    let page = place.text("study/noise/diagnosis/diagnosis.html");
    for part in [
        "--run study/noise",
        "--chains 6 --multiple 5 --judged-multiple 2",
        "--seed 1",
        "6 steps from data",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }

    let found = results(&place, "study");
    assert_eq!(found[0]["iterations"], 4);
    assert_eq!(found[0]["verdict"], variant);
    assert_eq!(found[0]["ran_away"], Value::Null);
    // Noise and data are told apart in both variants, though one starts its chains from data and has no samples.
    for (result, has_samples) in [(&found[0], true), (&found[2], false)] {
        let distance = |samples: &str| result[samples]["frechet_distance"].as_f64();
        assert_eq!(distance("samples").is_some(), has_samples);
        assert!(distance("from_data").unwrap() < distance("from_noise").unwrap());
    }
    assert!(found[0]["convergence"].is_string() && found[2]["convergence"].is_string());
    assert!(found.iter().all(|result| result["gradients"] == 4 * 3 * 8));
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
        ["variant", "iterations", "gradients", "stable?"]
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

/// Each variant is learned with each seed, and the table and the figure have all of them.
#[test]
fn seeds_give_every_variant_a_spread() {
    let study = json!({
        "base": "gmm_nonconvergent",
        "set": ["iterations=20", "langevin.steps=5", "landscape.samples=200", "landscape.resolution=20"],
        "variants": [{"name": "slow"}, {"name": "fast", "set": ["optimizer.learning_rate=1e-3"]}],
        "seeds": [4, 9],
        "diagnosis": {"chains": 4, "multiple": 3},
    });
    let place = place(&study);
    let ended = place
        .run(["experiment", "--config", "mine.json", "--out", "study"])
        .well();
    let state = place.json("study/results.json");
    let names = ["slow-seed-4", "slow-seed-9", "fast-seed-4", "fast-seed-9"];
    for (name, run) in names.iter().zip(state["runs"].as_array().unwrap()) {
        assert_eq!(run["name"], *name);
        let config = place.json(&format!("study/{name}/config.json"));
        assert_eq!(config["seed"].to_string(), name[10..]);
    }

    // A run is that of the same seed alone.
    let alone = [
        "experiment",
        "--config",
        "study/fast-seed-9/config.json",
        "--out",
        "alone",
    ];
    place.run(alone).well();
    let [alone, of_study] =
        ["alone", "study/fast-seed-9"].map(|run| place.bytes(&format!("{run}/metrics.jsonl")));
    assert!(alone == of_study);

    // The mean of the two runs stands in the row of their variant, and half their difference times √2 beside it.
    let divergences: Vec<f64> = results(&place, "study")
        .iter()
        .map(|result| result["kl_divergence"].as_f64().unwrap())
        .collect();
    let row = ended.stdout.lines().find(|line| line.starts_with("slow "));
    let (mean, spread) = row.unwrap().rsplit_once(" ± ").unwrap();
    let mean: f64 = mean.split_whitespace().last().unwrap().parse().unwrap();
    let spread: f64 = spread.trim().parse().unwrap();
    let [first, second] = [divergences[0], divergences[1]];
    assert!(
        (mean - (first + second) / 2.0).abs() < 0.01 * mean,
        "{row:?}"
    );
    let expected = (first - second).abs() / f64::sqrt(2.0);
    assert!(
        (spread - expected).abs() <= 0.01 * expected + 1e-3,
        "{row:?}"
    );
    assert!(place.path("study/kl-divergence.png").is_file());
    let page = place.text("study/compare.html");
    for part in [
        "2 variants with 2 seeds each",
        "those of the first",
        "seeds 4, 9",
    ] {
        assert!(page.contains(part), "no {part:?}");
    }

    // One seed for all takes their place.
    let ended = place
        .run([
            "experiment",
            "--config",
            "mine.json",
            "--seed",
            "7",
            "--dry-run",
        ])
        .well();
    let printed: Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(printed["seeds"], json!([]));
    assert!(ended.stderr.contains("slow: ") && !ended.stderr.contains("seed-4"));
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
    // 4 iterations of 3 steps of 8 chains; 3 steps of 1,000 samples at most; 6 chains of 15 steps from each start, and
    // again samples, but none of chains that start at data; then 1,000 chains of 6 steps from noise and from data.
    for name in [
        "noise: 96.0 chain steps to learn, 3.00k to watch, 15.2k to diagnose",
        "wild: ",
        "cd: 96.0 chain steps to learn, 0.00 to watch, 12.1k to diagnose",
        "Expected time",
    ] {
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
            "langevin.start=gaussian: ",
            "variant \"cd\"",
            "langevin.start=data",
        ],
    );
    refused(
        &with(&|study| study["variants"][1]["set"] = json!(["seed=5"])),
        &["--seed", "9"],
        &["error: seed=9: ", "variant \"wild\" sets seed=5"],
    );
    refused(
        &with(&|study| study["variants"][1]["set"] = json!(["seed"])),
        &["--seed", "9"],
        &["mine.json, variant \"wild\": --set seed: there is no \"=\""],
    );
    refused(
        &with(&|study| study["variants"][1]["name"] = json!("x".repeat(101))),
        &[],
        &["\"variants[1].name\" has 101 letters", "at most 100"],
    );
    refused(
        &with(&|study| study["diagnosis"]["judged_multiple"] = json!(0)),
        &[],
        &["mine.json: \"diagnosis.judged_multiple\" is 0", "from 1 to"],
    );
    refused(
        &with(&|study| {
            study["base"] = json!("gmm_nonconvergent");
            study["set"] = json!([]);
            study["variants"] = json!([{"name": "a"}, {"name": "b"}]);
        }),
        &[],
        &["\"diagnosis.judged_multiple\" is set, but only digits"],
    );
    refused(
        &with(&|study| study["seeds"] = json!([3, 4, 3])),
        &[],
        &["mine.json: \"seeds\" holds 3 twice"],
    );
    refused(
        &with(&|study| {
            study["seeds"] = json!([3, 4]);
            study["variants"][1]["set"] = json!(["seed=5"]);
        }),
        &[],
        &["mine.json: \"seeds\" is given", "gives a seed too"],
    );
    for base in ["budget", "mine.json"] {
        refused(
            &with(&|study| study["base"] = json!(base)),
            &[],
            &[base, "is a study", "the base of a study"],
        );
    }
    // What would fail hours later.
    refused(
        &with(&|study| study["variants"][2]["set"] = json!(["batch_size=101"])),
        &[],
        &["variant \"cd\": batch_size = 101", "at most the 100 images"],
    );
    refused(
        &with(&|study| study["diagnosis"]["chains"] = json!(101)),
        &[],
        &[
            "variant \"noise\": ",
            "\"diagnosis.chains\" is 101",
            "at most 100",
        ],
    );
    let bank = ["langevin.start=persistent", "langevin.bank_size=10"];
    refused(
        &with(&|study| {
            study["variants"][2]["set"] = json!(bank);
            study["diagnosis"]["chains"] = json!(11);
        }),
        &[],
        &[
            "variant \"cd\": ",
            "is 11: must be at most 10",
            "states of the bank",
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

/// Whatever of the folder of a study is lost or cannot be written is made again, or the message says what to do.
#[test]
fn a_study_outlives_damage_to_its_folder() {
    let mut study = tiny();
    study["variants"].as_array_mut().unwrap().remove(1);
    let place = place(&study);
    let arguments = ["experiment", "--config", "mine.json", "--iterations", "4"];
    place
        .run([&arguments[..], &["--out", "study"]].concat())
        .well();
    let found = results(&place, "study");
    let resume = || place.run(["experiment", "--resume", "study"]);
    let weights =
        || ["noise", "cd"].map(|name| place.bytes(&format!("study/{name}/weights.safetensors")));
    let learned = weights();

    // A study is not a run, and says which are.
    for command in [
        &["diagnose", "--run", "study"][..],
        &["sample", "--run", "study"],
        &["evaluate", "--run", "study", "--steps", "1"],
        &["quality", "--run", "study"],
        &["compare", "study", "study/noise"],
    ] {
        place
            .run(command)
            .badly(2, &["study is a study; its runs are study/cd, study/noise"]);
    }

    // Results that are lost are read off the runs.
    let state = place.json("study/results.json");
    place.write("study/results.json", "{");
    let ended = resume().well();
    assert!(ended.stderr.contains("study/results.json"), "{ended:#?}");
    assert!(!ended.stdout.contains("iterations in"), "{ended:#?}");
    assert_eq!(place.json("study/results.json"), state);

    // A variant that is lost is learned again.
    fs::remove_dir_all(place.path("study/cd")).unwrap();
    fs::remove_file(place.path("study/results.json")).unwrap();
    resume().well();
    assert_eq!(results(&place, "study"), found);
    assert!(learned == weights());

    // A diagnosis that cannot be written is a failure; the others and the page do not wait for it.
    fs::remove_dir_all(place.path("study/noise/diagnosis")).unwrap();
    fs::remove_dir_all(place.path("study/cd/diagnosis")).unwrap();
    fs::remove_file(place.path("study/results.json")).unwrap();
    fs::remove_file(place.path("study/compare.html")).unwrap();
    fs::create_dir_all(place.path("study/noise/diagnosis/diagnosis.html/in-the-way")).unwrap();
    let ended = resume().badly(1, &["1 of 2 runs failed: noise", "--resume study"]);
    assert!(
        ended.stderr.contains("noise failed: cannot write"),
        "{ended:#?}"
    );
    assert!(ended.stdout.contains("failed"), "{ended:#?}");
    assert!(place.path("study/compare.html").is_file());
    assert!(!place.path("study/noise/diagnosis/verdict.json").exists());
    let state = place.json("study/results.json");
    assert!(state["runs"][0]["failed"].is_string(), "{state}");
    assert_eq!(results(&place, "study")[0], Value::Null);
    assert_eq!(results(&place, "study")[1], found[1]);
    fs::remove_dir_all(place.path("study/noise/diagnosis/diagnosis.html")).unwrap();
    resume().well();
    assert_eq!(results(&place, "study"), found);
    assert!(learned == weights());

    // Runs of other settings are not the study's.
    let config = place.text("study/cd/config.json");
    place.write(
        "study/cd/config.json",
        config.replace("\"data_noise\": 0.1", "\"data_noise\": 0.2"),
    );
    resume().badly(
        1,
        &["study/cd/config.json: has other settings", "study.json"],
    );
    place.write("study/cd/config.json", config);
    let whole = place.text("study/study.json");
    place.write("study/study.json", &whole[..50]);
    resume().badly(
        1,
        &["study/study.json: not readable", "put back", "compare"],
    );

    // Half-created: only what comes first.
    place.write("half/study.json", &whole);
    place.run(["experiment", "--resume", "half"]).well();
    let without_name = |mut study: Vec<Value>| {
        for result in &mut study {
            result["verdict"] = Value::Null;
        }
        study
    };
    assert_eq!(without_name(results(&place, "half")), without_name(found));
}

/// A pipe can be read only once.
#[cfg(target_os = "linux")]
#[test]
fn experiments_and_studies_come_from_pipes_too() {
    let place = Place::new();
    let experiment = json!({"data": {"source": "gmm"}});
    for (text, says) in [
        (experiment, "\"source\": \"gmm\""),
        (tiny(), "\"variants\""),
    ] {
        let mut command = place.command(["experiment", "--config", "/dev/stdin", "--dry-run"]);
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut pipe = child.stdin.take().unwrap();
        std::io::Write::write_all(&mut pipe, text.to_string().as_bytes()).unwrap();
        drop(pipe);
        let ended = Ended::of(child.wait_with_output().unwrap()).well();
        assert!(ended.stdout.contains(says), "{ended:#?}");
    }
}
