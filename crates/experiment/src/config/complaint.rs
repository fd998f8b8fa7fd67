//! The errors of serde, by kind instead of as sentences.

use std::fmt;

use serde::de::{self, Expected, Unexpected};
use serde_json::Value;

use super::error::Fault;
use super::suggest::did_you_mean;

/// What is wrong, and at which key.
#[derive(Debug)]
pub(super) struct Complaint {
    /// Names of sections and the key, joined by dots; empty for the whole file.
    path: String,
    problem: Problem,
}

/// What is wrong.
#[derive(Debug)]
pub(super) enum Problem {
    /// A required key is missing.
    Missing(&'static str),
    /// An unknown key, and the known ones.
    UnknownKey(String, &'static [&'static str]),
    /// An unknown name, and the known ones.
    UnknownName(String, &'static [&'static str]),
    /// A value of another kind or out of range.
    Kind {
        /// What it is.
        got: String,
        /// What it must be.
        wanted: String,
    },
    /// An error of a type, in its own words.
    Other(String),
}

impl Complaint {
    fn new(problem: Problem) -> Self {
        Self {
            path: String::new(),
            problem,
        }
    }

    /// About a value of the wrong kind.
    pub(super) fn kind(value: &Value, wanted: &str) -> Self {
        let got = match value {
            Value::Array(_) => "a list".to_owned(),
            Value::Object(_) => "a section".to_owned(),
            single => single.to_string(),
        };
        Self::new(Problem::Kind {
            got,
            wanted: wanted.to_owned(),
        })
    }

    /// Where.
    pub(super) fn path(&self) -> &str {
        &self.path
    }

    /// What.
    pub(super) fn problem(&self) -> &Problem {
        &self.problem
    }

    /// The same about the value of `key`.
    pub(super) fn within(mut self, key: &str) -> Self {
        self.path = match self.path.as_str() {
            "" => key.to_owned(),
            item if item.starts_with('[') => format!("{key}{item}"),
            inner => format!("{key}.{inner}"),
        };
        self
    }

    /// The same about an item of a list.
    pub(super) fn within_item(self, index: usize) -> Self {
        self.within(&format!("[{index}]"))
    }
}

impl From<Complaint> for Fault {
    fn from(complaint: Complaint) -> Self {
        let Complaint { path, problem } = complaint;
        let inside = |name: &str| match path.as_str() {
            "" => name.to_owned(),
            section => format!("{section}.{name}"),
        };
        match problem {
            Problem::Missing(name) if path.is_empty() => Self::new(name, "is missing"),
            Problem::Missing(name) => Self::new(path, format!("needs the key \"{name}\"")),
            Problem::UnknownKey(name, known) => {
                let suggestion = did_you_mean(&name, known.iter().copied());
                let known = known.join(", ");
                let problem = format!("is not a known key{suggestion}; the keys here are {known}");
                Self::new(inside(&name), problem)
            }
            Problem::UnknownName(name, known) => {
                let suggestion = did_you_mean(&name, known.iter().copied());
                let known = known.join(", ");
                let problem = format!("is \"{name}\": must be one of {known}{suggestion}");
                Self::new(path, problem)
            }
            Problem::Kind { got, wanted } => Self::new(path, format!("is {got}: must be {wanted}")),
            Problem::Other(said) => Self::new(path, format!("is wrong: {said}")),
        }
    }
}

impl de::Error for Complaint {
    fn custom<T: fmt::Display>(said: T) -> Self {
        Self::new(Problem::Other(said.to_string()))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::new(Problem::Missing(field))
    }

    fn unknown_field(field: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownKey(field.to_owned(), known))
    }

    fn unknown_variant(name: &str, known: &'static [&'static str]) -> Self {
        Self::new(Problem::UnknownName(name.to_owned(), known))
    }

    fn invalid_type(got: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        Self::invalid_value(got, wanted)
    }

    fn invalid_value(got: Unexpected<'_>, wanted: &dyn Expected) -> Self {
        let got = match got {
            Unexpected::Bool(value) => value.to_string(),
            Unexpected::Unsigned(value) => value.to_string(),
            Unexpected::Signed(value) => value.to_string(),
            Unexpected::Float(value) => value.to_string(),
            Unexpected::Str(text) => format!("\"{text}\""),
            Unexpected::Unit | Unexpected::Option => "null".to_owned(),
            Unexpected::Seq => "a list".to_owned(),
            Unexpected::Map => "a section".to_owned(),
            other => other.to_string(),
        };
        // A visitor that does not know which kind of value is wanted gives the name of its Rust type.
        let wanted = wanted.to_string();
        let wanted = match wanted.as_str() {
            "usize" | "u64" | "u32" | "u16" | "u8" => "a whole number from 0".to_owned(),
            "isize" | "i64" | "i32" | "i16" | "i8" => "a whole number".to_owned(),
            "f64" | "f32" => "a number".to_owned(),
            _ => wanted,
        };
        Self::new(Problem::Kind { got, wanted })
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {:?}", self.path, self.problem)
    }
}

impl std::error::Error for Complaint {}
