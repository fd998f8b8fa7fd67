//! What a run leaves behind.
#![allow(clippy::unwrap_used)]

use crate::common::{Place, TINY, TINY_TOY};

#[test]
fn a_run_leaves_everything_and_says_where() {
    let place = Place::new();
    let ended = place
        .experiment("short-run", &[&TINY, &["--iterations", "4"]])
        .well();
    assert!(
        ended.stdout.contains("Results: runs/short-run"),
        "{ended:?}"
    );
    assert!(ended.stdout.contains("runs/short-run/report.html"));

    let config = place.json("runs/short-run/config.json");
    assert_eq!(config["iterations"], 4);
    assert_eq!(config["langevin"]["steps"], 3);
    let info = place.json("runs/short-run/run.json");
    assert_eq!(info["experiment"], "short-run");
    assert_eq!(info["backend"], "flex");
    let metrics = place.metrics("runs/short-run");
    let iterations: Vec<_> = metrics.iter().map(|m| m["iteration"].as_u64()).collect();
    assert_eq!(iterations, [Some(1), Some(2), Some(3), Some(4)]);
    assert!(
        metrics
            .iter()
            .all(|m| m["gradient_magnitude"].as_f64() > Some(0.0))
    );

    for picture in ["shortrun/00000004.png", "plots/diagnostics.png"] {
        let picture = image::open(place.path("runs/short-run").join(picture)).unwrap();
        assert!(picture.width() > 64 && picture.height() > 64);
    }
    assert!(
        place
            .text("runs/short-run/plots/diagnostics.svg")
            .contains("<svg")
    );
    for weights in [
        "weights.safetensors",
        "checkpoints/00000004/weights.safetensors",
    ] {
        let bytes = place.bytes(&format!("runs/short-run/{weights}"));
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        assert!(tensors.names().contains(&"f.0.weight"));
    }
    let report = place.text("runs/short-run/report.html");
    assert_is_self_contained(&report);
    // Every fifth of the 100 digits is held out.
    assert!(report.contains("Fréchet distance to 80 data"));
}

#[test]
fn broken_images_are_told_and_listed() {
    let place = Place::new();
    for index in 0..9 {
        place.write(&format!("images/{index}.pgm"), "P2 2 2 255 0 80 160 255");
    }
    place.write("images/3-broken.png", "no picture");
    place.write("images/7-broken.jpg", "no picture");
    place.write("images/list.csv", "");
    place.write(
        "folder.json",
        r#"{"data": {"source": "folder", "path": "images", "broken": "skip"},
            "optimizer": {"method": "adam", "learning_rate": 1e-4}}"#,
    );
    let learn = |out: &str| {
        let arguments = ["experiment", "--config", "folder.json", "--iterations", "1"];
        place
            .run([&arguments[..], &["--out", out], &TINY].concat())
            .well()
    };
    let ended = learn("run");
    for told in [
        "images: files of other kinds are left out: 1 .csv",
        "images: images that cannot be used are left out: 2",
        "images/3-broken.png: the image cannot be decoded",
    ] {
        assert!(ended.stderr.contains(told), "{ended:#?}");
    }
    let broken = &place.json("run/run.json")["broken_images"];
    assert_eq!(broken["count"], 2);
    assert_eq!(broken["images"][0]["file"], "images/3-broken.png");
    assert_eq!(broken["images"][1]["file"], "images/7-broken.jpg");
    let problem = broken["images"][1]["problem"].as_str().unwrap();
    assert!(
        problem.starts_with("the image cannot be decoded"),
        "{problem}"
    );

    // Without broken images nothing is said of them.
    place.write("images/3-broken.png", place.bytes("images/3.pgm"));
    place.write("images/7-broken.jpg", place.bytes("images/3.pgm"));
    learn("sound");
    assert!(place.json("sound/run.json").get("broken_images").is_none());
}

/// Nothing in the report may be fetched from elsewhere when it is opened.
fn assert_is_self_contained(report: &str) {
    assert!(report.contains("short-run") && report.contains("<svg"));
    assert!(report.contains("src=\"data:image/png;base64,"));
    let report = report
        .replace("src=\"data:", "")
        .replace("http://www.w3.org/2000/svg", "");
    for fetch in [
        "src=", "href=", "http://", "https://", "<link", "<script", "url(", "@import",
    ] {
        assert!(!report.contains(fetch), "{fetch} in the report");
    }
}

