//! The program from outside: what it prints, writes and refuses. One program for all, because each would compile the
//! same generic code again.
#![allow(missing_docs)]

#[path = "../common/mod.rs"]
mod common;
#[path = "../common/number.rs"]
mod number;
#[allow(dead_code)] // The fuzzer uses all of it.
#[path = "../common/random.rs"]
mod random;

mod bench;
mod classifier;
mod comparing;
mod config_chapter;
mod crashes;
mod damage;
mod diagnosing;
mod divergence;
mod evaluating;
mod faults;
mod fetching;
mod jobs;
mod likelihood;
mod mapping;
mod quality;
mod refusals;
mod reproducibility;
mod restoring;
mod resuming;
mod run_folder;
mod sampling;
mod scoring;
mod screen;
mod studies;
