//! Other programs on the same nets and batches, measured by a Python script in turn with ours.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use super::arguments::Precision;
use crate::error::DriverError;

/// The script of this repository.
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../benches/peers/langevin_peers.py"
);

/// An interpreter and a script that answer.
#[derive(Debug)]
pub(crate) struct Peers {
    interpreter: PathBuf,
    script: PathBuf,
}

/// A line of the script's output.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum PeerLine {
    /// A peer that is not there.
    Skipped {
        /// Its name.
        engine: String,
        /// Why.
        skipped: String,
    },
    /// A case.
    Measured {
        /// The peer's name.
        engine: String,
        /// The net's name.
        net: String,
        /// How many chains step together.
        batch: usize,
        /// Milliseconds of one step of the batch.
        ms_per_step: f64,
        /// The peer's version, where the script tells it.
        #[serde(default)]
        version: Option<String>,
        /// The precision of its products, f32 where the script does not tell.
        #[serde(default)]
        precision: Option<String>,
    },
}

/// Where peers compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum PeerDevice {
    Cpu,
    /// The NVIDIA GPU of this index.
    Cuda(u16),
}

/// What to measure.
pub(crate) struct Wanted<'a> {
    pub(crate) net: &'a str,
    pub(crate) device: PeerDevice,
    pub(crate) batches: &'a [usize],
    pub(crate) precision: &'a [Precision],
    pub(crate) threads: usize,
}

impl Peers {
    /// Finds both before minutes are spent on measuring.
    ///
    /// # Errors
    /// [`DriverError::Usage`] when there is no such program or file.
    pub(crate) fn find(interpreter: &Path, script: Option<&Path>) -> Result<Self, DriverError> {
        let script = script.unwrap_or(Path::new(SCRIPT));
        if !script.is_file() {
            return Err(DriverError::Usage(format!(
                "there is no peer script {}; name one with --peers-script",
                script.display()
            )));
        }
        let peers = Self {
            interpreter: interpreter.to_owned(),
            script: script.to_owned(),
        };
        peers.output(Command::new(interpreter).arg("--version"))?;
        Ok(peers)
    }

    /// Measures the peers on one net.
    ///
    /// # Errors
    /// [`DriverError::Peer`] when the script fails or says what cannot be understood.
    pub(crate) fn measure(&self, wanted: &Wanted<'_>) -> Result<Vec<PeerLine>, DriverError> {
        let joined = |numbers: &[usize]| {
            let words: Vec<_> = numbers.iter().map(ToString::to_string).collect();
            words.join(",")
        };
        let mut command = Command::new(&self.interpreter);
        let mut precision: Vec<_> = wanted.precision.iter().map(|name| name.as_str()).collect();
        let device = match wanted.device {
            PeerDevice::Cpu => {
                // Nothing rounds its factors there.
                precision = vec![Precision::F32.as_str()];
                "cpu"
            }
            PeerDevice::Cuda(index) => {
                // Peers take the first device that they see.
                command.env("CUDA_VISIBLE_DEVICES", index.to_string());
                "cuda"
            }
        };
        command
            .arg(&self.script)
            .args(["--device", device, "--only", wanted.net])
            .args(["--batches", &joined(wanted.batches)])
            .args(["--precision", &precision.join(",")])
            .args(["--threads", &wanted.threads.to_string()]);
        let output = self.output(&mut command)?;
        let text = String::from_utf8_lossy(&output.stdout);
        // Libraries greet on standard output; only objects are results.
        text.lines()
            .filter(|line| line.trim_start().starts_with('{'))
            .map(|line| self.parse(line))
            .collect()
    }

    fn parse(&self, line: &str) -> Result<PeerLine, DriverError> {
        let parsed: PeerLine = serde_json::from_str(line).map_err(|_| {
            self.failure(&format!(
                "printed {line}, which lacks engine, net, batch or ms_per_step"
            ))
        })?;
        match parsed {
            PeerLine::Measured { ms_per_step, .. }
                if !(ms_per_step.is_finite() && ms_per_step > 0.0) =>
            {
                Err(self.failure(&format!("printed {line}: ms_per_step must be above 0")))
            }
            parsed => Ok(parsed),
        }
    }

    fn output(&self, command: &mut Command) -> Result<Output, DriverError> {
        let output = match command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(DriverError::Usage(format!(
                    "there is no Python interpreter {}; give --peers the path of one that has torch and jax",
                    self.interpreter.display()
                )));
            }
            Err(error) => {
                let name = self.interpreter.display();
                return Err(DriverError::Peer(format!("{name} cannot be run: {error}")));
            }
        };
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let last = said.lines().rfind(|line| !line.trim().is_empty());
        Err(self.failure(&format!(
            "ended with {}: {}",
            output.status,
            last.unwrap_or("it said nothing on standard error")
        )))
    }

    fn failure(&self, problem: &str) -> DriverError {
        DriverError::Peer(format!(
            "the peer program `{} {}` {problem}",
            self.interpreter.display(),
            self.script.display()
        ))
    }
}
