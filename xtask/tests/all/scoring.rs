//! `score`.
#![allow(clippy::unwrap_used)]

use image::{GrayImage, Luma};

use crate::common::Place;

fn column_of(place: &Place, set: &str, column: usize) -> Vec<f64> {
    let table = place.text(&format!("run/score/{set}.csv"));
    let value = |line: &str| line.split(',').nth(column).unwrap().parse().unwrap();
    table.lines().skip(1).map(value).collect()
}

/// Flat images have no contrast and no roughness, so both tell them from digits without a fault: an AUROC of 0, because
/// they are lower for the strange images.
#[test]
fn two_sets_are_told_apart_by_each_measure() {
    let place = Place::with_image_run("2");
    std::fs::create_dir(place.path("flat")).unwrap();
    for shade in [0u8, 40, 128, 250] {
        let path = place.path(&format!("flat/{shade}.png"));
        GrayImage::from_pixel(16, 16, Luma([shade]))
            .save(path)
            .unwrap();
    }
    let arguments = [
        "score",
        "--run",
        "run",
        "--data",
        "embedded-digits",
        "--images",
        "50",
        "--without-noise",
    ];
    let ended = place
        .run([&arguments[..], &["--against", "flat"]].concat())
        .well();
    let found = place.json("run/score/score.json");
    let area = |measure: usize| found["separations"][measure]["area"].as_f64().unwrap();
    // The probability, pair by pair, that U and the gradient norm are higher for a flat image.
    for (measure, column) in [(0, 2), (1, 3)] {
        let [data, against] = ["data", "against"].map(|set| column_of(&place, set, column));
        let higher = against
            .iter()
            .flat_map(|strange| data.iter().map(move |x| strange > x));
        let share = higher.filter(|is| *is).count() as f64 / (50.0 * 4.0);
        assert!((area(measure) - share).abs() < 1e-9, "{found}");
    }
    assert_eq!([area(2), area(3)], [0.0, 0.0], "{found}");
    assert!(
        ended
            .stdout
            .contains("AUROC of contrast of the image: 0.000"),
        "{ended:?}"
    );
    assert_eq!(found["data_noise"], 0.0);
    assert_eq!(
        found["sets"],
        serde_json::json!([["embedded-digits", 50], ["flat", 4]])
    );

    // A line for each image; U is F/T.
    let table = place.text("run/score/against.csv");
    let mut lines = table.lines();
    assert_eq!(
        lines.next(),
        Some("number,F,U,gradient_norm,contrast,roughness")
    );
    let temperature = found["temperature"].as_f64().unwrap();
    let rows: Vec<Vec<f64>> = lines
        .map(|line| {
            line.split(',')
                .map(|value| value.parse().unwrap())
                .collect()
        })
        .collect();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert!((row[1] / temperature - row[2]).abs() < 1e-9 * row[2].abs());
        assert_eq!([row[4], row[5]], [0.0, 0.0]);
    }
    for picture in [
        "roc.png",
        "energies.png",
        "data-lowest.png",
        "against-highest.png",
    ] {
        image::open(place.path(&format!("run/score/{picture}"))).unwrap();
    }
    let before = place.contents();
    place
        .run(arguments)
        .badly(2, &["run/score already holds scores", "--out"]);
    assert_eq!(before, place.contents());
}

/// Without a second set there is nothing to tell apart, and the data of learning are scored with their noise.
#[test]
fn one_set_alone_has_scores() {
    let place = Place::with_image_run("2");
    let ended = place
        .run(["score", "--run", "run", "--images", "20"])
        .well();
    let found = place.json("run/score/score.json");
    assert_eq!(found["separations"], serde_json::json!([]));
    assert_eq!(found["sets"], serde_json::json!([["data of learning", 20]]));
    // 20 of the 100 data, by their numbers.
    let numbers = column_of(&place, "data", 0);
    assert!(
        numbers.is_sorted() && numbers.len() == 20 && numbers[19] > 20.0,
        "{numbers:?}"
    );
    assert!(found["data_noise"].as_f64() > Some(0.0));
    assert!(
        ended
            .stdout
            .contains("20 images (data of learning): mean U"),
        "{ended:?}"
    );
}
