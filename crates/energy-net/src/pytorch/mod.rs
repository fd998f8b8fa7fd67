//! Weights from the files of PyTorch's `torch.save`, without running what is in them.
//!
//! Such a file holds a pickle, a small program that builds Python objects, and the numbers of the tensors beside it.
//! Here the program may build containers, text, numbers and references to stored numbers, and call the three
//! functions of PyTorch that turn such a reference into a tensor; those calls are not made but noted. Any other name
//! of a type or function ends the reading. Format: PyTorch's `torch/serialization.py` and Python's `pickletools`.

mod archive;
mod global;
mod pickle;
mod state_dict;
mod storage;
mod stream;
#[cfg(test)]
mod tests;
mod unpickler;

use std::collections::{BTreeMap, BTreeSet};

use crate::NamedParameter;
use pickle::Pickle;
use storage::{StorageReference, TensorView};

/// How a zip archive begins.
const ARCHIVE: &[u8] = b"PK\x03\x04";

/// Why a file gives no weights.
#[derive(Debug)]
pub(crate) enum Problem {
    /// The bytes are not what `torch.save` writes.
    Damaged(String),
    /// The pickle names a type or function that weights do not need.
    Global(String),
    /// The file is sound and holds something else than weights.
    Contents(String),
}

impl Problem {
    fn damaged(reason: impl ToString) -> Self {
        Self::Damaged(reason.to_string())
    }
}

/// Whether a file begins as those of `torch.save` do: as a zip archive (PyTorch 1.6 and later) or as a pickle in the
/// binary protocols (all earlier ones).
pub(crate) fn is_pytorch_file(bytes: &[u8]) -> bool {
    bytes.starts_with(ARCHIVE) || matches!(bytes, [0x80, 2..=5, ..])
}

/// All tensors of a state dict, in its order, as f32.
pub(crate) fn read(bytes: &[u8]) -> Result<Vec<NamedParameter>, Problem> {
    if bytes.starts_with(ARCHIVE) {
        let archive = archive::Archive::open(bytes)?;
        let (pickle, _) = Pickle::read(archive.pickle()?)?;
        tensors(&pickle, bytes.len(), |storage| archive.storage(storage))
    } else {
        let stream = stream::Stream::read(bytes)?;
        tensors(&stream.pickle, bytes.len(), |storage| {
            stream.storage(storage)
        })
    }
}

/// The tensors of the one state dict in the pickle. A file may say that many tensors share a storage, so their numbers
/// together are held to the size of the file.
fn tensors<'a>(
    pickle: &Pickle<'_>,
    file_size: usize,
    storage_of: impl Fn(&StorageReference<'_>) -> Result<&'a [u8], Problem>,
) -> Result<Vec<NamedParameter>, Problem> {
    let mut storages = BTreeMap::new();
    let mut names = BTreeSet::new();
    let mut numbers_left = file_size;
    let mut parameters = Vec::new();
    for (name, view) in state_dict::find(pickle)? {
        if !names.insert(name) {
            return Err(Problem::Damaged(format!("it holds `{name}` twice")));
        }
        let storage = match storages.get(view.storage.key) {
            Some(&storage) => storage,
            None => {
                let storage = storage_of(&view.storage)?;
                storages.insert(view.storage.key, storage);
                storage
            }
        };
        parameters.push(parameter(name, view, storage, &mut numbers_left)?);
    }
    Ok(parameters)
}

fn parameter(
    name: &str,
    view: &TensorView<'_>,
    storage: &[u8],
    numbers_left: &mut usize,
) -> Result<NamedParameter, Problem> {
    let count = view.checked_count(name)?;
    *numbers_left = numbers_left.checked_sub(count).ok_or_else(|| {
        Problem::Contents(format!(
            "its tensors up to `{name}` repeat the same numbers too often"
        ))
    })?;
    Ok(NamedParameter {
        name: name.to_owned(),
        shape: view.shape.clone(),
        values: view.values(name, storage)?,
    })
}
