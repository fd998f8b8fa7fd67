//! `quality` and `classifier`.
#![allow(clippy::unwrap_used)]

use crate::common::{Place, TINY};
use ebm_data::{ImageConfig, embedded_digits};
use safetensors::tensor::{Dtype, TensorView};
use serde_json::{Value, json};

/// A safetensors file of one tensor of singles.
pub(crate) fn tensor_file(name: &str, shape: &[usize], values: &[f32]) -> Vec<u8> {
    let bytes: Vec<u8> = values
        .iter()
        .flat_map(|value| value.to_le_bytes())
        .collect();
    let view = TensorView::new(Dtype::F32, shape.to_vec(), &bytes).unwrap();
    safetensors::serialize([(name, view)], None).unwrap()
}

/// An .npy file of doubles in the second version of the format, as NumPy writes one.
pub(crate) fn npy_file(shape: &str, values: &[f32]) -> Vec<u8> {
    let header = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut file = b"\x93NUMPY\x02\x00".to_vec();
    file.extend((header.len() as u32).to_le_bytes());
    file.extend(header.as_bytes());
    file.extend(
        values
            .iter()
            .flat_map(|value| f64::from(*value).to_le_bytes()),
    );
    file
}

/// Every fifth embedded digit, which is what is held out.
fn held_out_digits() -> Vec<f32> {
    let config = ImageConfig {
        size: 28,
        ..ImageConfig::default()
    };
    let digits = embedded_digits(&config).unwrap();
    let held_out: Vec<usize> = (4..10_000).step_by(5).collect();
    digits.states.gather(&held_out).into_values()
}

/// The held-out digits given as samples have the numbers that stand beside all samples for the scale.
#[test]
fn held_out_digits_as_samples_are_the_scale_itself() {
    let place = Place::new();
    place.write("digits.npy", npy_file("(2000, 28, 28)", &held_out_digits()));
    let ended = place.run(["quality", "--samples", "digits.npy"]).well();
    let record = place.json("quality.json");
    let digits = &record["digits"];
    assert_eq!(digits["samples"], digits["held_out"]);
    assert_eq!(record["reference"], "the embedded digits at 28×28");
    let it = &digits["samples"];
    assert_eq!(it["frechet"]["samples"], serde_json::json!([8000, 2000]));
    assert_eq!(it["frechet"]["dimension"], 64);
    assert_eq!(it["neighbours"]["samples"], serde_json::json!([2000, 2000]));
    // In expectation 1 and 1 − 2⁻⁵ for sets of one distribution.
    let number = |name: &str| it["neighbours"][name].as_f64().unwrap();
    assert!((number("density") - 1.0).abs() < 0.1, "{it}");
    assert!((number("coverage") - 31.0 / 32.0).abs() < 0.03, "{it}");
    // All ten digits, nearly equally often.
    assert!(it["classes"]["entropy"].as_f64() > Some(2.29), "{it}");
    assert!(
        ended.stdout.contains("Fréchet distance to 8000 data"),
        "{ended:#?}"
    );
    assert!(ended.stdout.contains("Numbers: quality.json"), "{ended:#?}");
    // They are data themselves, and no copies of the other data.
    let nearest = &record["nearest"];
    assert_eq!(nearest["samples"], 0.0);
    assert!(nearest["held_out"].as_f64() > Some(0.1), "{nearest}");
}

/// Samples that are data are at no distance from their nearest data, and the picture shows each image twice.
#[test]
fn copies_of_data_are_found_out() {
    let place = Place::new();
    let config = ImageConfig {
        size: 28,
        ..ImageConfig::default()
    };
    let copied = [0, 1, 2, 3, 4, 6, 7, 9_999];
    let digits = embedded_digits(&config).unwrap().states.gather(&copied);
    place.write("copies.npy", npy_file("(8, 28, 28)", digits.values()));
    let ended = place.run(["quality", "--samples", "copies.npy"]).well();
    assert_eq!(place.json("quality.json")["nearest"]["samples"], 0.0);
    assert!(ended.stdout.contains("nearest data: quality.nearest.png"));
    let picture = image::open(place.path("quality.nearest.png")).unwrap();
    let picture = picture.to_rgb8();
    let half = (picture.height() - 2) / 2;
    for y in 0..half {
        for x in 0..picture.width() {
            assert_eq!(picture.get_pixel(x, y), picture.get_pixel(x, y + half));
        }
    }
}

