//! Other programs on the same nets and batches, measured by a Python script in turn with ours.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use crate::BenchError;

/// The script of this repository.
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/peers/langevin_peers.py");

/// An interpreter and a script that answer.
#[derive(Debug)]
pub struct Peers {
    interpreter: PathBuf,
    script: PathBuf,
    precisions: Vec<Precision>,
}

/// What is left of the factors of a peer's products.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Precision {
    /// All bits.
    F32,
    /// A mantissa of 10 bits, on tensor cores.
    Tf32,
    /// A mantissa of 7 bits, on tensor cores.
    Bf16,
}

impl Precision {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::F32, Self::Tf32, Self::Bf16];

    /// The name in records, and for the script.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::Tf32 => "tf32",
            Self::Bf16 => "bf16",
        }
    }
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

/// What to measure.
pub(crate) struct Wanted<'a> {
    pub(crate) net: &'a str,
    /// The index of an NVIDIA GPU; `None` for the CPU.
    pub(crate) cuda_index: Option<u16>,
    pub(crate) batches: &'a [usize],
    pub(crate) threads: usize,
}

impl Peers {
    /// Finds a Python interpreter and a script, by default the one of this repository, before minutes are spent on
    /// measuring. The peers round the factors of products to each of `precisions`; CPUs have no TF32.
    ///
    /// # Errors
    /// [`BenchError::NoScript`] and [`BenchError::NoInterpreter`] when there is no such file or program, [`BenchError::Peer`] when
    /// it cannot be run.
    pub fn find(
        interpreter: &Path,
        script: Option<&Path>,
        precisions: &[Precision],
    ) -> Result<Self, BenchError> {
        let script = script.unwrap_or(Path::new(SCRIPT));
        if !script.is_file() {
            return Err(BenchError::NoScript(script.to_owned()));
        }
        let peers = Self {
            interpreter: interpreter.to_owned(),
            script: script.to_owned(),
            precisions: precisions.to_vec(),
        };
        peers.output(Command::new(interpreter).arg("--version"))?;
        Ok(peers)
    }

    /// Measures the peers on one net.
    ///
    /// # Errors
    /// [`BenchError::Peer`] when the script fails or says what cannot be understood.
    pub(crate) fn measure(&self, wanted: &Wanted<'_>) -> Result<Vec<PeerLine>, BenchError> {
        let mut command = Command::new(&self.interpreter);
        let mut precisions = self.precisions.clone();
        let device = match wanted.cuda_index {
            None => {
                precisions.retain(|&precision| precision != Precision::Tf32);
                if precisions.is_empty() {
                    precisions.push(Precision::F32);
                }
                "cpu"
            }
            Some(index) => {
                // Peers take the first device that they see.
                command.env("CUDA_VISIBLE_DEVICES", index.to_string());
                "cuda"
            }
        };
        let batches = wanted.batches.iter().map(ToString::to_string);
        let precisions = precisions.iter().map(|precision| precision.name());
        command
            .arg(&self.script)
            .args(["--device", device, "--only", wanted.net])
            .args(["--batches", &batches.collect::<Vec<_>>().join(",")])
            .args(["--precision", &precisions.collect::<Vec<_>>().join(",")])
            .args(["--threads", &wanted.threads.to_string()]);
        let output = self.output(&mut command)?;
        let text = String::from_utf8_lossy(&output.stdout);
        // Libraries greet on standard output; only objects are results.
        text.lines()
            .filter(|line| line.trim_start().starts_with('{'))
            .map(|line| self.parse(line))
            .collect()
    }

    fn parse(&self, line: &str) -> Result<PeerLine, BenchError> {
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

    fn output(&self, command: &mut Command) -> Result<Output, BenchError> {
        let output = match command.stdin(Stdio::null()).output() {
            Ok(output) => output,
            Err(error) if error.kind() == ErrorKind::NotFound => {
                return Err(BenchError::NoInterpreter(self.interpreter.clone()));
            }
            Err(error) => {
                let name = self.interpreter.display();
                return Err(BenchError::Peer(format!("{name} cannot be run: {error}")));
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

    fn failure(&self, problem: &str) -> BenchError {
        BenchError::Peer(format!(
            "the peer program `{} {}` {problem}",
            self.interpreter.display(),
            self.script.display()
        ))
    }
}
