//! Writes down which versions of its dependencies the program is built with, for the record of a run.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    let folder = |variable| env::var_os(variable).map(PathBuf::from).unwrap_or_default();
    let (out, manifest) = (folder("OUT_DIR"), folder("CARGO_MANIFEST_DIR"));
    // That of the workspace that is built, which is ours or a user's; a build folder elsewhere leaves ours.
    let locks = || {
        out.ancestors()
            .chain(manifest.ancestors())
            .map(|folder| folder.join("Cargo.lock"))
    };
    let lock = locks().find(|path| path.is_file());
    println!("cargo::rerun-if-changed=build.rs");
    if let Some(lock) = &lock {
        println!("cargo::rerun-if-changed={}", lock.display());
    }
    let versions = lock.as_deref().map(versions).unwrap_or_default();
    // A build without it would fail at `include_str!`, with less to say.
    if let Err(error) = fs::write(out.join("versions.txt"), versions) {
        println!("cargo::error=the versions of the dependencies could not be written: {error}");
    }
}

/// A line for each package: name and version.
fn versions(lock: &Path) -> String {
    let text = fs::read_to_string(lock).unwrap_or_default();
    let value = |line: &str, key: &str| Some(line.strip_prefix(key)?.trim_matches('"').to_owned());
    let mut lines = String::new();
    let mut name = None;
    for line in text.lines() {
        name = value(line, "name = ").or(name);
        if let (Some(package), Some(version)) = (&name, value(line, "version = ")) {
            lines += &format!("{package} {version}\n");
        }
    }
    lines
}
