//! `map`.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use crate::common::{Ended, Place, signal};
use serde_json::Value;

/// Eight Gaussians, learned for long enough that the energy has eight wells.
pub(crate) fn learned_toy() -> Place {
    let place = Place::new();
    let sets = [
        "langevin.steps=30",
        "langevin.bank_size=1000",
        "landscape.samples=100",
        "landscape.resolution=20",
        "landscape.every=10000",
        "output.checkpoint_every=10000",
        "output.images_every=10000",
    ];
    let mut arguments = vec!["--iterations", "1500", "--out", "run"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", *set]));
    place.experiment("gmm_convergent", &[&arguments]).well();
    place
}

/// `map --run run` with little to do, and further arguments.
fn map(place: &Place, extra: &[&str]) -> Ended {
    place.run([&MAP, extra].concat())
}

const MAP: [&str; 7] = [
    "map",
    "--run",
    "run",
    "--chains",
    "30",
    "--gather-steps",
    "500",
];

fn numbers(values: &Value) -> Vec<f64> {
    let values = values.as_array().unwrap().iter();
    values.map(|value| value.as_f64().unwrap()).collect()
}

fn indices(values: &Value) -> Vec<usize> {
    numbers(values)
        .into_iter()
        .map(|value| value as usize)
        .collect()
}

fn column(rows: &Value, name: &str) -> Vec<f64> {
    let rows = rows.as_array().unwrap().iter();
    rows.map(|row| row[name].as_f64().unwrap()).collect()
}

/// The minima of a map in the plane.
fn minima_states(place: &Place, folder: &str) -> Vec<[f64; 2]> {
    let bytes = place.bytes(&format!("{folder}/minima.safetensors"));
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor("states").unwrap();
    assert_eq!(tensor.shape()[1..], [2, 1, 1]);
    let (pairs, _) = tensor.data().as_chunks::<8>();
    let number = |bytes: &[u8]| f64::from(f32::from_le_bytes(bytes.try_into().unwrap()));
    pairs
        .iter()
        .map(|pair| [number(&pair[..4]), number(&pair[4..])])
        .collect()
}

/// What has to hold for every map.
fn check(map: &Value, starts: &[&str], chains: usize) {
    let gathering = &map["gathering"];
    let count = |name: &str| gathering[name].as_u64().unwrap() as usize;
    assert_eq!(count("chains"), starts.len() * chains);
    assert_eq!(
        count("minima") + count("not_finite") + count("saturated"),
        count("chains")
    );

    let minima = map["minima"].as_array().unwrap();
    assert_eq!(minima.len(), count("minima"));
    let energies = column(&map["minima"], "energy");
    assert!(energies.is_sorted());
    let origins: BTreeSet<(&str, u64)> = minima
        .iter()
        .map(|it| (it["start"].as_str().unwrap(), it["chain"].as_u64().unwrap()))
        .collect();
    assert_eq!(origins.len(), minima.len());
    for (start, chain) in origins {
        assert!(starts.contains(&start) && chain < chains as u64);
    }

    // Basins share the minima out, and the lowest minimum stands for each.
    let basins = map["basins"].as_array().unwrap();
    assert!(column(&map["basins"], "energy").is_sorted());
    let mut members = Vec::new();
    for (number, basin) in basins.iter().enumerate() {
        let own = indices(&basin["members"]);
        assert_eq!(basin["representative"], own[0]);
        assert_eq!(basin["energy"].as_f64(), Some(energies[own[0]]));
        for member in &own {
            assert!(energies[*member] >= energies[own[0]]);
            assert_eq!(minima[*member]["basin"], number);
            assert_eq!(minima[*member]["barrier"].is_null(), *member == own[0]);
        }
        members.extend(own);
    }
    members.sort_unstable();
    assert!(members.into_iter().eq(0..minima.len()));

    // Barriers lie above what they separate, and each pair was sought.
    let barriers = &map["barriers"];
    let sought = indices(&barriers["basins"]);
    let found = barriers["found"].as_array().unwrap();
    for barrier in found {
        let pair = indices(&barrier["basins"]);
        let (a, b) = (pair[0], pair[1]);
        assert!(sought.contains(&a) && sought.contains(&b) && a < b);
        for basin in [a, b] {
            assert!(barrier["energy"].as_f64() >= basins[basin]["energy"].as_f64());
        }
        assert!(barrier["alpha"].as_f64() > map["strength"]["alpha"].as_f64());
    }
    let not_found = barriers["not_found"].as_array().unwrap().len();
    assert_eq!(
        found.len() + not_found,
        sought.len() * (sought.len() - 1) / 2
    );
    let merges = barriers["merges"].as_array().unwrap();
    assert!(column(&barriers["merges"], "energy").is_sorted());
    assert!(merges.len() < sought.len());
    if not_found == 0 && merges.len() > 1 {
        let mut last = [
            &merges[merges.len() - 1]["basins"][0],
            &merges[merges.len() - 1]["basins"][1],
        ]
        .map(indices)
        .concat();
        last.sort_unstable();
        assert_eq!(last, sought);
    }

    // The first grouping is the one that is shown.
    let groupings = map["groupings"].as_array().unwrap();
    assert_eq!(groupings[0]["basins"], basins.len());
    for grouping in groupings {
        assert_eq!(grouping["groups"].as_array().unwrap().len(), minima.len());
    }
    let pairs = groupings.len() * (groupings.len() - 1) / 2;
    assert_eq!(map["stability"].as_array().unwrap().len(), pairs);
    for index in column(&map["stability"], "adjusted_rand_index") {
        assert!((-0.5..=1.0).contains(&index), "{index}");
    }
}

#[test]
fn a_map_of_the_plane_leaves_basins_barriers_and_a_page() {
    let place = learned_toy();
    let ended = map(&place, &[]).well();
    for part in [
        "Sweep over α",
        "chain steps/s",
        "Ten would take",
        "minima of U form",
    ] {
        assert!(ended.stdout.contains(part), "no {part:?} in {ended:#?}");
    }
    let found = place.json("run/map/map.json");
    check(&found, &["data", "bank", "uniform"], 30);
    assert_eq!(found["digits"], Value::Null);

    // One basin for each Gaussian, on the circle of radius 1 at multiples of 45°, whatever the seed. The net is far
    // from converged.
    let states = minima_states(&place, "run/map");
    let mut octants = BTreeSet::new();
    for basin in found["basins"].as_array().unwrap() {
        let [x, y] = states[basin["representative"].as_u64().unwrap() as usize];
        let (radius, eighths) = (x.hypot(y), y.atan2(x).to_degrees() / 45.0);
        assert!((radius - 1.0).abs() < 0.25, "({x}, {y})");
        assert!((eighths - eighths.round()).abs() < 0.25, "({x}, {y})");
        octants.insert(eighths.round().rem_euclid(8.0) as u8);
    }
    assert_eq!(
        (octants.len(), found["basins"].as_array().unwrap().len()),
        (8, 8)
    );
    let stability = column(&found["stability"], "adjusted_rand_index");
    assert!(stability.iter().all(|index| *index > 0.95), "{stability:?}");

    // α lies within what was tried, with pairs together below it and pairs apart above.
    let (alpha, sweep) = (
        found["strength"]["alpha"].as_f64().unwrap(),
        &found["sweep"],
    );
    assert_eq!(found["strength"]["choice"], "widest-plateau");
    assert_eq!(
        (&sweep["are_different"], &sweep["pairs"]),
        (&Value::Bool(false), &Value::from(200))
    );
    let (strengths, together) = (
        column(&sweep["strengths"], "alpha"),
        column(&sweep["strengths"], "together"),
    );
    assert!(together.is_sorted());
    assert!(strengths[0] < alpha && alpha < strengths[strengths.len() - 1]);
    let below = strengths.iter().filter(|tried| **tried <= alpha).count();
    assert!(together[below - 1] > 0.0 && together[below - 1] < 1.0);
    // By default r/50 to 2r in terms of F.
    let pull = found["strength"]["pull"].as_f64().unwrap();
    let slope = found["gathering"]["mean_slope"].as_f64().unwrap();
    assert!((pull / alpha * strengths[0] / slope - 0.02).abs() < 1e-9);

    // U of the minima is what `evaluate` makes of them.
    let energies = column(&found["minima"], "energy");
    assert_eq!(states.len(), energies.len());
    let count = energies.len().to_string();
    let arguments = [
        "evaluate",
        "--run",
        "run",
        "--steps",
        "1",
        "--chains",
        &count,
        "--states",
        "run/map/minima.safetensors",
    ];
    place.run(arguments).well();
    let first = place.text("run/evaluation/records.jsonl");
    let first: Value = serde_json::from_str(first.lines().next().unwrap()).unwrap();
    let mean = energies.iter().sum::<f64>() / energies.len() as f64;
    let evaluated = first["mean_energy"].as_f64().unwrap();
    assert!((mean / evaluated - 1.0).abs() < 1e-5, "{mean} {evaluated}");

    for name in [
        "disconnectivity.svg",
        "disconnectivity.png",
        "sweep.svg",
        "sweep.png",
    ] {
        assert!(place.path("run/map/plots").join(name).is_file(), "{name}");
    }
    assert!(
        !place.path("run/map/basins").exists(),
        "points have no pictures"
    );
    let page = place.text("run/map/map.html");
    let sentence = found["sentence"].as_str().unwrap();
    let places = [
        sentence,
        "Disconnectivity graph",
        "The map in numbers",
        "From which U on",
        "\"chains\": 30",
    ];
    let places: Vec<usize> = places
        .map(|part| {
            page.find(&part.replace('"', "&quot;"))
                .or(page.find(part))
                .unwrap()
        })
        .to_vec();
    assert!(places.is_sorted(), "{places:?}");

    // Nothing is overwritten.
    let before = place.contents();
    map(&place, &[]).badly(2, &["run/map", "--resume", "--out"]);
    map(&place, &["--out", "run"]).badly(2, &["run", "not empty"]);
    assert_eq!(before, place.contents());
    // A map that is done is not done again, and its α stays.
    place
        .run(["map", "--resume", "run/map", "--alpha", "3"])
        .badly(2, &["run/map", "another folder"]);
    place.run(["map", "--resume", "run/map"]).well();
    assert_eq!(found, place.json("run/map/map.json"));
}

fn modified(path: &Path) -> Option<SystemTime> {
    std::fs::metadata(path).and_then(|it| it.modified()).ok()
}

/// Waits until the program has written a state that is as wanted, or has ended.
fn wait_for(
    place: &Place,
    child: &mut Child,
    before: Option<SystemTime>,
    is_there: impl Fn(&Value) -> bool,
) {
    let start = Instant::now();
    let path = place.path("parts/state.json");
    while child.try_wait().unwrap().is_none() {
        let is_newer = modified(&path) != before;
        let state = std::fs::read(&path).ok().filter(|_| is_newer);
        if state
            .is_some_and(|text| serde_json::from_slice(&text).is_ok_and(|state| is_there(&state)))
        {
            return;
        }
        assert!(start.elapsed() < Duration::from_secs(60));
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A signal, and at which states to send it.
type Cut<'a> = (&'a str, &'a dyn Fn(&Value) -> bool);

/// Cut in every stage, by Ctrl-C or a kill, the map becomes the same.
#[test]
fn a_stopped_map_goes_on_where_it_was() {
    let place = learned_toy();
    let slow = ["--trials", "4", "--seed", "5", "--multiples", "0.5,1.4"];
    map(&place, &[&slow[..], &["--out", "whole"]].concat()).well();

    let is_some = |state: &Value, key: &str| !state[key].is_null();
    let groupings = |state: &Value| state["groupings"].as_array().map_or(0, Vec::len);
    let cuts: [Cut<'_>; 5] = [
        ("INT", &|_| true),
        ("KILL", &|state| is_some(state, "sweep")),
        ("INT", &|state| is_some(state, "strength")),
        ("INT", &|state| groupings(state) == 2),
        ("INT", &|state| is_some(state, "barriers")),
    ];
    let mut arguments = [&MAP[..], &slow, &["--out", "parts"]].concat();
    let mut stopped = 0;
    for (cut, is_there) in cuts {
        let before = modified(&place.path("parts/state.json"));
        let mut child = place
            .command(&arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        wait_for(&place, &mut child, before, is_there);
        if child.try_wait().unwrap().is_none() {
            signal(&child, cut);
        }
        let ended = Ended::of(child.wait_with_output().unwrap());
        if ended.code != Some(0) && cut == "INT" {
            assert_eq!(ended.code, Some(130), "{ended:?}");
            assert!(
                ended.stderr.contains("cargo xtask map --resume parts"),
                "{ended:?}"
            );
        }
        stopped += usize::from(ended.code != Some(0));
        arguments = vec!["map", "--resume", "parts"];
    }
    // The signal may come after the last experiment, but not always.
    assert!(stopped >= 3, "{stopped}");
    place.run(&arguments).well();
    // Also grouped at half and at 1.4 of α.
    let whole = place.json("whole/map.json");
    let multiples = &whole["multiples"];
    let alpha = whole["strength"]["alpha"].as_f64().unwrap();
    assert_eq!(column(multiples, "alpha"), [0.5 * alpha, 1.4 * alpha]);
    for (basins, singletons) in column(multiples, "basins")
        .into_iter()
        .zip(column(multiples, "singletons"))
    {
        assert!(basins >= 1.0 && singletons <= basins);
    }
    let [mut whole, mut parts] =
        ["whole", "parts"].map(|folder| place.json(&format!("{folder}/map.json")));
    for map in [&mut whole, &mut parts] {
        map["settings"]["command"] = Value::Null;
    }
    assert_eq!(whole, parts);
    for name in [
        "minima.safetensors",
        "chains.safetensors",
        "plots/disconnectivity.svg",
        "plots/sweep.svg",
    ] {
        let of = |folder: &str| place.bytes(&format!("{folder}/{name}"));
        assert!(of("whole") == of("parts"), "{name}");
    }
}

#[test]
fn a_map_of_digits_shows_members_and_compares_with_k_means() {
    let place = Place::new();
    let sets = [
        "net.architecture=vanilla",
        "net.width=2",
        "langevin.steps=10",
        "batch_size=20",
        "langevin.bank_size=100",
        "data.limit=200",
        "output.checkpoint_every=300",
        // In so few iterations plain descent comes to an energy that holds chains.
        "optimizer.method=sgd",
        "optimizer.learning_rate=0.02",
        "optimizer.minimum_learning_rate=1e-3",
        "optimizer.decay=0.9997",
        "optimizer.beta1=0.9",
    ];
    let mut arguments = vec!["--iterations", "300", "--out", "run"];
    arguments.extend(sets.iter().flat_map(|set| ["--set", *set]));
    place.experiment("convergent-digits", &[&arguments]).well();
    let arguments = [
        "map",
        "--run",
        "run",
        "--start",
        "data",
        "--start",
        "bank",
        "--start",
        "data",
        "--chains",
        "8",
        "--gather-steps",
        "20",
        "--patience",
        "30",
        "--trials",
        "1",
        "--groupings",
        "2",
        "--graph-basins",
        "4",
        "--alpha",
        "600",
    ];
    let ended = place.run(arguments).well();
    let found = place.json("run/map/map.json");
    check(&found, &["data", "bank"], 8);
    let sentence = found["sentence"].as_str().unwrap();
    assert!(
        ended.stdout.contains(sentence) && sentence.contains("digits"),
        "{ended:#?}"
    );
    assert_eq!(
        found["settings"]["starts"][0]["what"],
        "data with noise 0.06"
    );

    // The digits of a basin are those of its members, and purity is the share of the most frequent ones.
    let (basins, minima) = (
        found["basins"].as_array().unwrap(),
        found["minima"].as_array().unwrap(),
    );
    let mut most_frequent: usize = 0;
    for (number, basin) in basins.iter().enumerate() {
        let mut counts = [0; 10];
        for member in indices(&basin["members"]) {
            let read = &minima[member]["digit"];
            assert!((0.1..=1.0).contains(&read["probability"].as_f64().unwrap()));
            counts[read["digit"].as_u64().unwrap() as usize] += 1;
        }
        assert_eq!(indices(&basin["digits"]), counts);
        most_frequent += counts.iter().max().unwrap();
        image::open(place.path(&format!("run/map/basins/{number:02}.png"))).unwrap();
    }
    let digits = &found["digits"];
    let purity = most_frequent as f64 / minima.len() as f64;
    assert!((digits["basins"]["purity"].as_f64().unwrap() - purity).abs() < 1e-12);
    let singletons = basins
        .iter()
        .filter(|basin| basin["members"].as_array().unwrap().len() == 1);
    assert_eq!(digits["basins"]["singletons"], singletons.count());
    for groups in ["basins", "k_means"] {
        assert_eq!(digits[groups]["groups"], basins.len());
    }
    assert!(indices(&found["barriers"]["basins"]).len() <= 4);
    let page = place.text("run/map/map.html");
    let parts = ["Disconnectivity graph", "Basin", "k-means on pixels"];
    let places = parts.map(|part| page.rfind(part).unwrap());
    assert!(
        places.is_sorted() && page.contains("data:image/png"),
        "{places:?}"
    );
}

#[test]
fn impossible_maps_are_refused() {
    let place = learned_toy();
    let refused = |extra: &[&str], code: i32, parts: &[&str]| {
        map(&place, &[&["--out", "x"], extra].concat()).badly(code, parts);
        assert!(!place.path("x").exists(), "{extra:?}");
    };
    refused(&["--alpha", "0"], 2, &["--alpha 0"]);
    refused(&["--alpha-range", "3"], 2, &["--alpha-range 3", "LOW,HIGH"]);
    refused(
        &["--alpha-range", "3,2"],
        2,
        &["--alpha-range 3,2", "LOW,HIGH"],
    );
    refused(
        &["--alpha", "1", "--alpha-range", "1,2"],
        2,
        &["cannot be used with"],
    );
    refused(&["--temp-factor", "0"], 2, &["--temp-factor"]);
    refused(&["--resolution=-1"], 2, &["--resolution -1"]);
    refused(&["--patience", "0"], 2, &["--patience"]);
    refused(&["--multiples", "0.5,0"], 2, &["--multiples 0"]);
    refused(
        &["--start", "uniform", "--data-of", "rings_convergent"],
        2,
        &["--start data"],
    );
    refused(&["--start", "noise"], 2, &["'noise'", "uniform"]);
    refused(&["--average"], 1, &["optimizer.averaging"]);
    place.run(["map"]).badly(2, &["--run", "--weights"]);
    place
        .run(["map", "--resume", "run"])
        .badly(2, &["not the folder of a map"]);
    place
        .run(["map", "--resume", "x", "--chains", "3"])
        .badly(2, &["cannot be used with"]);
    let weights = [
        "map",
        "--weights",
        "run/weights.safetensors",
        "--start",
        "bank",
        "--out",
        "x",
    ];
    place.run(weights).badly(2, &["--start bank"]);

    // Weights know their data, but have no bank. Pulls that move nothing choose no α; then it can be given, or
    // another range.
    let arguments = [
        "map",
        "--weights",
        "run/weights.safetensors",
        "--chains",
        "10",
        "--gather-steps",
        "0",
        "--groupings",
        "1",
        "--out",
        "weak",
    ];
    // A δ smaller than the distance of minima in one well, so that nothing is together without a pull.
    let weak = ["--alpha-range", "1e-9,1e-8", "--resolution", "1e-9"];
    place
        .run([&arguments, &weak[..]].concat())
        .badly(1, &["--alpha-range", "--alpha,", "--resume"]);
    assert!(place.path("weak/plots/sweep.svg").is_file());
    place
        .run(["map", "--resume", "weak", "--alpha", "1"])
        .well();
    let found = place.json("weak/map.json");
    check(&found, &["data", "uniform"], 10);
    assert_eq!(
        (&found["strength"]["choice"], &found["strength"]["alpha"]),
        (&Value::from("given"), &Value::from(1.0))
    );
    assert_eq!(found["sweep"], Value::Null);

    // Damaged folders.
    let state = place.text("weak/state.json");
    let minima = place.bytes("weak/minima.safetensors");
    for (name, damage) in [
        (
            "state.json",
            state
                .replace("\"chains\": 10", "\"chains\": 18446744073709551615")
                .into_bytes(),
        ),
        (
            "state.json",
            state
                .replacen("\"chain\": ", "\"chain\": 9", 1)
                .into_bytes(),
        ),
        (
            "state.json",
            state
                .replacen("\"representatives\": [", "\"representatives\": [99,", 1)
                .into_bytes(),
        ),
        ("state.json", b"{".to_vec()),
        ("minima.safetensors", minima[..minima.len() / 2].to_vec()),
    ] {
        let whole = place.bytes(&format!("weak/{name}"));
        place.write(&format!("weak/{name}"), damage);
        place
            .run(["map", "--resume", "weak"])
            .badly(1, &[&format!("weak/{name}"), "in another folder"]);
        place.write(&format!("weak/{name}"), whole);
    }
    place.run(["map", "--resume", "weak"]).well();
}
