//! `evaluate`.
#![allow(clippy::unwrap_used)]

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::common::{Ended, Place, TINY, signal};
use serde_json::Value;

fn records(place: &Place, folder: &str) -> Vec<Value> {
    let text = place.text(&format!("{folder}/records.jsonl"));
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

fn steps(records: &[Value]) -> Vec<u64> {
    let steps = records.iter().map(|record| record["step"].as_u64());
    steps.map(Option::unwrap).collect()
}

#[test]
fn an_evaluation_leaves_records_pictures_states_and_a_page() {
    let place = Place::with_image_run("2");
    let arguments = [
        "evaluate",
        "--run",
        "run",
        "--chains",
        "5",
        "--steps",
        "200",
        "--record-every",
        "3",
        "--start",
        "data",
    ];
    let ended = place.run(arguments).well();
    assert!(ended.stdout.contains("After 200 steps of ULA"), "{ended:?}");
    let all = records(&place, "run/evaluation");
    assert_eq!(steps(&all)[..4], [0, 2, 3, 6]);
    assert_eq!(steps(&all).last(), Some(&200));
    assert!(all[0].get("gradient_magnitude").is_none());
    assert!(
        all[1]["gradient_magnitude"].as_f64() > Some(0.0),
        "{}",
        all[1]
    );
    assert!(
        all[1].get("acceptance_rate").is_none(),
        "ULA accepts everything"
    );
    // The start, 1 %, 10 % and the end.
    for picture in ["000000000", "000000002", "000000020", "000000200"] {
        let name = format!("run/evaluation/states-{picture}.png");
        image::open(place.path(&name)).unwrap();
    }
    for name in ["energies.png", "gradients.svg", "weights.safetensors"] {
        assert!(place.path("run/evaluation").join(name).is_file(), "{name}");
    }
    assert!(!place.path("run/evaluation/acceptance.png").exists());
    let bytes = place.bytes("run/evaluation/states.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("states").unwrap().shape(), [5, 1, 16, 16]);
    assert_eq!(tensors.tensor("energies").unwrap().shape(), [5]);
    let page = place.text("run/evaluation/evaluation.html");
    assert!(page.contains("data with noise 0.0999") && page.contains("mean U"));

    let before = place.contents();
    place
        .run(arguments)
        .badly(2, &["run/evaluation", "--resume", "--out"]);
    assert_eq!(before, place.contents());
}

/// U = F/T: halving T doubles every energy of the same states. And with the same noise the drift (ε²/2T)∇F of a step
/// is in proportion to 1/T: x(1/4) − x(1) = 3 (x(1/2) − x(1)).
#[test]
fn the_temperature_scales_energies_and_drift() {
    let place = Place::with_image_run("2");
    let evaluate = |factor: &str| {
        let arguments = [
            "evaluate",
            "--run",
            "run",
            "--chains",
            "3",
            "--steps",
            "1",
            "--temp-factor",
            factor,
            "--out",
            factor,
        ];
        place.run(arguments).well();
        let settings = place.json(&format!("{factor}/evaluation.json"));
        assert_eq!(settings["temperature_factor"].to_string(), factor);
        let energy = records(&place, factor)[0]["mean_energy"].as_f64().unwrap();
        let bytes = place.bytes(&format!("{factor}/states.safetensors"));
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let states = tensors
            .tensor("states")
            .unwrap()
            .data()
            .as_chunks()
            .0
            .iter();
        (
            energy,
            states
                .map(|bytes| f64::from(f32::from_le_bytes(*bytes)))
                .collect::<Vec<_>>(),
        )
    };
    let [(whole, x1), (half, x2), (_, x4)] = ["1.0", "0.5", "0.25"].map(evaluate);
    assert!((half / whole - 2.0).abs() < 1e-6, "{half} {whole}");
    let mut largest: f64 = 0.0;
    for ((x1, x2), x4) in x1.iter().zip(&x2).zip(&x4) {
        // States of about 1 in f32.
        assert!(((x4 - x1) - 3.0 * (x2 - x1)).abs() < 2e-6, "{x1} {x2} {x4}");
        largest = largest.max((x2 - x1).abs());
    }
    assert!(largest > 1e-4, "{largest}");
}

#[test]
fn mala_records_its_acceptance_and_finds_a_step_size() {
    let place = Place::with_toy_run("2");
    let arguments = [
        "evaluate",
        "--run",
        "run",
        "--kernel",
        "mala",
        "--target-acceptance",
        "0.7",
        "--steps",
        "400",
        "--out",
        "e",
    ];
    let ended = place.run(arguments).well();
    assert!(
        ended.stdout.contains("% of the proposals were accepted"),
        "{ended:?}"
    );
    // The search allows for 0.01, and the rate it tells comes from 2,000 further proposals, with a standard error of
    // 0.01 if they were independent: 0.1 is missed by a negligible share of seeds.
    let told = ended.stdout.split("accepts ").nth(1).unwrap();
    let told: f64 = told.split(' ').next().unwrap().parse().unwrap();
    assert!((told - 70.0).abs() < 10.0, "{told}");
    let mean_rate = |folder: &str| {
        let rates = records(&place, folder)[1..]
            .iter()
            .map(|record| record["acceptance_rate"].as_f64().unwrap())
            .collect::<Vec<_>>();
        assert!(rates.iter().all(|rate| (0.0..=1.0).contains(rate)));
        rates.iter().sum::<f64>() / rates.len() as f64
    };
    let found = place.json("e/evaluation.json")["epsilon"].as_f64().unwrap();
    let larger = (3.0 * found).to_string();
    let larger = [
        "--kernel",
        "mala",
        "--epsilon",
        &larger,
        "--steps",
        "400",
        "--out",
        "larger",
    ];
    place
        .run([&["evaluate", "--run", "run"], &larger[..]].concat())
        .well();
    assert!(mean_rate("larger") < mean_rate("e"));
    assert!(place.path("e/acceptance.png").is_file());
    assert!(!place.path("e/states-000000000.png").exists(), "points");
}

/// Cut anywhere, by Ctrl-C or by a kill, the chains walk the same path, with the engine they had.
#[test]
fn a_stopped_evaluation_goes_on_where_it_was() {
    let place = Place::with_image_run("2");
    for (number, (engine, cut)) in [("fused", "INT"), ("tensor", "INT"), ("fused", "KILL")]
        .into_iter()
        .enumerate()
    {
        let (whole, parts) = (format!("whole-{number}"), format!("parts-{number}"));
        let arguments = |out: &str| {
            let steps = if engine == "tensor" { "3000" } else { "20000" };
            let text = format!(
                "evaluate --run run --chains 4 --record-every 50 --kernel mala --epsilon 0.003 --engine {engine} \
                 --steps {steps} --out {out}"
            );
            text.split(' ').map(str::to_owned).collect::<Vec<_>>()
        };
        place.run(arguments(&whole)).well();
        let mut child = place
            .command(arguments(&parts))
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let start = Instant::now();
        let path = place.path(&format!("{parts}/records.jsonl"));
        while std::fs::read(&path).map_or(0, |text| text.len()) < 2_000 {
            assert!(child.try_wait().unwrap().is_none(), "ended too early");
            assert!(start.elapsed() < Duration::from_secs(60));
            std::thread::sleep(Duration::from_millis(1));
        }
        signal(&child, cut);
        let ended = Ended::of(child.wait_with_output().unwrap());
        if cut == "INT" {
            assert_eq!(ended.code, Some(130), "{ended:?}");
            let advice = format!("cargo xtask evaluate --resume {parts}");
            assert!(ended.stderr.contains(&advice), "{ended:?}");
        }
        // After a kill in the first half minute the states are those of the start, and all records lie beyond them.
        let mut text = place.text(&format!("{parts}/records.jsonl"));
        let part = text.lines().count();
        text += "{\"step\":";
        place.write(&format!("{parts}/records.jsonl"), text);
        place.run(["evaluate", "--resume", &parts]).well();
        assert!(part < steps(&records(&place, &whole)).len());
        for name in ["records.jsonl", "states.safetensors", "energies.svg"] {
            let of = |folder: &str| place.bytes(&format!("{folder}/{name}"));
            assert!(of(&whole) == of(&parts), "{name}, {engine}, {cut}");
        }
        // Nothing is left to do, and nothing changes.
        place.run(["evaluate", "--resume", &parts]).well();
        let of = |folder: &str| place.bytes(&format!("{folder}/records.jsonl"));
        assert!(of(&whole) == of(&parts));
    }
}

/// The path does not depend on where it was meant to end.
#[test]
fn an_evaluation_can_be_made_longer() {
    let place = Place::with_image_run("2");
    for (out, steps) in [("whole", "300"), ("parts", "150")] {
        let arguments = [
            "evaluate",
            "--run",
            "run",
            "--chains",
            "3",
            "--record-every",
            "50",
            "--out",
            out,
            "--steps",
            steps,
        ];
        place.run(arguments).well();
    }
    place
        .run(["evaluate", "--resume", "parts", "--steps", "300"])
        .well();
    let states = |folder: &str| place.bytes(&format!("{folder}/states.safetensors"));
    assert!(states("whole") == states("parts"));
    place
        .run(["evaluate", "--resume", "parts", "--steps", "200"])
        .badly(2, &["--steps 200", "300"]);
}

#[test]
fn records_that_do_not_reach_the_states_are_refused() {
    let place = Place::with_image_run("2");
    let arguments = [
        "evaluate", "--run", "run", "--out", "e", "--steps", "30", "--chains", "2",
    ];
    place.run(arguments).well();
    let records = place.text("e/records.jsonl");
    let first: String = records.split_inclusive('\n').take(4).collect();
    for damaged in ["", &first, "nonsense\n"] {
        place.write("e/records.jsonl", damaged);
        place
            .run(["evaluate", "--resume", "e"])
            .badly(1, &["e/records.jsonl", "in another folder"]);
        assert_eq!(place.text("e/records.jsonl"), damaged);
    }
}

#[test]
fn chains_start_from_banks_files_and_other_data() {
    let place = Place::with_image_run("2");
    let persistent = [
        "--set",
        "langevin.start=persistent",
        "--iterations",
        "2",
        "--out",
        "bank",
    ];
    place.experiment("short-run", &[&TINY, &persistent]).well();
    let evaluate = |out: &str, extra: &[&str]| {
        let arguments = ["evaluate", "--chains", "4", "--steps", "2", "--out", out];
        place.run([&arguments, extra].concat())
    };
    let start = |out: &str, extra: &[&str]| {
        evaluate(out, extra).well();
        let settings = place.json(&format!("{out}/evaluation.json"));
        settings["start"].as_str().unwrap().to_owned()
    };
    assert_eq!(start("a", &["--run", "bank"]), "the bank");
    assert_eq!(start("b", &["--run", "run"]), "uniform noise");
    assert_eq!(
        start("c", &["--run", "run", "--start", "gaussian"]),
        "Gaussian noise"
    );
    let states = "a/states.safetensors";
    assert_eq!(start("d", &["--run", "run", "--states", states]), states);
    let weights = ["--weights", "run/weights.safetensors"];
    let config = ["--data-of", "run/config.json"];
    assert_eq!(
        start("e", &[&weights[..], &config].concat()),
        "data with noise 0.0999"
    );

    evaluate("x", &["--run", "run", "--start", "bank"]).badly(2, &["--start bank", "--states"]);
    // The header of the weights says what they learned from.
    assert_eq!(
        start("f", &[&weights[..], &["--start", "data"]].concat()),
        "data without noise (the weights do not say how much they learned with)"
    );
    evaluate(
        "x",
        &[
            "--run",
            "run",
            "--start",
            "uniform",
            "--data-of",
            "run/config.json",
        ],
    )
    .badly(2, &["--data-of", "--start data"]);
    let layouts = [("scalar", vec![]), ("turned", vec![4, 16, 1, 16])];
    for (name, shape) in layouts {
        let count = shape.iter().product::<usize>();
        let bytes = vec![0; 4 * count];
        let tensor = safetensors::tensor::TensorView::new(safetensors::Dtype::F32, shape, &bytes);
        let file = safetensors::serialize([("states", tensor.unwrap())], None).unwrap();
        place.write(name, file);
        evaluate("x", &["--run", "run", "--states", name]).badly(2, &[name, "[1, 16, 16]"]);
    }
    evaluate("x", &["--run", "run", "--data-of", "gmm_convergent"])
        .badly(2, &["--data-of", "[2, 1, 1]"]);
    evaluate(
        "x",
        &["--run", "run", "--states", "run/weights.safetensors"],
    )
    .badly(2, &["run/weights.safetensors", "states"]);
    evaluate("x", &["--run", "run", "--states", "gone.safetensors"])
        .badly(1, &["gone.safetensors"]);
    evaluate("x", &["--run", "run", "--average"]).badly(1, &["optimizer.averaging"]);
    assert!(!place.path("x").exists());
}

#[test]
fn impossible_evaluations_are_refused() {
    let place = Place::with_image_run("2");
    let refused = |extra: &[&str], code: i32, parts: &[&str]| {
        let arguments = ["evaluate", "--run", "run", "--out", "x", "--steps", "3"];
        let ended = place.run([&arguments, extra].concat());
        ended.badly(code, parts);
        assert!(!place.path("x").exists(), "{extra:?}");
    };
    refused(&["--temp-factor", "0"], 2, &["--temp-factor"]);
    refused(&["--epsilon=-1"], 2, &["--epsilon"]);
    refused(&["--kernel", "mala", "--epsilon", "0"], 2, &["--epsilon"]);
    refused(&["--target-acceptance", "0.5"], 2, &["--kernel mala"]);
    refused(
        &["--kernel", "mala", "--target-acceptance", "1.5"],
        2,
        &["--target-acceptance 1.5"],
    );
    refused(
        &["--chains", "101", "--start", "data"],
        2,
        &["give 100 or fewer"],
    );
    place.run(["evaluate"]).badly(2, &["--run", "--weights"]);
    place
        .run(["evaluate", "--resume", "run"])
        .badly(2, &["not the folder of an evaluation"]);
    // A damaged folder.
    let arguments = [
        "evaluate", "--run", "run", "--out", "e", "--steps", "3", "--chains", "2",
    ];
    place.run(arguments).well();
    let states = place.bytes("e/states.safetensors");
    place.write("e/states.safetensors", &states[..states.len() / 2]);
    place
        .run(["evaluate", "--resume", "e"])
        .badly(1, &["e/states.safetensors", "in another folder"]);
    let settings = place.text("e/evaluation.json");
    for damage in [
        ("\"chains\": 2", "\"chains\": 18446744073709551615"),
        (
            "\"temperature_factor\": 1.0",
            "\"temperature_factor\": -1.0",
        ),
    ] {
        place.write("e/evaluation.json", settings.replace(damage.0, damage.1));
        place
            .run(["evaluate", "--resume", "e"])
            .badly(1, &["e/evaluation.json", "in another folder"]);
    }
}

/// HMC proposes and underdamped Langevin does not; each has a setting of its own, which other kernels refuse.
#[test]
fn kernels_with_momenta_have_their_settings() {
    let place = Place::with_image_run("2");
    let start = [
        "evaluate", "--run", "run", "--chains", "4", "--steps", "6", "--kernel",
    ];
    let run = |out: &str, extra: &[&str]| place.run([&start[..], extra, &["--out", out]].concat());
    run("hmc", &["hmc", "--leapfrogs", "3"]).well();
    let last = records(&place, "hmc").pop().unwrap();
    assert!(last["acceptance_rate"].is_number(), "{last}");
    let ended = run("low", &["underdamped", "--friction", "2"]).well();
    assert!(ended.stdout.contains("underdamped Langevin"), "{ended:?}");
    let last = records(&place, "low").pop().unwrap();
    assert!(last.get("acceptance_rate").is_none(), "{last}");
    run("high", &["underdamped", "--friction", "200"]).well();
    assert!(place.bytes("low/states.safetensors") != place.bytes("high/states.safetensors"));
    let before = place.contents();
    run("none", &["ula", "--friction", "2"]).badly(2, &["--friction", "--kernel underdamped"]);
    run("none", &["mala", "--leapfrogs", "2"]).badly(2, &["--leapfrogs", "--kernel hmc"]);
    run("none", &["underdamped", "--friction=-1"]).badly(2, &["friction", "-1"]);
    let underdamped = ["underdamped", "--target-acceptance", "0.5"];
    run("none", &underdamped).badly(2, &["is for MALA and HMC, and not for underdamped"]);
    assert_eq!(before, place.contents());
}

/// Lengths of elements, a ladder of temperatures and how many draws the chains are worth, cut in the middle and resumed.
#[test]
fn a_ladder_and_lengths_go_on_where_they_were() {
    let place = Place::with_image_run("2");
    let start = |out: &str, steps: &str| {
        let text = format!(
            "evaluate --run run --chains 40 --record-every 10 --kernel mala --target-acceptance 0.6 --adapt-scales 60 \
             --rungs 3 --swap-every 7 --out {out} --steps {steps}"
        );
        let arguments: Vec<_> = text.split(' ').map(str::to_owned).collect();
        place.run(arguments).well()
    };
    let ended = start("whole", "300");
    for told in [
        "with the lengths of the elements",
        "Lengths of elements",
        "Temperatures of the ladder: 1.000, ",
    ] {
        assert!(
            ended.stdout.contains(told) || ended.stderr.contains(told),
            "{ended:?}"
        );
    }
    assert!(
        ended.stdout.contains("neighbours of 3 temperatures"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("R̂ "), "{ended:?}");
    // Neither a record nor an exchange falls on the cut.
    start("parts", "143");
    place
        .run(["evaluate", "--resume", "parts", "--steps", "300"])
        .well();
    let traces_of = |folder: &str| -> Vec<serde_json::Value> {
        let text = place.text(&format!("{folder}/traces.jsonl"));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    };
    let every_tenth = |lines: Vec<serde_json::Value>| -> Vec<_> {
        let tenth = |line: &serde_json::Value| line["step"].as_u64().unwrap().is_multiple_of(10);
        lines.into_iter().filter(tenth).collect()
    };
    let traces = every_tenth(traces_of("whole"));
    assert_eq!(traces.len(), 31);
    assert_eq!(traces, every_tenth(traces_of("parts")));
    let energies = |folder| -> Vec<_> {
        let lines = every_tenth(records(&place, folder)).into_iter();
        lines.map(|line| line["mean_energy"].clone()).collect()
    };
    assert_eq!(energies("whole"), energies("parts"));
    // Traces without a line are not those of the records.
    let lost: String = place.text("parts/traces.jsonl");
    let lost: Vec<_> = lost.lines().skip(1).collect();
    place.write("parts/traces.jsonl", &(lost.join("\n") + "\n"));
    place
        .run(["evaluate", "--resume", "parts", "--steps", "310"])
        .badly(1, &["traces.jsonl", "not of the same steps"]);
    for name in ["states.safetensors", "scales.safetensors"] {
        let of = |folder: &str| place.bytes(&format!("{folder}/{name}"));
        assert!(of("whole") == of("parts"), "{name}");
    }
    let bytes = place.bytes("whole/states.safetensors");
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    assert_eq!(tensors.tensor("states").unwrap().shape(), [120, 1, 16, 16]);
    let ladder = place.json("whole/evaluation.json")["ladder"].clone();
    let ladder: Vec<f64> = serde_json::from_value(ladder).unwrap();
    assert!(
        ladder[0] == 1.0 && ladder[1] > 1.0 && ladder[2] > ladder[1],
        "{ladder:?}"
    );
    // Every seventh step pairs take turns: 42 exchanges in 300 steps, 21 for each pair of 40 chains.
    let tried = records(&place, "whole").into_iter().map(|record| {
        // The record of the start has none.
        let swaps = record["swaps"].as_array().into_iter().flatten();
        swaps
            .map(|pair| pair["tried"].as_u64().unwrap())
            .collect::<Vec<_>>()
    });
    let sums = tried.fold([0, 0], |sums, pair| match pair[..] {
        [one, other] => [sums[0] + one, sums[1] + other],
        _ => sums,
    });
    assert_eq!(sums, [840, 840]);
    let efficiency = place.json("whole/efficiency.json");
    assert_eq!(efficiency["from_step"], 160);
    // 140 steps of 40 chains at 3 temperatures.
    assert_eq!(efficiency["gradients"], 16_800);
    let traces = place.text("whole/traces.jsonl");
    assert_eq!(traces.lines().count(), records(&place, "whole").len());

    let before = place.contents();
    let refused = |extra: &[&str], parts: &[&str]| {
        let arguments = ["evaluate", "--run", "run", "--steps", "3", "--out", "x"];
        place.run([&arguments, extra].concat()).badly(2, parts);
    };
    refused(
        &[
            "--chains", "1000000", "--rungs", "1000", "--start", "uniform",
        ],
        &["--rungs", "1000000 chains"],
    );
    refused(
        &["--kernel", "hmc", "--adapt-scales", "5"],
        &["--adapt-scales", "is for ULA and MALA"],
    );
    refused(&["--swap-rate", "0.3"], &["--swap-rate", "--rungs"]);
    for setting in ["--rungs", "--adapt-scales"] {
        refused(
            &[setting, "3", "--epsilon", "0"],
            &["--epsilon", "step size > 0"],
        );
    }
    refused(&["--swap-every", "3"], &["--swap-every", "--rungs"]);
    refused(
        &["--rungs", "3", "--swap-rate", "1.5"],
        &["--swap-rate 1.5", "between 0 and 1"],
    );
    refused(&["--rungs", "0"], &["--rungs"]);
    assert_eq!(before, place.contents());
}

/// Ctrl-C in the burn-in before the first step ends it at once and leaves nothing.
#[cfg(unix)]
#[test]
fn a_stop_before_the_first_step_leaves_nothing() {
    let place = Place::with_image_run("2");
    let before = place.contents();
    let text = "evaluate --run run --chains 40 --kernel mala --target-acceptance 0.6 --adapt-scales 1000000000";
    let mut child = place
        .command(text.split(' '))
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines().next();
    assert!(told.unwrap().unwrap().contains("burn-in"));
    signal(&child, "INT");
    let ended = Ended::of(child.wait_with_output().unwrap());
    assert_eq!(ended.code, Some(130), "{ended:?}");
    assert!(ended.stderr.contains("nothing was written"), "{ended:?}");
    assert_eq!(before, place.contents());
}
