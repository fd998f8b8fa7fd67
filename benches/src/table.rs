//! The measurement for people.

use std::fmt;

use ebm_experiment::tools::{aligned, rounded};

use crate::{CaseRecord, PeerRecord, Record};

/// Columns of names.
const LEFT: &[usize] = &[0, 2];

impl fmt::Display for Record {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(describe(self).trim_end())
    }
}

/// Everything that is said at the end.
fn describe(record: &Record) -> String {
    let machine = &record.machine;
    let mut text = format!(
        "{}, {} cores, {} threads, {}",
        machine.cpu,
        machine.cores,
        machine.threads,
        if machine.vector_extensions.is_empty() {
            "no vector extensions".to_owned()
        } else {
            machine.vector_extensions.join(" and ")
        },
    );
    for gpu in &machine.gpus {
        text += &format!("; {gpu}");
    }
    if let Some(product) = record.matrix_product_gflops {
        text += &format!("; f32 matrix product of burn-flex {product:.0} GFLOP/s");
    }
    text += "\n\n";
    text += &aligned(&measured(record), LEFT);
    text += "\nGFLOP/s: forward and input gradient with every convolution counted as its definition has it";
    text += match record.matrix_product_gflops {
        Some(_) => {
            "; the share is of the\n\
             large matrix product above, which is not the hardware's peak: a net of dense layers may pass 100 %, and\n\
             convolutions may too, because Winograd transforms need fewer multiplications. Products of BF16 factors are\n\
             compared with that of f32 as well.\n"
        }
        None => ".\n",
    };
    let memory = memory(record);
    if memory.len() > 1 {
        text += "\nMemory beside the states, however many steps:\n\n";
        text += &aligned(&memory, LEFT);
    }
    let differences = differences(record);
    if differences.len() > 1 {
        text += "\nLargest difference of a state from the CPU's after three steps, relative to the largest value:\n\n";
        text += &aligned(&differences, LEFT);
    }
    let endurance = endurance(record);
    if endurance.len() > 1 {
        text += "\nReserved on the GPU before and after many steps:\n\n";
        text += &aligned(&endurance, LEFT);
    }
    if !record.learning.is_empty() {
        text += "\nA learning iteration, and its Langevin steps alone:\n\n";
        text += &aligned(&learning(record), &[0, 1]);
    }
    if !record.ratios.is_empty() {
        text += "\nHow many times as fast as the peers:\n\n";
        text += &aligned(&compared(record), LEFT);
    }
    for (title, list) in [
        ("Not measured", &record.skipped),
        ("Failed", &record.failed),
    ] {
        if !list.is_empty() {
            text += &format!("\n{title}:\n");
            for left in list {
                text += &format!("  {}: {}\n", left.what, left.reason);
            }
        }
    }
    text
}

