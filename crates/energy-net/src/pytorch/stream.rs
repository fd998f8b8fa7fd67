//! The format of PyTorch before 1.6: one pickle after another, then the numbers.

use std::collections::HashMap;

use super::Problem;
use super::pickle::{Pickle, Value};
use super::storage::StorageReference;

const MAGIC: i128 = 0x1950_a86a_20f9_469c_fc6c;
const VERSION: i128 = 1001;

/// A file's objects, and where the bytes of its storages are.
pub(super) struct Stream<'a> {
    pub(super) pickle: Pickle<'a>,
    storages: HashMap<&'a str, &'a [u8]>,
}

impl<'a> Stream<'a> {
    /// Magic number, version, a description of the machine, the objects, the keys of the storages, and for each key the
    /// number of its elements (8 bytes) and the elements.
    pub(super) fn read(bytes: &'a [u8]) -> Result<Self, Problem> {
        let (magic, rest) = Pickle::read(bytes)?;
        if !matches!(magic.root(), Value::Integer(MAGIC)) {
            return Err(Problem::Contents(
                "it is a pickle that torch.save did not write".into(),
            ));
        }
        let (version, rest) = Pickle::read(rest)?;
        if !matches!(version.root(), Value::Integer(VERSION)) {
            return Err(Problem::damaged("its version is not 1001"));
        }
        let (machine, rest) = Pickle::read(rest)?;
        if !is_little_endian(&machine) {
            return Err(Problem::Contents(
                "it was written by a machine with big-endian numbers".into(),
            ));
        }
        let (pickle, rest) = Pickle::read(rest)?;
        let (keys, mut rest) = Pickle::read(rest)?;
        let Value::List(keys_listed) = keys.root() else {
            return Err(Problem::damaged("its list of storages is missing"));
        };
        let references: HashMap<_, _> = pickle
            .storages()
            .map(|storage| (storage.key, storage))
            .collect();
        let mut storages = HashMap::new();
        for &key in keys_listed {
            let reference = keys.text(key).and_then(|key| references.get(key));
            let reference = reference
                .ok_or_else(|| Problem::damaged("its list of storages does not fit its objects"))?;
            let (count, after) = rest.split_first_chunk::<8>().ok_or_else(ends_early)?;
            if u64::try_from(reference.count) != Ok(u64::from_le_bytes(*count)) {
                return Err(Problem::Damaged(format!(
                    "storage `{}` does not have the {} numbers it should",
                    reference.key, reference.count
                )));
            }
            let (numbers, after) = after
                .split_at_checked(reference.bytes()?)
                .ok_or_else(ends_early)?;
            storages.insert(reference.key, numbers);
            rest = after;
        }
        Ok(Self { pickle, storages })
    }

    pub(super) fn storage(&self, storage: &StorageReference<'_>) -> Result<&'a [u8], Problem> {
        let missing = || Problem::Damaged(format!("storage `{}` is missing", storage.key));
        self.storages.get(storage.key).copied().ok_or_else(missing)
    }
}

fn ends_early() -> Problem {
    Problem::damaged("its numbers end too early")
}

fn is_little_endian(machine: &Pickle<'_>) -> bool {
    let Value::Dict(entries) = machine.root() else {
        return false;
    };
    entries.iter().any(|&(key, value)| {
        machine.text(key) == Some("little_endian")
            && matches!(machine.get(value), Value::Bool(true))
    })
}
