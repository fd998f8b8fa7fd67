//! `classifier train` and `quality --classifier` for a user's own classes.
#![allow(clippy::unwrap_used)]

use ebm_data::{ImageConfig, OnBroken, load_folder};
use image::{Rgb, RgbImage};
use safetensors::SafeTensors;
use serde_json::{Value, json};

use crate::common::{Place, TINY};
use crate::quality::{npy_file, tensor_file};

const PER_CLASS: usize = 50;

/// A folder of red squares and one of blue stripes, all of them different.
fn write_shapes(place: &Place) {
    for name in ["shapes/blue stripes", "shapes/red"] {
        std::fs::create_dir_all(place.path(name)).unwrap();
    }
    for index in 0..PER_CLASS as u32 {
        let (left, top, bright) = (index % 7, index % 5, 150 + 2 * index as u8);
        let red = RgbImage::from_fn(12, 12, |x, y| {
            let is_inside = (left..left + 5).contains(&x) && (top..top + 5).contains(&y);
            Rgb([if is_inside { bright } else { 20 }, 10, 10])
        });
        let blue = RgbImage::from_fn(12, 12, |x, _| {
            Rgb([10, 20, if (x + index) % 4 < 2 { bright } else { 40 }])
        });
        for (picture, name) in [(red, "red"), (blue, "blue stripes")] {
            let path = format!("shapes/{name}/{index:02}.png");
            picture.save(place.path(&path)).unwrap();
        }
    }
}

const SHAPES: [&str; 4] = ["--set", "data.source=folder", "--set", "data.path=shapes"];

fn train<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&["classifier", "train"], more].concat()
}

/// What the header of a file of weights says of the classifier.
fn description(place: &Place, file: &str) -> Value {
    let bytes = place.bytes(file);
    let (_, header) = SafeTensors::read_metadata(&bytes).unwrap();
    let text = &header.metadata().as_ref().unwrap()["ebm.classifier"];
    serde_json::from_str(text).unwrap()
}

/// From a folder to numbers: train, learn, sample, judge.
#[test]
fn own_classes_in_colour() {
    let place = Place::new();
    write_shapes(&place);
    let out = ["--epochs", "30", "--out", "mine.safetensors"];
    let ended = place.run(train(&[&SHAPES[..], &out].concat())).well();
    assert!(
        ended
            .stdout
            .contains("20 of 20 held-out images read right (100.00 %)"),
        "{ended:#?}"
    );
    let data = json!({
        "source": "folder", "path": "shapes", "size": 32, "channels": null, "fit": "resize", "limit": null,
        "broken": "refuse",
    });
    let expected = json!({
        "channels": 3, "side": 32, "classes": ["blue stripes", "red"], "seed": 1, "epochs": 30, "held_out": 20,
        "held_out_right": 20, "data": data,
    });
    assert_eq!(description(&place, "mine.safetensors"), expected);
    // The same again, to the byte, on one thread; another seed gives another net.
    for (file, seed) in [("again.safetensors", "1"), ("other.safetensors", "2")] {
        let out = ["--epochs", "30", "--out", file, "--seed", seed];
        let mut command = place.command(train(&[&SHAPES[..], &out].concat()));
        let output = command.env("RAYON_NUM_THREADS", "1").output().unwrap();
        crate::common::Ended::of(output).well();
    }
    assert!(place.bytes("mine.safetensors") == place.bytes("again.safetensors"));
    assert!(place.bytes("mine.safetensors") != place.bytes("other.safetensors"));

    let optimizer = json!({"method": "adam", "learning_rate": 1e-5});
    let data = json!({"source": "folder", "path": "shapes"});
    let settings = json!({"data": data, "optimizer": optimizer});
    place.write("config.json", settings.to_string());
    let learn = [
        "--config",
        "config.json",
        "--iterations",
        "2",
        "--out",
        "run",
    ];
    place
        .run([&["experiment"], &learn[..], &TINY].concat())
        .well();
    place
        .run(["sample", "--run", "run", "--count", "40"])
        .well();
    let quality = [
        "quality",
        "--run",
        "run",
        "--classifier",
        "mine.safetensors",
    ];
    let ended = place.run(quality).well();
    for said in [
        "the data of the run, \"folder\"",
        "Fréchet distance to 80 data",
        "entropy of the classes seen (nats, at most 0.693)",
        "share of blue stripes (%)",
        "mean probability of the class seen",
        "20 of 40",
    ] {
        assert!(ended.stdout.contains(said), "{said}: {ended:#?}");
    }
    let record = place.json("run/samples/quality.json");
    assert!(record.get("digits").is_none() && record.get("features").is_none());
    let classes = &record["classes"];
    assert_eq!(classes["classifier"], "mine.safetensors");
    assert_eq!(classes["description"], expected);
    let (samples, held_out) = (&classes["samples"], &classes["held_out"]);
    assert_eq!(samples["frechet"]["samples"], json!([80, 20]));
    // The held-out data are ten of each class, and the samples of a net that has learned nothing are far from them.
    assert_eq!(held_out["classes"]["counts"], json!([10, 10]));
    let distance = |set: &Value| set["frechet"]["value"].as_f64().unwrap();
    assert!(distance(samples) > 5.0 * distance(held_out), "{classes}");
    let coverage = |set: &Value| set["neighbours"]["coverage"].as_f64().unwrap();
    assert!(
        coverage(held_out) > 0.8 && coverage(samples) < 0.2,
        "{classes}"
    );

    refusals_of_quality(&place);
}

