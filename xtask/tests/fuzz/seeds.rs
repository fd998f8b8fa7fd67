//! Sound files to start from, and files that once brought a reader down.

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::io::Cursor;
use std::path::{Path, PathBuf};

use ebm_diagnostics::IterationMetrics;
use ebm_energy_net::{Architecture, NamedParameter, NetConfig, write_tensors};
use ebm_experiment::config::{named, studies};
use ebm_trainer::LearnerView;
use image::{DynamicImage, GrayImage, ImageFormat, RgbImage};
use serde_json::json;

use crate::formats::gzip;
use crate::readers::learner;

fn here(below: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(below)
}

/// Files of a folder whose names fit, sorted by name.
fn files(folder: &str, fits: impl Fn(&str) -> bool) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(here(folder)).into_iter().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| {
        path.file_name()
            .is_some_and(|name| fits(&name.to_string_lossy()))
    });
    paths.sort();
    paths.iter().map(|path| fs::read(path).unwrap()).collect()
}

/// Files that a reader once failed on, kept in the folder `finds`; their names begin with that of the reader.
pub(crate) fn finds(reader: &str) -> Vec<Vec<u8>> {
    let prefix = reader.replace(' ', "-");
    files("tests/fuzz/finds", |name| name.starts_with(&prefix))
}

pub(crate) fn idx_images() -> Vec<Vec<u8>> {
    let file = |[count, height, width]: [u8; 3]| {
        let mut file = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, height, 0, 0, 0, width];
        let pixels = usize::from(count) * usize::from(height) * usize::from(width);
        file.extend((0..pixels).map(|pixel| (pixel * 37) as u8));
        file
    };
    let plain = [file([2, 4, 4]), file([1, 1, 1]), file([5, 9, 3])];
    let zipped = plain.each_ref().map(|file| gzip(file));
    plain.into_iter().chain(zipped).collect()
}

/// For the first of the files above.
pub(crate) fn idx_labels() -> Vec<Vec<u8>> {
    let file = vec![0, 0, 8, 1, 0, 0, 0, 2, 7, 3];
    let zipped = gzip(&file);
    vec![file, zipped]
}

pub(crate) fn cifar() -> Vec<Vec<u8>> {
    let record = |label: u8| {
        let mut record = vec![label];
        record.extend((0..3 * 32 * 32u32).map(|pixel| (pixel * 13) as u8));
        record
    };
    vec![record(0), [record(3), record(9)].concat()]
}

pub(crate) fn images() -> Vec<Vec<u8>> {
    let colours = RgbImage::from_fn(9, 12, |x, y| image::Rgb([x as u8 * 20, y as u8 * 20, 99]));
    let grey = GrayImage::from_fn(8, 8, |x, y| image::Luma([(x * y * 4) as u8]));
    let encoded = |picture: &DynamicImage, format| {
        let mut bytes = Cursor::new(Vec::new());
        picture.write_to(&mut bytes, format).unwrap();
        bytes.into_inner()
    };
    let mut seeds = files("tests/fuzz/seeds", |name| {
        name.ends_with(".png") || name.ends_with(".jpg")
    });
    for picture in [colours.into(), grey.into()] {
        seeds.push(encoded(&picture, ImageFormat::Png));
        seeds.push(encoded(&picture, ImageFormat::Jpeg));
    }
    seeds
}

/// Pictures of kinds in which a few bytes can stand for many pixels.
pub(crate) fn other_images() -> Vec<Vec<u8>> {
    let endings = ["bmp", "gif", "webp", "qoi", "pbm", "pgm", "ppm"];
    files("../crates/data/tests/golden/pictures", |name| {
        endings.iter().any(|ending| name.ends_with(ending))
    })
}

pub(crate) fn numpy() -> Vec<Vec<u8>> {
    files("../crates/experiment/tests/golden/numpy", |name| {
        name.contains("-as-plain")
    })
}

/// The golden files of this ending that hold weights.
pub(crate) fn weights(ending: &str) -> Vec<Vec<u8>> {
    let refused = ["command", "integers", "module", "no-weights", "two-nets"];
    files("../crates/energy-net/tests/golden/pytorch", |name| {
        let is_archive = name.ends_with(".zip.pth");
        name.ends_with(ending)
            && (ending != ".pth" || !is_archive)
            && !refused.iter().any(|prefix| name.starts_with(prefix))
    })
}

/// Weights with the entries that a run writes into their header.
pub(crate) fn weights_with_header() -> Vec<Vec<u8>> {
    let toy = NetConfig {
        width: 2,
        ..NetConfig::published(Architecture::Toy)
    };
    let learner = learner();
    let config = learner.config();
    let entry = |key: &str, value: serde_json::Value| (key.to_owned(), value.to_string());
    let header = HashMap::from([
        entry("ebm.net", json!(toy)),
        entry("ebm.state_shape", json!([2, 1, 1])),
        entry("ebm.langevin", json!(config.langevin)),
        entry("ebm.stabilisers", json!(config.stabilisers)),
        entry("ebm.data", json!({"source": "gmm"})),
    ]);
    vec![two_numbers(header)]
}

