//! `bench`: how fast chains step on this machine, and next to other programs.

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

use ebm_langevin::LangevinError;
use indicatif::ProgressBar;

pub(crate) use self::arguments::BenchArguments;
use self::flops::chain_step_flops;
use self::machine::{Machine, now};
use self::measure::{matrix_product_peak, measure};
use self::peers::{PeerLine, Peers, Wanted};
use self::plan::{Plan, Planned, Skipped};
use self::record::{CaseRecord, PeerRecord, Record, ratios};
use crate::advice::shell_word;
use crate::error::DriverError;
use crate::logging::Screen;
use crate::run_folder::locked_version;

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
    let is_cpu = cases.iter().any(|planned| planned.device() == "cpu");
    let rounds = arguments
        .rounds
        .unwrap_or(if peers.is_some() { 3 } else { 1 });
    let mut record = Record {
        command: command_line(),
        date: now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        burn: locked_version("burn").to_owned(),
        machine: Machine::this(),
        peak_gflops: matrix_product_peak().filter(|_| is_cpu),
        seconds: arguments.seconds,
        cases: cases.iter().map(empty_record).collect(),
        learning: Vec::new(),
        peers: Vec::new(),
        ratios: Vec::new(),
        skipped,
    };
    let learning = learning::plan(arguments, &cases)?;
    let steps = u64::from(rounds) * cases.len() as u64 + learning.len() as u64;
    let progress = Progress {
        bar: screen.bar(steps, TEMPLATE),
        screen,
    };
    for group in cases.chunk_by(|left, right| left.case.net == right.case.net) {
        for round in 1..=rounds {
            measure_round(
                arguments,
                &mut record,
                group,
                &cases,
                (round, rounds),
                &progress,
            )?;
            if let Some(peers) = &peers {
                measure_peers(arguments, peers, &mut record, group, &progress)?;
            }
        }
    }
    for planned in &learning {
        progress.say(&planned.name());
        record.learning.push(planned.measure(arguments.seconds)?);
        progress.bar.inc(1);
    }
    progress.bar.finish_and_clear();
    // An engine that turned out to lack a layer has no figures.
    record.cases.retain(|case| !case.rounds_ms.is_empty());
    for case in &mut record.cases {
        let planned = cases.iter().find(|planned| planned.case.net == case.net);
        let flops = planned.map_or(f64::NAN, |planned| chain_step_flops(&planned.case));
        case.finish(flops, record.peak_gflops);
    }
    record.peers.iter_mut().for_each(PeerRecord::finish);
    record.ratios = ratios(&record.cases, &record.peers);
    screen.tell(table::describe(&record).trim_end());
    match &arguments.out {
        Some(out) => write(out, &record),
        None => Ok(()),
    }
}

/// Measures ours on one net.
fn measure_round(
    arguments: &BenchArguments,
    record: &mut Record,
    group: &[Planned],
    cases: &[Planned],
    (round, rounds): (u32, u32),
    progress: &Progress<'_>,
) -> Result<(), DriverError> {
    for (planned, case) in cases.iter().zip(&mut record.cases) {
        if !group.iter().any(|other| other.case.net == planned.case.net) {
            continue;
        }
        let name = format!("{}/{}/{}", case.engine, case.net, case.batch);
        progress.say(&format!("{name}, round {round} of {rounds}"));
        // Once is enough for a long run.
        let endurance = arguments.endurance.filter(|_| round == 1);
        match measure(planned, arguments.seconds, endurance) {
            Ok(measured) => {
                case.rounds_ms.push(measured.blocks);
                case.working_set = measured.working_set.map(Into::into);
                case.endurance = case.endurance.or(measured.endurance);
            }
            Err(DriverError::Langevin(
                error @ (LangevinError::NotFused(_) | LangevinError::NotCubed(_)),
            )) => {
                let left = Skipped {
                    what: name,
                    reason: error.to_string(),
                };
                if !record.skipped.contains(&left) {
                    record.skipped.push(left);
                }
            }
            Err(error) => return Err(error),
        }
        progress.bar.inc(1);
    }
    Ok(())
}

/// Measures the peers on one net, on each kind of device that ours use.
fn measure_peers(
    arguments: &BenchArguments,
    peers: &Peers,
    record: &mut Record,
    group: &[Planned],
    progress: &Progress<'_>,
) -> Result<(), DriverError> {
    let Some(net) = group.first().map(|planned| planned.case.net) else {
        return Ok(());
    };
    for device in ["cpu", "cuda"] {
        let mut batches = Vec::new();
        for planned in group.iter().filter(|planned| planned.device() == device) {
            if !batches.contains(&planned.batch) {
                batches.push(planned.batch);
            }
        }
        if batches.is_empty() {
            continue;
        }
        progress.say(&format!("peers/{net} on {device}"));
        let wanted = Wanted {
            net,
            device,
            batches: &batches,
            precision: &arguments.peers_precision,
            threads: record.machine.threads,
        };
        for line in peers.measure(&wanted)? {
            add_peer(record, device, line);
        }
    }
    Ok(())
}

fn add_peer(record: &mut Record, device: &str, line: PeerLine) {
    match line {
        PeerLine::Skipped { engine, skipped } => {
            let left = Skipped {
                what: engine,
                reason: skipped,
            };
            if !record.skipped.contains(&left) {
                record.skipped.push(left);
            }
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
        precision: planned.engine.precision().as_str().to_owned(),
        device: planned.device().to_owned(),
        net: planned.case.net.to_owned(),
        batch: planned.batch,
        ms_per_step: f64::NAN,
        chain_steps_per_s: f64::NAN,
        gflops: f64::NAN,
        share_of_peak: None,
        working_set: None,
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