/// Every fifth datum given as samples has the numbers that stand beside all samples for the scale.
#[test]
fn held_out_images_as_samples_are_the_scale_itself() {
    let place = Place::new();
    write_shapes(&place);
    let out = ["--epochs", "1", "--out", "mine.safetensors"];
    place.run(train(&[&SHAPES[..], &out].concat())).well();
    let config = ImageConfig {
        size: 20,
        ..ImageConfig::default()
    };
    let images = load_folder(&place.path("shapes"), &config, OnBroken::Refuse).unwrap();
    let fifth: Vec<usize> = (4..2 * PER_CLASS).step_by(5).collect();
    let file = |states: &ebm_core::States| {
        tensor_file("states", &[states.len(), 3, 20, 20], states.values())
    };
    place.write("data.safetensors", file(&images.states));
    place.write("held.safetensors", file(&images.states.gather(&fifth)));
    place
        .run([
            "quality",
            "--samples",
            "held.safetensors",
            "--classifier",
            "mine.safetensors",
            "--reference",
            "data.safetensors",
        ])
        .well();
    let record = place.json("quality.json");
    let classes = &record["classes"];
    assert_eq!(classes["samples"], classes["held_out"]);
    assert_eq!(classes["samples"]["frechet"]["samples"], json!([80, 20]));
    assert_eq!(record["reference"], "data.safetensors");
}

/// Two classes of `PER_CLASS` grey images, told by their labels.
fn write_idx(place: &Place) {
    let count = 2 * PER_CLASS as u8;
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 8, 0, 0, 0, 8];
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, count];
    for index in 0..count {
        let grey = if index % 2 == 0 { 20 } else { 220 };
        images.extend((0..64).map(|pixel| grey + pixel % 8 + index % 16));
        labels.push(if index % 2 == 0 { 9 } else { 4 });
    }
    place.write("images.idx", &images);
    place.write("labels.idx", &labels);
    place.write("few.idx", &labels[..labels.len() - 1]);
    labels[7] -= 1;
    labels.pop();
    place.write("other.idx", &labels);
}

#[test]
fn idx_files_with_labels() {
    let place = Place::new();
    write_idx(&place);
    let images = [
        "--set",
        "data.source=idx",
        "--set",
        "data.images=images.idx",
    ];
    let with = |labels: &str| format!("data.labels={labels}");
    let labels = with("labels.idx");
    let more = ["--set", &labels, "--epochs", "30"];
    let ended = place.run(train(&[&images[..], &more].concat())).well();
    assert!(ended.stdout.contains("(100.00 %)"), "{ended:#?}");
    let it = description(&place, "classifier.safetensors");
    assert_eq!(
        (&it["channels"], &it["classes"], &it["held_out"]),
        (&json!(1), &json!(["4", "9"]), &json!(20))
    );
    let before = place.contents();
    let refused = |more: &[&str], code: i32, parts: &[&str]| {
        let out = ["--out", "x.safetensors"];
        place
            .run(train(&[&images[..], more, &out].concat()))
            .badly(code, parts);
        assert_eq!(before, place.contents());
    };
    refused(&[], 2, &["\"data.labels\" is missing"]);
    for (file, said) in [
        ("images.idx", "an IDX image file"),
        ("few.idx", "truncated"),
        ("other.idx", "99 labels for the 100 images of images.idx"),
        ("nowhere.idx", "cannot read"),
    ] {
        let labels = with(file);
        let named = format!("labels: {file}: ");
        refused(&["--set", &labels], 1, &[&named, said]);
    }
    // The first six images are three of each class.
    refused(
        &["--set", &labels, "--set", "data.limit=6"],
        1,
        &[
            "labels.idx: class \"4\" has 3 images",
            "5 or more",
            "data.limit",
        ],
    );
}

