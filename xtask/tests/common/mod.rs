//! Runs the program in a folder of its own.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)] // Each test file uses a part; failing loudly is what tests do.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// A net, chains and data so small that an iteration takes about a millisecond, and a rate at which they stay sound.
pub(crate) const TINY: [&str; 16] = [
    "--set",
    "data.size=16",
    "--set",
    "langevin.steps=3",
    "--set",
    "net.width=2",
    "--set",
    "batch_size=8",
    "--set",
    "data.limit=100",
    "--set",
    "data_noise=0.1",
    "--set",
    "optimizer.learning_rate=3e-5",
    "--set",
    "optimizer.minimum_learning_rate=0",
];

/// As [`TINY`], for a density in the plane.
pub(crate) const TINY_TOY: [&str; 10] = [
    "--set",
    "langevin.steps=3",
    "--set",
    "net.width=4",
    "--set",
    "langevin.bank_size=200",
    "--set",
    "landscape.samples=100",
    "--set",
    "landscape.resolution=20",
];

/// A folder to run the program in.
pub(crate) struct Place(TempDir);

impl Place {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With an image run of so many iterations in `run`.
    pub(crate) fn with_image_run(iterations: &str) -> Self {
        Self::with_run("short-run", &TINY, iterations)
    }

    /// As [`Place::with_image_run`], for a density in the plane.
    pub(crate) fn with_toy_run(iterations: &str) -> Self {
        Self::with_run("gmm_convergent", &TINY_TOY, iterations)
    }

    fn with_run(name: &str, tiny: &[&str], iterations: &str) -> Self {
        let place = Self::new();
        let arguments = ["--iterations", iterations, "--out", "run"];
        place.experiment(name, &[tiny, &arguments]).well();
        place
    }

    pub(crate) fn path(&self, below: &str) -> PathBuf {
        self.0.path().join(below)
    }

    pub(crate) fn write(&self, below: &str, contents: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, contents).unwrap();
    }

    pub(crate) fn text(&self, below: &str) -> String {
        let path = self.path(below);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn bytes(&self, below: &str) -> Vec<u8> {
        let path = self.path(below);
        fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }

    pub(crate) fn json(&self, below: &str) -> Value {
        serde_json::from_str(&self.text(below)).unwrap()
    }

    /// Asserts that files of two folders are the same to the last byte.
    #[track_caller]
    pub(crate) fn assert_same(&self, left: &str, right: &str, files: &[&str], when: &str) {
        for file in files {
            let [left, right] = [left, right].map(|folder| self.bytes(&format!("{folder}/{file}")));
            assert!(left == right, "{when}: {file} differs");
        }
    }

    /// The records of a run's metrics.
    pub(crate) fn metrics(&self, run: &str) -> Vec<Value> {
        let text = self.text(&format!("{run}/metrics.jsonl"));
        text.lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }

    /// Every file and folder, relative to this one.
    pub(crate) fn contents(&self) -> BTreeSet<PathBuf> {
        let mut found = BTreeSet::new();
        let mut folders = vec![self.0.path().to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                found.insert(path.strip_prefix(self.0.path()).unwrap().to_owned());
                if path.is_dir() {
                    folders.push(path);
                }
            }
        }
        found
    }

    /// The program, to be run here, with no setting of the environment that could change what it does.
    pub(crate) fn command(
        &self,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        self.prepared(env!("CARGO_BIN_EXE_ebm"), arguments)
    }

    /// As [`Place::command`], by way of a shell that runs `setup` first.
    pub(crate) fn in_shell(
        &self,
        setup: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let script = format!("{setup}; exec \"$0\" \"$@\"");
        let mut command = self.prepared("sh", ["-c", &script, env!("CARGO_BIN_EXE_ebm")]);
        command.args(arguments);
        command
    }

    fn prepared(
        &self,
        program: &str,
        arguments: impl IntoIterator<Item = impl AsRef<OsStr>>,
    ) -> Command {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .current_dir(self.0.path())
            .env("EBM_DATA_DIR", self.path("data"))
            .env("RAYON_NUM_THREADS", "2")
            .stdin(Stdio::null());
        for name in ["RUST_LOG", "RUST_BACKTRACE", "EBM_DATA_MIRROR"] {
            command.env_remove(name);
        }
        for proxy in ["http_proxy", "https_proxy", "all_proxy"] {
            command
                .env_remove(proxy)
                .env_remove(proxy.to_ascii_uppercase());
        }
        command
    }

    /// Runs the program to its end.
    pub(crate) fn run(&self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Ended {
        Ended::of(self.command(arguments).output().unwrap())
    }

    /// Runs `experiment NAME` with further arguments, to its end.
    pub(crate) fn experiment(&self, name: &str, sets: &[&[&str]]) -> Ended {
        self.run(experiment(name, sets))
    }
}

/// The arguments `experiment NAME` and further ones.
pub(crate) fn experiment<'a>(name: &'a str, sets: &[&[&'a str]]) -> Vec<&'a str> {
    let mut arguments = vec!["experiment", name];
    arguments.extend(sets.iter().copied().flatten());
    arguments
}

/// How the program ended and what it said.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Ended {
    pub(crate) fn of(output: Output) -> Self {
        let ended = Self {
            code: output.status.code(),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        };
        assert!(!ended.stderr.contains("panicked"), "{ended:#?}");
        ended
    }

    /// Asserts that all went well.
    #[track_caller]
    pub(crate) fn well(self) -> Self {
        assert_eq!(self.code, Some(0), "{self:#?}");
        self
    }

    /// Asserts that it failed with this code and one error message that says all of `parts`.
    #[track_caller]
    pub(crate) fn badly(self, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:#?}");
        let errors = self.stderr.matches("error: ").count();
        assert_eq!(errors, 1, "{self:#?}");
        for part in parts {
            assert!(self.stderr.contains(part), "no {part:?} in {self:#?}");
        }
        self
    }
}

/// Waits until the run's metrics have a line, that is until it learns.
#[track_caller]
pub(crate) fn wait_for_first_iteration(metrics: &Path, child: &mut Child) {
    let start = Instant::now();
    while fs::read(metrics).map_or(0, |text| text.len()) == 0 {
        assert!(child.try_wait().unwrap().is_none(), "ended too early");
        assert!(start.elapsed() < Duration::from_secs(60), "no iteration");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Sends a signal such as "INT".
#[track_caller]
pub(crate) fn signal(child: &Child, name: &str) {
    let status = Command::new("kill")
        .args([format!("-{name}"), child.id().to_string()])
        .status();
    assert!(status.unwrap().success());
}

/// The metrics of two short runs are the same but for rounding.
pub(crate) fn assert_agree(left: &[Value], right: &[Value]) {
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(right) {
        // F is of order 0.1 and d is its difference divided by T = 5e-5: rounding shows in d first.
        for (key, tolerance) in [
            ("energy_difference", 0.05),
            ("gradient_magnitude", 1e-5),
            ("energy_data", 1e-5),
        ] {
            let [left, right] = [left, right].map(|record| record[key].as_f64().unwrap());
            assert!(
                (left - right).abs() < tolerance,
                "{key}: {left} and {right}"
            );
        }
    }
}
