//! Archives of downloads.

use std::fs;
use std::path::Path;

use ebm_data::fetch::{DataRecipe, Fetcher, RemoteFile};
use sha2::{Digest, Sha256};

use super::{Reader, as_inflated, reader, said};
use crate::seeds;

/// A download that is there already, so that it is only checked and unpacked. Nothing may appear outside of its
/// folder.
pub(super) fn archive() -> Reader {
    let fetcher = Fetcher::new(None).unwrap();
    reader(
        "archive",
        "set/set.tgz",
        seeds::archives(),
        as_inflated,
        move |path| {
            let set = path.parent().unwrap();
            let _ = fs::remove_dir_all(set.join("unpacked"));
            let bytes = fs::read(path).unwrap();
            let file = RemoteFile {
                file: "set.tgz".into(),
                url: "http://127.0.0.1:9/set.tgz".into(),
                bytes: bytes.len() as u64,
                sha256: format!("{:x}", Sha256::digest(&bytes)),
                unpack: true,
            };
            let recipe = DataRecipe {
                name: "set".into(),
                files: vec![file],
            };
            let fetched = fetcher.fetch(&recipe, set.parent().unwrap(), &mut |_| {});
            let names = |folder: &Path| {
                let entries = fs::read_dir(folder).unwrap();
                let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name()).collect();
                names.sort();
                names
            };
            let mut expected = vec![".lock", "set.tgz"];
            expected.extend(fetched.is_ok().then_some("unpacked"));
            assert_eq!(
                (names(set), names(set.parent().unwrap())),
                (
                    expected.iter().map(Into::into).collect(),
                    vec!["set".into()]
                )
            );
            said(fetched)
        },
    )
}