#[test]
fn data_without_classes_are_refused() {
    let place = Place::new();
    let picture = RgbImage::new(8, 8);
    for (folder, count) in [
        ("mixed/a", 5),
        ("mixed", 1),
        ("one/a", 9),
        ("few/a", 5),
        ("few/b", 4),
    ] {
        std::fs::create_dir_all(place.path(folder)).unwrap();
        for index in 0..count {
            let path = format!("{folder}/{index}.png");
            picture.save(place.path(&path)).unwrap();
        }
    }
    let before = place.contents();
    let refused = |sets: &[&str], code: i32, parts: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let arguments = ["classifier", "train", "--out", "x"].into_iter();
        place.run(arguments.chain(sets)).badly(code, parts);
        assert_eq!(before, place.contents());
    };
    let folder = |path: &str, parts: &[&str]| {
        let path = format!("data.path={path}");
        refused(&["data.source=folder", &path], 1, parts);
    };
    folder(
        "mixed",
        &["mixed: ", "beside its subfolders", "\"data.path\""],
    );
    folder("mixed/a", &["mixed/a: ", "subfolder"]);
    folder(
        "one",
        &["one: all images are of the class \"a\"", "two or more"],
    );
    folder("few", &["few: class \"b\" has 4 images", "5 or more"]);
    folder("nowhere", &["nowhere: cannot look into"]);
    refused(&["data.source=gmm"], 2, &["\"gmm\"", "no images"]);
    refused(&["data.source=cifar10"], 1, &["data fetch cifar10"]);
    refused(&["data.path=few"], 2, &["--set data.path=few", "source"]);
    refused(
        &["langevin.steps=3"],
        2,
        &["--set langevin.steps=3", "another section"],
    );
}

/// In a place with a run of colour images and a classifier of them.
fn refusals_of_quality(place: &Place) {
    let (classifier, run) = ("mine.safetensors", "run");
    let weights = place.bytes(classifier);
    place.write("cut.safetensors", &weights[..weights.len() - 9]);
    place.write("head.safetensors", &weights[..100]);
    let mut flipped = weights;
    *flipped.last_mut().unwrap() ^= 4;
    place.write("flipped.safetensors", flipped);
    place.write(
        "features.safetensors",
        tensor_file("x", &[40, 64], &[0.0; 40 * 64]),
    );
    place.write("grey.npy", npy_file("(40, 8, 8)", &[0.5; 40 * 64]));
    place.write("few.npy", npy_file("(5, 3, 8, 8)", &[-0.5; 5 * 3 * 64]));
    place.write(
        "colour.npy",
        npy_file("(40, 3, 8, 8)", &[-0.5; 40 * 3 * 64]),
    );
    let config = place.text("run/config.json");
    place.write(
        "grey run/config.json",
        config.replace("\"channels\": null", "\"channels\": 1"),
    );
    place.write("grey run/samples/samples.safetensors", "never read");
    let before = place.contents();
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        let out = ["--out", "x.json"];
        place
            .run([&["quality"], arguments, &out].concat())
            .badly(code, parts);
        assert_eq!(before, place.contents());
    };
    refused(
        &["--run", run],
        2,
        &[
            "run: learned from \"folder\"",
            "`cargo xtask classifier train --set data.source=…`",
            "--classifier",
            "--features",
        ],
    );
    refused(
        &["--run", "grey run", "--classifier", classifier],
        2,
        &[
            "grey run learned from grey images",
            "mine.safetensors reads colour ones",
            "data.channels=1",
        ],
    );
    for (file, said) in [
        (
            "features.safetensors",
            "features.safetensors: holds no classifier",
        ),
        ("cut.safetensors", "cut.safetensors"),
        ("head.safetensors", "head.safetensors"),
        ("flipped.safetensors", "checksum"),
        ("grey.npy", "grey.npy"),
        ("nowhere", "nowhere: No such file"),
    ] {
        refused(&["--run", run, "--classifier", file], 1, &[said]);
    }
    let samples = |file: &str, code: i32, parts: &[&str]| {
        let reference = ["--classifier", classifier, "--reference", "colour.npy"];
        refused(
            &[&["--samples", file], &reference[..]].concat(),
            code,
            parts,
        );
    };
    samples(
        "grey.npy",
        1,
        &[
            "grey.npy: holds images of 1 channels",
            "mine.safetensors reads [count, 3,",
        ],
    );
    samples("few.npy", 1, &["5 are too few", "--neighbours"]);
    refused(
        &["--samples", "colour.npy", "--classifier", classifier],
        2,
        &["--reference FILE"],
    );
    refused(
        &[
            "--features",
            "features.safetensors",
            "--classifier",
            classifier,
        ],
        2,
        &["--features", "--classifier"],
    );
}
