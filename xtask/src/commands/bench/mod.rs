//! `bench`: how fast chains step on this machine, and next to other programs.

mod arguments;

use std::path::Path;

use ebm_benches::{Backends, BenchError, LeftOut, MeasuredBackend, Skipped, Watcher, bench};
use indicatif::ProgressBar;

pub(crate) use self::arguments::BenchArguments;
use crate::advice::measured_with;
use crate::backend::{BackendName, has_hardware, open};
use crate::error::DriverError;
use crate::logging::Screen;

const TEMPLATE: &str = "{msg:40} {bar:24} {pos}/{len}";

pub(crate) fn run(arguments: &BenchArguments, screen: &Screen) -> Result<(), DriverError> {
    // Whatever can be refused is refused before minutes are spent.
    if let Some(out) = &arguments.out {
        prepare(out)?;
    }
    let settings = arguments.settings()?;
    let backends = backends(arguments)?;
    let view = View {
        bar: screen.bar(0, TEMPLATE),
        screen,
    };
    let record = bench(&settings, &backends, &view)?;
    view.bar.finish_and_clear();
    screen.tell(&record.to_string());
    match record.failed.len() {
        0 => Ok(()),
        count => Err(DriverError::Measurements(count)),
    }
}

/// The backends that were asked for, or all, where this build and machine have them.
///
/// # Errors
/// Why the first does not start, if none does.
fn backends(arguments: &BenchArguments) -> Result<Backends, DriverError> {
    let asked = arguments.backend.iter().map(|name| name.resolve());
    let mut names: Vec<_> = asked.collect();
    let are_named = !names.is_empty();
    if !are_named {
        names.extend(BackendName::ALL);
    }
    let mut backends = Backends {
        measured: Vec::new(),
        are_named,
        reference: None,
        skipped: Vec::new(),
    };
    match open(BackendName::Flex) {
        Ok(reference) => backends.reference = Some(reference),
        Err(error) => backends.skipped.push(Skipped {
            what: "comparison with the CPU".to_owned(),
            reason: error.to_string(),
        }),
    }
    let mut failure = None;
    for (index, &name) in names.iter().enumerate() {
        if names[..index].contains(&name) {
            continue;
        }
        // What computes on the CPU is no GPU, unless it is asked for.
        let reason = match open(name) {
            Ok(_) if !are_named && !has_hardware(name) => {
                "finds a software driver only; --backend measures it all the same".to_owned()
            }
            Ok(backend) => {
                backends.measured.push(MeasuredBackend {
                    backend,
                    cuda_index: match name {
                        BackendName::Cuda(index) => Some(index),
                        _ => None,
                    },
                    is_slow: name == BackendName::Ndarray,
                });
                continue;
            }
            Err(error) => {
                let reason = error.to_string();
                failure.get_or_insert(error);
                reason
            }
        };
        backends.skipped.push(Skipped {
            what: name.to_string(),
            reason,
        });
    }
    match failure.filter(|_| backends.measured.is_empty()) {
        Some(error) => Err(error),
        None => Ok(backends),
    }
}

/// A bar on a terminal, log lines elsewhere.
struct View<'a> {
    bar: ProgressBar,
    screen: &'a Screen,
}

impl Watcher for View<'_> {
    fn begin(&self, measurements: u64) {
        self.bar.set_length(measurements);
    }

    fn measuring(&self, what: &str) {
        self.bar.set_message(what.to_owned());
        if self.screen.has_no_bars() {
            tracing::info!("measuring {what}");
        }
    }

    fn advance(&self) {
        self.bar.inc(1);
    }

    fn failed(&self, what: &str, error: &BenchError) {
        tracing::warn!("{what}: {error}");
    }

    fn advice(&self, left_out: LeftOut) -> Option<&'static str> {
        measured_with(left_out)
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
