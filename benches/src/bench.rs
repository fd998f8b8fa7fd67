//! A measurement from its plan to its record.

use ebm_energy_net::Architecture;
use ebm_experiment::EngineChoice;
use ebm_experiment::tools::{locked_version, quietly};

use crate::agreement::difference;
use crate::flops::chain_step_flops;
use crate::machine::{Machine, now};
use crate::measure::matrix_product_gflops;
use crate::peers::{PeerLine, Wanted};
use crate::plan::{Plan, Planned};
use crate::record::{PeerRecord, Record, ratios};
use crate::{Backends, BenchError, BenchSettings, Peers, Skipped, Watcher, learning};

/// Measures Langevin steps, learning iterations and peers, net by net. What fails is noted in the record, and the rest
/// goes on; with [`BenchSettings::out`] the record is written whenever numbers have come in.
///
/// # Errors
/// Before anything is measured: [`BenchError::Nothing`] when nothing is left to measure, [`BenchError::Experiment`] for
/// an experiment that there is none of. Later [`BenchError::Io`] when the record cannot be written.
pub fn bench(
    settings: &BenchSettings,
    backends: &Backends,
    watcher: &dyn Watcher,
) -> Result<Record, BenchError> {
    let Plan { cases, skipped, .. } = Plan::new(settings, backends, watcher)?;
    let learning = learning::plan(settings, &cases)?;
    let on_cpu = cases
        .iter()
        .any(|planned| !planned.backend.backend.is_gpu());
    let record = Record {
        command: settings.command.clone(),
        date: now(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        burn: locked_version("burn").to_owned(),
        machine: Machine::this(),
        matrix_product_gflops: None,
        seconds: settings.seconds,
        cases: cases.iter().map(Planned::record).collect(),
        learning: Vec::new(),
        peers: Vec::new(),
        ratios: Vec::new(),
        skipped,
        failed: Vec::new(),
    };
    let rounds = settings.rounds();
    watcher.begin(u64::from(rounds) * cases.len() as u64 + learning.len() as u64);
    let mut bench = Bench {
        settings,
        backends,
        watcher,
        cases,
        record,
    };
    if let Some(reference) = backends.reference.as_deref().filter(|_| on_cpu) {
        let measured = attempt(|| matrix_product_gflops(reference));
        bench.record.matrix_product_gflops = bench.noted("f32 matrix product".into(), measured);
    }
    for net in bench.nets() {
        for round in 1..=rounds {
            bench.measure_round(net, (round, rounds));
            if let Some(peers) = &settings.peers {
                bench.measure_peers(peers, net);
            }
        }
        // What comes later may fail.
        bench.save()?;
    }
    for planned in &learning {
        watcher.measuring(&planned.name());
        let measured = attempt(|| planned.measure(settings.seconds));
        if let Some(measured) = bench.noted(planned.name(), measured) {
            bench.record.learning.push(measured);
        }
        watcher.advance();
    }
    bench.save()?;
    // Long runs last: they warm a card up.
    bench.check_and_endure();
    bench.save()?;
    // An engine that turned out to lack a layer has no figures.
    bench.record.cases.retain(|case| !case.rounds_ms.is_empty());
    Ok(bench.record)
}

/// A measurement under way.
struct Bench<'a> {
    settings: &'a BenchSettings,
    backends: &'a Backends,
    watcher: &'a dyn Watcher,
    /// What the record's cases are about.
    cases: Vec<Planned<'a>>,
    record: Record,
}

