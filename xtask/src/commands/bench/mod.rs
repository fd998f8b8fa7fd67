//! `bench`: how fast chains step on this machine, and next to other programs.

mod agreement;
mod arguments;
mod flops;
mod learning;
mod machine;
mod measure;
mod peers;
mod plan;
mod record;
mod table;

use std::path::Path;

use indicatif::ProgressBar;

use self::agreement::difference;
pub(crate) use self::arguments::BenchArguments;
use self::arguments::MeasuredEngine;
use self::flops::chain_step_flops;
use self::machine::{Machine, now};
use self::measure::{endure, matrix_product_peak, measure};
use self::peers::{PeerDevice, PeerLine, Peers, Wanted};
use self::plan::{Plan, Planned, Skipped};
use self::record::{CaseRecord, PeerRecord, Record, ratios};
use crate::advice::shell_word;
use crate::backend::{BackendName, quietly};
use crate::error::DriverError;
use crate::logging::Screen;
use ebm_experiment::{ExperimentError, locked_version};

const TEMPLATE: &str = "{msg:40} {bar:24} {pos}/{len}";

pub(crate) fn run(arguments: &BenchArguments, screen: &Screen) -> Result<(), DriverError> {
    // Whatever can be refused is refused before minutes are spent.
    if let Some(out) = &arguments.out {
        prepare(out)?;
    }
    let peers = match &arguments.peers {
        Some(interpreter) => Some(Peers::find(interpreter, arguments.peers_script.as_deref())?),
        None => None,
    };
    let Plan { cases, skipped } = Plan::new(arguments)?;
    let learning = learning::plan(arguments, &cases)?;
    let is_cpu = cases.iter().any(|planned| planned.device() == "cpu");
    let rounds = arguments
        .rounds
        .unwrap_or(if peers.is_some() { 3 } else { 1 });
    let record = Record {
        command: command_line(),
        date: now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        burn: locked_version("burn").to_owned(),
        machine: Machine::this(),
        peak_gflops: is_cpu.then(matrix_product_peak).flatten(),
        seconds: arguments.seconds,
        cases: cases.iter().map(empty_record).collect(),
        learning: Vec::new(),
        peers: Vec::new(),
        ratios: Vec::new(),
        skipped,
        failed: Vec::new(),
    };
    let steps = u64::from(rounds) * cases.len() as u64 + learning.len() as u64;
    let mut bench = Bench {
        arguments,
        record,
        cases,
        progress: Progress {
            bar: screen.bar(steps, TEMPLATE),
            screen,
        },
    };
    for net in bench.nets() {
        for round in 1..=rounds {
            bench.measure_round(net, (round, rounds));
            if let Some(peers) = &peers {
                bench.measure_peers(peers, net);
            }
        }
        // What comes later may fail.
        bench.save()?;
    }
    for planned in &learning {
        bench.progress.say(&planned.name());
        let measured = attempt(|| planned.measure(arguments.seconds));
        if let Some(measured) = bench.noted(planned.name(), measured) {
            bench.record.learning.push(measured);
        }
        bench.progress.bar.inc(1);
    }
    bench.save()?;
    // Long runs last: they warm a card up.
    bench.check_and_endure();
    bench.progress.bar.finish_and_clear();
    bench.save()?;
    // An engine that turned out to lack a layer has no figures.
    bench.record.cases.retain(|case| !case.rounds_ms.is_empty());
    screen.tell(table::describe(&bench.record).trim_end());
    match bench.record.failed.len() {
        0 => Ok(()),
        count => Err(DriverError::Bench(count)),
    }
}

/// A measurement under way.
struct Bench<'a> {
    arguments: &'a BenchArguments,
    record: Record,
    /// What the record's cases are about.
    cases: Vec<Planned>,
    progress: Progress<'a>,
}

