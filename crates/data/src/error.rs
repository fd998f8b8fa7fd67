//! Everything that can go wrong with data, each with what to do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::left_out::{BrokenImage, list_broken};
use crate::picture::ENDINGS;

/// Errors of this crate. Every message names the file, key or data set, what was wrong, and the fix.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system refused a file operation.
    #[error("{}: cannot {action}: {source}; check that the path is right and that you may access it", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What was attempted, such as "read".
        action: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// The file is not of the kind it was taken for.
    #[error("{}: {problem}; {fix}", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        problem: String,
        /// What to do.
        fix: &'static str,
    },
    /// The file ends before its header or its format says.
    #[error(
        "{}: truncated: {promise} but the file holds {found}; download or copy it again",
        path.display()
    )]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What the header or the format promises, in words.
        promise: String,
        /// How many bytes of it are there.
        found: usize,
    },
    /// Bytes follow the end of the data.
    #[error(
        "{}: {promise} but more bytes follow; the file is damaged or of another kind: download or copy it again",
        path.display()
    )]
    TrailingBytes {
        /// The file.
        path: PathBuf,
        /// What the header promises, in words.
        promise: String,
    },
    /// The gzip data of a file are damaged.
    #[error("{}: the gzip data are damaged ({problem}); download or copy it again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What the decoder said.
        problem: String,
    },
    /// An image does not fit into the configured size without resampling.
    #[error(
        "{}: the image is {width}×{height}, too large to pad to {size}×{size}; \
         set \"fit\" to \"resize\" or \"size\" to at least {}",
        path.display(), width.max(height)
    )]
    TooLargeToPad {
        /// The file that holds the image.
        path: PathBuf,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// The configured side in pixels.
        size: usize,
    },
    /// The images would need more memory than there is.
    #[error(
        "{}: {count} images of {}×{}×{} numbers need {needed} bytes of memory, and {available} available; \
         set a smaller \"size\" or a \"limit\"",
        path.display(), shape[0], shape[1], shape[2]
    )]
    OutOfMemory {
        /// The file or folder.
        path: PathBuf,
        /// Images asked for.
        count: usize,
        /// Channels, height and width of one.
        shape: [usize; 3],
        /// Bytes for all of them.
        needed: u128,
        /// What there is, such as "1000 bytes are".
        available: String,
    },
    /// A folder has no images.
    #[error(
        "{}: no image in this folder or below{}; check the path (hidden files are skipped), or convert the images to \
         one of .{}",
        path.display(),
        if other_kinds.is_empty() { String::new() } else { format!(", only other files: {other_kinds}") },
        ENDINGS.join(", .")
    )]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
        /// How many files of which endings are there instead.
        other_kinds: String,
    },
    /// Images of a folder cannot be used.
    #[error(
        "{}: {} of {of} images cannot be used:{}\nreplace them or take them out of the folder{}",
        path.display(),
        broken.len(),
        list_broken(broken),
        if broken.len() < *of { ", or set \"broken\" to \"skip\" to go on without them" } else { "" }
    )]
    BrokenImages {
        /// The folder.
        path: PathBuf,
        /// The images, in the order of their paths.
        broken: Vec<BrokenImage>,
        /// How many images were to be read.
        of: usize,
    },
    /// A file of labels cannot be used.
    #[error("labels: {error}")]
    Labels {
        /// What is wrong with it.
        error: Box<DataError>,
    },
    /// A published data set is not in the data folder.
    #[error(
        "data set \"{name}\" is not in {}: {missing} is missing; point EBM_DATA_DIR at the folder that has it, \
         or fetch it",
        directory.display()
    )]
    NotFetched {
        /// The data set.
        name: &'static str,
        /// The folder that was searched.
        directory: PathBuf,
        /// The file that was looked for.
        missing: &'static str,
    },
    /// A configuration value is out of range.
    #[error("data key \"{key}\": {problem}; {fix}")]
    Config {
        /// The key.
        key: &'static str,
        /// What is wrong with its value.
        problem: String,
        /// What to set.
        fix: &'static str,
    },
    /// More data were asked for than there are.
    #[error(
        "data set \"{name}\": a batch of {count} different images was asked for but it holds {available}; \
         lower the batch size or raise the data set's \"limit\""
    )]
    BatchTooLarge {
        /// The data set.
        name: &'static str,
        /// Images asked for.
        count: usize,
        /// Images there are.
        available: usize,
    },
    /// No folder for data can be found.
    #[error(
        "there is no user data folder on this system; set EBM_DATA_DIR to the folder that is to hold data sets"
    )]
    NoDataDirectory,
    /// There is no published data set of this name.
    #[error("there is no data set \"{name}\" to fetch; the names are {known}")]
    UnknownName {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The server refused.
    #[error(
        "{url}: the server answered {status}; try again later, or set EBM_DATA_MIRROR to a mirror that has {file}"
    )]
    Refused {
        /// The address.
        url: String,
        /// The HTTP status code.
        status: u16,
        /// The mirror path, NAME/FILE.
        file: String,
    },
    /// The connection failed again and again.
    #[error(
        "{url}: the download failed {attempts} times, the last time because: {reason}; \
         check the network and run the command again, it continues after the {received} bytes already there"
    )]
    Interrupted {
        /// The address.
        url: String,
        /// How often it was tried.
        attempts: u32,
        /// What happened last.
        reason: String,
        /// Bytes in the part file.
        received: u64,
    },
    /// A downloaded or existing file is not the published one.
    #[error("{}: the SHA-256 checksum is {got} and should be {expected}; {fix}", path.display())]
    Checksum {
        /// The file.
        path: PathBuf,
        /// What the recipe lists.
        expected: String,
        /// What the file has.
        got: String,
        /// What to do.
        fix: &'static str,
    },
    /// The disk is full.
    #[error(
        "{}: the disk is full; free some space and run the command again (what is already downloaded is kept), \
         or point EBM_DATA_DIR at another disk",
        path.display()
    )]
    DiskFull {
        /// The file or folder being written.
        path: PathBuf,
    },
    /// An archive cannot be unpacked.
    #[error("{}: cannot be unpacked: {problem}; delete the archive and run the command again", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        problem: String,
    },
    /// Another process fetches into the same folder.
    #[error("{}: another process is fetching into this folder; wait until it has finished", path.display())]
    Busy {
        /// The folder.
        path: PathBuf,
    },
}

impl DataError {
    pub(crate) fn of_labels(error: Self) -> Self {
        Self::Labels {
            error: Box::new(error),
        }
    }

    /// For `map_err` on file operations.
    pub(crate) fn file(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_path_buf();
        move |source| match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path },
            _ => Self::File {
                path,
                action,
                source,
            },
        }
    }
}