impl Bench<'_> {
    /// The nets in the order of the cases.
    fn nets(&self) -> Vec<&'static str> {
        let mut nets: Vec<_> = self
            .cases
            .iter()
            .map(|planned| planned.case.net())
            .collect();
        nets.dedup();
        nets
    }

    /// Measures ours on one net.
    fn measure_round(&mut self, net: &str, (round, rounds): (u32, u32)) {
        for (index, planned) in self.cases.clone().iter().enumerate() {
            if planned.case.net() != net {
                continue;
            }
            let name = planned.name();
            self.watcher
                .measuring(&format!("{name}, round {round} of {rounds}"));
            let measured = attempt(|| planned.measure(self.settings.seconds));
            if let Some(measured) = self.noted(name, measured) {
                let case = &mut self.record.cases[index];
                case.rounds_ms.push(measured.blocks);
                case.working_set = measured.working_set.map(Into::into);
            }
            self.watcher.advance();
        }
    }

    /// Measures the peers on one net, on each device that ours use and they can.
    fn measure_peers(&mut self, peers: &Peers, net: &'static str) {
        let here: Vec<_> = self
            .cases
            .iter()
            .filter(|planned| planned.case.net() == net)
            .copied()
            .collect();
        let mut done = Vec::new();
        for planned in &here {
            let (backend, device) = (planned.backend, planned.backend.device());
            if done.contains(&device) {
                continue;
            }
            done.push(device);
            if backend.backend.is_gpu() && backend.cuda_index.is_none() {
                Skipped::note(
                    &mut self.record.skipped,
                    format!("peers on {device}"),
                    "they compute on the CPU and with CUDA",
                );
                continue;
            }
            let mut batches = Vec::new();
            for other in here.iter().filter(|other| other.backend.device() == device) {
                if !batches.contains(&other.batch) {
                    batches.push(other.batch);
                }
            }
            let name = format!("peers/{net} on {device}");
            self.watcher.measuring(&name);
            let measured = peers.measure(&Wanted {
                net,
                cuda_index: backend.cuda_index,
                batches: &batches,
                threads: self.record.machine.threads,
            });
            for line in self.noted(name, measured).unwrap_or_default() {
                add_peer(&mut self.record, device, line);
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
            if let Some(reference) = &self.backends.reference {
                self.watcher.measuring(&format!("{name} next to the CPU"));
                let found = attempt(|| difference(planned, &**reference));
                self.record.cases[index].difference = self.noted(name.clone(), found).flatten();
            }
            let is_long = planned.engine == EngineChoice::Cube
                && planned.batch == ENDURING
                && planned.case.config.architecture != Architecture::Nonlocal;
            if let Some(steps) = self.settings.endurance.filter(|_| is_long) {
                self.watcher.measuring(&format!("{name}, {steps} steps"));
                let found = attempt(|| planned.endure(steps));
                self.record.cases[index].endurance = self.noted(name, found).flatten();
            }
        }
    }

    /// What was found, or nothing and a note of why.
    fn noted<T>(&mut self, what: String, found: Result<T, BenchError>) -> Option<T> {
        let error = match found {
            Ok(found) => return Some(found),
            Err(error) => error,
        };
        let list = if error.is_lacking() {
            &mut self.record.skipped
        } else {
            self.watcher.failed(&what, &error);
            &mut self.record.failed
        };
        Skipped::note(list, what, error.to_string());
        None
    }

    /// Computes the figures of what there is and writes them, if a file was named.
    fn save(&mut self) -> Result<(), BenchError> {
        let product = self.record.matrix_product_gflops;
        for (planned, case) in self.cases.iter().zip(&mut self.record.cases) {
            let flops =
                chain_step_flops(&planned.case).map_err(ebm_experiment::ExperimentError::from)?;
            case.finish(flops, product);
        }
        self.record.peers.iter_mut().for_each(PeerRecord::finish);
        self.record.ratios = ratios(&self.record.cases, &self.record.peers);
        match &self.settings.out {
            Some(out) => self.record.write(out),
            None => Ok(()),
        }
    }
}

/// Runs something that may panic: GPU runtimes do when a kernel does not compile or memory runs out.
fn attempt<T, E: Into<BenchError>>(what: impl FnOnce() -> Result<T, E>) -> Result<T, BenchError> {
    let (answer, panic) = quietly(what);
    match answer {
        Some(answer) => answer.map_err(Into::into),
        None => {
            let first_line = panic.as_deref().and_then(|said| said.lines().next());
            let said = first_line.unwrap_or("it panicked");
            Err(BenchError::Panic(said.to_owned()))
        }
    }
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
