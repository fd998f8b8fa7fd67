//! One module for each command.

pub(crate) mod bench;
pub(crate) mod data;
pub(crate) mod experiment;
pub(crate) mod sample;
