//! One file over HTTP, continued after interruptions.

use std::fs::{self, OpenOptions};
use std::io::{self, Read, Write};
use std::path::Path;

use ureq::http::{Response, header};

use super::{Fetcher, Progress, RemoteFile};
use crate::error::DataError;

/// Opens the part file, to append or from scratch; tests put a full disk in its place.
pub(super) type OpenSink = fn(&Path, bool) -> io::Result<Box<dyn Write>>;

pub(super) fn open_file(path: &Path, append: bool) -> io::Result<Box<dyn Write>> {
    let file = OpenOptions::new()
        .create(true)
        .write(true)
        .append(append)
        .truncate(!append)
        .open(path)?;
    Ok(Box::new(file))
}

/// Why one try did not finish.
enum Failure {
    /// Another try may succeed.
    Passing(String),
    /// Another try would fail in the same way.
    Final(DataError),
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Final(error)
    }
}

impl Fetcher {
    /// Downloads `remote` to `part`, which may hold the first bytes already. Afterwards the file has the published
    /// size; its contents are not yet verified.
    pub(super) fn download(
        &self,
        name: &str,
        remote: &RemoteFile,
        part: &Path,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), DataError> {
        let url = self.address(name, remote);
        let mut failures = 0;
        loop {
            let reason = match self.try_once(name, &url, remote, part, report) {
                Ok(()) => return Ok(()),
                Err(Failure::Final(error)) => return Err(error),
                Err(Failure::Passing(reason)) => reason,
            };
            failures += 1;
            if failures > self.retries {
                return Err(DataError::Interrupted {
                    url,
                    attempts: failures,
                    reason,
                    received: size(part)?,
                });
            }
            report(Progress::Retrying {
                file: &remote.file,
                failures,
                reason: &reason,
            });
            std::thread::sleep(self.pause * 2u32.saturating_pow(failures - 1));
        }
    }

    fn try_once(
        &self,
        name: &str,
        url: &str,
        remote: &RemoteFile,
        part: &Path,
        report: &mut dyn FnMut(Progress<'_>),
    ) -> Result<(), Failure> {
        let present = size(part)?;
        if present == remote.bytes {
            return Ok(());
        }
        let mut request = self.agent.get(url);
        if present > 0 {
            request = request.header(header::RANGE, format!("bytes={present}-"));
        }
        let response = request
            .call()
            .map_err(|error| Failure::Passing(error.to_string()))?;
        let start = match response.status().as_u16() {
            200 => 0,
            206 if continues_at(&response, present) => present,
            // The part file is too long, or the server's ranges are broken: start over without a range.
            206 | 416 => {
                discard(part)?;
                return Err(Failure::Passing(
                    "the server cannot continue the download".into(),
                ));
            }
            status @ (408 | 429 | 500..) => {
                return Err(Failure::Passing(format!("the server answered {status}")));
            }
            status => {
                return Err(Failure::Final(DataError::Refused {
                    url: url.into(),
                    status,
                    file: format!("{name}/{}", remote.file),
                }));
            }
        };
        let mut body = response.into_body();
        if body
            .content_length()
            .is_some_and(|length| start + length != remote.bytes)
        {
            return Err(Failure::Final(wrong_size(url, remote)));
        }
        let mut sink = (self.sink)(part, start > 0).map_err(DataError::file(part, "create"))?;
        let mut reader = body.as_reader();
        let mut received = start;
        let mut buffer = vec![0; 1 << 16];
        loop {
            let count = reader
                .read(&mut buffer)
                .map_err(|error| Failure::Passing(error.to_string()))?;
            if count == 0 {
                break;
            }
            received += count as u64;
            if received > remote.bytes {
                drop(sink);
                discard(part)?;
                return Err(Failure::Final(wrong_size(url, remote)));
            }
            sink.write_all(&buffer[..count])
                .map_err(DataError::file(part, "write"))?;
            report(Progress::Downloading {
                file: &remote.file,
                received,
                total: remote.bytes,
            });
        }
        if received < remote.bytes {
            let total = remote.bytes;
            return Err(Failure::Passing(format!(
                "the connection ended after {received} of {total} bytes"
            )));
        }
        Ok(())
    }
}

/// Whether a partial answer starts at byte `start`.
fn continues_at<B>(response: &Response<B>, start: u64) -> bool {
    response
        .headers()
        .get(header::CONTENT_RANGE)
        .and_then(|range| range.to_str().ok())
        .is_some_and(|range| range.starts_with(&format!("bytes {start}-")))
}

fn size(part: &Path) -> Result<u64, DataError> {
    match fs::metadata(part) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(DataError::file(part, "read")(error)),
    }
}

fn discard(part: &Path) -> Result<(), DataError> {
    match fs::remove_file(part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(DataError::file(part, "remove")(error))
        }
        _ => Ok(()),
    }
}

fn wrong_size(url: &str, remote: &RemoteFile) -> DataError {
    DataError::Format {
        path: url.into(),
        problem: format!(
            "the server's file has not the published size of {} bytes",
            remote.bytes
        ),
        fix: "check that no login page stands between you and the server, or set EBM_DATA_MIRROR to another server",
    }
}