#[test]
fn worse_samples_have_worse_numbers() {
    let place = Place::new();
    let digits = held_out_digits();
    let pixels = 28 * 28;
    let half: Vec<f32> = digits[..300 * pixels].to_vec();
    // One digit over and over: realistic, without diversity.
    let one: Vec<f32> = digits[..pixels].repeat(300);
    // Checkerboards far beyond the range.
    let noise: Vec<f32> = (0..300 * pixels)
        .map(|at| if at * 7919 % 13 < 6 { 20.0 } else { -20.0 })
        .collect();
    let judge = |name: &str, values: &[f32]| -> Value {
        let file = format!("{name}.safetensors");
        place.write(&file, tensor_file("states", &[300, 1, 28, 28], values));
        let out = format!("{name}.json");
        place
            .run(["quality", "--samples", &file, "--out", &out])
            .well();
        place.json(&out)["digits"]["samples"].clone()
    };
    let [real, one, noise] = [("real", &half), ("one", &one), ("noise", &noise)]
        .map(|(name, values)| judge(name, values));
    let distance = |it: &Value| it["frechet"]["value"].as_f64().unwrap();
    assert!(distance(&one) > 5.0 * distance(&real), "{one} {real}");
    assert!(distance(&noise) > 5.0 * distance(&real), "{noise} {real}");
    assert_eq!(one["classes"]["entropy"], 0.0);
    assert!(one["neighbours"]["coverage"].as_f64() < Some(0.1), "{one}");
    assert!(noise["neighbours"]["coverage"].as_f64() < Some(0.1));
    assert_eq!(
        (&real["clamped"], &noise["clamped"]),
        (&json!(0.0), &json!(1.0))
    );
}

#[test]
fn samples_in_another_range_are_judged_with_a_warning() {
    let place = Place::new();
    let digits = held_out_digits()[..60 * 28 * 28].to_vec();
    for (name, scale, said) in [("unit", 0.5, "2x − 1"), ("bytes", 127.5, "x/127.5 − 1")] {
        let file = format!("{name}.npy");
        let values: Vec<f32> = digits.iter().map(|x| (x + 1.0) * scale).collect();
        // Half of a digit is black: a third of it makes the white ones more than half.
        let values = if name == "bytes" {
            values.iter().map(|x| x + 2.0).collect()
        } else {
            values
        };
        place.write(&file, npy_file("(60, 28, 28)", &values));
        let out = format!("{name}.json");
        let ended = place
            .run(["quality", "--samples", &file, "--out", &out])
            .well();
        assert!(
            ended.stderr.contains(&file) && ended.stderr.contains(said),
            "{ended:#?}"
        );
    }
    place.write("good.npy", npy_file("(60, 28, 28)", &digits));
    let ended = place.run(["quality", "--samples", "good.npy"]).well();
    assert_eq!(ended.stderr, "");
}

