//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::Path;

/// Writes a file through a temporary one in the same folder, which is flushed to the disk and then renamed.
/// An existing file is replaced only by a complete one.
///
/// # Errors
/// Any error of the file system; nothing is left behind then.
pub fn write_atomically(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".").suffix(".part");
    // Temporary files are private by default, but others may want to read a result (the umask still applies).
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder
        .tempfile_in(folder)
        .map_err(without_temporary_name)?;
    file.write_all(bytes).map_err(without_temporary_name)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    // The rename survives a power failure only once the folder is on disk too.
    #[cfg(unix)]
    std::fs::File::open(folder)?.sync_all()?;
    Ok(())
}

/// Errors of tempfile name the temporary file, which means nothing to a reader who asked for another one.
fn without_temporary_name(error: io::Error) -> io::Error {
    if error.get_ref().is_some() {
        io::Error::from(error.kind())
    } else {
        error
    }
}
