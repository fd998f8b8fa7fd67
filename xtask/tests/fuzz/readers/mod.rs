//! The readers, each with sound files and with the memory that a file has a right to.

mod checkpoint;
mod download;

use std::fs;
use std::path::Path;
use std::time::Duration;

use ebm_data::{ImageConfig, OnBroken, load_cifar, load_folder, load_idx};
use ebm_energy_net::{read_metadata, read_tensors};
use ebm_experiment::classifier::Classifier;
use ebm_experiment::config::Study;
use ebm_experiment::{ExperimentConfig, RunFolder, Source, TrainedSource, read_features};

pub(crate) use checkpoint::learner;

use crate::seeds;

/// Reads a file, and says what is wrong with it.
pub(crate) type Read = dyn Fn(&Path) -> Result<(), String>;

/// A way to read a file.
pub(crate) struct Reader {
    pub(crate) name: &'static str,
    /// The file's place in the folder of the reader.
    pub(crate) file: &'static str,
    /// What an error must say so that the file can be found.
    pub(crate) named: &'static str,
    pub(crate) seeds: Vec<Vec<u8>>,
    /// Puts beside the file what belongs there.
    pub(crate) prepare: Box<dyn Fn(&Path)>,
    /// The most memory that reading these bytes may take.
    pub(crate) memory: fn(&[u8]) -> usize,
    /// The longest that it may take for each kilobyte that is begun.
    pub(crate) patience: Duration,
    pub(crate) read: Box<Read>,
}

pub(crate) fn nothing(_: &Path) {}

/// For what buffers, messages and the like take, whatever the file.
const SMALL: usize = 1 << 20;

/// Numbers take as much as in the file or a few times that, and their descriptions more.
fn as_stored(bytes: &[u8]) -> usize {
    SMALL + 100 * bytes.len()
}

/// A byte of DEFLATE can stand for 1032, and a buffer that grows is copied.
fn as_inflated(bytes: &[u8]) -> usize {
    SMALL + 3 * 1032 * bytes.len()
}

/// A byte of DEFLATE can stand for 1032 bytes of eight pixels each, of four bytes each, and then they are converted.
fn as_decoded(bytes: &[u8]) -> usize {
    SMALL + 3 * 32 * 1032 * bytes.len()
}

/// Any file may claim four million pixels.
fn as_claimed(bytes: &[u8]) -> usize {
    as_decoded(bytes) + (1 << 22) * 4 * 8
}

/// A variant of a few letters is a whole experiment.
fn as_settings(bytes: &[u8]) -> usize {
    SMALL + 2000 * bytes.len()
}

fn said<T>(result: Result<T, impl ToString>) -> Result<(), String> {
    result.map(drop).map_err(|error| error.to_string())
}

fn reader(
    name: &'static str,
    file: &'static str,
    seeds: Vec<Vec<u8>>,
    memory: fn(&[u8]) -> usize,
    read: impl Fn(&Path) -> Result<(), String> + 'static,
) -> Reader {
    Reader {
        name,
        file,
        named: file,
        seeds,
        prepare: Box::new(nothing),
        memory,
        patience: Duration::from_secs(1),
        read: Box::new(read),
    }
}

/// A few images only: their number is the file's, their size is the user's.
const FEW: ImageConfig = ImageConfig {
    size: 8,
    channels: None,
    fit: ebm_data::Fit::Resize,
    limit: Some(4),
};

pub(crate) fn all() -> Vec<Reader> {
    let folder_of = |path: &Path| path.parent().unwrap().to_owned();
    let mut readers = vec![
        reader(
            "idx images",
            "images.idx",
            seeds::idx_images(),
            as_inflated,
            |path| said(load_idx(path, None, &FEW)),
        ),
        Reader {
            prepare: Box::new(|folder| {
                fs::write(folder.join("images.idx"), &seeds::idx_images()[0]).unwrap();
            }),
            ..reader(
                "idx labels",
                "labels.idx",
                seeds::idx_labels(),
                as_inflated,
                move |path| {
                    said(load_idx(
                        &path.with_file_name("images.idx"),
                        Some(path),
                        &FEW,
                    ))
                },
            )
        },
        reader(
            "cifar",
            "batch.bin",
            seeds::cifar(),
            as_stored,
            move |path| said(load_cifar(&folder_of(path), &["batch.bin"], &FEW)),
        ),
        reader(
            "image folder",
            "picture.png",
            seeds::images(),
            as_decoded,
            move |path| said(load_folder(&folder_of(path), &FEW, OnBroken::Refuse)),
        ),
        reader(
            "other images",
            "picture.webp",
            seeds::other_images(),
            as_claimed,
            move |path| said(load_folder(&folder_of(path), &FEW, OnBroken::Refuse)),
        ),
        reader("numpy", "array.npy", seeds::numpy(), as_inflated, |path| {
            said(read_features(path))
        }),
        reader(
            "safetensors",
            "net.safetensors",
            seeds::weights(".safetensors"),
            as_stored,
            |path| {
                said(read_metadata(path))?;
                said(read_tensors(path))
            },
        ),
        reader(
            "pytorch archive",
            "net.pth",
            seeds::weights(".zip.pth"),
            as_stored,
            |path| said(read_tensors(path)),
        ),
        reader(
            "pytorch stream",
            "net.pth",
            seeds::weights(".pth"),
            as_stored,
            |path| said(read_tensors(path)),
        ),
        reader(
            "weights header",
            "net.safetensors",
            seeds::weights_with_header(),
            as_stored,
            |path| {
                let source = TrainedSource::Weights {
                    file: path.to_owned(),
                    experiment: None,
                };
                said(source.find())
            },
        ),
        reader(
            "classifier",
            "mine.safetensors",
            seeds::classifier(),
            as_stored,
            |path| said(Classifier::open(path)),
        ),
        reader(
            "settings",
            "mine.json",
            seeds::settings(),
            as_settings,
            |path| {
                let source = Source::File(path.to_owned());
                let text = source.read().map_err(|error| error.to_string())?;
                if Study::is_meant_by(&text) {
                    said(Study::parse(&source, &text, &[]))
                } else {
                    said(ExperimentConfig::parse(&source, &text, &[]))
                }
            },
        ),
        reader(
            "metrics",
            "metrics.jsonl",
            seeds::metrics(),
            as_stored,
            |path| said(ebm_diagnostics::read_complete_metrics(path)),
        ),
        download::archive(),
    ];
    for (name, file) in [
        ("checkpoint info", "checkpoints/00000002/checkpoint.json"),
        (
            "checkpoint weights",
            "checkpoints/00000002/weights.safetensors",
        ),
        (
            "checkpoint average",
            "checkpoints/00000002/average.safetensors",
        ),
        (
            "checkpoint optimizer",
            "checkpoints/00000002/optimizer.safetensors",
        ),
        ("checkpoint bank", "checkpoints/00000002/bank.safetensors"),
    ] {
        readers.push(checkpoint::checkpoint(name, file));
    }
    for (name, file) in [
        ("run info", "run.json"),
        ("run landscape", "landscape.json"),
    ] {
        readers.push(Reader {
            prepare: Box::new(|folder| fs::write(folder.join("config.json"), "{}").unwrap()),
            ..reader(name, file, seeds::of_run(file), as_stored, move |path| {
                let run = RunFolder::open(&folder_of(path)).map_err(|error| error.to_string())?;
                if path.ends_with("run.json") {
                    said(run.read_info())
                } else {
                    said(run.read_landscape())
                }
            })
        });
    }
    readers
}