impl Bench<'_> {
    /// The nets in the order of the cases.
    fn nets(&self) -> Vec<&'static str> {
        let mut nets: Vec<_> = self.cases.iter().map(|planned| planned.case.net).collect();
        nets.dedup();
        nets
    }

    /// Measures ours on one net.
    fn measure_round(&mut self, net: &str, (round, rounds): (u32, u32)) {
        for (index, planned) in self.cases.clone().iter().enumerate() {
            if planned.case.net != net {
                continue;
            }
            let name = planned.name();
            self.progress
                .say(&format!("{name}, round {round} of {rounds}"));
            let measured = attempt(|| measure(planned, self.arguments.seconds));
            if let Some(measured) = self.noted(name, measured) {
                let case = &mut self.record.cases[index];
                case.rounds_ms.push(measured.blocks);
                case.working_set = measured.working_set.map(Into::into);
            }
            self.progress.bar.inc(1);
        }
    }

    /// Measures the peers on one net, on each device that ours use and they can.
    fn measure_peers(&mut self, peers: &Peers, net: &'static str) {
        let mut devices: Vec<(String, BackendName)> = Vec::new();
        for planned in self.cases.iter().filter(|planned| planned.case.net == net) {
            let device = planned.device();
            if !devices.iter().any(|(other, _)| *other == device) {
                devices.push((device, planned.backend));
            }
        }
        for (device, backend) in devices {
            let peer_device = match backend {
                BackendName::Flex | BackendName::Ndarray => PeerDevice::Cpu,
                BackendName::Cuda(index) => PeerDevice::Cuda(index),
                BackendName::Wgpu(_) | BackendName::Vulkan(_) => {
                    Skipped::note(
                        &mut self.record.skipped,
                        format!("peers on {device}"),
                        "they compute on the CPU and with CUDA".to_owned(),
                    );
                    continue;
                }
            };
            let mut batches = Vec::new();
            for planned in &self.cases {
                let is_here = planned.case.net == net && planned.device() == device;
                if is_here && !batches.contains(&planned.batch) {
                    batches.push(planned.batch);
                }
            }
            let name = format!("peers/{net} on {device}");
            self.progress.say(&name);
            let wanted = Wanted {
                net,
                device: peer_device,
                batches: &batches,
                precision: &self.arguments.peers_precision,
                threads: self.record.machine.threads,
            };
            let measured = peers.measure(&wanted);
            for line in self.noted(name, measured).unwrap_or_default() {
                add_peer(&mut self.record, &device, line);
            }
        }
    }

    /// On GPUs: whether the numbers are right, and whether memory stays as it is.
    fn check_and_endure(&mut self) {
        /// Chains of a case that is run for long.
        const ENDURING: usize = 100;

        for (index, planned) in self.cases.clone().iter().enumerate() {
            if self.record.cases[index].rounds_ms.is_empty() {
                continue;
            }
            let name = planned.name();
            self.progress.say(&format!("{name} next to the CPU"));
            let found = attempt(|| difference(planned));
            self.record.cases[index].difference = self.noted(name.clone(), found).flatten();
            let is_long = planned.engine == MeasuredEngine::Cube
                && planned.batch == ENDURING
                && planned.case.net != "nonlocal";
            if let Some(steps) = self.arguments.endurance.filter(|_| is_long) {
                self.progress.say(&format!("{name}, {steps} steps"));
                let found = attempt(|| endure(planned, steps));
                self.record.cases[index].endurance = self.noted(name, found).flatten();
            }
        }
    }

    /// What was found, or nothing and a note of why.
    fn noted<T>(&mut self, what: String, found: Result<T, DriverError>) -> Option<T> {
        let error = match found {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        let list = match &error {
            DriverError::Experiment(ExperimentError::Langevin(error)) if error.is_lacking() => {
                &mut self.record.skipped
            }
            _ => {
                tracing::warn!("{what}: {error}");
                &mut self.record.failed
            }
        };
        Skipped::note(list, what, error.to_string());
        None
    }

    /// Computes the figures of what there is and writes them, if a file was named.
    fn save(&mut self) -> Result<(), DriverError> {
        let peak = self.record.peak_gflops;
        for (planned, case) in self.cases.iter().zip(&mut self.record.cases) {
            case.finish(chain_step_flops(&planned.case)?, peak);
        }
        self.record.peers.iter_mut().for_each(PeerRecord::finish);
        self.record.ratios = ratios(&self.record.cases, &self.record.peers);
        match &self.arguments.out {
            Some(out) => write(out, &self.record),
            None => Ok(()),
        }
    }
}