/// Weights with the entry that the training of a classifier writes into their header.
pub(crate) fn classifier() -> Vec<Vec<u8>> {
    let description = json!({
        "channels": 3, "side": 32, "classes": ["daisy", "rose"], "seed": 1, "epochs": 100, "held_out": 9,
        "held_out_right": 8, "data": {"source": "folder", "path": "flowers"},
    });
    let header = HashMap::from([("ebm.classifier".to_owned(), description.to_string())]);
    vec![two_numbers(header)]
}

fn two_numbers(header: HashMap<String, String>) -> Vec<u8> {
    let numbers = NamedParameter {
        name: "f.0.weight".into(),
        shape: vec![2],
        values: vec![1.0, 2.0],
    };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("net.safetensors");
    write_tensors(&[numbers], &path, header).unwrap();
    fs::read(path).unwrap()
}

pub(crate) fn settings() -> Vec<Vec<u8>> {
    let ours = named().iter().chain(studies());
    let ours = ours.map(|(_, text)| text.as_bytes().to_vec());
    let theirs = files("../crates/experiment/tests/authors", |name| {
        name.ends_with(".json")
    });
    ours.chain(theirs).collect()
}

pub(crate) fn metrics() -> Vec<Vec<u8>> {
    let line = |iteration, energy_difference| {
        let metrics = IterationMetrics {
            iteration,
            energy_difference,
            gradient_magnitude: 0.8,
            energy_data: 1.5,
            energy_samples: -1.25,
            learning_rate: 1e-4,
            acceptance_rate: None,
        };
        metrics.to_json_line().unwrap()
    };
    let lines = format!(
        "{}\n{}\n\n{}\n",
        line(1, 0.1),
        line(2, f64::NAN),
        line(3, -2.0)
    );
    vec![lines.into_bytes(), line(1, 1e-3).into_bytes()]
}

/// The files of a checkpoint, by name.
pub(crate) fn checkpoint() -> BTreeMap<String, Vec<u8>> {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().join("00000002");
    let mut learner = learner();
    for _ in 0..2 {
        learner.iterate().unwrap();
    }
    learner.save_checkpoint(&folder).unwrap();
    let entries = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let file = |path: PathBuf| {
        (
            path.file_name().unwrap().to_string_lossy().into_owned(),
            fs::read(&path).unwrap(),
        )
    };
    entries.map(file).collect()
}

pub(crate) fn of_run(file: &str) -> Vec<Vec<u8>> {
    let value = match file {
        "run.json" => json!({
            "experiment": "short-run", "seed": 123, "backend": "flex", "engine": "tensor", "version": "0.1.0",
            "burn": "0.21.0", "platform": "x86_64-linux", "ran_away": "iteration 3",
        }),
        _ => json!([{
            "iteration": 100, "learned": {"kl_divergence": null, "total_variation": 0.5},
            "sampled_total_variation": 0.25,
        }]),
    };
    vec![value.to_string().into_bytes()]
}

/// Archives as data sets come in: files and folders, with a long name and with a comment for all.
pub(crate) fn archives() -> Vec<Vec<u8>> {
    let entry = |name: &str, kind: u8, contents: &[u8]| {
        let mut block = [0; 512];
        block[..name.len()].copy_from_slice(name.as_bytes());
        block[100..107].copy_from_slice(b"0000755");
        block[124..135].copy_from_slice(format!("{:011o}", contents.len()).as_bytes());
        block[136..147].copy_from_slice(b"14000000000");
        block[148..156].fill(b' ');
        block[156] = kind;
        block[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
        block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        let mut padded = contents.to_vec();
        padded.resize(contents.len().next_multiple_of(512), 0);
        [&block[..], &padded].concat()
    };
    let end = vec![0; 1024];
    let plain = [
        entry("set/", b'5', b""),
        entry("set/one.bin", b'0', b"one"),
        entry("set/deep/two.bin", b'0', &[7; 600]),
        end.clone(),
    ];
    let long_name = format!("set/{}.bin\0", "long".repeat(40));
    let extended = [
        entry("pax_global_header", b'g', b"22 comment=0123456789\n"),
        entry("././@LongLink", b'L', long_name.as_bytes()),
        entry("set/longlong", b'0', b"contents"),
        entry("PaxHeaders/a", b'x', b"20 path=set/another\n"),
        entry("set/a", b'0', b"other contents"),
        end,
    ];
    vec![gzip(&plain.concat()), gzip(&extended.concat())]
}
