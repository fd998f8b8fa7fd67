//! Maps of known landscapes, and their parts. One program for all, because each would compile the same generic code
//! again.
#![allow(missing_docs)]

mod common;
mod known_landscapes;
mod parts;
