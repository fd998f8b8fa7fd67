//! Fetches published data sets: resumable, verified, and left complete or not at all.

mod download;
mod recipe;
#[cfg(test)]
mod test_server;
#[cfg(test)]
mod tests;
mod unpack;

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

pub use recipe::{DataRecipe, RemoteFile, recipe, recipes};

use crate::error::DataError;

/// The environment variable that names a mirror.
const MIRROR: &str = "EBM_DATA_MIRROR";
/// Where an archive's contents lie, below the data set's folder.
const UNPACKED: &str = "unpacked";

/// What a fetch is doing, for a progress display.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// The checksum of a file on disk is being computed.
    Verifying {
        /// The file's name.
        file: &'a str,
    },
    /// The file was there and is intact; nothing was downloaded.
    AlreadyComplete {
        /// The file's name.
        file: &'a str,
    },
    /// Bytes have arrived.
    Downloading {
        /// The file's name.
        file: &'a str,
        /// Bytes on disk, those of earlier tries included.
        received: u64,
        /// Bytes the whole file has.
        total: u64,
    },
    /// The connection failed and is tried again.
    Retrying {
        /// The file's name.
        file: &'a str,
        /// How many tries have failed so far.
        failures: u32,
        /// Why the last one did.
        reason: &'a str,
    },
    /// The archive is being unpacked.
    Unpacking {
        /// The archive's name.
        file: &'a str,
    },
    /// The file was downloaded and verified.
    Complete {
        /// The file's name.
        file: &'a str,
    },
}

/// What a fetch has done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fetched {
    /// The data set's folder.
    pub directory: PathBuf,
    /// Files downloaded now.
    pub downloaded: usize,
    /// Files that were there and are intact.
    pub already_complete: usize,
}

/// Downloads data sets.
#[derive(Debug, Clone)]
pub struct Fetcher {
    agent: ureq::Agent,
    mirror: Option<String>,
    /// The number of further tries after a failed connection.
    retries: u32,
    /// The wait before the first retry; each later one is twice as long.
    pause: Duration,
    sink: download::OpenSink,
}

impl Fetcher {
    /// Fetches from the publishers, or from `mirror`, a base address below which files are found as NAME/FILE. The
    /// proxy settings of the environment are respected.
    ///
    /// # Errors
    /// [`DataError::Config`] if `mirror` is no HTTP address.
    pub fn new(mirror: Option<String>) -> Result<Self, DataError> {
        let builder = ureq::Agent::config_builder()
            .timeout_connect(Some(Duration::from_secs(30)))
            .timeout_recv_response(Some(Duration::from_secs(60)))
            // No limit on the whole: a slow connection may take its time as long as bytes arrive.
            .timeout_per_read(Some(Duration::from_secs(60)));
        Self::with_agent(builder, mirror)
    }

    /// [`Fetcher::new`] with the mirror that the environment variable `EBM_DATA_MIRROR` names, if any.
    ///
    /// # Errors
    /// [`DataError::Config`] if the variable holds no HTTP address.
    pub fn from_environment() -> Result<Self, DataError> {
        Self::new(
            std::env::var(MIRROR)
                .ok()
                .filter(|mirror| !mirror.is_empty()),
        )
    }

    fn with_agent(
        builder: ureq::config::ConfigBuilder<ureq::typestate::AgentScope>,
        mirror: Option<String>,
    ) -> Result<Self, DataError> {
        if let Some(mirror) = &mirror
            && !mirror.starts_with("http://")
            && !mirror.starts_with("https://")
        {
            return Err(DataError::Config {
                key: MIRROR,
                problem: format!("\"{mirror}\" is no HTTP address"),
                fix: "set a base address such as https://mirror.example/data, or unset the variable",
            });
        }
        Ok(Self {
            agent: builder.http_status_as_error(false).build().into(),
            mirror,
            retries: 4,
            pause: Duration::from_secs(1),
            sink: download::open_file,
        })
    }