#[test]
fn one_iteration_is_a_run_too() {
    let place = Place::new();
    let arguments = ["--iterations", "1", "--out", "one"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    assert!(place.path("one/report.html").is_file());
    assert!(place.path("one/weights.safetensors").is_file());

    // Samples of fewer digits than have neighbours are not judged.
    let arguments = ["--iterations", "1", "--out", "few", "--set", "data.limit=8"];
    let ended = place.experiment("short-run", &[&TINY, &arguments]).well();
    assert!(ended.stderr.contains("no quality of samples"), "{ended:#?}");
    let report = place.text("few/report.html");
    assert!(!report.contains("Fréchet"));
}

#[test]
fn a_density_in_the_plane_gives_landscapes_and_divergences() {
    let place = Place::new();
    let arguments = ["--iterations", "3", "--out", "plane"];
    place
        .experiment("gmm_convergent", &[&TINY_TOY, &arguments])
        .well();
    let records = place.json("plane/landscape.json");
    let record = &records[0];
    assert_eq!(
        (records.as_array().map(Vec::len), &record["iteration"]),
        (Some(1), &3.into())
    );
    assert!(
        record["learned"]["kl_divergence"].as_f64() > Some(0.0),
        "{record}"
    );
    assert!(record.get("average").is_none());
    assert!(!place.path("plane/weights-average.safetensors").exists());
    for picture in ["landscape.png", "landscape-00000003.png"] {
        image::open(place.path("plane/plots").join(picture)).unwrap();
    }
    assert!(place.text("plane/plots/landscape.svg").contains("<svg"));
    let report = place.text("plane/report.html");
    assert!(report.contains("KL") && report.contains("nats"));
    assert!(
        place
            .path("plane/checkpoints/00000003/bank.safetensors")
            .is_file()
    );
    // Points have no pictures.
    assert!(!place.path("plane/shortrun").exists() && !place.path("plane/bank").exists());
}

#[test]
fn persistent_chains_and_long_runs_have_their_pictures() {
    let place = Place::new();
    let arguments = [
        "--iterations",
        "5",
        "--out",
        "run",
        "--set",
        "langevin.start=persistent",
        "--set",
        "output.images_every=3",
        "--set",
        "long_run.every=2",
        "--set",
        "long_run.steps=5",
        "--set",
        "long_run.start=bank",
    ];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    for picture in [
        "bank/00000003.png",
        "bank/00000005.png",
        "shortrun/00000003.png",
        "longrun/00000002-start.png",
        "longrun/00000004-end.png",
    ] {
        image::open(place.path("run").join(picture)).unwrap();
    }
    let record = place.json("run/longrun/00000004.json");
    assert_eq!(record["steps"], 5);
    let energies = record["mean_energies_f"].as_array().unwrap();
    assert_eq!(energies.len(), 2);
    assert!(energies.iter().all(|energy| energy.as_f64().is_some()));
    assert!(place.text("run/report.html").contains("newest long run"));
}

#[test]
fn runs_without_a_folder_of_their_own_get_different_ones() {
    let place = Place::new();
    let arguments = crate::common::experiment("short-run", &[&TINY, &["--iterations", "2"]]);
    let children: Vec<_> = (0..3)
        .map(|_| {
            place
                .command(&arguments)
                .stdout(std::process::Stdio::null())
                .spawn()
                .unwrap()
        })
        .collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    for folder in ["short-run", "short-run-2", "short-run-3"] {
        assert_eq!(place.metrics(&format!("runs/{folder}")).len(), 2);
    }
    // The config of a run repeats it under its name.
    let ended = place
        .run(["experiment", "--config", "runs/short-run-2/config.json"])
        .well();
    assert!(ended.stdout.contains("runs/short-run-2-2"), "{ended:?}");
    assert_eq!(
        place.text("runs/short-run-2-2/metrics.jsonl"),
        place.text("runs/short-run-2/metrics.jsonl")
    );
}

#[test]
fn spaces_and_umlauts_in_paths_are_fine() {
    let place = Place::new();
    let arguments = ["--iterations", "2", "--out", "mein größter Lauf/ü"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    place
        .run([
            "sample",
            "--run",
            "mein größter Lauf/ü",
            "--count",
            "2",
            "--steps",
            "1",
        ])
        .well();
    assert!(
        place
            .path("mein größter Lauf/ü/samples/samples.png")
            .is_file()
    );
}