#[test]
fn a_run_is_judged_by_its_own_data() {
    let place = Place::new();
    let arguments = ["--iterations", "2", "--out", "run"];
    place.experiment("short-run", &[&TINY, &arguments]).well();
    let quality = |more: &[&str]| place.run([&["quality", "--run", "run"], more].concat());
    quality(&[]).badly(
        2,
        &[
            "no samples yet",
            "cargo xtask sample --run run --count 1000",
        ],
    );
    place
        .run(["sample", "--run", "run", "--count", "40"])
        .well();
    let ended = quality(&[]).well();
    let record = place.json("run/samples/quality.json");
    assert_eq!(record["samples"], "run/samples/samples.safetensors");
    let frechet = &record["digits"]["samples"]["frechet"];
    // 100 digits, of which every fifth is held out, and no more samples are judged.
    assert_eq!(frechet["samples"], serde_json::json!([80, 20]));
    let held_out = &record["digits"]["held_out"];
    assert_eq!(frechet["samples"], held_out["frechet"]["samples"]);
    for digits in [&record["digits"]["samples"], held_out] {
        assert_eq!(digits["neighbours"]["samples"], serde_json::json!([20, 20]));
        let counts = digits["classes"]["counts"].as_array().unwrap();
        let count: Option<u64> = counts.iter().map(Value::as_u64).sum();
        assert_eq!(count, Some(20));
    }
    assert_eq!(frechet["rank_deficient"], true);
    for part in ["too few images for 64 features", "20 of 40"] {
        assert!(ended.stdout.contains(part), "{ended:#?}");
    }
    let before = place.contents();
    quality(&[]).badly(2, &["run/samples/quality.json already exists", "--out"]);
    assert_eq!(before, place.contents());
    // The same samples as an array.
    place
        .run([
            "quality",
            "--samples",
            "run/samples/samples.npy",
            "--out",
            "c.json",
        ])
        .well();
    assert_eq!(
        place.json("c.json")["reference"],
        "the embedded digits at 16×16"
    );
    let config = place.text("run/config.json");
    place.write(
        "run/config.json",
        config.replace("embedded-digits", "fashion-mnist"),
    );
    quality(&["--out", "d.json"]).badly(2, &["run: learned from \"fashion-mnist\"", "--features"]);
}

/// A set moved by c in each of d features is d·c² away.
#[test]
fn features_of_any_net_give_the_usual_distance() {
    let place = Place::new();
    let data: Vec<f32> = (0..3 * 50).map(|k| (k as f32 * 1.7).sin()).collect();
    let moved: Vec<f32> = data.iter().map(|value| value + 2.0).collect();
    place.write("data.safetensors", tensor_file("pool3", &[50, 3], &data));
    place.write("mine.safetensors", tensor_file("any", &[50, 3], &moved));
    let arguments = [
        "quality",
        "--features",
        "mine.safetensors",
        "--reference-features",
        "data.safetensors",
    ];
    place.run(arguments).well();
    let it = &place.json("quality.json")["features"];
    let value = it["frechet"]["value"].as_f64().unwrap();
    assert!((value - 12.0).abs() < 1e-5, "{value}");
    assert_eq!(it["neighbours"]["neighbours"], 5);
    place
        .run([&arguments[..], &["--neighbours", "3", "--out", "b.json"]].concat())
        .well();
    assert_eq!(
        place.json("b.json")["features"]["neighbours"]["neighbours"],
        3
    );
    // The same as arrays.
    place.write("data.npy", npy_file("(50, 3)", &data));
    place.write("mine.npy", npy_file("(50, 3)", &moved));
    let arrays = ["--features", "mine.npy", "--reference-features", "data.npy"];
    place
        .run([&["quality", "--out", "c.json"], &arrays[..]].concat())
        .well();
    assert_eq!(&place.json("c.json")["features"], it);
}

