//! Overrides, `key=value`.

use serde_json::{Map, Value};

use super::error::{ConfigError, Fault, Origin};
use super::json::repeated_key;

/// One override.
#[derive(Debug)]
pub(super) struct Override<'a> {
    argument: &'a str,
    key: &'a str,
    value: Value,
}

impl<'a> Override<'a> {
    /// Splits the argument at its first `=`. A value that is not JSON is taken as a string, so that strings need no
    /// quotes.
    pub(super) fn parse(argument: &'a str) -> Result<Self, ConfigError> {
        let refuse = |problem| ConfigError::Override {
            argument: argument.to_owned(),
            problem,
        };
        let (key, text) = argument
            .split_once('=')
            .ok_or_else(|| refuse("there is no \"=\""))?;
        let key = key.trim();
        match key.split('.').collect::<Vec<_>>()[..] {
            [name] if !name.is_empty() => {}
            [section, name] if !section.is_empty() && !name.is_empty() => {}
            [_, _, _, ..] => return Err(refuse("no key has more than two parts")),
            _ => return Err(refuse("the key, or a part of it, is empty")),
        }
        let value = match serde_json::from_str(text) {
            Ok(value) => {
                if let Some(Fault {
                    key: inner,
                    problem,
                }) = repeated_key(text)
                {
                    let fault = Fault::new(format!("{key}.{inner}"), problem);
                    return Err(fault.at(Origin::Override(argument.to_owned())));
                }
                value
            }
            Err(_) => Value::String(text.to_owned()),
        };
        Ok(Self {
            argument,
            key,
            value,
        })
    }

    /// Whether a complaint about `key` is about this override: it set that key, its section, or a key in that section.
    pub(super) fn gave(&self, key: &str) -> bool {
        let within = |long: &str, short: &str| {
            let rest = long.strip_prefix(short);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        };
        within(key, self.key) || within(self.key, key)
    }

    /// The key that it sets.
    pub(super) fn key(&self) -> &str {
        self.key
    }

    /// The name in messages.
    pub(super) fn origin(&self) -> Origin {
        Origin::Override(self.argument.to_owned())
    }

    pub(super) fn apply(&self, file: &mut Map<String, Value>) -> Result<(), ConfigError> {
        put(file, self.key, self.value.clone()).map_err(|fault| fault.at(self.origin()))
    }
}

/// Sets `name` or `section.name`, making the section if there is none.
pub(super) fn put(file: &mut Map<String, Value>, key: &str, value: Value) -> Result<(), Fault> {
    let Some((section, name)) = key.split_once('.') else {
        file.insert(key.to_owned(), value);
        return Ok(());
    };
    let entry = file.entry(section).or_insert(Value::Null);
    if entry.is_null() {
        *entry = Value::Object(Map::new());
    }
    let Value::Object(entry) = entry else {
        return Err(Fault::new(
            key,
            format!("cannot be set: \"{section}\" is a single value, {entry}, and has no keys"),
        ));
    };
    entry.insert(name.to_owned(), value);
    Ok(())
}
