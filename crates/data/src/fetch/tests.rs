//! Fetching from a local server that fails in every way a real one does.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};
use tempfile::TempDir;

use super::test_server::{Answer, TestServer};
use super::{DataRecipe, Fetched, Fetcher, Progress, RemoteFile};
use crate::error::DataError;

const LENGTH: usize = 300_000;

fn contents() -> Vec<u8> {
    (0..LENGTH as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

struct Setting {
    server: TestServer,
    fetcher: Fetcher,
    recipe: DataRecipe,
    data_dir: TempDir,
}

/// A server with faults, and a recipe for the one file it has.
fn setting(answers: &[Answer]) -> Setting {
    setting_with("data.gz", contents(), answers)
}

fn setting_with(file: &str, contents: Vec<u8>, answers: &[Answer]) -> Setting {
    let remote = RemoteFile {
        file: file.into(),
        url: "http://publisher.invalid/data.gz".into(),
        bytes: contents.len() as u64,
        sha256: format!("{:x}", Sha256::digest(&contents)),
        unpack: file.ends_with(".tgz"),
    };
    let server = TestServer::start(contents, answers);
    let builder = ureq::Agent::config_builder()
        .proxy(None)
        .timeout_per_read(Some(Duration::from_millis(200)));
    let mut fetcher = Fetcher::with_agent(builder, Some(server.url.clone())).unwrap();
    fetcher.pause = Duration::ZERO;
    Setting {
        server,
        fetcher,
        recipe: DataRecipe {
            name: "set".into(),
            files: vec![remote],
        },
        data_dir: tempfile::tempdir().unwrap(),
    }
}

impl Setting {
    fn fetch(&self) -> Result<Fetched, DataError> {
        self.fetcher
            .fetch(&self.recipe, self.data_dir.path(), &mut |_| {})
    }

    fn path(&self, name: &str) -> PathBuf {
        self.data_dir.path().join("set").join(name)
    }

    fn place(&self, name: &str, bytes: &[u8]) {
        fs::create_dir_all(self.data_dir.path().join("set")).unwrap();
        fs::write(self.path(name), bytes).unwrap();
    }

    /// Where the ranges asked for started.
    fn starts(&self) -> Vec<usize> {
        self.server
            .requests()
            .into_iter()
            .map(|(_, start)| start)
            .collect()
    }

    fn assert_complete(&self) {
        assert!(fs::read(self.path("data.gz")).unwrap() == contents());
        assert!(!self.path("data.gz.part").exists());
    }
}

#[test]
fn a_file_is_downloaded_once_and_then_only_verified() {
    let setting = setting(&[]);
    let first = setting.fetch().unwrap();
    assert_eq!((first.downloaded, first.already_complete), (1, 0));
    assert_eq!(first.directory, setting.data_dir.path().join("set"));
    setting.assert_complete();
    let mut seen = Vec::new();
    let second = setting
        .fetcher
        .fetch(&setting.recipe, setting.data_dir.path(), &mut |progress| {
            seen.push(format!("{progress:?}"));
        })
        .unwrap();
    assert_eq!((second.downloaded, second.already_complete), (0, 1));
    assert_eq!(seen.len(), 2);
    assert!(seen[1].contains("AlreadyComplete"), "{seen:?}");
    assert_eq!(setting.server.requests(), [("/set/data.gz".to_string(), 0)]);
}

#[test]
fn progress_counts_to_the_total() {
    let setting = setting(&[Answer::Cut(1000)]);
    let mut last = 0;
    let mut retries = 0;
    setting
        .fetcher
        .fetch(
            &setting.recipe,
            setting.data_dir.path(),
            &mut |progress| match progress {
                Progress::Downloading {
                    received, total, ..
                } => {
                    assert!(received > last && total == LENGTH as u64);
                    last = received;
                }
                Progress::Retrying { failures, .. } => retries = failures,
                _ => {}
            },
        )
        .unwrap();
    assert_eq!((last, retries), (LENGTH as u64, 1));
}

#[test]
fn an_earlier_part_is_resumed() {
    let setting = setting(&[]);
    setting.place("data.gz.part", &contents()[..123_456]);
    setting.fetch().unwrap();
    setting.assert_complete();
    assert_eq!(setting.starts(), [123_456]);
}

#[test]
fn a_complete_part_needs_no_request() {
    let setting = setting(&[]);
    setting.place("data.gz.part", &contents());
    setting.fetch().unwrap();
    setting.assert_complete();
    assert!(setting.starts().is_empty());
}

#[test]
fn a_server_without_ranges_starts_over() {
    let setting = setting(&[Answer::WithoutRanges]);
    setting.place("data.gz.part", b"bytes that must not stay");
    setting.fetch().unwrap();
    setting.assert_complete();
}

#[test]
fn cut_and_silent_connections_are_continued() {
    let setting = setting(&[
        Answer::Cut(100_000),
        Answer::Stall(50_000),
        Answer::Status(503),
    ]);
    setting.fetch().unwrap();
    setting.assert_complete();
    assert_eq!(setting.starts(), [0, 100_000, 150_000, 150_000]);
}

#[test]
fn after_the_last_retry_the_part_is_kept_and_the_next_call_resumes() {
    let setting = setting(&[Answer::Cut(10_000); 5]);
    let error = setting.fetch().unwrap_err();
    assert!(
        matches!(
            error,
            DataError::Interrupted {
                attempts: 5,
                received: 50_000,
                ..
            }
        ),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .contains("continues after the 50000 bytes"),
        "{error}"
    );
    setting.fetch().unwrap();
    setting.assert_complete();
    assert_eq!(setting.starts()[5], 50_000);
}

#[test]
fn an_unreachable_server_is_an_error() {
    let mut setting = setting(&[]);
    // Port 1 of this computer answers nobody.
    setting.fetcher.mirror = Some("http://127.0.0.1:1".into());
    let error = setting.fetch().unwrap_err();
    assert!(
        matches!(error, DataError::Interrupted { received: 0, .. }),
        "{error}"
    );
}

#[test]
fn wrong_bytes_are_deleted_and_reported_with_both_checksums() {
    let mut setting = setting(&[]);
    let right = std::mem::replace(&mut setting.recipe.files[0].sha256, "0".repeat(64));
    let error = setting.fetch().unwrap_err().to_string();
    assert!(
        error.contains(&right)
            && error.contains(&"0".repeat(64))
            && error.contains("run the command again")
    );
    assert!(!setting.path("data.gz").exists() && !setting.path("data.gz.part").exists());
}

/// The stale start does not belong to the file: found by the checksum, and the next call succeeds.
#[test]
fn a_wrong_part_costs_one_run() {
    let setting = setting(&[]);
    setting.place("data.gz.part", &[7; 1000]);
    assert!(matches!(
        setting.fetch().unwrap_err(),
        DataError::Checksum { .. }
    ));
    setting.fetch().unwrap();
    setting.assert_complete();
}

#[test]
fn a_damaged_complete_file_is_reported_not_replaced() {
    let setting = setting(&[]);
    setting.place("data.gz", b"edited by hand");
    let error = setting.fetch().unwrap_err().to_string();
    assert!(error.contains("delete the file"), "{error}");
    assert_eq!(
        fs::read(setting.path("data.gz")).unwrap(),
        b"edited by hand"
    );
}

#[test]
fn broken_ranges_and_overlong_parts_start_over() {
    for (answers, part) in [
        (&[Answer::WrongRange][..], &[1; 500][..]),
        (&[], &[1; LENGTH + 5]),
    ] {
        let setting = setting(answers);
        setting.place("data.gz.part", part);
        setting.fetch().unwrap();
        setting.assert_complete();
    }
}

#[test]
fn a_missing_file_is_not_tried_again() {
    let setting = setting(&[Answer::Status(404)]);
    let error = setting.fetch().unwrap_err();
    assert!(
        matches!(error, DataError::Refused { status: 404, .. }),
        "{error}"
    );
    assert!(
        error.to_string().contains("/set/data.gz") && error.to_string().contains("EBM_DATA_MIRROR")
    );
    assert_eq!(setting.starts().len(), 1);
}

/// A login page, or a file that never ends.
#[test]
fn a_file_of_another_size_is_refused() {
    for (answers, bytes) in [
        (&[][..], 1_000_000),
        (&[], 1000),
        (&[Answer::WithoutLength], 1000),
    ] {
        let mut setting = setting(answers);
        setting.recipe.files[0].bytes = bytes;
        let error = setting.fetch().unwrap_err();
        assert!(matches!(error, DataError::Format { .. }), "{error}");
        assert!(!setting.path("data.gz.part").exists());
    }
}

#[test]
fn an_answer_without_length_is_downloaded_too() {
    let setting = setting(&[Answer::WithoutLength]);
    setting.fetch().unwrap();
    setting.assert_complete();
}

/// A disk with room for 70,000 bytes.
struct SmallDisk(Box<dyn Write>, usize);

impl Write for SmallDisk {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.1 == 0 {
            return Err(io::ErrorKind::StorageFull.into());
        }
        let count = self.0.write(&bytes[..bytes.len().min(self.1)])?;
        self.1 -= count;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

fn small_disk(path: &Path, append: bool) -> io::Result<Box<dyn Write>> {
    Ok(Box::new(SmallDisk(
        super::download::open_file(path, append)?,
        70_000,
    )))
}

#[test]
fn a_full_disk_keeps_what_is_there() {
    let mut setting = setting(&[]);
    setting.fetcher.sink = small_disk;
    let error = setting.fetch().unwrap_err();
    assert!(matches!(error, DataError::DiskFull { .. }), "{error}");
    assert!(
        error.to_string().contains("data.gz.part: the disk is full"),
        "{error}"
    );
    setting.fetcher.sink = super::download::open_file;
    setting.fetch().unwrap();
    setting.assert_complete();
    assert_eq!(setting.starts(), [0, 70_000]);
}

#[test]
fn two_processes_do_not_write_the_same_file() {
    let setting = setting(&[]);
    let folder = setting.data_dir.path().join("set");
    fs::create_dir(&folder).unwrap();
    let busy = super::lock(&folder).unwrap();
    assert!(matches!(
        setting.fetch().unwrap_err(),
        DataError::Busy { .. }
    ));
    drop(busy);
    setting.fetch().unwrap();
}

#[test]
fn archives_are_unpacked_once_and_again_if_the_folder_is_gone() {
    let encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    let mut tar = tar::Builder::new(encoder);
    let mut header = tar::Header::new_gnu();
    header.set_size(5);
    header.set_mode(0o644);
    tar.append_data(&mut header, "inner/file.bin", &b"hello"[..])
        .unwrap();
    let archive = tar.into_inner().unwrap().finish().unwrap();

    let setting = setting_with("data.tgz", archive, &[]);
    setting.fetch().unwrap();
    let inner = setting.path("unpacked/inner/file.bin");
    assert_eq!(fs::read(&inner).unwrap(), b"hello");
    fs::remove_dir_all(setting.path("unpacked")).unwrap();
    assert_eq!(setting.fetch().unwrap().already_complete, 1);
    assert_eq!(fs::read(&inner).unwrap(), b"hello");
    assert_eq!(setting.starts().len(), 1);
}

#[test]
fn without_a_mirror_the_publisher_is_asked() {
    let setting = setting(&[]);
    let remote = &setting.recipe.files[0];
    let fetcher = Fetcher::new(None).unwrap();
    assert_eq!(fetcher.address("set", remote), remote.url);
    let fetcher = Fetcher::new(Some("https://mirror.example/data/".into())).unwrap();
    assert_eq!(
        fetcher.address("set", remote),
        "https://mirror.example/data/set/data.gz"
    );
    let error = Fetcher::new(Some("mirror.example".into()))
        .unwrap_err()
        .to_string();
    assert!(error.contains("EBM_DATA_MIRROR"), "{error}");
}