fn measured(record: &Record) -> Vec<Vec<String>> {
    let header = [
        "net",
        "batch",
        "engine",
        "ms/step",
        "chain steps/s",
        "GFLOP/s",
        "share",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    let mut written = Vec::new();
    for case in &record.cases {
        let key = (&case.net, case.batch);
        if written.contains(&key) {
            continue;
        }
        written.push(key);
        let here = |other: &&CaseRecord| (&other.net, other.batch) == key;
        for case in record.cases.iter().filter(here) {
            let mut row = speed(&case.net, case.batch, &case.engine, case.ms_per_step);
            row.push(digits(case.gflops));
            let share = case.share_of_matrix_product;
            row.push(
                share.map_or_else(|| "–".to_owned(), |share| format!("{:.0} %", 100.0 * share)),
            );
            rows.push(row);
        }
        rows.extend(
            record
                .peers
                .iter()
                .filter(|peer| (&peer.net, peer.batch) == key)
                .map(peer_row),
        );
    }
    // A peer's batch that none of ours has.
    let is_left = |peer: &&PeerRecord| !written.contains(&(&peer.net, peer.batch));
    rows.extend(record.peers.iter().filter(is_left).map(peer_row));
    rows
}

fn peer_row(peer: &PeerRecord) -> Vec<String> {
    speed(&peer.net, peer.batch, &peer.engine, peer.ms_per_step)
}

fn speed(net: &str, batch: usize, engine: &str, ms_per_step: f64) -> Vec<String> {
    vec![
        net.to_owned(),
        batch.to_string(),
        engine.to_owned(),
        digits(ms_per_step),
        rounded(1e3 * batch as f64 / ms_per_step),
    ]
}

fn compared(record: &Record) -> Vec<Vec<String>> {
    let mut peers: Vec<&str> = Vec::new();
    for ratio in &record.ratios {
        if !peers.contains(&ratio.peer.as_str()) {
            peers.push(&ratio.peer);
        }
    }
    let mut header = ["net", "batch", "engine"].map(str::to_owned).to_vec();
    header.extend(peers.iter().map(|&peer| peer.to_owned()));
    header.push("best peer".to_owned());
    // Peers may be faster at another precision than that of a row.
    let has_precisions = record
        .peers
        .iter()
        .any(|peer| peer.precision != record.peers[0].precision);
    if has_precisions {
        header.push("at any precision".to_owned());
    }
    let mut rows = vec![header];
    for case in &record.cases {
        let here: Vec<_> = record
            .ratios
            .iter()
            .filter(|ratio| {
                (&ratio.engine, &ratio.net, ratio.batch) == (&case.engine, &case.net, case.batch)
            })
            .collect();
        if here.is_empty() {
            continue;
        }
        let times = |value: f64| format!("{}×", digits(value));
        let mut row = named(case);
        for peer in &peers {
            let found = here.iter().find(|ratio| ratio.peer == *peer);
            row.push(found.map_or_else(|| "–".to_owned(), |ratio| times(ratio.times_as_fast)));
        }
        let best = here.iter().find(|ratio| ratio.is_best_peer);
        row.push(best.map_or_else(String::new, |ratio| times(ratio.times_as_fast)));
        if has_precisions {
            let best = record
                .peers
                .iter()
                .filter(|peer| peer.is_of(case))
                .map(|peer| peer.ms_per_step)
                .fold(f64::INFINITY, f64::min);
            row.push(times(best / case.ms_per_step));
        }
        rows.push(row);
    }
    rows
}

fn memory(record: &Record) -> Vec<Vec<String>> {
    of_cases(record, ["weights", "blocks", "of chains", "each"], |case| {
        let set = case.working_set.as_ref()?;
        Some([
            megabytes(set.weights_bytes),
            set.blocks.to_string(),
            set.block_chains.to_string(),
            megabytes(set.block_bytes),
        ])
    })
}

fn differences(record: &Record) -> Vec<Vec<String>> {
    of_cases(record, ["difference"], |case| {
        Some([format!("{:.1e}", case.difference?)])
    })
}

fn endurance(record: &Record) -> Vec<Vec<String>> {
    of_cases(record, ["steps", "before", "after"], |case| {
        let run = case.endurance?;
        Some([
            run.steps.to_string(),
            megabytes(run.reserved_before as usize),
            megabytes(run.reserved_after as usize),
        ])
    })
}

/// A header, and a row for each of our cases that has these cells.
fn of_cases<const N: usize>(
    record: &Record,
    columns: [&str; N],
    cells: impl Fn(&CaseRecord) -> Option<[String; N]>,
) -> Vec<Vec<String>> {
    let mut header = ["net", "batch", "engine"].map(str::to_owned).to_vec();
    header.extend(columns.map(str::to_owned));
    let mut rows = vec![header];
    rows.extend(record.cases.iter().filter_map(|case| {
        let mut row = named(case);
        row.extend(cells(case)?);
        Some(row)
    }));
    rows
}

/// The cells that name a case.
fn named(case: &CaseRecord) -> Vec<String> {
    vec![
        case.net.clone(),
        case.batch.to_string(),
        case.engine.clone(),
    ]
}

fn learning(record: &Record) -> Vec<Vec<String>> {
    let header = [
        "experiment",
        "engine",
        "batch",
        "steps",
        "iteration ms",
        "steps ms",
        "ratio",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(record.learning.iter().map(|case| {
        vec![
            case.experiment.clone(),
            case.engine.clone(),
            case.batch.to_string(),
            case.steps.to_string(),
            digits(case.iteration_ms),
            digits(case.steps_ms),
            digits(case.ratio),
        ]
    }));
    rows
}

fn megabytes(bytes: usize) -> String {
    format!("{} MB", digits(bytes as f64 / 1e6))
}

/// Three significant digits, and never an exponent.
fn digits(value: f64) -> String {
    let decimals = (2 - value.abs().log10().floor() as i32).clamp(0, 6) as usize;
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_three_digits() {
        for (value, text) in [
            (0.012_345, "0.0123"),
            (1.0, "1.00"),
            (12.34, "12.3"),
            (12_345.6, "12346"),
        ] {
            assert_eq!(digits(value), text);
        }
    }
}
