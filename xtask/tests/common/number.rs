//! Numbers that say how hard a test tries.
#![allow(clippy::panic)]

/// A number from the environment, or a default.
pub(crate) fn number(variable: &str, default: u64) -> u64 {
    match std::env::var(variable) {
        Ok(text) => text
            .parse()
            .unwrap_or_else(|_| panic!("{variable}={text}: a whole number is needed")),
        Err(_) => default,
    }
}
