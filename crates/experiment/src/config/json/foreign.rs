//! What people write into JSON that JSON does not have: comments, NaN, commas too many, quotes of other kinds.

use super::place::Place;

/// What is wrong with a text that is not JSON, with its place and what would be right.
pub(super) fn explain(text: &str, error: &serde_json::Error) -> String {
    let before: usize = text
        .split_inclusive('\n')
        .take(error.line().saturating_sub(1))
        .map(str::len)
        .sum();
    let end = before + error.column();
    match find(text) {
        // What comes later is not what the parser stopped at.
        Some((position, words)) if position <= end => {
            let place = Place::after(text.get(..position).unwrap_or_default());
            format!("{place}: {words}")
        }
        _ if error.is_eof() => {
            let place = Place::after(text);
            format!("{place}: it ends here, before all of its brackets are closed")
        }
        _ => error.to_string(),
    }
}

/// The byte at which the first thing stands that JSON has no place for, and what to do about it.
fn find(text: &str) -> Option<(usize, String)> {
    let begins = text.trim_start();
    let mut position = text.len() - begins.len();
    if begins.is_empty() {
        return Some((position, "it is empty; write { } around its keys".into()));
    }
    if !begins.starts_with(['{', '[', '/', '#']) {
        let words = "it does not begin with {; write { } around its keys, and : between a key and its value";
        return Some((position, words.into()));
    }
    while let Some(rest) = text.get(position..).filter(|rest| !rest.is_empty()) {
        let (length, words) = next(rest);
        if let Some(words) = words {
            return Some((position + length, words));
        }
        position += length;
    }
    None
}

/// The length of what stands next; or, if that is foreign, how far it is away and what to do about it.
fn next(rest: &str) -> (usize, Option<String>) {
    let first = rest.chars().next().unwrap_or_default();
    match first {
        ' ' | '\t' | '\r' | '\n' | '{' | '}' | '[' | ']' | ':' => (1, None),
        '"' => match end_of_text(rest) {
            Some(length) => (length, None),
            None => (
                0,
                Some("the text that begins here has no closing \" in its line".into()),
            ),
        },
        ',' => after_comma(rest),
        '#' => (0, Some(no_comments())),
        '/' if rest.starts_with("//") || rest.starts_with("/*") => (0, Some(no_comments())),
        '\'' | '`' | '‘' | '’' | '“' | '”' | '„' | '«' | '»' => (
            0,
            Some(format!(
                "{first} is no quote of JSON; write texts and keys in straight double quotes, \"…\""
            )),
        ),
        _ if is_of_word(first) => {
            let length = rest.find(|c| !is_of_word(c)).unwrap_or(rest.len());
            match foreign_word(&rest[..length]) {
                Some(words) => (0, Some(words)),
                None => (length, None),
            }
        }
        _ if first.is_control() || first.is_whitespace() || first as u32 > 0x7f => {
            let code = first as u32;
            (
                0,
                Some(format!(
                    "the character U+{code:04X} has no place outside of quotes; take it out"
                )),
            )
        }
        _ => (
            0,
            Some(format!(
                "{first} has no place here; take it out, or write the text in double quotes"
            )),
        ),
    }
}

/// The length of a text with its quotes, if it ends in its line.
fn end_of_text(rest: &str) -> Option<usize> {
    let mut escaped = false;
    for (position, c) in rest.char_indices().skip(1) {
        match c {
            '\n' => return None,
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return Some(position + 1),
            _ => {}
        }
    }
    None
}

fn after_comma(rest: &str) -> (usize, Option<String>) {
    let after = rest[1..].trim_start();
    match after.chars().next() {
        Some(bracket @ ('}' | ']')) => (
            0,
            Some(format!(
                "a comma before the closing {bracket}; take the comma out"
            )),
        ),
        Some(',') => (
            rest.len() - after.len(),
            Some("a second comma; take it out".into()),
        ),
        _ => (1, None),
    }
}

fn no_comments() -> String {
    "JSON has no comments; take it out (the key \"description\" has room for words)".into()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '.' | '+' | '-')
}

/// What to do about a word that is neither a number nor true, false or null.
fn foreign_word(word: &str) -> Option<String> {
    if serde_json::from_str::<serde_json::Value>(word).is_ok() {
        return None;
    }
    Some(match word.trim_start_matches(['+', '-']) {
        "True" | "TRUE" => "write true in small letters".into(),
        "False" | "FALSE" => "write false in small letters".into(),
        "None" | "Null" | "NULL" | "undefined" => {
            format!("write null, or leave the key out, instead of {word}")
        }
        bare if ["nan", "inf", "infinity"]
            .iter()
            .any(|name| bare.eq_ignore_ascii_case(name)) =>
        {
            format!(
                "JSON has no {word}; write a finite number, or leave the key out for its default"
            )
        }
        bare if bare.starts_with(|c: char| c.is_ascii_digit() || c == '.') => format!(
            "{word} is not written as a number of JSON; write it like 0.5 or 1e-4, with digits on both sides \
             of the point"
        ),
        _ => format!("{word} stands without quotes; write \"{word}\""),
    })
}
