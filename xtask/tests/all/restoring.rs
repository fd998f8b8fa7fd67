//! `restore`.
#![allow(clippy::unwrap_used)]

use ebm_data::{ImageConfig, embedded_digits};
use image::{GrayImage, Luma};

use crate::common::Place;

/// The known half of every draw is the image with the noise of learning, 0.1: its root mean square over 3 draws of 128
/// pixels lies in 0.08 to 0.12 (false alarm below 1e-6 over seeds; the seed is fixed). The same command gives the same
/// draws.
#[test]
fn known_pixels_stay_and_missing_ones_are_filled_in() {
    let place = Place::with_image_run("2");
    let arguments = [
        "restore", "--run", "run", "--datum", "7", "--mask", "bottom", "--draws", "3",
    ];
    let ended = place.run(arguments).well();
    assert!(
        ended.stdout.contains("3 draws of 3 Langevin steps"),
        "{ended:?}"
    );
    let config = ImageConfig {
        size: 16,
        ..ImageConfig::default()
    };
    let digit = embedded_digits(&config)
        .unwrap()
        .states
        .gather(&[7])
        .into_values();
    let bytes = place.bytes("run/restore/draws.npy");
    let (_, values) = bytes.split_at(bytes.len() - 4 * 3 * 256);
    let values: Vec<f32> = values
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let squares: Vec<f64> = values
        .chunks(256)
        .flat_map(|draw| draw[..128].iter().zip(&digit))
        .map(|(x, known)| f64::from(x - known).powi(2))
        .collect();
    let off = (squares.iter().sum::<f64>() / squares.len() as f64).sqrt();
    assert!((0.08..0.12).contains(&off), "{off}");
    let found = place.json("run/restore/restore.json");
    for key in ["before", "mean", "single"] {
        assert!(found["errors"][key].as_f64() > Some(0.0), "{found}");
    }
    for picture in ["summary.png", "draws.png"] {
        image::open(place.path(&format!("run/restore/{picture}"))).unwrap();
    }
    place
        .run([&arguments[..], &["--out", "again"]].concat())
        .well();
    place.assert_same("run/restore", "again", &["draws.npy"], "the same seed");
    place
        .run(arguments)
        .badly(2, &["run/restore already holds a restored image", "--out"]);
}

/// An image file may be damaged where the mask is white, so nothing is compared with it there.
#[test]
fn an_image_file_is_filled_in_where_a_mask_is_white() {
    let place = Place::with_image_run("2");
    let save = |name: &str, shade: fn(u32) -> u8| {
        let image = GrayImage::from_fn(16, 16, |x, _| Luma([shade(x)]));
        image.save(place.path(name)).unwrap();
    };
    save("grey.png", |_| 255);
    save("mask.png", |x| if x < 4 { 255 } else { 0 });
    let arguments = [
        "restore", "--run", "run", "--image", "grey.png", "--mask", "mask.png",
    ];
    place.run(arguments).well();
    let found = place.json("run/restore/restore.json");
    assert!(found.get("errors").is_none(), "{found}");
    assert_eq!(found["corruption"]["missing"]["file"], "mask.png");
    assert_eq!(found["subject"]["file"], "grey.png");
    // Known pixels of 16 draws are white, which is 1, with noise 0.1; the others started in noise.
    let bytes = place.bytes("run/restore/draws.npy");
    let (_, values) = bytes.split_at(bytes.len() - 4 * 16 * 256);
    let values: Vec<f32> = values
        .as_chunks()
        .0
        .iter()
        .map(|bytes| f32::from_le_bytes(*bytes))
        .collect();
    let mean = |columns: std::ops::Range<usize>| {
        let chosen = values
            .iter()
            .enumerate()
            .filter(|(place, _)| columns.contains(&(place % 16)));
        let chosen: Vec<f32> = chosen.map(|(_, x)| *x).collect();
        chosen.iter().sum::<f32>() / chosen.len() as f32
    };
    assert!((mean(4..16) - 1.0).abs() < 0.02, "{}", mean(4..16));
    assert!(mean(0..4) < 0.5, "{}", mean(0..4));
}

/// Without a step the result is the noisy image.
#[test]
fn noise_is_put_on_a_clean_image_and_its_distance_is_told() {
    let place = Place::with_image_run("2");
    let arguments = [
        "restore",
        "--run",
        "run",
        "--datum",
        "7",
        "--noise",
        "0.5",
        "--add-noise",
        "--steps",
        "0",
    ];
    place.run(arguments).well();
    let found = place.json("run/restore/restore.json");
    let number = |key: &str| found["errors"][key].as_f64().unwrap();
    // 256 pixels of noise 0.5.
    assert!((number("before") - 0.5).abs() < 0.1, "{found}");
    assert_eq!(number("before"), number("mean"));
    assert_eq!(found["spread"], 0.0);
}

#[test]
fn what_cannot_be_restored_is_refused() {
    let place = Place::with_image_run("2");
    let before = place.contents();
    let start = ["restore", "--run", "run"];
    for (arguments, parts) in [
        (&["--datum", "7"][..], &["--mask", "--noise"][..]),
        (&["--mask", "top"], &["--image", "--datum"]),
        (
            &["--datum", "100", "--mask", "top"],
            &["100: there are 100 images"],
        ),
        (&["--datum", "7", "--noise", "0.005"], &["ε/√2"]),
        (
            &["--datum", "7", "--mask", "center"],
            &["center", "right or centre"],
        ),
        (&["--image", "none.png", "--mask", "top"], &["none.png"]),
    ] {
        let ended = place.run([&start[..], arguments].concat());
        let code = if parts == ["none.png"] { 1 } else { 2 };
        ended.badly(code, parts);
    }
    assert_eq!(before, place.contents());
}
