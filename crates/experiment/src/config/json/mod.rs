//! JSON texts as people write them: what is wrong with them is said in plain words.

mod encoding;
mod foreign;
mod place;
mod repeated;

use serde_json::Value;

use super::ConfigError;
use super::error::{Fault, Origin};

pub(super) use encoding::decode;

/// Some editors put it before the text.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A key that may stand in an object as often as its author likes.
const COMMENT: &str = "_comment";

/// The value of a text in which no key stands twice, but that of comments.
///
/// # Errors
/// [`ConfigError::Json`], and [`ConfigError::Key`] for a key that stands twice.
pub(super) fn parse(text: &str, origin: &str) -> Result<Value, ConfigError> {
    let text = without_mark(text);
    let value = serde_json::from_str(text).map_err(|error| ConfigError::Json {
        origin: origin.to_owned(),
        problem: foreign::explain(text, &error),
    })?;
    match repeated_key(text) {
        Some(fault) => Err(fault.at(Origin::from(origin))),
        None => Ok(value),
    }
}

/// The value of a text, whichever of its keys stand twice; null for a text that is not JSON.
pub(super) fn glance(text: &str) -> Value {
    serde_json::from_str(without_mark(text)).unwrap_or_default()
}

/// What is wrong with the first key that stands twice in its object. The text must be JSON.
pub(super) fn repeated_key(text: &str) -> Option<Fault> {
    let repeated::Repeated { key, first, second } = repeated::find(text, COMMENT)?;
    let lines = if first == second {
        format!("twice in line {first}")
    } else {
        format!("in line {first} and again in line {second}")
    };
    let problem = format!("stands {lines}, and only one of them can count; take the other out");
    Some(Fault::new(key, problem))
}

fn without_mark(text: &str) -> &str {
    text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text)
}