    /// Fetches `recipe` into `data_dir`/NAME. Files that are there are verified and not downloaded again; an
    /// interrupted download continues where it ended. A file appears under its name only when it is complete and
    /// verified, an archive's contents only when all are unpacked.
    ///
    /// # Errors
    /// [`DataError::Refused`], [`DataError::Interrupted`], [`DataError::Checksum`], [`DataError::DiskFull`],
    /// [`DataError::Archive`], [`DataError::Busy`], [`DataError::Format`] for a file of another size, and
    /// [`DataError::File`].
    pub fn fetch(
        &self,
        recipe: &DataRecipe,
        data_dir: &Path,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Fetched, DataError> {
        let directory = data_dir.join(&recipe.name);
        fs::create_dir_all(&directory).map_err(DataError::file(&directory, "create"))?;
        let _lock = lock(&directory)?;
        let mut fetched = Fetched {
            directory: directory.clone(),
            downloaded: 0,
            already_complete: 0,
        };
        for remote in &recipe.files {
            let target = directory.join(&remote.file);
            let file = remote.file.as_str();
            if target.exists() {
                report(Progress::Verifying { file });
                verify(&target, remote, "delete the file and run the command again")?;
                report(Progress::AlreadyComplete { file });
                fetched.already_complete += 1;
            } else {
                self.fetch_file(&recipe.name, remote, &target, report)?;
                report(Progress::Complete { file });
                fetched.downloaded += 1;
            }
            let unpacked = directory.join(UNPACKED);
            if remote.unpack && !unpacked.exists() {
                report(Progress::Unpacking { file });
                unpack::unpack(&target, &unpacked)?;
            }
        }
        Ok(fetched)
    }

    fn fetch_file(
        &self,
        name: &str,
        remote: &RemoteFile,
        target: &Path,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), DataError> {
        let mut part = target.as_os_str().to_owned();
        part.push(".part");
        let part = PathBuf::from(part);
        self.download(name, remote, &part, report)?;
        report(Progress::Verifying { file: &remote.file });
        let fix = "the download was deleted; run the command again, and if this repeats set EBM_DATA_MIRROR to another \
                   server";
        if let Err(error) = verify(&part, remote, fix) {
            // Nothing can be resumed from wrong bytes. The checksum is the error to report, whatever becomes of this.
            let _ = fs::remove_file(&part);
            return Err(error);
        }
        // The name must not outlive a power cut that the bytes do not.
        OpenOptions::new()
            .append(true)
            .open(&part)
            .and_then(|file| file.sync_all())
            .map_err(DataError::file(&part, "write"))?;
        fs::rename(&part, target).map_err(DataError::file(target, "create"))
    }

    fn address(&self, name: &str, remote: &RemoteFile) -> String {
        match &self.mirror {
            Some(base) => format!("{}/{name}/{}", base.trim_end_matches('/'), remote.file),
            None => remote.url.clone(),
        }
    }
}

/// Keeps other processes out of the folder until the returned file is dropped.
fn lock(directory: &Path) -> Result<File, DataError> {
    let path = directory.join(".lock");
    let file = File::create(&path).map_err(DataError::file(&path, "create"))?;
    match file.try_lock() {
        Err(TryLockError::WouldBlock) => Err(DataError::Busy {
            path: directory.to_path_buf(),
        }),
        // Some network file systems cannot lock. Fetching then goes on without protection against a second process.
        Ok(()) | Err(TryLockError::Error(_)) => Ok(file),
    }
}

fn verify(path: &Path, remote: &RemoteFile, fix: &'static str) -> Result<(), DataError> {
    let mut hasher = Sha256::new();
    File::open(path)
        .and_then(|mut file| io::copy(&mut file, &mut hasher))
        .map_err(DataError::file(path, "read"))?;
    let got = format!("{:x}", hasher.finalize());
    if got == remote.sha256 {
        return Ok(());
    }
    Err(DataError::Checksum {
        path: path.to_path_buf(),
        expected: remote.sha256.clone(),
        got,
        fix,
    })
}
