//! One reader on one file after the other.

use std::collections::HashSet;
use std::fs;
use std::io::Write;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use crate::meter::measure;
use crate::readers::Reader;

/// Where the last panic was, and what it said.
static LAST_PANIC: Mutex<String> = Mutex::new(String::new());

/// Panics are noted, and printed only outside of readers.
pub(crate) fn silence_panics() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |information| {
        *LAST_PANIC.lock().unwrap_or_else(|e| e.into_inner()) = information.to_string();
        if !information
            .location()
            .is_some_and(|place| is_of_a_reader(place.file()))
        {
            usual(information);
        }
    }));
}

fn is_of_a_reader(file: &str) -> bool {
    !file.contains("tests/fuzz") || file.ends_with("check.rs")
}

/// Past the test runner, which keeps what is printed to itself and loses it when a reader aborts.
pub(crate) fn say(line: &str) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

pub(crate) struct Trial<'a> {
    reader: &'a Reader,
    folder: PathBuf,
    /// The input of the reader. An abort leaves it there.
    input: PathBuf,
    faults: PathBuf,
    pub(crate) count: usize,
    pub(crate) accepted: usize,
    pub(crate) most_memory: usize,
    pub(crate) longest: Duration,
    answers: HashSet<String>,
    last: Result<(), String>,
}

impl<'a> Trial<'a> {
    pub(crate) fn new(reader: &'a Reader) -> Self {
        let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
        // Folders in memory are made and removed in a tenth of the time.
        let memory = Path::new("/dev/shm");
        let place = if memory.is_dir() {
            memory.join(format!("ebm-fuzz-{}", std::process::id()))
        } else {
            root.clone()
        };
        let folder = place.join(reader.name.replace(' ', "-"));
        let _ = fs::remove_dir_all(&folder);
        let input = folder.join(reader.file);
        fs::create_dir_all(input.parent().unwrap()).unwrap();
        (reader.prepare)(&folder);
        say(&format!("{}: {}", reader.name, input.display()));
        Self {
            reader,
            folder,
            input,
            faults: root.join("faults"),
            count: 0,
            accepted: 0,
            most_memory: 0,
            longest: Duration::ZERO,
            answers: HashSet::new(),
            last: Ok(()),
        }
    }

    /// Forgets what seeds did.
    pub(crate) fn forget(&mut self) {
        self.count = 0;
        self.accepted = 0;
    }

    pub(crate) fn was_accepted(&self) -> bool {
        self.last.is_ok()
    }

    pub(crate) fn said(&self) -> &str {
        self.last.as_ref().err().map_or("", |said| said)
    }

    pub(crate) fn answers(&self) -> usize {
        self.answers.len()
    }

    /// The fault of the reader on these bytes, if it has one.
    pub(crate) fn run(&mut self, bytes: &[u8]) -> Option<String> {
        self.count += 1;
        let mut fault = self.fault(bytes);
        // Another program may have had the processor.
        for _ in 0..2 {
            if fault
                .as_ref()
                .is_some_and(|fault| fault.starts_with("it took"))
            {
                fault = self.fault(bytes);
            }
        }
        fault.map(|fault| self.keep(bytes, &fault))
    }

    fn fault(&mut self, bytes: &[u8]) -> Option<String> {
        overwrite(&self.input, bytes).unwrap();
        let (reader, input) = (self.reader, &self.input);
        let read = || panic::catch_unwind(AssertUnwindSafe(|| (reader.read)(input)));
        let (outcome, taken) = measure(read);
        self.most_memory = self.most_memory.max(taken.memory);
        self.longest = self.longest.max(taken.time);
        let Ok(answer) = outcome else {
            let panic = LAST_PANIC.lock().unwrap_or_else(|e| e.into_inner());
            return Some(format!("it panics: {panic}"));
        };
        self.last = answer;
        let memory = (reader.memory)(bytes);
        if taken.memory > memory {
            return Some(format!(
                "it takes {} bytes for a file of {}, which has a right to {memory}",
                taken.memory,
                bytes.len()
            ));
        }
        let kilobytes = 1 + bytes.len() as u32 / 1024;
        let limit = reader.patience * kilobytes;
        if taken.time > limit {
            return Some(format!(
                "it took {:?} for {} bytes",
                taken.time,
                bytes.len()
            ));
        }
        match &self.last {
            Ok(()) => {
                self.accepted += 1;
                None
            }
            Err(said) => self.fault_of_answer(&said.clone()),
        }
    }

    fn fault_of_answer(&mut self, said: &str) -> Option<String> {
        // Numbers and names from the file say nothing about the way through the reader.
        let words = said
            .chars()
            .filter(|c| c.is_ascii_alphabetic() || *c == ' ');
        self.answers.insert(words.take(300).collect());
        if !said.contains(self.reader.named) {
            return Some(format!("its answer does not name the file: {said}"));
        }
        None
    }

    /// Writes the input where it stays, and says where.
    fn keep(&self, bytes: &[u8], fault: &str) -> String {
        fs::create_dir_all(&self.faults).unwrap();
        let hash = bytes.iter().fold(5381u64, |hash, &byte| {
            hash.wrapping_mul(33) ^ u64::from(byte)
        });
        let name = format!("{}-{hash:016x}", self.reader.name.replace(' ', "-"));
        let path = self.faults.join(name);
        fs::write(&path, bytes).unwrap();
        let fault = format!("{}: {}: {fault}", self.reader.name, path.display());
        say(&fault);
        fault
    }
}

/// Without emptying the file first: file systems write those to the disk at once, which takes longer than to read
/// them.
fn overwrite(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    let mut file = options
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)?;
    file.write_all(bytes)?;
    file.set_len(bytes.len() as u64)
}

impl Drop for Trial<'_> {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
        // Gone with the last reader's.
        let _ = self.folder.parent().map(fs::remove_dir);
    }
}
