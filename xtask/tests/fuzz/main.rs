//! Every reader of files, on files that are damaged or made for harm.
//!
//! Sound files of each kind are changed by what their format is made of: a length, a checksum, an instruction of a
//! pickle, an entry of an archive. Whatever comes out of it, a reader may neither panic nor abort, take more memory
//! than the file has a right to, nor ponder; and what it says must name the file.
//!
//! A file with which a reader fails is kept, and its path is printed; where the reader takes the program down with
//! it, the file is left at the path that was printed last.
//!
//! - `EBM_FUZZ_INPUTS`: files for each reader.
//! - `EBM_FUZZ_SEED`: another seed gives other files; the same seed gives the same ones.
//! - `EBM_FUZZ_READER`: only readers with this in their names.
#![cfg(feature = "flex")]
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, unsafe_code)]

mod check;
mod edit;
mod formats;
mod meter;
mod mutate;
#[path = "../common/number.rs"]
mod number;
#[path = "../common/random.rs"]
mod random;
mod readers;
mod seeds;
mod trial;

use std::time::Instant;

use number::number;
use random::Random;
use readers::Reader;
use trial::Trial;

/// Few enough for the tests of a change; a search for faults takes a hundred times as many.
const INPUTS: u64 = 10_000;
/// A reader whose faults come in such numbers has one fault.
const MOST_FAULTS: usize = 5;

/// One test, so that nothing else takes memory meanwhile.
#[test]
fn no_file_brings_a_reader_down() {
    let (inputs, seed) = (
        number("EBM_FUZZ_INPUTS", INPUTS),
        number("EBM_FUZZ_SEED", 1),
    );
    let wanted = std::env::var("EBM_FUZZ_READER").unwrap_or_default();
    trial::silence_panics();
    check::the_harness_sees_faults();

    let mut faults = Vec::new();
    for reader in readers::all() {
        if reader.name.contains(&wanted) {
            faults.extend(fuzz(&reader, inputs, seed));
        }
    }
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

/// Runs a reader on its seeds, on the files that once brought it down, and on changed seeds; returns its faults.
fn fuzz(reader: &Reader, inputs: u64, seed: u64) -> Vec<String> {
    let started = Instant::now();
    let mut trial = Trial::new(reader);
    let mut faults = Vec::new();
    for seed in &reader.seeds {
        faults.extend(trial.run(seed));
        assert!(
            trial.was_accepted(),
            "{}: a seed is refused: {}",
            reader.name,
            trial.said()
        );
    }
    for find in seeds::finds(reader.name) {
        faults.extend(trial.run(&find));
    }
    trial.forget();
    for number in 0..inputs {
        let mut random = Random::new(seed, reader.name, number);
        let input = mutate::input(&mut random, &reader.seeds);
        faults.extend(trial.run(&input));
        if faults.len() >= MOST_FAULTS {
            break;
        }
    }
    trial::say(&format!(
        "{:<22} {} files in {:.1} s, {} read, {} different answers, at most {} KiB and {:.1} ms",
        reader.name,
        trial.count,
        started.elapsed().as_secs_f64(),
        trial.accepted,
        trial.answers(),
        trial.most_memory / 1024,
        trial.longest.as_secs_f64() * 1e3,
    ));
    faults
}