/// Runs something that may panic: GPU runtimes do when a kernel does not compile or memory runs out.
fn attempt<T>(what: impl FnOnce() -> Result<T, DriverError>) -> Result<T, DriverError> {
    let (answer, panic) = quietly(what);
    answer.unwrap_or_else(|| {
        let first_line = panic.as_deref().and_then(|said| said.lines().next());
        let said = first_line.unwrap_or("it panicked");
        Err(DriverError::Backend(said.to_owned()))
    })
}

fn add_peer(record: &mut Record, device: &str, line: PeerLine) {
    match line {
        PeerLine::Skipped { engine, skipped } => {
            Skipped::note(&mut record.skipped, engine, skipped);
        }
        PeerLine::Measured {
            engine,
            net,
            batch,
            ms_per_step,
            version,
            precision,
        } => {
            let known = record.peers.iter_mut().find(|peer| {
                (&peer.engine, &peer.net, peer.batch, peer.device.as_str())
                    == (&engine, &net, batch, device)
            });
            if let Some(peer) = known {
                peer.rounds_ms.push(ms_per_step);
                return;
            }
            record.peers.push(PeerRecord {
                engine,
                version,
                precision: precision.unwrap_or_else(|| "f32".to_owned()),
                device: device.to_owned(),
                net,
                batch,
                ms_per_step: f64::NAN,
                chain_steps_per_s: f64::NAN,
                rounds_ms: vec![ms_per_step],
            });
        }
    }
}

fn empty_record(planned: &Planned) -> CaseRecord {
    CaseRecord {
        engine: planned.engine_name(),
        precision: planned
            .engine
            .precision(planned.backend.is_gpu())
            .to_owned(),
        device: planned.device(),
        net: planned.case.net.to_owned(),
        batch: planned.batch,
        ms_per_step: f64::NAN,
        chain_steps_per_s: f64::NAN,
        gflops: f64::NAN,
        share_of_peak: None,
        working_set: None,
        difference: None,
        endurance: None,
        rounds_ms: Vec::new(),
    }
}

/// A bar on a terminal, log lines elsewhere.
struct Progress<'a> {
    bar: ProgressBar,
    screen: &'a Screen,
}

impl Progress<'_> {
    fn say(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if self.screen.has_no_bars() {
            tracing::info!("measuring {what}");
        }
    }
}

/// Creates the folder of the result, so that a wrong path is known at once.
fn prepare(out: &Path) -> Result<(), DriverError> {
    if out.is_dir() {
        return Err(DriverError::Usage(format!(
            "--out {} is a folder; name a file, such as {0}/bench.json",
            out.display()
        )));
    }
    if out.exists() {
        return Err(DriverError::Usage(format!(
            "--out {} is there already; name a new file",
            out.display()
        )));
    }
    match out.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => {
            std::fs::create_dir_all(folder).map_err(|error| DriverError::io(folder, error))
        }
        _ => Ok(()),
    }
}

fn write(out: &Path, record: &Record) -> Result<(), DriverError> {
    let text = serde_json::to_string_pretty(record)
        .map_err(|error| DriverError::io(out, std::io::Error::other(error)))?;
    ebm_core::write_atomically(out, format!("{text}\n").as_bytes())
        .map_err(|error| DriverError::io(out, error))
}

fn command_line() -> String {
    let words = std::env::args_os().skip(1);
    let words = words.map(|word| shell_word(Path::new(&word)));
    words.fold("cargo xtask".to_owned(), |line, word| {
        format!("{line} {word}")
    })
}
