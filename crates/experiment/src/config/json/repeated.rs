//! Keys that stand twice in one object. Without this the last of them would count and nobody would know.

use std::borrow::Cow;
use std::collections::HashMap;

use super::place::line_after;

/// A key that stands twice.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Repeated {
    /// With the sections it stands in, `section.name`.
    pub(super) key: String,
    /// Its line, counted from 1.
    pub(super) first: usize,
    /// The line in which it stands again.
    pub(super) second: usize,
}

/// An object or list that is still open.
enum Level<'a> {
    Object {
        /// Where each key begins.
        places: HashMap<Cow<'a, str>, usize>,
        /// The newest key.
        key: Cow<'a, str>,
        /// Whether the next text is a key.
        wants_key: bool,
    },
    List {
        index: usize,
    },
}

/// The first key that stands twice in one object of a text, which must be JSON; `but` may stand often.
pub(super) fn find(text: &str, but: &str) -> Option<Repeated> {
    let bytes = text.as_bytes();
    let mut levels = Vec::new();
    let mut position = 0;
    while let Some(&byte) = bytes.get(position) {
        let start = position;
        position += 1;
        match byte {
            b'{' => levels.push(Level::Object {
                places: HashMap::new(),
                key: Cow::Borrowed(""),
                wants_key: true,
            }),
            b'[' => levels.push(Level::List { index: 0 }),
            b'}' | b']' => {
                levels.pop();
            }
            b',' => match levels.last_mut() {
                Some(Level::Object { wants_key, .. }) => *wants_key = true,
                Some(Level::List { index }) => *index += 1,
                None => {}
            },
            b'"' => {
                position = end_of_text(bytes, position);
                let Some(Level::Object {
                    places,
                    key,
                    wants_key,
                }) = levels.last_mut()
                else {
                    continue;
                };
                if !std::mem::take(wants_key) {
                    continue;
                }
                *key = unescaped(text.get(start..position).unwrap_or_default());
                let earlier = places.insert(key.clone(), start);
                if let Some(earlier) = earlier.filter(|_| key != but) {
                    return Some(Repeated {
                        key: path(&levels),
                        first: line_after(&bytes[..earlier]),
                        second: line_after(&bytes[..start]),
                    });
                }
            }
            _ => {}
        }
    }
    None
}

/// The place after the quote that closes the text.
fn end_of_text(bytes: &[u8], mut position: usize) -> usize {
    while let Some(&byte) = bytes.get(position) {
        position += 1;
        match byte {
            b'"' => break,
            b'\\' => position += 1,
            _ => {}
        }
    }
    position.min(bytes.len())
}

/// The text between quotes.
fn unescaped(quoted: &str) -> Cow<'_, str> {
    if quoted.contains('\\') {
        Cow::Owned(serde_json::from_str(quoted).unwrap_or_default())
    } else {
        Cow::Borrowed(quoted.trim_matches('"'))
    }
}

fn path(levels: &[Level<'_>]) -> String {
    let mut path = String::new();
    for level in levels {
        match level {
            Level::Object { key, .. } => {
                if !path.is_empty() {
                    path.push('.');
                }
                path += key;
            }
            Level::List { index } => path += &format!("[{index}]"),
        }
    }
    path
}