#[test]
fn what_cannot_be_judged_says_why() {
    let place = Place::new();
    let zeros = |shape: &[usize]| vec![0.0; shape.iter().product()];
    for (name, shape) in [
        ("colour", &[30, 3, 8, 8][..]),
        ("few", &[5, 1, 8, 8]),
        ("points", &[30, 2, 1, 1]),
        ("dots", &[30, 1, 1, 1]),
        ("flat", &[30, 64]),
        ("wide", &[30, 65]),
        ("line", &[30]),
    ] {
        let file = tensor_file("states", shape, &zeros(shape));
        place.write(&format!("{name}.safetensors"), file);
    }
    place.write("nan.npy", npy_file("(30, 8, 8)", &vec![f32::NAN; 30 * 64]));
    place.write("cut.npy", npy_file("(31, 8, 8)", &vec![0.0; 30 * 64]));
    place.write("cube.npy", npy_file("(30, 8, 8)", &vec![0.0; 30 * 64]));
    place.write(
        "bytes.npy",
        npy_file("(30, 8, 8)", &[0.0, 128.0, 255.0].repeat(640)),
    );
    place.write("picture.png", "not a picture");
    let before = place.contents();
    let refused = |arguments: &[&str], code: i32, parts: &[&str]| {
        place
            .run([&["quality"], arguments].concat())
            .badly(code, parts);
        assert_eq!(before, place.contents());
    };
    let samples = |file: &str, code: i32, parts: &[&str]| {
        refused(&["--samples", file], code, &[&[file], parts].concat());
    };
    refused(&[], 2, &["--run", "--samples", "--features"]);
    refused(&["--run", "nowhere"], 2, &["nowhere is not a run folder"]);
    samples("nowhere.npy", 1, &["No such file"]);
    samples("colour.safetensors", 1, &["3 channels", "--features"]);
    samples("points.safetensors", 1, &["2 channels"]);
    samples("dots.safetensors", 1, &["1×1"]);
    samples(
        "flat.safetensors",
        1,
        &["shape [30, 64]", "[count, 1, height, width]"],
    );
    samples(
        "few.safetensors",
        1,
        &["5 are too few, at least 6", "--neighbours"],
    );
    samples("nan.npy", 1, &["not finite"]);
    samples("cut.npy", 1, &["truncated"]);
    samples("bytes.npy", 1, &["up to 255", "[−1, 1]", "x / 127.5 - 1"]);
    samples("picture.png", 1, &[".npy", ".safetensors"]);
    refused(
        &["--samples", "few.safetensors", "--neighbours", "0"],
        2,
        &["--neighbours"],
    );
    refused(
        &["--features", "flat.safetensors"],
        2,
        &["--reference-features"],
    );
    for subject in [["--samples", "few.safetensors"], ["--run", "run"]] {
        let reference = ["--reference-features", "flat.safetensors"];
        refused(
            &[&subject[..], &reference].concat(),
            2,
            &[subject[0], "cannot be used with", "--reference-features"],
        );
    }
    refused(
        &["--samples", "few.safetensors", "--out", "missing/q.json"],
        1,
        &["missing: No such file"],
    );
    let both = |features: &str, reference: &str, code: i32, parts: &[&str]| {
        let arguments = ["--features", features, "--reference-features", reference];
        refused(&arguments, code, parts);
    };
    both(
        "flat.safetensors",
        "wide.safetensors",
        2,
        &["64 features", "65"],
    );
    both(
        "cube.npy",
        "flat.safetensors",
        1,
        &["cube.npy", "[30, 8, 8]", "[samples, features]"],
    );
    both(
        "line.safetensors",
        "flat.safetensors",
        1,
        &["line.safetensors", "0 tensors of two dimensions", "[30]"],
    );
}

#[test]
fn training_the_classifier_repeats_whatever_the_threads() {
    let place = Place::new();
    let train = |out: &str, threads: &str, seed: &str| {
        let mut command = place.command([
            "classifier",
            "train",
            "--epochs",
            "1",
            "--out",
            out,
            "--seed",
            seed,
        ]);
        let output = command.env("RAYON_NUM_THREADS", threads).output().unwrap();
        crate::common::Ended::of(output)
    };
    let first = train("a", "1", "1").well();
    assert!(
        first.stdout.contains("of 2000 held-out digits read right"),
        "{first:#?}"
    );
    train("b", "2", "1").well();
    train("c", "2", "2").well();
    assert!(place.bytes("a") == place.bytes("b"));
    assert!(place.bytes("a") != place.bytes("c"));
    train("a", "2", "1").badly(2, &["a already exists", "--out"]);
    let ended = train("missing/a", "2", "1").badly(1, &["missing: No such file"]);
    assert!(!ended.stdout.contains("epoch"), "{ended:#?}");
}
