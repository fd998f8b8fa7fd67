//! Which of a file's objects are the weights.

use std::collections::BTreeSet;

use super::Problem;
use super::pickle::{Pickle, Place, Value};
use super::storage::TensorView;

type StateDict<'p, 'a> = Vec<(&'a str, &'p TensorView<'a>)>;

/// The weights: a dictionary of tensors by name, or the only such dictionary among the entries of one, as in
/// `torch.save({"net": net.state_dict(), "optim": …})`.
///
/// # Errors
/// [`Problem::Contents`] where there is none or more than one.
pub(super) fn find<'p, 'a>(pickle: &'p Pickle<'a>) -> Result<StateDict<'p, 'a>, Problem> {
    let Value::Dict(entries) = pickle.root() else {
        return Err(Problem::Contents(
            "it holds no dictionary of tensors".into(),
        ));
    };
    if let Some(weights) = state_dict(pickle, pickle.root()) {
        return Ok(weights);
    }
    // An object that stands under two keys is one object.
    let mut looked_at = BTreeSet::new();
    let mut found: Vec<_> = entries
        .iter()
        .filter(|&&(_, value)| looked_at.insert(value))
        .filter_map(|&(key, value)| Some((key, state_dict(pickle, pickle.get(value))?)))
        .collect();
    if found.len() > 1 {
        let keys: Vec<_> = found.iter().map(|&(key, _)| key).collect();
        return Err(Problem::Contents(format!(
            "it holds more than one dictionary of tensors, under {}",
            list(pickle, &keys)
        )));
    }
    match found.pop() {
        Some((_, weights)) => Ok(weights),
        None if entries.is_empty() => Err(Problem::Contents("it holds an empty dictionary".into())),
        None => {
            let keys: Vec<_> = entries.iter().map(|&(key, _)| key).collect();
            Err(Problem::Contents(format!(
                "neither all of it nor the entry under one of its keys ({}) is a dictionary of tensors",
                list(pickle, &keys)
            )))
        }
    }
}

/// The entries, if there are any and all are tensors with a name.
fn state_dict<'p, 'a>(pickle: &'p Pickle<'a>, value: &'p Value<'a>) -> Option<StateDict<'p, 'a>> {
    let Value::Dict(entries) = value else {
        return None;
    };
    let entry = |&(key, value): &(Place, Place)| match pickle.get(value) {
        Value::Tensor(view) => Some((pickle.text(key)?, view)),
        _ => None,
    };
    let weights: StateDict<'p, 'a> = entries.iter().map(entry).collect::<Option<_>>()?;
    (!weights.is_empty()).then_some(weights)
}

/// The first few keys, for a message.
fn list(pickle: &Pickle<'_>, keys: &[Place]) -> String {
    const SHOWN: usize = 6;
    let name = |&key: &Place| match pickle.get(key) {
        Value::Text(text) => format!("`{}`", text.escape_debug()),
        Value::Integer(number) => format!("`{number}`"),
        _ => "one that is no text".into(),
    };
    let names: Vec<_> = keys.iter().take(SHOWN).map(name).collect();
    let more = keys.len().saturating_sub(SHOWN);
    let and_more = if more > 0 {
        format!(" and {more} more")
    } else {
        String::new()
    };
    names.join(", ") + &and_more
}
